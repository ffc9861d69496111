//! Words both programs agree on: window, verdict, policy, arm, names and units.
//!
//! Pure data and its parsing: no clock, no I/O. The agent and the gate know each other through OTLP
//! alone (`semconv` names what travels); the gate's own formats, the window that is recorded and
//! replayed and the verdict that is served, are [`window`] and [`verdict`].

pub mod arm;
pub mod indicator;
pub mod limits;
pub mod semconv;
mod signal;
pub mod time;
pub mod units;
pub mod verdict;
pub mod window;

pub use arm::Arm;
pub use signal::Signal;
pub use time::UnixNanos;
