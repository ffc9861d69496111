//! The agent's unit of data: one encoded OTLP export request.
//!
//! What is received is relayed as the bytes it came in, so unknown fields survive and nothing is
//! decoded for the sake of being encoded again; what is scraped or tailed is encoded into the same
//! form. Received bytes pass [`count`] once, which checks everything a backend's decoder would
//! check: requests are merged on their way, and one malformed record would have the whole batch
//! refused.

use bytes::Bytes;
use davy_proto::Signal;

pub use count::{Census, census, count};
pub use merge::merge;
pub use splice::{Enrichment, splice};
pub use split::{Split, split};
pub use walk::{Malformed, Reason};

mod count;
mod merge;
mod schema;
mod splice;
mod split;
#[cfg(test)]
mod strategy;
pub(crate) mod walk;
pub(crate) mod write;

/// One encoded OTLP export request of a signal.
#[derive(Clone, Debug, PartialEq)]
pub struct Payload {
    /// What it carries.
    pub signal: Signal,
    /// An encoded `Export{Metrics,Logs,Trace}ServiceRequest`.
    pub bytes: Bytes,
    /// Metric data points, log records or spans in it.
    pub items: u64,
}

impl Payload {
    /// Takes a request as a sender encoded it: checks it, counts its items and splices `enrichment`
    /// into each of its resources.
    ///
    /// # Errors
    ///
    /// Where it is not an export request of that signal.
    pub fn received(
        signal: Signal,
        bytes: &[u8],
        enrichment: &Enrichment,
    ) -> Result<Self, Malformed> {
        Ok(Self {
            signal,
            items: count(signal, bytes)?,
            bytes: splice(bytes, enrichment)?,
        })
    }
}
