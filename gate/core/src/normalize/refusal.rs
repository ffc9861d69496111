//! What was refused of a request, with reason and place.

use std::collections::BTreeMap;

/// Most examples of a report; the rest is counted.
const EXAMPLES_MAX: usize = 16;

/// Why a point, a resource or a window was refused.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Refusal {
    /// Histograms of one route and window with different bounds or kinds: the requests count, the
    /// latency of one of them doesn't.
    BoundsDiffer,
    /// The window contradicts itself.
    Contradiction,
    /// Same series, start and end as before: counted once.
    Duplicate,
    /// The first point of a cumulative series: it may hold anything older.
    FirstPoint,
    /// Ends too far in the future.
    Future,
    /// Counts don't fit bounds, or a total its parts.
    Malformed,
    /// A name longer than allowed.
    NameTooLong,
    /// No attribute names the arm.
    NoArm,
    /// No attribute names the pod or instance.
    NoPod,
    /// The point is marked as having no value; not counted as refused.
    NoRecordedValue,
    /// No attribute names the service.
    NoService,
    /// A delta point without start.
    NoStart,
    /// A number that is not finite, or negative.
    NotFinite,
    /// Older than the last point of its cumulative series.
    OutOfOrder,
    /// Cuts an interval of the same series that was counted.
    Overlap,
    /// Doesn't end after its start, or lasts for over an hour.
    Period,
    /// Neither delta nor cumulative.
    Temporality,
    /// Older than what is remembered of its series.
    TooOld,
    /// More series than a pod may have.
    TooManySeries,
    /// The unit of a duration is no time.
    Unit,
}

/// One refusal and where it happened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refused {
    /// Why.
    pub reason: Refusal,
    /// Where: `prod/shop/v2/pod-1: http.server.request.duration`.
    pub place: String,
}

/// All that was refused of a request.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Report {
    /// How much was refused for each reason.
    pub counts: BTreeMap<Refusal, u64>,
    /// The first few, at most 16.
    pub examples: Vec<Refused>,
}

impl Refusal {
    /// The value of a metric's `reason` label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BoundsDiffer => "bounds_differ",
            Self::Contradiction => "contradiction",
            Self::Duplicate => "duplicate",
            Self::FirstPoint => "first_point",
            Self::Future => "future",
            Self::Malformed => "malformed",
            Self::NameTooLong => "name_too_long",
            Self::NoArm => "no_arm",
            Self::NoPod => "no_pod",
            Self::NoRecordedValue => "no_recorded_value",
            Self::NoService => "no_service",
            Self::NoStart => "no_start",
            Self::NotFinite => "not_finite",
            Self::OutOfOrder => "out_of_order",
            Self::Overlap => "overlap",
            Self::Period => "period",
            Self::Temporality => "temporality",
            Self::TooOld => "too_old",
            Self::TooManySeries => "too_many_series",
            Self::Unit => "unit",
        }
    }

    /// Whether the sender did something wrong: a duplicate and a first point are daily business,
    /// and
    /// are not to be reported to it as a partial success.
    pub const fn is_fault(self) -> bool {
        !matches!(
            self,
            Self::Duplicate | Self::FirstPoint | Self::NoRecordedValue
        )
    }
}

impl Report {
    /// How much was refused for that reason.
    pub fn count(&self, reason: Refusal) -> u64 {
        self.counts.get(&reason).copied().unwrap_or(0)
    }

    /// How much was refused for the sender's fault.
    pub fn faults(&self) -> u64 {
        self.counts
            .iter()
            .filter(|(reason, _)| reason.is_fault())
            .map(|(_, n)| n)
            .sum()
    }

    pub(super) fn refuse(&mut self, reason: Refusal, place: &str) {
        *self.counts.entry(reason).or_default() += 1;
        if self.examples.len() < EXAMPLES_MAX {
            let place = place.chars().take(512).collect();
            self.examples.push(Refused { reason, place });
        }
    }
}
