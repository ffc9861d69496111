//! What a judge is made with.

use std::sync::Arc;

use crate::kappa::Assume;

/// Limits on latency, as ratios of canary to baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct LatencyLimits {
    /// Proved above: rollback. Below `approve_below`.
    pub rollback_above: f64,
    /// Proved below: safe.
    pub approve_below: f64,
    /// The same two for the share of requests above an explicit bound.
    pub exceedance_above: f64,
    /// Proved below: safe.
    pub exceedance_below: f64,
    /// Quantile in (0, 1) up to which no quantile from P90 on may be beyond the limit.
    pub quantile: f64,
    /// Whether that quantile alone is judged.
    pub strict: bool,
    /// Whether it must be proved safe to approve.
    pub required: bool,
}

impl LatencyLimits {
    /// P99, rollback above 1.10, approve below 1.25. Where buckets are explicit, 1.5 and 3 on the
    /// share above a bound: with log-normal latency of σ 0.5 to 0.7 a P99 of 1.10 or 1.25 times is
    /// a share of 1.4 to 1.7, or 2.2 to 3.0 times. Source: docs/statistics.md, sections 2 and 5.5.
    pub const DEFAULT: Self = Self {
        rollback_above: 1.10,
        approve_below: 1.25,
        exceedance_above: 1.5,
        exceedance_below: 3.0,
        quantile: 0.99,
        strict: false,
        required: true,
    };
}

/// Limits on errors per request, as ratios of canary to baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorLimits {
    /// Proved above: rollback.
    pub rollback_above: f64,
    /// Proved below: safe.
    pub approve_below: f64,
    /// Error rate in (0, 1) of the canary that never matters.
    pub negligible: Option<f64>,
    /// Whether it must be proved safe to approve.
    pub required: bool,
}

impl ErrorLimits {
    /// The default limits: rollback above 1.25, approve below 3, no floor.
    pub const DEFAULT: Self = Self {
        rollback_above: 1.25,
        approve_below: 3.0,
        negligible: None,
        required: true,
    };
}

/// Limits on CPU seconds per request, as ratios of canary to baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct CpuLimits {
    /// Proved above: rollback.
    pub rollback_above: f64,
    /// Proved below: safe.
    pub approve_below: f64,
    /// Whether it must be proved safe to approve.
    pub required: bool,
}

impl CpuLimits {
    /// The default limits: rollback above 1.10, approve below 1.15.
    pub const DEFAULT: Self = Self {
        rollback_above: 1.10,
        approve_below: 1.15,
        required: true,
    };
}

/// An absolute limit: of the canary alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// What is bounded; proved beyond: rollback.
    pub bound: Bound,
    /// Routes it is about, all when empty; CPU has none.
    pub routes: Vec<Arc<str>>,
}

/// What an absolute limit bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// At most 1 − `quantile` of the successful requests takes longer.
    Latency {
        /// Than so many seconds, above 0.
        seconds: f64,
        /// Quantile in (0, 1).
        quantile: f64,
    },
    /// At least this share of the requests succeeds, in (0, 1).
    Success(f64),
    /// At most this share of the pods' CPU limits is used on average, in (0, 1].
    Utilization(f64),
}

/// What a judge is made with; absent objectives are not judged.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgeConfig {
    /// Limits on latency.
    pub latency: Option<LatencyLimits>,
    /// Limits on errors.
    pub errors: Option<ErrorLimits>,
    /// Limits on CPU.
    pub cpu: Option<CpuLimits>,
    /// Absolute limits.
    pub limits: Vec<Limit>,
    /// α: the chance of rolling back a canary within all limits, in (0, 1).
    pub false_rollback: f64,
    /// β: the chance of approving one beyond an `approve_below`, in (0, 1).
    pub false_approval: f64,
    /// Whether a pod may be slow for minutes by itself.
    pub assume: Assume,
    /// Judged cells before an approval.
    pub cells_min: u64,
    /// Seed of thinning.
    pub seed: u64,
}

impl JudgeConfig {
    /// What a policy says that says nothing: three objectives at their default limits, a chance of
    /// 1 % each way, a minute at least.
    pub const DEFAULT: Self = Self {
        latency: Some(LatencyLimits::DEFAULT),
        errors: Some(ErrorLimits::DEFAULT),
        cpu: Some(CpuLimits::DEFAULT),
        limits: Vec::new(),
        false_rollback: 0.01,
        false_approval: 0.01,
        assume: Assume::Auto,
        cells_min: 12,
        seed: 0,
    };
}
