//! The judge of one rollout: cells in, assessment out.
//!
//! One e-process for rollback is a mixture of latency, errors and CPU; each required objective is
//! proved safe by a test of its own. Feed [`Judge::history`] the baseline's cells before the
//! canary, [`Judge::skip`] cells in which nothing is judged, and [`Judge::step`] cells of both.
//!
//! Source: statistics.md. Reference: `tests/reference/rollouts.json`, section `rollouts`.
//!
//! Rules beyond the reference: a pod that is absent, or under 40 % of its arm's exposure or of the
//! cell, sits the cell out; a pod not yet warm is judged by its errors only; the form of κ is fixed
//! by the baseline's pods of the first judged cell; of objectives that are not enabled the weight
//! goes to the others.

use std::sync::Arc;

use crate::cell::Cell;
use crate::combine::{confidence, log_mixture};
use crate::eta::Eta;
use crate::evalue::bernoulli::Bernoulli;
use crate::evalue::counts::Table;
pub use crate::kappa::Assume;

mod assessment;
mod cpu;
mod errors;
mod frame;
mod interval;
mod latency;
mod tails;
#[cfg(test)]
mod tests;

pub use assessment::{
    Assessment, Component, Objective, ObjectiveAssessment, SuccessAssessment, Unavailable, Verdict,
};
pub use frame::{PODS_MAX, ROUTES_MAX};

use cpu::Cpu;
use errors::Errors;
use frame::{Frame, Places};
use interval::Interval;
use latency::Latency;

/// Cells of history after which several pods are taken to be alike by [`Assume::Auto`]: 10 min.
const ALIKE_AFTER: u64 = 120;

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
    /// The limits of statistics.md: P99, rollback above 1.10, approve below 1.25. Where buckets
    /// are explicit, 1.5 and 3 on the share above a bound: with log-normal latency of σ 0.5 to
    /// 0.7 a P99 of 1.10 or 1.25 times is a share of 1.4 to 1.7, or 2.2 to 3.0 times.
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
    /// The limits of statistics.md: rollback above 1.25, approve below 3, no floor.
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
    /// The limits of statistics.md: rollback above 1.10, approve below 1.15.
    pub const DEFAULT: Self = Self {
        rollback_above: 1.10,
        approve_below: 1.15,
        required: true,
    };
}

/// An absolute limit: the canary's success on some routes.
#[derive(Clone, Debug, PartialEq)]
pub struct SuccessLimit {
    /// Routes it is judged on; all when empty.
    pub routes: Vec<Arc<str>>,
    /// Least share of successes, in (0, 1); proved below: rollback.
    pub min_success: f64,
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
    /// Absolute limits; each is a promise of its own at `false_rollback`.
    pub success: Vec<SuccessLimit>,
    /// α: the chance of rolling back a canary within all `rollback_above`, in (0, 1).
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

/// State of an absolute limit on success.
#[derive(Clone, Debug, PartialEq)]
struct Success {
    limit: SuccessLimit,
    test: Bernoulli,
    errors: u64,
    requests: u64,
    proved: bool,
}

/// What was proved of one objective.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Proof {
    harm: bool,
    safe: bool,
    interval: Interval,
}

/// The judge of one rollout.
#[derive(Clone, Debug, PartialEq)]
pub struct Judge {
    config: JudgeConfig,
    places: Places,
    latency: Option<Latency>,
    errors: Option<Errors>,
    cpu: Option<Cpu>,
    success: Vec<Success>,
    proofs: [Proof; 3],
    begun: bool,
    one_pod_each: bool,
    history: u64,
    cells: u64,
    cells_of_step: u64,
}

impl Judge {
    /// A judge without evidence.
    pub fn new(config: JudgeConfig) -> Self {
        let enabled = [
            (config.latency.is_some(), latency::WEIGHT),
            (config.errors.is_some(), errors::WEIGHT),
            (config.cpu.is_some(), cpu::WEIGHT),
        ];
        let weight: f64 = enabled
            .iter()
            .filter(|(on, _)| *on)
            .map(|(_, weight)| weight)
            .sum();
        let scale = if enabled.iter().all(|(on, _)| *on) {
            1.0
        } else {
            1.0 / weight
        };
        let seed = config.seed;
        let success = config.success.iter().map(|limit| Success {
            test: Bernoulli::new(1.0 - limit.min_success, &[1.5, 2.0, 3.0, 5.0, 10.0]),
            limit: limit.clone(),
            errors: 0,
            requests: 0,
            proved: false,
        });
        Self {
            latency: config
                .latency
                .clone()
                .map(|limits| Latency::new(limits, seed, scale)),
            errors: config
                .errors
                .clone()
                .map(|limits| Errors::new(limits, seed, scale)),
            cpu: config.cpu.clone().map(|limits| Cpu::new(limits, scale)),
            success: success.collect(),
            config,
            places: Places::default(),
            proofs: [Proof::default(); 3],
            begun: false,
            one_pod_each: false,
            history: 0,
            cells: 0,
            cells_of_step: 0,
        }
    }

    /// Learns from a cell of the baseline alone, before the canary is judged.
    pub fn history(&mut self, cell: &Cell) {
        let frame = self.places.lay_out(cell, false);
        self.history += 1;
        self.learn_baseline(&frame);
    }

    /// Moves the thresholds on with the baseline of a cell; judges nothing.
    pub fn skip(&mut self, cell: &Cell) {
        let frame = self.places.lay_out(cell, false);
        if let Some(latency) = &mut self.latency {
            latency.skip(&frame);
        }
    }

    /// Judges a cell of both arms.
    pub fn step(&mut self, cell: &Cell) -> Assessment {
        let frame = self.places.lay_out(cell, true);
        if !self.begun && !self.begin(&frame) {
            self.learn_baseline(&frame);
            self.step_success(cell);
            return self.assess();
        }
        self.cells += 1;
        self.cells_of_step += 1;
        let tails = self.learn(&frame, true);
        if let (Some(latency), Some(tails)) = (&mut self.latency, &tails) {
            latency.step(&frame, tails);
        }
        if let Some(errors) = &mut self.errors {
            errors.step(&frame);
        }
        if let Some(cpu) = &mut self.cpu {
            cpu.step(&frame);
            cpu.learn_scale(&frame);
        }
        if let Some(latency) = &mut self.latency {
            latency.push(&frame);
        }
        self.step_success(cell);
        self.prove();
        self.assess()
    }

    /// Forgets what was proved safe, as a new step of the rollout demands; harm accumulates.
    pub fn restart_safety(&mut self) {
        self.cells_of_step = 0;
        for proof in &mut self.proofs {
            proof.safe = false;
            proof.interval.high = None;
        }
        if let Some(latency) = &mut self.latency {
            latency.restart_safety();
        }
        if let Some(errors) = &mut self.errors {
            errors.restart_safety();
        }
        if let Some(cpu) = &mut self.cpu {
            cpu.restart_safety();
        }
    }

    /// Pod-cells left out because an arm had more than [`PODS_MAX`] pods.
    pub fn pods_left_out(&self) -> u64 {
        self.places.pods_left_out
    }

    fn learn(&mut self, frame: &Frame<'_>, judged: bool) -> Option<tails::Tails> {
        if let Some(errors) = &mut self.errors {
            errors.learn(frame, judged);
        }
        if let Some(cpu) = &mut self.cpu {
            cpu.learn(frame, judged);
        }
        let latency = self.latency.as_mut()?;
        latency.add_routes(self.places.routes().len());
        latency.learn(frame, judged)
    }

    fn learn_baseline(&mut self, frame: &Frame<'_>) {
        self.learn(frame, false);
        if let Some(cpu) = &mut self.cpu {
            cpu.learn_scale(frame);
        }
        if let Some(latency) = &mut self.latency {
            latency.push(frame);
        }
    }

    /// Fixes forms, routes and weights at the first cell with both arms, which is the first
    /// judged one; false before.
    fn begin(&mut self, frame: &Frame<'_>) -> bool {
        let count = |pods: std::ops::Range<usize>| pods.filter(|&p| frame.is_active(p)).count();
        let (baseline, canary) = (count(frame.baseline()), count(frame.canary()));
        if baseline == 0 || canary == 0 {
            return false;
        }
        let one_pod = baseline == 1;
        self.begun = true;
        self.one_pod_each = one_pod && canary == 1;
        self.places.freeze();
        let assume = match self.config.assume {
            Assume::Auto if !one_pod && self.history >= ALIKE_AFTER => Assume::Alike,
            Assume::Auto => Assume::Vary,
            given => given,
        };
        let routes = self.places.routes().len();
        let several = routes > 1 && self.latency.is_some();
        let main = if several {
            1.0 - latency::ROUTES_WEIGHT
        } else {
            1.0
        };
        if let Some(latency) = &mut self.latency {
            latency.add_routes(routes);
            latency.begin(one_pod, assume);
        }
        if let Some(errors) = &mut self.errors {
            errors.begin(one_pod, assume, main);
        }
        if let Some(cpu) = &mut self.cpu {
            cpu.begin(one_pod, assume, main);
        }
        true
    }

    fn step_success(&mut self, cell: &Cell) {
        let wanted = -libm::log(self.config.false_rollback);
        let phi = self
            .errors
            .as_ref()
            .map_or(1.0, |errors| errors.phi_alone(self.cells));
        for success in &mut self.success {
            let (mut errors, mut requests) = (0, 0);
            for (route, counts) in cell.canary.iter().flat_map(|pod| &pod.routes) {
                if success.limit.routes.is_empty() || success.limit.routes.contains(route) {
                    errors += counts.errors.min(counts.requests);
                    requests += counts.requests;
                }
            }
            success.test.step(errors, requests);
            success.errors += errors;
            success.requests += requests;
            success.proved |= success.log_e(phi) >= wanted;
        }
    }

    /// Crossings and bounds; a crossing once made stays.
    fn prove(&mut self) {
        let wanted = (
            -libm::log(self.config.false_rollback),
            -libm::log(self.config.false_approval),
        );
        for index in 0..3 {
            let Some(state) = self.state(index) else {
                continue;
            };
            let harm = state.harm_log_e - libm::log(state.weight) >= wanted.0;
            let safe = state.unavailable.is_none() && state.safe_log_e >= wanted.1;
            let mut interval = self.proofs[index].interval;
            match index {
                0 => self
                    .latency
                    .iter()
                    .for_each(|l| l.bound(&mut interval, wanted)),
                1 => self
                    .errors
                    .iter()
                    .for_each(|e| e.bound(&mut interval, wanted)),
                _ => self.cpu.iter().for_each(|c| c.bound(&mut interval, wanted)),
            }
            let proof = &mut self.proofs[index];
            proof.harm |= harm;
            proof.safe |= safe;
            let above = proof.harm && state.bounds.0;
            let below = proof.safe && state.bounds.1;
            interval.raise(above.then_some(state.rollback_above));
            interval.lower(below.then_some(state.approve_below));
            proof.interval = interval;
        }
    }

    fn assess(&self) -> Assessment {
        let parts = self.parts();
        let log_e_harm = log_mixture(parts.iter().copied());
        let success: Vec<SuccessAssessment> = self.success.iter().map(|s| self.limit(s)).collect();
        let verdict = self.verdict(log_e_harm);
        let objectives: Vec<ObjectiveAssessment> =
            (0..3).filter_map(|index| self.objective(index)).collect();
        let required =
            |o: &&ObjectiveAssessment| self.state_of(o.objective).is_some_and(|s| s.required);
        let least_safe = objectives.iter().filter(required).map(|o| o.safe_log_e);
        let least_safe = least_safe.reduce(f64::min).unwrap_or(f64::NEG_INFINITY);
        let harm = success
            .iter()
            .map(|s| s.harm_log_e)
            .fold(log_e_harm, f64::max);
        let sure = match verdict {
            Verdict::Approve => confidence(least_safe).max(1.0 - self.config.false_approval),
            Verdict::Rollback => confidence(harm).max(1.0 - self.config.false_rollback),
            Verdict::Undecided => confidence(harm.max(least_safe)),
        };
        let eta = objectives.iter().filter(required).map(|o| o.eta);
        Assessment {
            verdict,
            cells: self.cells,
            cells_of_step: self.cells_of_step,
            log_e_harm,
            confidence: sure,
            eta: eta.reduce(Eta::later).unwrap_or(Eta::NoGrowth),
            objectives,
            success,
            leading: self.leading(),
            one_pod_each: self.one_pod_each,
        }
    }

    fn verdict(&self, log_e_harm: f64) -> Verdict {
        let harmed = log_e_harm >= -libm::log(self.config.false_rollback);
        if harmed || self.success.iter().any(|s| s.proved) {
            return Verdict::Rollback;
        }
        let mut required = (0..3)
            .filter_map(|i| self.state(i).map(|state| (i, state)))
            .filter(|(_, state)| state.required)
            .peekable();
        let some = required.peek().is_some();
        let safe = required.all(|(i, state)| state.unavailable.is_none() && self.proofs[i].safe);
        if some && safe && self.cells_of_step >= self.config.cells_min {
            return Verdict::Approve;
        }
        Verdict::Undecided
    }
}

mod report;

/// ln of each.
fn logs(psi: &[f64]) -> Vec<f64> {
    psi.iter().map(|&psi| libm::log(psi)).collect()
}

/// A mean of past values that fades by the factor of exposure, 0.944 a cell.
fn faded(past: f64, now: f64) -> f64 {
    if past == 0.0 {
        now
    } else {
        0.944 * past + 0.056 * now
    }
}
