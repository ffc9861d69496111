//! The label sets of the agent's own metrics.

use prometheus_client::encoding::EncodeLabelSet;

/// The reason of what is larger than all queues together, dropped or refused.
pub const LARGER_THAN_QUEUE: &str = "larger_than_queue";

/// Why items were dropped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DropReason {
    /// Their destination is no longer in the configuration.
    DestinationRemoved,
    /// Alone they are larger than all queues together.
    LargerThanQueue,
    /// A page or line that can't be sent: it was malformed.
    Malformed,
    /// No destination takes their signal.
    NoDestination,
    /// A single record is larger than a request may be.
    Oversized,
    /// The destination refused them for good.
    Permanent,
    /// There was no room, and these were the oldest.
    QueueFull,
    /// The agent stopped before they could be delivered.
    Shutdown,
}

impl DropReason {
    /// The value of the label `reason`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DestinationRemoved => "destination_removed",
            Self::LargerThanQueue => LARGER_THAN_QUEUE,
            Self::Malformed => "malformed",
            Self::NoDestination => "no_destination",
            Self::Oversized => "oversized",
            Self::Permanent => "permanent",
            Self::QueueFull => "queue_full",
            Self::Shutdown => "shutdown",
        }
    }
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct BuildLabels {
    pub(super) version: &'static str,
    pub(super) commit: &'static str,
    pub(super) target: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct DestinationLabels {
    pub(super) destination: String,
    pub(super) outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct DropLabels {
    pub(super) signal: &'static str,
    pub(super) destination: String,
    pub(super) reason: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct KindLabels {
    pub(super) source: &'static str,
    pub(super) kind: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct LaneLabels {
    pub(super) signal: &'static str,
    pub(super) destination: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct OutcomeLabels {
    pub(super) outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct RefusalLabels {
    pub(super) source: &'static str,
    pub(super) reason: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct SourceLabels {
    pub(super) signal: &'static str,
    pub(super) source: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct TargetLabels {
    pub(super) target: String,
    pub(super) outcome: &'static str,
}
