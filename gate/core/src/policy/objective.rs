//! One objective: what is compared or limited, and whether it must be proved.

/// One objective of a policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    /// Name, unique in the policy.
    pub name: String,
    /// What is measured.
    pub indicator: Indicator,
    /// Whether it must be proved safe, or only not proved bad.
    pub gate: Gate,
    /// Routes that it is about; all when empty.
    pub routes: Vec<String>,
    /// Limits of canary over baseline.
    pub ratio: Option<Ratio>,
    /// Limits of the canary alone.
    pub absolute: Vec<Absolute>,
    /// Quantile of latency, in [0.5, 0.9999].
    pub quantile: f64,
    /// Whether the quantile alone is tested, not those from P90 up to it too.
    pub strict: bool,
    /// Rate of errors, in [0, 1), below which no ratio matters; 0 is none.
    pub negligible: f64,
}

/// What is measured.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Indicator {
    /// CPU seconds a request.
    CpuPerRequest,
    /// CPU used over its limit.
    CpuUtilization,
    /// Share of requests that failed.
    Errors,
    /// A quantile of the latency of successful requests.
    Latency,
    /// Restarts of a pod.
    Restarts,
}

/// Limits of canary over baseline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// Proved above it: rollback.
    pub rollback_above: f64,
    /// Proved below it: safe; larger than `rollback_above`.
    pub approve_below: f64,
    /// The same for the share of requests above a classic bucket's bound, proved above: rollback.
    pub exceedance_above: f64,
    /// Proved below: safe; larger than `exceedance_above`.
    pub exceedance_below: f64,
}

/// A limit of the canary alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Absolute {
    /// The latency quantile is at most that many seconds: no more than 1 − quantile of the
    /// successful requests takes longer.
    MaxSeconds(f64),
    /// At least this share of requests succeeds, in (0, 1).
    MinSuccess(f64),
    /// At most this share of the CPU limit is used on average, in (0, 1].
    MaxUtilization(f64),
    /// At most so many restarts of each pod.
    MaxPerPod(u64),
}

impl Absolute {
    /// The key as written.
    pub const fn key(self) -> &'static str {
        match self {
            Self::MaxSeconds(_) => "max",
            Self::MinSuccess(_) => "min_success",
            Self::MaxUtilization(_) => "max_utilization",
            Self::MaxPerPod(_) => "max_per_pod",
        }
    }
}

/// What an objective must prove.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Gate {
    /// Must be proved safe before an approval.
    Require,
    /// Must not be proved bad.
    Veto,
}

/// Names of indicators as written.
pub(super) const INDICATORS: [(&str, Indicator); 5] = [
    ("latency", Indicator::Latency),
    ("errors", Indicator::Errors),
    ("cpu_per_request", Indicator::CpuPerRequest),
    ("cpu_utilization", Indicator::CpuUtilization),
    ("restarts", Indicator::Restarts),
];

impl Indicator {
    /// The name as written.
    pub fn as_str(self) -> &'static str {
        INDICATORS
            .iter()
            .find(|(_, known)| *known == self)
            .map_or("", |(name, _)| name)
    }

    /// Whether it is measured of requests, and so of routes.
    pub(super) fn is_of_requests(self) -> bool {
        matches!(self, Self::Errors | Self::Latency)
    }

    /// Default limits of the ratio; none of an indicator that is only limited absolutely.
    pub(super) fn standard_ratio(self) -> Option<Ratio> {
        let (rollback_above, approve_below) = match self {
            Self::Latency => (1.10, 1.25),
            Self::Errors => (1.25, 3.0),
            Self::CpuPerRequest => (1.10, 1.15),
            Self::CpuUtilization | Self::Restarts => return None,
        };
        // At a typical spread a latency ratio of 1.10 moves half as many requests again beyond a
        // bound, and 1.25 more than twice as many.
        Some(Ratio {
            rollback_above,
            approve_below,
            exceedance_above: 1.5,
            exceedance_below: 3.0,
        })
    }
}

impl Objective {
    /// An objective with the defaults of its indicator.
    pub(super) fn of(name: &str, indicator: Indicator) -> Self {
        let ratio = indicator.standard_ratio();
        Self {
            name: name.to_owned(),
            indicator,
            gate: if ratio.is_some() {
                Gate::Require
            } else {
                Gate::Veto
            },
            routes: Vec::new(),
            ratio,
            absolute: Vec::new(),
            quantile: 0.99,
            strict: false,
            negligible: if indicator == Indicator::Errors {
                0.001
            } else {
                0.0
            },
        }
    }

    /// Latency, errors, CPU and stability.
    pub(super) fn standard() -> Vec<Self> {
        let mut stability = Self::of("stability", Indicator::Restarts);
        stability.absolute.push(Absolute::MaxPerPod(0));
        vec![
            Self::of("latency", Indicator::Latency),
            Self::of("errors", Indicator::Errors),
            Self::of("cpu", Indicator::CpuPerRequest),
            stability,
        ]
    }
}
