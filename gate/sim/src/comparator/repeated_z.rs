//! A z-test at 1 % on all evidence so far, looked at after every cell as if it were the only look.
//!
//! Latency: the share of the canary's requests above limit × x against the baseline's share above
//! x, its P99. Errors: the rates, under the null that their ratio is the limit. CPU: the mean of
//! the cells' differences of ln CPU a request. Any one beyond `rollback_above` rolls back; all
//! below `approve_below` approve, from a minute on.
//!
//! Source: the score test of a ratio of two proportions (Farrington and Manning 1990, with the
//! pooled rate as its null estimate). That looking often makes it wrong: Armitage, McPherson and
//! Rowe 1969.

use davy_gate_core::judge::Verdict;

use super::{AllLimits, Arm, Comparator, Limits, MINUTE, Observed, Z99};

/// The comparator.
#[derive(Clone, Debug)]
pub struct RepeatedZ {
    limits: AllLimits,
    baseline: Arm,
    canary: Arm,
    cells: u64,
    cpu: (f64, f64, f64),
}

/// Events among so many requests of both arms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shares {
    /// Events of the canary.
    pub(super) canary_events: u64,
    /// Requests of the canary.
    pub(super) canary: u64,
    /// Events of the baseline.
    pub(super) baseline_events: u64,
    /// Requests of the baseline.
    pub(super) baseline: u64,
}

/// z of the canary's rate against `ratio` times the baseline's; 0 without events.
pub(super) fn z_of_ratio(shares: Shares, ratio: f64) -> f64 {
    let (nc, nb) = (shares.canary as f64, shares.baseline as f64);
    let (kc, kb) = (shares.canary_events as f64, shares.baseline_events as f64);
    let pooled = (kb + kc) / (nb + ratio * nc);
    let (pb, pc) = (pooled.min(1.0), (ratio * pooled).min(1.0));
    let variance = pc * (1.0 - pc) / nc + ratio * ratio * pb * (1.0 - pb) / nb;
    if variance > 0.0 {
        (kc / nc - ratio * kb / nb) / variance.sqrt()
    } else {
        0.0
    }
}

impl RepeatedZ {
    /// A test without evidence.
    pub fn new(limits: AllLimits) -> Self {
        Self {
            limits,
            baseline: Arm::default(),
            canary: Arm::default(),
            cells: 0,
            cpu: (0.0, 0.0, 0.0),
        }
    }

    /// z against `rollback_above` and against `approve_below`, of latency.
    fn latency(&self) -> Option<(f64, f64)> {
        let (baseline, canary) = (&self.baseline.latency, &self.canary.latency);
        let edge = baseline.edge(0.01)?;
        let limits = if baseline.is_explicit() {
            self.limits.exceedance
        } else {
            Limits {
                above: 1.0,
                below: 1.0,
            }
        };
        let z = |moved: f64, up: bool, ratio: f64| {
            let shares = Shares {
                canary_events: canary.above(edge + baseline.shift(moved, up)),
                canary: canary.total(),
                baseline_events: baseline.above(edge),
                baseline: baseline.total(),
            };
            z_of_ratio(shares, ratio)
        };
        let moved = self.limits.latency;
        Some((
            z(moved.above, true, limits.above),
            z(moved.below, false, limits.below),
        ))
    }

    fn errors(&self) -> (f64, f64) {
        let shares = Shares {
            canary_events: self.canary.errors,
            canary: self.canary.requests,
            baseline_events: self.baseline.errors,
            baseline: self.baseline.requests,
        };
        (
            z_of_ratio(shares, self.limits.errors.above),
            z_of_ratio(shares, self.limits.errors.below),
        )
    }

    fn cpu(&self) -> Option<(f64, f64)> {
        let (n, sum, squares) = self.cpu;
        let mean = sum / n;
        let variance = (squares - n * mean * mean) / (n - 1.0);
        let error = (variance / n).sqrt();
        let z = |limit: f64| (mean - libm::log(limit)) / error;
        (n >= 2.0 && error > 0.0).then(|| (z(self.limits.cpu.above), z(self.limits.cpu.below)))
    }
}

impl Comparator for RepeatedZ {
    fn step(&mut self, cell: &Observed) -> Verdict {
        self.baseline.merge(&cell.baseline);
        self.canary.merge(&cell.canary);
        self.cells += 1;
        if let Some((canary, baseline)) = cell.canary.cpu().zip(cell.baseline.cpu()) {
            let difference = libm::log(canary / baseline);
            let (n, sum, squares) = self.cpu;
            self.cpu = (n + 1.0, sum + difference, squares + difference * difference);
        }
        let all = [self.latency(), Some(self.errors()), self.cpu()];
        if all.iter().flatten().any(|(harm, _)| *harm > Z99) {
            return Verdict::Rollback;
        }
        let safe = |z: &Option<(f64, f64)>| z.is_some_and(|(_, safe)| safe < -Z99);
        if self.cells >= MINUTE && all.iter().all(safe) {
            return Verdict::Approve;
        }
        Verdict::Undecided
    }

    fn end(&self) -> Verdict {
        Verdict::Undecided
    }
}
