//! What the judge says after a cell.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::eta::Eta;

/// Approve, roll back, or go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every required objective is proved safe.
    Approve,
    /// The canary is proved worse.
    Rollback,
    /// Neither, yet.
    Undecided,
}

/// What a ratio is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Objective {
    /// Errors per request.
    Errors,
    /// CPU seconds per request.
    Cpu,
    /// Latency quantiles.
    Latency,
}

/// Why an objective can't be judged.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize, thiserror::Error)]
pub enum Unavailable {
    /// The two arms, or pods of one, have explicit histograms with different bounds.
    #[error("the explicit bounds of the histograms differ")]
    BoundsDiffer,
    /// One arm has exponential histograms, the other explicit ones.
    #[error("some histograms are exponential, others have explicit bounds")]
    KindsDiffer,
    /// The baseline has no such evidence yet.
    #[error("the baseline has not reported it")]
    NoBaseline,
    /// The canary has no such evidence yet.
    #[error("the canary has not reported it")]
    NoCanary,
    /// An absolute limit lies above the last bound.
    #[error("the limit lies above the last bound of the histogram")]
    LimitAboveBounds,
    /// No pod of the canary has a CPU limit.
    #[error("the canary's pods report no CPU limit")]
    NoCpuLimit,
    /// The quantile lies above the last bound.
    #[error("the quantile lies in the open bucket, above the last bound")]
    OpenBucket,
}

/// The part of the evidence that speaks loudest for harm.
#[derive(Clone, Debug, PartialEq)]
pub struct Component {
    /// What it is of.
    pub objective: Objective,
    /// Quantile in [0, 1], of latency.
    pub level: Option<f64>,
    /// The route, where it is one route's.
    pub route: Option<Arc<str>>,
    /// ln of its weight times its e-value.
    pub log_e: f64,
}

/// One objective that compares canary with baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectiveAssessment {
    /// Which one.
    pub objective: Objective,
    /// ln of its weighted part of the harm e-process; latency's includes its routes'.
    pub harm_log_e: f64,
    /// ln of its safety e-process.
    pub safe_log_e: f64,
    /// Whether its own evidence of harm ever crossed 1/α.
    pub harm_proved: bool,
    /// Whether safety ever crossed 1/β (since it was last restarted).
    pub safe_proved: bool,
    /// Lower bound of the ratio, valid at all times; none while nothing is proved.
    pub low: Option<f64>,
    /// Ratio of canary to baseline as observed since the first judged cell.
    pub ratio: Option<f64>,
    /// Upper bound of the ratio, valid at all times.
    pub high: Option<f64>,
    /// The baseline's value, in `unit`.
    pub baseline: Option<f64>,
    /// The canary's value, in `unit`.
    pub canary: Option<f64>,
    /// UCUM unit: `s` or `1`.
    pub unit: &'static str,
    /// Why it can't be judged; then it is never proved safe.
    pub unavailable: Option<Unavailable>,
    /// Expected time until it is proved safe.
    pub eta: Eta,
}

/// An absolute limit.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitAssessment {
    /// The canary's value so far: share of successes, latency quantile in seconds, share of the CPU
    /// limit; none without evidence.
    pub value: Option<f64>,
    /// Requests that failed, or took longer, and all: (0, 0) of CPU.
    pub counted: (u64, u64),
    /// Of latency, the seconds beyond which requests were counted: the limit, rounded up to an edge
    /// of the histogram.
    pub edge_seconds: Option<f64>,
    /// ln of the e-process against "the canary's mean so far is within the limit".
    pub harm_log_e: f64,
    /// Whether that alone ever was enough for a rollback.
    pub harm_proved: bool,
    /// Why it can't be judged.
    pub unavailable: Option<Unavailable>,
}

/// The state of the judgement after a cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessment {
    /// The verdict now; the caller latches it.
    pub verdict: Verdict,
    /// Judged cells.
    pub cells: u64,
    /// Judged cells since safety was last restarted.
    pub cells_of_step: u64,
    /// ln of the whole harm e-process.
    pub log_e_harm: f64,
    /// How sure the verdict, or while undecided the nearer one, is: 1 − 1/E, in [0, 1].
    pub confidence: f64,
    /// Enabled objectives in fixed order: latency, errors, CPU.
    pub objectives: Vec<ObjectiveAssessment>,
    /// Absolute limits, in the order of the configuration.
    pub limits: Vec<LimitAssessment>,
    /// The largest part of the comparisons' evidence of harm; of a rollback, the reason.
    pub leading: Option<Component>,
    /// The absolute limit whose evidence weighs more than any comparison's.
    pub leading_limit: Option<usize>,
    /// Expected time until all required objectives are proved safe.
    pub eta: Eta,
    /// Whether each arm has one pod, so that version and node can't be told apart.
    pub one_pod_each: bool,
}
