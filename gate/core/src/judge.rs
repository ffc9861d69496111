//! The judge of one rollout: cells in, assessment out.
//!
//! One e-process for rollback is a mixture of latency, errors, CPU and absolute limits; each
//! required objective is proved safe by a test of its own. Feed [`Judge::history`] the baseline's
//! cells before the canary, [`Judge::step`] cells of both, [`Judge::alone`] those of the canary
//! alone, and [`Judge::skip`] those in which nothing is judged.
//!
//! Source: docs/statistics.md. Reference: `tests/reference/rollouts.json`, section `rollouts`.
//!
//! Rules beyond the reference: a pod that is absent, or under 40 % of its arm's exposure or of the
//! cell, sits the cell out; a pod not yet warm is judged by its errors only; the form of κ is fixed
//! by the baseline's pods of the first judged cell; of objectives that are not enabled the weight
//! goes to the others.

use serde::{Deserialize, Serialize};

use crate::cell::{Cell, PodCell};
use crate::combine::{confidence, log_mixture};
use crate::eta::Eta;
pub use crate::kappa::Assume;

mod assessment;
mod component;
mod config;
mod cpu;
mod errors;
mod frame;
mod interval;
mod latency;
pub(crate) mod limits;
mod phi;
mod report;
mod rolling;
mod state;
mod tails;
#[cfg(test)]
mod tests;

pub use assessment::{
    Assessment, Component, LimitAssessment, Objective, ObjectiveAssessment, Unavailable, Verdict,
};
pub use config::{Bound, CpuLimits, ErrorLimits, JudgeConfig, LatencyLimits, Limit};
pub use frame::{PODS_MAX, ROUTES_MAX};
pub use state::{RestoreError, Saved, VERSION};

use cpu::Cpu;
use errors::Errors;
use frame::{Frame, Places};
use interval::Interval;
use latency::Latency;
use limits::Watched;
use report::State;

/// Cells of history after which several pods are taken to be alike by [`Assume::Auto`]: 10 min.
const ALIKE_AFTER: u64 = 120;

/// What was proved of one objective.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
struct Proof {
    harm: bool,
    safe: bool,
    interval: Interval,
}

/// What the first judged cell has fixed.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
struct Begun {
    /// Whether the baseline has one pod.
    one_pod: bool,
    one_pod_each: bool,
    assume: Assume,
}

/// How far the judge is.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
struct Progress {
    proofs: [Proof; 3],
    begun: Option<Begun>,
    history: u64,
    cells: u64,
    cells_of_step: u64,
}

/// The judge of one rollout.
#[derive(Clone, Debug, PartialEq)]
pub struct Judge {
    config: JudgeConfig,
    places: Places,
    latency: Option<Latency>,
    errors: Option<Errors>,
    cpu: Option<Cpu>,
    limits: Vec<Watched>,
    progress: Progress,
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
            limits: config.limits.iter().cloned().map(Watched::new).collect(),
            config,
            places: Places::default(),
            progress: Progress::default(),
        }
    }

    /// Learns from a cell of the baseline alone, before the canary is judged.
    pub fn history(&mut self, cell: &Cell) {
        let frame = self.places.lay_out(cell, false);
        self.progress.history += 1;
        self.learn_baseline(&frame);
    }

    /// Moves the thresholds on with the baseline of a cell; judges nothing.
    pub fn skip(&mut self, cell: &Cell) {
        let frame = self.places.lay_out(cell, false);
        if let Some(latency) = &mut self.latency {
            latency.skip(&frame);
        }
    }

    /// Judges a cell in which the baseline is silent: by absolute limits, and nothing else.
    pub fn alone(&mut self, cell: &Cell) -> Assessment {
        self.skip(cell);
        self.step_limits(&cell.canary);
        self.assess(&self.states())
    }

    /// Whether a cell of the canary alone says anything.
    pub fn has_limits(&self) -> bool {
        !self.limits.is_empty()
    }

    /// Judges a cell of both arms.
    pub fn step(&mut self, cell: &Cell) -> Assessment {
        let frame = self.places.lay_out(cell, true);
        if self.progress.begun.is_none() && !self.begin(&frame) {
            self.learn_baseline(&frame);
            self.refresh();
            self.step_limits(&cell.canary);
            return self.assess(&self.states());
        }
        self.progress.cells += 1;
        self.progress.cells_of_step += 1;
        for limit in &mut self.limits {
            limit.learn(&frame, Some(cell));
        }
        let tails = self.learn(&frame, true);
        let known = self.progress.proofs.map(|proof| proof.interval);
        if let (Some(latency), Some(tails)) = (&mut self.latency, &tails) {
            latency.step(&frame, tails, known[0]);
        }
        if let Some(errors) = &mut self.errors {
            errors.step(&frame, known[1]);
        }
        if let Some(cpu) = &mut self.cpu {
            cpu.step(&frame, known[2]);
            cpu.learn_scale(&frame);
        }
        if let Some(latency) = &mut self.latency {
            latency.push(&frame, true);
        }
        self.refresh();
        self.step_limits(&cell.canary);
        let states = self.states();
        self.prove(&states);
        self.assess(&states)
    }

    /// Forgets what was proved safe, as a new step of the rollout demands; harm accumulates.
    pub fn restart_safety(&mut self) {
        self.progress.cells_of_step = 0;
        for proof in &mut self.progress.proofs {
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
        for limit in &mut self.limits {
            limit.learn(frame, None);
        }
        if let Some(cpu) = &mut self.cpu {
            cpu.learn_scale(frame);
        }
        if let Some(latency) = &mut self.latency {
            latency.push(frame, false);
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
        self.places.freeze();
        let assume = match self.config.assume {
            Assume::Auto if !one_pod && self.progress.history >= ALIKE_AFTER => Assume::Watched,
            Assume::Auto => Assume::Vary,
            given => given,
        };
        self.fix(Begun {
            one_pod,
            one_pod_each: one_pod && canary == 1,
            assume,
        });
        true
    }

    fn fix(&mut self, begun: Begun) {
        let Begun {
            one_pod, assume, ..
        } = begun;
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
        for limit in &mut self.limits {
            limit.begin(one_pod);
        }
        self.progress.begun = Some(begun);
    }

    /// Brings the curves of memory up to date.
    fn refresh(&mut self) {
        self.latency.iter_mut().for_each(Latency::refresh);
        self.errors.iter_mut().for_each(Errors::refresh);
        self.cpu.iter_mut().for_each(Cpu::refresh);
    }

    fn step_limits(&mut self, canary: &[PodCell]) {
        let wanted = -libm::log(self.config.false_rollback * self.limit_weight());
        for limit in &mut self.limits {
            limit.step(canary, wanted);
        }
    }

    /// Weight of each absolute limit in the harm mixture.
    fn limit_weight(&self) -> f64 {
        let compares = self.latency.is_some() || self.errors.is_some() || self.cpu.is_some();
        let all = if compares { limits::WEIGHT } else { 1.0 };
        all / self.limits.len().max(1) as f64
    }

    /// ln of the harm e-process: the comparisons', or a mixture of that and of absolute limits. And
    /// the limit that weighs more than any comparison.
    fn harm(&self, states: &[State], leading: Option<&Component>) -> (f64, Option<usize>) {
        let compared = log_mixture(states.iter().map(|state| (state.harm_log_e, 1.0)));
        if self.limits.is_empty() {
            return (compared, None);
        }
        let each = self.limit_weight();
        let rest = 1.0 - limits::WEIGHT;
        let limits = || self.limits.iter().map(|limit| (limit.log_e(), each));
        let all = log_mixture(limits().chain((!states.is_empty()).then_some((compared, rest))));
        let loudest = limits().enumerate().max_by(|a, b| a.1.0.total_cmp(&b.1.0));
        let compared = leading.map_or(f64::NEG_INFINITY, |part| part.log_e + libm::log(rest));
        let louder = loudest.filter(|(_, (log_e, _))| log_e + libm::log(each) > compared);
        (all, louder.map(|(at, _)| at))
    }

    /// Crossings and bounds; a crossing once made stays.
    fn prove(&mut self, states: &[State]) {
        let wanted = (
            -libm::log(self.config.false_rollback),
            -libm::log(self.config.false_approval),
        );
        for state in states {
            let harm = state.harm_log_e - libm::log(state.weight) >= wanted.0;
            let safe = state.unavailable.is_none() && state.safe_log_e >= wanted.1;
            let mut interval = self.progress.proofs[state.index()].interval;
            let of = &mut interval;
            match state.objective {
                Objective::Latency => self.latency.iter().for_each(|l| l.bound(of, wanted)),
                Objective::Errors => self.errors.iter().for_each(|e| e.bound(of, wanted)),
                Objective::Cpu => self.cpu.iter().for_each(|c| c.bound(of, wanted)),
            }
            let proof = &mut self.progress.proofs[state.index()];
            proof.harm |= harm;
            proof.safe |= safe;
            let above = proof.harm && state.bounds.0;
            let below = proof.safe && state.bounds.1;
            interval.raise(above.then_some(state.rollback_above));
            interval.lower(below.then_some(state.approve_below));
            proof.interval = interval;
        }
    }

    fn assess(&self, states: &[State]) -> Assessment {
        let leading = self.leading(states);
        let (log_e_harm, leading_limit) = self.harm(states, leading.as_ref());
        let verdict = self.verdict(log_e_harm, states);
        let required = || states.iter().filter(|state| state.required);
        let least_safe = required().map(|state| state.safe_log_e);
        let least_safe = least_safe.reduce(f64::min).unwrap_or(f64::NEG_INFINITY);
        let sure = match verdict {
            Verdict::Approve => confidence(least_safe).max(1.0 - self.config.false_approval),
            Verdict::Rollback => confidence(log_e_harm).max(1.0 - self.config.false_rollback),
            Verdict::Undecided => confidence(log_e_harm.max(least_safe)),
        };
        let required = states.iter().map(|state| state.required);
        let required: Vec<bool> = required.collect();
        let objectives: Vec<ObjectiveAssessment> =
            states.iter().map(|s| self.objective(s)).collect();
        let etas = objectives.iter().zip(required);
        let etas = etas.filter_map(|(o, required)| required.then_some(o.eta));
        Assessment {
            verdict,
            cells: self.progress.cells,
            cells_of_step: self.progress.cells_of_step,
            log_e_harm,
            confidence: sure,
            eta: etas.reduce(Eta::later).unwrap_or(Eta::NoGrowth),
            objectives,
            limits: self.limits.iter().map(Watched::assess).collect(),
            leading,
            leading_limit,
            one_pod_each: self.progress.begun.is_some_and(|begun| begun.one_pod_each),
        }
    }

    fn verdict(&self, log_e_harm: f64, states: &[State]) -> Verdict {
        if log_e_harm >= -libm::log(self.config.false_rollback) {
            return Verdict::Rollback;
        }
        let mut required = states.iter().filter(|state| state.required).peekable();
        let some = required.peek().is_some();
        let safe =
            |state: &State| state.unavailable.is_none() && self.progress.proofs[state.index()].safe;
        if some && required.all(safe) && self.progress.cells_of_step >= self.config.cells_min {
            return Verdict::Approve;
        }
        Verdict::Undecided
    }
}

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
