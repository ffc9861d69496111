//! A fixed threshold: every minute the last minute's value of the canary is compared with the limit
//! times the baseline's; so many failures in a row roll back, and whoever is still there at the end
//! is approved.
//!
//! Source: Argo Rollouts, "Analysis & Progressive Delivery" (`interval`, `successCondition`,
//! `failureLimit`), Flagger, "Metrics Analysis" (`interval`, `threshold`). In a row is what helps
//! it: both count failures over the whole analysis.

use davy_gate_core::judge::Verdict;

use super::{AllLimits, Arm, Comparator, MINUTE, Observed};

/// The comparator.
#[derive(Clone, Debug)]
pub struct Threshold {
    limits: AllLimits,
    failures_max: u32,
    failures: u32,
    cells: u64,
    minute: (Arm, Arm),
}

impl Threshold {
    /// Rolls back after `failures` failures in a row.
    pub fn new(limits: AllLimits, failures: u32) -> Self {
        Self {
            limits,
            failures_max: failures,
            failures: 0,
            cells: 0,
            minute: (Arm::default(), Arm::default()),
        }
    }

    fn fails(&self) -> bool {
        let (baseline, canary) = &self.minute;
        let beyond = |of: fn(&Arm) -> Option<f64>, limit: f64| {
            of(canary)
                .zip(of(baseline))
                .is_some_and(|(canary, baseline)| canary > limit * baseline)
        };
        beyond(Arm::p99, self.limits.latency.above)
            || beyond(Arm::error_rate, self.limits.errors.above)
            || beyond(Arm::cpu, self.limits.cpu.above)
    }
}

impl Comparator for Threshold {
    fn step(&mut self, cell: &Observed) -> Verdict {
        self.minute.0.merge(&cell.baseline);
        self.minute.1.merge(&cell.canary);
        self.cells += 1;
        if !self.cells.is_multiple_of(MINUTE) {
            return Verdict::Undecided;
        }
        self.failures = if self.fails() { self.failures + 1 } else { 0 };
        self.minute = (Arm::default(), Arm::default());
        if self.failures >= self.failures_max {
            Verdict::Rollback
        } else {
            Verdict::Undecided
        }
    }

    fn end(&self) -> Verdict {
        Verdict::Approve
    }
}
