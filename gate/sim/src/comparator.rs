//! What others decide by, over the same cells and with the same limits as the judge.
//!
//! Each sees an [`Observed`] cell: both arms summed over their pods, as a metrics backend would
//! give them. Cells in which an arm has no warm pod are not shown. All of them are given what helps
//! them: the limits of the policy, evidence as fresh as the judge's, and a right to stop early
//! where their method has one.

mod cdf_band;
mod histogram;
mod mann_whitney;
mod observed;
mod repeated_z;
mod sequential_mean;
#[cfg(test)]
mod tests;
mod threshold;

pub use cdf_band::CdfBand;
pub use histogram::Histogram;
pub use mann_whitney::MannWhitney;
pub use observed::{Arm, Observed};
pub use repeated_z::RepeatedZ;
pub use sequential_mean::SequentialMean;
pub use threshold::Threshold;

use davy_gate_core::judge::{JudgeConfig, Verdict};

/// The 99 % quantile of the standard normal: one-sided tests at 1 %, intervals at 98 %.
pub(crate) const Z99: f64 = 2.326_347_874_040_841;
/// Cells between two looks of a method that looks every minute.
const MINUTE: u64 = 12;

/// Limits of an objective: ratios of canary to baseline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Beyond it: roll back.
    pub above: f64,
    /// Below it: safe.
    pub below: f64,
}

/// Limits of all objectives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AllLimits {
    /// Of P99 latency.
    pub latency: Limits,
    /// Of the share of requests above a classic bound.
    pub exceedance: Limits,
    /// Of the error rate.
    pub errors: Limits,
    /// Of CPU a request.
    pub cpu: Limits,
}

impl AllLimits {
    /// Those of a judge; none where it does not judge all three.
    pub fn of(config: &JudgeConfig) -> Option<Self> {
        let (latency, errors, cpu) = (
            config.latency.as_ref()?,
            config.errors.as_ref()?,
            config.cpu.as_ref()?,
        );
        let limits = |above, below| Limits { above, below };
        Some(Self {
            latency: limits(latency.rollback_above, latency.approve_below),
            exceedance: limits(latency.exceedance_above, latency.exceedance_below),
            errors: limits(errors.rollback_above, errors.approve_below),
            cpu: limits(cpu.rollback_above, cpu.approve_below),
        })
    }
}

/// A method that decides by the summed cells of both arms.
pub trait Comparator {
    /// The verdict after a cell.
    fn step(&mut self, cell: &Observed) -> Verdict;

    /// The verdict at the end of the half hour, of what never decided.
    fn end(&self) -> Verdict;
}

/// A method of deciding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// The gate's own judge.
    Davy,
    /// A fixed threshold looked at every minute; one failure rolls back.
    ThresholdOnce,
    /// The same; three failures in a row roll back.
    ThresholdThrice,
    /// A z-test looked at after every cell.
    RepeatedZ,
    /// Mann and Whitney's test as Kayenta's judge uses it.
    MannWhitney,
    /// GrowthBook's sequential test of means.
    SequentialMean,
    /// A confidence band around both distribution functions.
    CdfBand,
}

impl Method {
    /// All of them, the gate's own first.
    pub const ALL: [Self; 7] = [
        Self::Davy,
        Self::ThresholdOnce,
        Self::ThresholdThrice,
        Self::RepeatedZ,
        Self::MannWhitney,
        Self::SequentialMean,
        Self::CdfBand,
    ];

    /// Its name in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Davy => "Davy",
            Self::ThresholdOnce => "fixed threshold, 1 failure",
            Self::ThresholdThrice => "fixed threshold, 3 failures",
            Self::RepeatedZ => "repeated z",
            Self::MannWhitney => "Mann-Whitney (Kayenta)",
            Self::SequentialMean => "sequential mean (GrowthBook)",
            Self::CdfBand => "uniform CDF band",
        }
    }

    /// The comparator, new; none of the gate's own judge.
    pub fn comparator(self, limits: AllLimits) -> Option<Box<dyn Comparator>> {
        Some(match self {
            Self::Davy => return None,
            Self::ThresholdOnce => Box::new(Threshold::new(limits, 1)),
            Self::ThresholdThrice => Box::new(Threshold::new(limits, 3)),
            Self::RepeatedZ => Box::new(RepeatedZ::new(limits)),
            Self::MannWhitney => Box::new(MannWhitney::new(limits)),
            Self::SequentialMean => Box::new(SequentialMean::new(limits)),
            Self::CdfBand => Box::new(CdfBand::new(limits)),
        })
    }
}
