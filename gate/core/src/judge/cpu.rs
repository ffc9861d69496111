//! CPU per request, compared on its logarithm and in units of the baseline's own spread.
//!
//! Source: docs/statistics.md, section 5.3. The canary's residual is shrunk by √min(1, n_c/n_b):
//! less traffic, more noise.

use serde::{Deserialize, Serialize};

use super::CpuLimits;
use super::assessment::Unavailable;
use super::frame::Frame;
use super::interval::{Interval, Ladder, Rung};
use crate::combine::log_mean;
use crate::elementary::ln;
use crate::eta::{self, Eta};
use crate::evalue::permutation::{self, Scores};
use crate::kappa::{Assume, CpuScale, Curve, Kappa, Learnt, Prior, Use};

/// Tilts in units of the residual's standard deviation.
const TILTS: [f64; 6] = [0.15, 0.3, 0.6, 1.0, 1.5, 2.5];
/// Which of them the ladder has, which informs and does not decide.
const COARSE: [usize; 3] = [1, 2, 4];
/// Weight of CPU in the harm mixture.
pub(super) const WEIGHT: f64 = 0.32;

/// The state of the CPU objective.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cpu {
    limits: CpuLimits,
    weight: f64,
    /// Of rollback; of approval it is the same but for the prior.
    kappa: Kappa,
    priors: (Option<Prior>, Option<Prior>),
    curves: (Curve, Curve),
    evidence: Evidence,
}

/// What was seen.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Evidence {
    harm: Vec<f64>,
    safe: Vec<f64>,
    ladder: Ladder,
    scale: CpuScale,
    cells: u64,
    cells_of_step: u64,
    /// CPU seconds and requests since the first judged cell: baseline, canary.
    observed: ((f64, f64), (f64, f64)),
    pods: (usize, usize),
}

/// The saved state of the CPU objective.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Saved {
    kappa: Learnt,
    evidence: Evidence,
}

impl Cpu {
    pub(super) fn new(limits: CpuLimits, scale: f64) -> Self {
        Self {
            limits,
            weight: WEIGHT * scale,
            kappa: Kappa::new(Use::RollbackCpu),
            priors: priors(Assume::Vary, false),
            curves: (Curve::default(), Curve::default()),
            evidence: Evidence {
                harm: vec![0.0; TILTS.len()],
                safe: vec![0.0; TILTS.len()],
                ladder: Ladder::new(COARSE.len(), COARSE.len()),
                scale: CpuScale::default(),
                cells: 0,
                cells_of_step: 0,
                observed: ((0.0, 0.0), (0.0, 0.0)),
                pods: (1, 1),
            },
        }
    }

    /// Fixes the form of κ, at the first judged cell.
    pub(super) fn begin(&mut self, one_pod: bool, assume: Assume, harm_weight: f64) {
        self.weight *= harm_weight;
        self.kappa.begin(one_pod);
        self.priors = priors(assume, one_pod);
    }

    /// Learns memory from a cell of history or a judged one.
    pub(super) fn learn(&mut self, frame: &Frame<'_>, judged: bool) {
        let y = baseline(frame);
        self.kappa.learn(y.iter().copied(), judged.then_some(0.0));
    }

    /// Learns the scale, after the cell was judged.
    pub(super) fn learn_scale(&mut self, frame: &Frame<'_>) {
        self.evidence.scale.add(&baseline(frame));
    }

    /// Judges a cell; `known` is what is proved of the ratio.
    pub(super) fn step(&mut self, frame: &Frame<'_>, known: Interval) {
        let seen = &mut self.evidence;
        seen.cells += 1;
        seen.cells_of_step += 1;
        let arm = |pods: std::ops::Range<usize>| -> Vec<(f64, f64)> {
            let known = |pod| per_request(frame, pod).map(|y| (y, frame.requests_of(pod) as f64));
            pods.filter_map(known).collect()
        };
        let (baseline, canary) = (arm(frame.baseline()), arm(frame.canary()));
        if baseline.is_empty() || canary.is_empty() {
            return;
        }
        seen.pods = (baseline.len(), canary.len());
        let mean = |arm: &[(f64, f64)], of: fn(&(f64, f64)) -> f64| {
            arm.iter().map(of).sum::<f64>() / arm.len() as f64
        };
        let center = mean(&baseline, |x| x.0);
        let traffic = (mean(&baseline, |x| x.1), mean(&canary, |x| x.1));
        let shrink = (traffic.1 / traffic.0.max(1.0)).min(1.0).sqrt();
        let sd = seen.scale.value();
        let choices = permutation::log_choose(baseline.len() + canary.len(), canary.len());
        let mut tilted = Tilted {
            baseline: baseline.iter().map(|(y, _)| y - center).collect(),
            canary: canary.iter().map(|(y, _)| (y - center) * shrink).collect(),
            shrink,
            sd,
            choices,
            scores: Default::default(),
            by: 0.0,
        };
        let limits = (self.limits.rollback_above, self.limits.approve_below);
        tilted.step(1.0, (&mut seen.harm, limits.0), seen.ladder.harm(known));
        tilted.step(-1.0, (&mut seen.safe, limits.1), seen.ladder.safe(known));
        self.observe(frame);
    }

    fn observe(&mut self, frame: &Frame<'_>) {
        let add = |(cpu, n): &mut (f64, f64), pods: std::ops::Range<usize>| {
            for pod in pods.filter(|&pod| per_request(frame, pod).is_some()) {
                *cpu += frame.cpu.get(pod).copied().flatten().unwrap_or(0.0);
                *n += frame.requests_of(pod) as f64;
            }
        };
        let observed = &mut self.evidence.observed;
        add(&mut observed.0, frame.baseline());
        add(&mut observed.1, frame.canary());
    }

    /// Starts safety anew.
    pub(super) fn restart_safety(&mut self) {
        self.evidence.cells_of_step = 0;
        self.evidence.safe.fill(0.0);
        self.evidence.ladder.restart_safety();
    }

    /// Brings κ up to date.
    pub(super) fn refresh(&mut self) {
        let (rollback, approve) = self.priors;
        self.curves = (self.kappa.curve(rollback), self.kappa.curve(approve));
    }

    /// κ now: of rollback, of approval.
    fn kappa(&self) -> (f64, f64) {
        let (rollback, approve) = self.curves;
        let seen = &self.evidence;
        (rollback.at(seen.cells), approve.at(seen.cells_of_step))
    }

    pub(super) fn save(&self) -> Saved {
        Saved {
            kappa: self.kappa.learnt().clone(),
            evidence: self.evidence.clone(),
        }
    }

    /// Goes on from what was saved; false when that is of another configuration.
    #[must_use]
    pub(super) fn restore(&mut self, saved: Saved) -> bool {
        let (now, then) = (&self.evidence, &saved.evidence);
        let fits = (now.harm.len(), now.safe.len()) == (then.harm.len(), then.safe.len())
            && now.ladder.fits(&then.ladder);
        self.kappa.restore(saved.kappa);
        self.evidence = saved.evidence;
        fits
    }

    /// ln of its part of the harm mixture, and the weight of that.
    pub(super) fn harm(&self) -> (f64, f64) {
        let mean = log_mean(&self.evidence.harm, self.kappa().0);
        (mean + libm::log(self.weight), self.weight)
    }

    /// ln E of safety.
    pub(super) fn safe_log_e(&self) -> f64 {
        log_mean(&self.evidence.safe, self.kappa().1)
    }

    /// Takes the ladder into `interval`.
    pub(super) fn bound(&self, interval: &mut Interval, wanted: (f64, f64)) {
        self.evidence.ladder.bound(interval, self.kappa(), wanted);
    }

    /// Why CPU can't be judged.
    pub(super) fn unavailable(&self) -> Option<Unavailable> {
        let ((_, baseline), (_, canary)) = self.evidence.observed;
        if baseline > 0.0 && canary > 0.0 {
            return None;
        }
        // Nothing is observed of either arm unless both report in the same cell.
        Some(if self.seen_baseline() {
            Unavailable::NoCanary
        } else {
            Unavailable::NoBaseline
        })
    }

    fn seen_baseline(&self) -> bool {
        self.evidence.scale != CpuScale::default()
    }

    /// CPU seconds per request: baseline, canary.
    pub(super) fn values(&self) -> (Option<f64>, Option<f64>) {
        let per = |(cpu, n): (f64, f64)| (n > 0.0).then_some(cpu / n);
        (per(self.evidence.observed.0), per(self.evidence.observed.1))
    }

    /// Expected time until proved safe at ratio 1: the separation of two Gaussian means, no more
    /// than one cell can say. `safe_log_e` as it is now.
    pub(super) fn eta(&self, safe_log_e: f64, wanted: f64) -> Eta {
        let seen = &self.evidence;
        let distance = libm::log(self.limits.approve_below) / seen.scale.value();
        let (b, c) = (seen.pods.0 as f64, seen.pods.1 as f64);
        let most = permutation::log_choose(seen.pods.0 + seen.pods.1, seen.pods.1);
        let growth = (distance * distance / 2.0 * b * c / (b + c)).min(most);
        let growth = if self.unavailable().is_some() {
            0.0
        } else {
            growth
        };
        let raw = safe_log_e * self.kappa().1;
        let curve = self.curves.1;
        eta::expect(raw, growth, seen.cells_of_step, wanted, |t| curve.at(t))
    }
}

/// Scores of a cell, at one tilt after the other.
struct Tilted {
    /// Residuals of the baseline's pods, and of the canary's, shrunk.
    baseline: Vec<f64>,
    canary: Vec<f64>,
    shrink: f64,
    sd: f64,
    choices: f64,
    scores: (Scores, Scores),
    /// What a limit of 1 in logarithms takes off the canary's scores.
    by: f64,
}

impl Tilted {
    /// Takes the cell into `sums`, one a tilt, and into the rungs of a ladder. A limit moves all of
    /// the canary's scores alike, so they are computed once a tilt.
    fn step<'a>(
        &mut self,
        sign: f64,
        (sums, limit): (&mut [f64], f64),
        rungs: impl Iterator<Item = Rung<'a>>,
    ) {
        let limit = libm::log(limit);
        let mut rungs: Vec<Rung<'a>> = rungs.map(|(r, sums)| (libm::log(r), sums)).collect();
        for ((at, tilt), sum) in TILTS.into_iter().enumerate().zip(sums) {
            self.set(sign * tilt / self.sd);
            *sum += self.log_e(limit);
            let Some(place) = COARSE.iter().position(|&coarse| coarse == at) else {
                continue;
            };
            for (limit, sums) in &mut rungs {
                if let Some(sum) = sums.get_mut(place) {
                    *sum += self.log_e(*limit);
                }
            }
        }
    }

    fn set(&mut self, by: f64) {
        let chosen = self.canary.len();
        let scored = |x: &f64| by * x;
        self.scores.0.set(self.baseline.iter().map(scored), chosen);
        self.scores.1.set(self.canary.iter().map(scored), chosen);
        self.by = by * self.shrink;
    }

    /// ln E at a limit of so much in logarithms.
    fn log_e(&self, limit: f64) -> f64 {
        let (baseline, canary) = &self.scores;
        permutation::log_e_raised(baseline, canary, -self.by * limit, self.choices)
    }
}

/// ln of the CPU seconds per request of a slot, where it is judged.
fn per_request(frame: &Frame<'_>, pod: usize) -> Option<f64> {
    let cpu = frame
        .cpu
        .get(pod)
        .copied()
        .flatten()
        .filter(|_| frame.is_warm(pod))?;
    let requests = frame.requests_of(pod);
    (requests > 0).then(|| ln(cpu) - ln(requests as f64))
}

fn baseline(frame: &Frame<'_>) -> Vec<Option<f64>> {
    frame
        .baseline()
        .map(|pod| per_request(frame, pod))
        .collect()
}

/// The priors of κ: of rollback, of approval.
fn priors(assume: Assume, one_pod: bool) -> (Option<Prior>, Option<Prior>) {
    (
        Use::RollbackCpu.prior(assume, one_pod),
        Use::ApproveCpu.prior(assume, one_pod),
    )
}
