//! A confidence band around both arms' distribution functions, valid at all times and everywhere.
//!
//! Rolls back when the lower end of the canary's P99 is above `rollback_above` times the upper end
//! of the baseline's, or so with error rates (the distribution function of 0 and 1); approves when
//! both are below `approve_below` likewise, from a minute on. CPU has no independent observations
//! and is not judged, which helps it.
//!
//! Source: Howard and Ramdas, "Sequential estimation of quantiles", Bernoulli 28(3) 2022, theorem
//! 2: half width 0.85 √((ln(1 + ln(t/t₀)) + C) / t) from t₀ on; C from the authors' `confseq`
//! (`EmpiricalProcessLILBound`), 9.78337 at 0.5 % an arm, t₀ = 100.
//! Assumption: requests are independent and of one distribution all the time.

use davy_gate_core::judge::Verdict;

use super::{AllLimits, Arm, Comparator, MINUTE, Observed};

/// C of the bound at level 0.005.
const C: f64 = 9.783_365_215_422_236;
/// Requests from which the band holds.
const FROM: f64 = 100.0;

/// Half width of the band after `n` requests; infinite below the first hundred.
pub(super) fn half_width(n: u64, c: f64) -> f64 {
    let n = n as f64;
    if n < FROM {
        return f64::INFINITY;
    }
    0.85 * ((libm::log(1.0 + libm::log(n / FROM)) + c) / n).sqrt()
}

/// The comparator.
#[derive(Clone, Debug)]
pub struct CdfBand {
    limits: AllLimits,
    baseline: Arm,
    canary: Arm,
    cells: u64,
}

impl CdfBand {
    /// A band without evidence.
    pub fn new(limits: AllLimits) -> Self {
        Self {
            limits,
            baseline: Arm::default(),
            canary: Arm::default(),
            cells: 0,
        }
    }
}

/// Bounds of P99 in seconds; the upper one is infinite while the band is wider than 1 %.
fn p99(arm: &Arm) -> (f64, f64) {
    let width = half_width(arm.latency.total(), C);
    let at = |share: f64| {
        let edge = (share < 1.0).then(|| arm.latency.edge(share)).flatten();
        edge.map(|edge| arm.latency.upper(edge))
    };
    let high = (width < 0.01).then(|| at(0.01 - width)).flatten();
    (
        at(0.01 + width).unwrap_or(0.0),
        high.unwrap_or(f64::INFINITY),
    )
}

fn error_rate(arm: &Arm) -> (f64, f64) {
    let width = half_width(arm.requests, C);
    let rate = arm.error_rate().unwrap_or(0.0);
    ((rate - width).max(0.0), (rate + width).min(1.0))
}

impl Comparator for CdfBand {
    fn step(&mut self, cell: &Observed) -> Verdict {
        self.baseline.merge(&cell.baseline);
        self.canary.merge(&cell.canary);
        self.cells += 1;
        let mut safe = self.cells >= MINUTE;
        for (bounds, limits) in [
            (p99 as fn(&Arm) -> (f64, f64), self.limits.latency),
            (error_rate, self.limits.errors),
        ] {
            let (canary, baseline) = (bounds(&self.canary), bounds(&self.baseline));
            if canary.0 > limits.above * baseline.1 {
                return Verdict::Rollback;
            }
            safe &= canary.1 < limits.below * baseline.0;
        }
        if safe {
            Verdict::Approve
        } else {
            Verdict::Undecided
        }
    }

    fn end(&self) -> Verdict {
        Verdict::Undecided
    }
}
