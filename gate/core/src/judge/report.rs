//! Reading the judge's state: what each objective says now.

use super::latency::route_name;
use super::{
    Component, Judge, Objective, ObjectiveAssessment, Success, SuccessAssessment, Unavailable,
};
use crate::combine::{log_mean, log_mixture};

/// What the three objectives have in common.
pub(super) struct State {
    objective: Objective,
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

impl Success {
    pub(super) fn log_e(&self, phi: f64) -> f64 {
        let parts: Vec<f64> = self.test.log_e().iter().map(|e| e / phi).collect();
        log_mean(&parts)
    }
}

fn mixture(parts: &[(f64, f64)]) -> (f64, f64) {
    (
        log_mixture(parts.iter().copied()),
        parts.iter().map(|(_, weight)| weight).sum(),
    )
}

impl Judge {
    /// All parts of the harm mixture, in fixed order.
    pub(super) fn parts(&self) -> Vec<(f64, f64)> {
        let mut parts: Vec<(f64, f64)> = self.latency.iter().flat_map(|l| l.parts()).collect();
        parts.extend(self.errors.iter().flat_map(|e| e.parts(self.cells)));
        parts.extend(self.cpu.iter().flat_map(|c| c.parts()));
        parts.extend(self.latency.iter().flat_map(|l| l.route_parts()));
        parts
    }

    /// Latency, errors, CPU by index; none where not enabled.
    pub(super) fn state(&self, index: usize) -> Option<State> {
        match index {
            0 => self.latency_state(),
            1 => self.errors_state(),
            _ => self.cpu_state(),
        }
    }

    pub(super) fn state_of(&self, objective: Objective) -> Option<State> {
        self.state(match objective {
            Objective::Latency => 0,
            Objective::Errors => 1,
            Objective::Cpu => 2,
        })
    }

    fn latency_state(&self) -> Option<State> {
        let (limits, latency) = self.config.latency.as_ref().zip(self.latency.as_ref())?;
        let parts: Vec<(f64, f64)> = latency.parts().chain(latency.route_parts()).collect();
        let (harm_log_e, weight) = mixture(&parts);
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
        let (harm_log_e, weight) = mixture(&errors.parts(self.cells));
        let (baseline, canary) = errors.observed;
        let rate = |(k, n): (u64, u64)| (n > 0).then(|| k as f64 / n as f64);
        let unavailable = match (errors.seen_baseline, canary.1) {
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
        let parts: Vec<(f64, f64)> = cpu.parts().collect();
        let (harm_log_e, weight) = mixture(&parts);
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

    pub(super) fn objective(&self, index: usize) -> Option<ObjectiveAssessment> {
        let state = self.state(index)?;
        let proof = self.proofs.get(index)?;
        let wanted = -libm::log(self.config.false_approval);
        let (baseline, canary) = state.values;
        let ratio = baseline
            .zip(canary)
            .map(|(b, c)| c / b)
            .filter(|r| r.is_finite());
        let eta = match index {
            0 => self
                .latency
                .as_ref()
                .map(|l| l.eta(self.cells_of_step, wanted)),
            1 => self.errors.as_ref().map(|e| e.eta(wanted)),
            _ => self.cpu.as_ref().map(|c| c.eta(wanted)),
        };
        Some(ObjectiveAssessment {
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
            eta: if proof.safe {
                crate::eta::Eta::Cells(0)
            } else {
                eta?
            },
        })
    }

    pub(super) fn limit(&self, success: &Success) -> SuccessAssessment {
        let phi = self
            .errors
            .as_ref()
            .map_or(1.0, |errors| errors.phi_alone(self.cells));
        let failed = success.errors as f64 / success.requests as f64;
        SuccessAssessment {
            success: (success.requests > 0).then_some(1.0 - failed),
            harm_log_e: success.log_e(phi),
            harm_proved: success.proved,
        }
    }

    /// The largest part of the evidence of harm.
    pub(super) fn leading(&self) -> Option<Component> {
        let latency = self.latency.as_ref().and_then(|l| l.leading());
        let latency = latency.map(|(level, route, log_e)| Component {
            objective: Objective::Latency,
            level: Some(level),
            route: route_name(self.places.routes(), route),
            log_e,
        });
        let others = [1, 2].into_iter().filter_map(|index| {
            let state = self.state(index)?;
            let (objective, log_e) = (state.objective, state.harm_log_e);
            Some(Component {
                objective,
                level: None,
                route: None,
                log_e,
            })
        });
        latency
            .into_iter()
            .chain(others)
            .max_by(|a, b| a.log_e.total_cmp(&b.log_e))
    }
}
