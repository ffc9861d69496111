//! Reading the judge's state: what each objective says now.

use super::latency::route_name;
use super::{Component, Judge, Objective, ObjectiveAssessment, Unavailable};
use crate::eta::Eta;

/// What the three objectives have in common.
pub(super) struct State {
    pub(super) objective: Objective,
    pub(super) required: bool,
    pub(super) rollback_above: f64,
    pub(super) approve_below: f64,
    /// Whether a proof of harm, and one of safety, bounds the ratio that is reported.
    pub(super) bounds: (bool, bool),
    /// Of the harm mixture.
    pub(super) weight: f64,
    pub(super) harm_log_e: f64,
    pub(super) safe_log_e: f64,
    pub(super) unavailable: Option<Unavailable>,
    values: (Option<f64>, Option<f64>),
    unit: &'static str,
}

impl State {
    /// Position among proofs.
    pub(super) fn index(&self) -> usize {
        match self.objective {
            Objective::Latency => 0,
            Objective::Errors => 1,
            Objective::Cpu => 2,
        }
    }
}

impl Judge {
    /// What each enabled objective says now: latency, errors, CPU.
    pub(super) fn states(&self) -> Vec<State> {
        let all = [self.latency_state(), self.errors_state(), self.cpu_state()];
        all.into_iter().flatten().collect()
    }

    fn latency_state(&self) -> Option<State> {
        let (limits, latency) = self.config.latency.as_ref().zip(self.latency.as_ref())?;
        let (harm_log_e, weight) = latency.harm();
        Some(State {
            objective: Objective::Latency,
            required: limits.required,
            rollback_above: limits.rollback_above,
            approve_below: limits.approve_below,
            bounds: (latency.is_ratio(), latency.is_ratio()),
            weight,
            harm_log_e,
            safe_log_e: latency.safe_log_e(),
            unavailable: latency.unavailable(),
            values: (
                latency.value(&latency.observed.0),
                latency.value(&latency.observed.1),
            ),
            unit: "s",
        })
    }

    fn errors_state(&self) -> Option<State> {
        let (limits, errors) = self.config.errors.as_ref().zip(self.errors.as_ref())?;
        let (harm_log_e, weight) = errors.harm(self.progress.cells);
        let (baseline, canary) = errors.observed();
        let rate = |(k, n): (u64, u64)| (n > 0).then(|| k as f64 / n as f64);
        let unavailable = match (errors.seen_baseline(), canary.1) {
            (false, _) => Some(Unavailable::NoBaseline),
            (true, 0) => Some(Unavailable::NoCanary),
            _ => None,
        };
        Some(State {
            objective: Objective::Errors,
            required: limits.required,
            rollback_above: limits.rollback_above,
            approve_below: limits.approve_below,
            // A floor proves a rate negligible, which is no bound of a ratio.
            bounds: (true, limits.negligible.is_none()),
            weight,
            harm_log_e,
            safe_log_e: errors.safe_log_e(),
            unavailable,
            values: (rate(baseline), rate(canary)),
            unit: "1",
        })
    }

    fn cpu_state(&self) -> Option<State> {
        let (limits, cpu) = self.config.cpu.as_ref().zip(self.cpu.as_ref())?;
        let (harm_log_e, weight) = cpu.harm();
        Some(State {
            objective: Objective::Cpu,
            required: limits.required,
            rollback_above: limits.rollback_above,
            approve_below: limits.approve_below,
            bounds: (true, true),
            weight,
            harm_log_e,
            safe_log_e: cpu.safe_log_e(),
            unavailable: cpu.unavailable(),
            values: cpu.values(),
            unit: "s",
        })
    }

    pub(super) fn objective(&self, state: &State) -> ObjectiveAssessment {
        let proof = &self.progress.proofs[state.index()];
        let wanted = -libm::log(self.config.false_approval);
        let (baseline, canary) = state.values;
        let ratio = baseline
            .zip(canary)
            .map(|(b, c)| c / b)
            .filter(|r| r.is_finite());
        let safe = state.safe_log_e;
        let eta = match state.objective {
            _ if proof.safe => Some(Eta::Cells(0)),
            Objective::Latency => self.latency.as_ref().map(|l| l.eta(safe, wanted)),
            Objective::Errors => self.errors.as_ref().map(|e| e.eta(wanted)),
            Objective::Cpu => self.cpu.as_ref().map(|c| c.eta(safe, wanted)),
        };
        ObjectiveAssessment {
            objective: state.objective,
            harm_log_e: state.harm_log_e,
            safe_log_e: state.safe_log_e,
            harm_proved: proof.harm,
            safe_proved: proof.safe,
            low: proof.interval.low,
            ratio,
            high: proof.interval.high,
            baseline,
            canary,
            unit: state.unit,
            unavailable: state.unavailable,
            eta: eta.unwrap_or(Eta::NoGrowth),
        }
    }

    /// The largest part of the comparisons' evidence of harm.
    pub(super) fn leading(&self, states: &[State]) -> Option<Component> {
        let latency = self.latency.as_ref().and_then(|l| l.leading());
        let latency = latency.map(|(level, route, log_e)| Component {
            objective: Objective::Latency,
            level: Some(level),
            route: route_name(self.places.routes(), route),
            log_e,
        });
        let others = states.iter().filter(|s| s.objective != Objective::Latency);
        let others = others.map(|state| Component {
            objective: state.objective,
            level: None,
            route: None,
            log_e: state.harm_log_e,
        });
        latency
            .into_iter()
            .chain(others)
            .max_by(|a, b| a.log_e.total_cmp(&b.log_e))
    }
}
