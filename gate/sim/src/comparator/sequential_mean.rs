//! GrowthBook's sequential test of means, as its Safe Rollouts judge guardrails: an asymptotic
//! confidence sequence around the relative uplift, one-sided, looked at after every cell.
//!
//! Latency: the mean over requests. Errors: their share. CPU: the mean over pods' cells. Rolls back
//! when the lower end of an uplift is above `rollback_above` − 1 (GrowthBook tests against 0, which
//! would roll back any difference, however small), approves when all upper ends are below
//! `approve_below` − 1, from a minute on (GrowthBook waits for the end).
//!
//! Source: gbstats `frequentist/tests.py`: `sequential_rho` (eq. 161) and
//! `sequential_interval_halfwidth_one_sided` (eq. 134 of Waudby-Smith et al., arXiv 2103.06476v7);
//! variance of the relative uplift by the delta method. Tuning parameter 5,000, its default.
//! Assumption: observations are independent, which requests of a stalling pod are not.

use davy_gate_core::judge::Verdict;

use super::{AllLimits, Arm, Comparator, Limits, MINUTE, Observed};

/// Sample size at which the sequence is tightest.
const TUNED_FOR: f64 = 5_000.0;
/// Level of each one-sided sequence.
const ALPHA: f64 = 0.01;

/// Count, sum and sum of squares.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sample {
    /// Observations.
    pub(super) n: f64,
    /// Their sum.
    pub(super) sum: f64,
    /// The sum of their squares.
    pub(super) squares: f64,
}

impl Sample {
    fn mean(self) -> f64 {
        self.sum / self.n
    }

    fn variance(self) -> f64 {
        (self.squares - self.sum * self.sum / self.n) / (self.n - 1.0)
    }
}

/// The relative uplift of `canary` over `baseline`, and the half width of its one-sided confidence
/// sequence at level `alpha`; none without variance.
pub(super) fn uplift(canary: Sample, baseline: Sample, alpha: f64) -> Option<(f64, f64)> {
    let (a, b) = (baseline.mean(), canary.mean());
    let variance = canary.variance() / (a * a * canary.n)
        + baseline.variance() * b * b / (a * a * a * a * baseline.n);
    let n = canary.n + baseline.n;
    let ln = libm::log(2.0 * alpha);
    let rho_squared = (-2.0 * ln + libm::log(1.0 - 2.0 * ln)) / TUNED_FOR;
    let scaled = n * rho_squared + 1.0;
    let width = variance * n * 2.0 * scaled / (n * n * rho_squared)
        * libm::log(1.0 + scaled.sqrt() / (2.0 * alpha));
    (width.is_finite() && width > 0.0).then(|| (b / a - 1.0, width.sqrt()))
}

/// The comparator.
#[derive(Clone, Debug)]
pub struct SequentialMean {
    limits: AllLimits,
    cells: u64,
    /// Latency, errors, CPU; of the canary and of the baseline.
    samples: [(Sample, Sample); 3],
}

impl SequentialMean {
    /// A test without evidence.
    pub fn new(limits: AllLimits) -> Self {
        Self {
            limits,
            cells: 0,
            samples: [(Sample::default(), Sample::default()); 3],
        }
    }
}

/// What a cell adds to the three samples of an arm.
fn samples(arm: &Arm) -> [Sample; 3] {
    let (sum, squares) = arm.latency.sums();
    let errors = arm.errors as f64;
    let cpu = &arm.cpu_of_pods;
    [
        Sample {
            n: arm.latency.total() as f64,
            sum,
            squares,
        },
        Sample {
            n: arm.requests as f64,
            sum: errors,
            squares: errors,
        },
        Sample {
            n: cpu.len() as f64,
            sum: cpu.iter().sum(),
            squares: cpu.iter().map(|x| x * x).sum(),
        },
    ]
}

impl Comparator for SequentialMean {
    fn step(&mut self, cell: &Observed) -> Verdict {
        self.cells += 1;
        let new = samples(&cell.canary)
            .into_iter()
            .zip(samples(&cell.baseline));
        for ((canary, baseline), (more, less)) in self.samples.iter_mut().zip(new) {
            for (sum, x) in [(canary, more), (baseline, less)] {
                sum.n += x.n;
                sum.sum += x.sum;
                sum.squares += x.squares;
            }
        }
        let limits: [Limits; 3] = [self.limits.latency, self.limits.errors, self.limits.cpu];
        let mut safe = self.cells >= MINUTE;
        for ((canary, baseline), limits) in self.samples.iter().zip(limits) {
            match uplift(*canary, *baseline, ALPHA) {
                Some((mean, width)) if mean - width > limits.above - 1.0 => {
                    return Verdict::Rollback;
                }
                Some((mean, width)) => safe &= mean + width < limits.below - 1.0,
                None => safe = false,
            }
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
