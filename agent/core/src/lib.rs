//! Pure core of the agent: bytes in, OTLP bytes out.

pub mod exposition;
pub mod payload;
pub mod queue;
pub mod retry;
pub mod series;
pub mod template;
pub mod translate;
pub use payload::Payload;

pub mod buildinfo;
pub mod evidence;
pub mod json;
pub mod spans;

pub mod container;
pub mod fingerprint;
pub mod lines;
pub mod offsets;
pub mod record;

mod same;

pub use davy_relabel as relabel;
