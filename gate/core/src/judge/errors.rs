//! Errors: the canary's rate against the baseline's, and against a floor that is negligible.
//!
//! Harm is judged by labelling pods, with the canary's errors thinned; safety by the capped
//! likelihood ratio over φ. With a floor the harm null is p_c ≤ max(r·p_b, floor), so both tests
//! must reject (the smaller e-value), and the safety null is p_c ≥ max(r_s·p_b, floor), so either
//! may (a weighted average). Then half of the ratio's weight is also on what most canaries are, no
//! different: beside the even mixture over tilts alone that saves a seventh of the time, and any
//! fixed weights keep the promise. Source: docs/statistics.md, sections 5.2 and 6.

use serde::{Deserialize, Serialize};

use super::component::{self, Component};
use super::frame::Frame;
use super::interval::{Interval, Ladder};
use super::{ErrorLimits, faded, logs, phi};
use crate::combine::{log_mean, log_mixture};
use crate::eta::{self, Eta};
use crate::evalue::bernoulli::Bernoulli;
use crate::evalue::counts::{self, Family};
use crate::evalue::exposure::{Comparison, Draw, Exposure};
use crate::evalue::likelihood::{self, Alternative, Pair, canary_share, divergence};
use crate::kappa::{Assume, Curve, Kappa, Learnt, Prior, Use};

/// ψ of harm and their weights.
const UP: [f64; 5] = [1.5, 2.0, 3.0, 5.0, 10.0];
const UP_WEIGHTS: [f64; 5] = [0.15, 0.25, 0.3, 0.2, 0.1];
/// 1/ψ of safety.
const DOWN: [f64; 6] = [1.2, 1.35, 1.6, 2.0, 3.0, 5.0];
/// ψ of the ladder, which informs and does not decide.
const COARSE: [f64; 2] = [2.0, 5.0];
/// Alternatives to a limit on the canary alone, as factors of it, when it is to be proved above.
const ABOVE: [f64; 5] = UP;
/// The same when it is to be proved below: none at all carries half the weight, since that is
/// what a service without errors shows.
const BELOW: [f64; 4] = [0.0, 0.2, 0.35, 0.6];
const BELOW_WEIGHTS: [f64; 4] = [0.7, 0.1, 0.1, 0.1];
/// Weights of safety with a floor: of the ratio's mixture over tilts, of "the ratio is 1", and of
/// the floor.
const SAFE_WEIGHTS: [f64; 3] = [0.35, 0.35, 0.3];
/// Weight of errors in the harm mixture: counts, capped.
pub(super) const WEIGHT: f64 = 0.50;
const WEIGHT_COUNTS: f64 = 0.43;
const WEIGHT_CAPPED: f64 = 0.07;
/// Number of the ladder in the keys of thinning.
const LADDER_OBJECTIVE: u64 = 12;

/// An absolute limit on the canary's error rate.
#[derive(Clone, Debug, PartialEq)]
struct Floor {
    harm: Bernoulli,
    safe: Bernoulli,
}

/// The state of the errors objective.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Errors {
    limits: ErrorLimits,
    seed: u64,
    /// Tilts, ln ψ.
    up: Vec<f64>,
    coarse: Vec<f64>,
    down: Vec<Alternative>,
    harm: Vec<Component>,
    phi: Kappa,
    phi_curve: Curve,
    priors: (Option<Prior>, Option<Prior>),
    floor: Option<Floor>,
    evidence: Evidence,
}

/// What was seen.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Evidence {
    safe: Vec<f64>,
    /// ln E of safety against "the ratio is 1".
    same: f64,
    ladder: Ladder,
    exposure: Exposure,
    any: bool,
    seen_baseline: bool,
    cells: u64,
    cells_of_step: u64,
    observed: ((u64, u64), (u64, u64)),
    traffic: (f64, f64),
}

/// The saved state of the errors objective.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Saved {
    harm: Vec<component::Saved>,
    phi: Learnt,
    floor: Option<(Vec<f64>, Vec<f64>)>,
    evidence: Evidence,
}

impl Errors {
    pub(super) fn new(limits: ErrorLimits, seed: u64, scale: f64) -> Self {
        let component = |objective, family, weight: f64| {
            let weights = UP_WEIGHTS.iter().map(|w| w * weight * scale).collect();
            Component::new(objective, family, weights, Use::RollbackErrors)
        };
        let floor = |limit| Floor {
            harm: Bernoulli::new(limit, &ABOVE),
            safe: Bernoulli::new(limit, &BELOW),
        };
        Self {
            seed,
            up: logs(&UP),
            coarse: logs(&COARSE),
            down: DOWN
                .iter()
                .map(|psi| (1.0 / psi, -libm::log(*psi)))
                .collect(),
            harm: vec![
                component(10, Family::Count, WEIGHT_COUNTS),
                component(11, Family::Capped(1), WEIGHT_CAPPED),
            ],
            phi: Kappa::new(Use::ApproveErrors),
            phi_curve: Curve::default(),
            priors: priors(Assume::Vary, false),
            floor: limits.negligible.map(floor),
            evidence: Evidence {
                safe: vec![0.0; DOWN.len()],
                same: 0.0,
                ladder: Ladder::new(COARSE.len(), DOWN.len()),
                exposure: Exposure::default(),
                any: false,
                seen_baseline: false,
                cells: 0,
                cells_of_step: 0,
                observed: ((0, 0), (0, 0)),
                traffic: (0.0, 0.0),
            },
            limits,
        }
    }

    /// Fixes the form of κ and φ, at the first judged cell.
    pub(super) fn begin(&mut self, one_pod: bool, assume: Assume, harm_weight: f64) {
        self.priors = priors(assume, one_pod);
        for component in &mut self.harm {
            component.begin(one_pod);
            component.scale_weights(harm_weight);
        }
        self.phi.begin(one_pod);
    }

    /// Whether the baseline has reported requests.
    pub(super) fn seen_baseline(&self) -> bool {
        self.evidence.seen_baseline
    }

    /// Errors and requests since the first judged cell: baseline, canary.
    pub(super) fn observed(&self) -> ((u64, u64), (u64, u64)) {
        self.evidence.observed
    }

    /// Learns memory from a cell of history or a judged one.
    pub(super) fn learn(&mut self, frame: &Frame<'_>, judged: bool) {
        let active = |pod: &usize| frame.is_active(*pod);
        let baseline: Vec<Option<u64>> = frame
            .baseline()
            .map(|p| frame.is_active(p).then(|| frame.errors_of(p)))
            .collect();
        self.evidence.seen_baseline |= baseline.iter().flatten().next().is_some();
        let canary: Vec<u64> = frame
            .canary()
            .filter(active)
            .map(|p| frame.errors_of(p))
            .collect();
        self.evidence.any |= baseline
            .iter()
            .flatten()
            .chain(&canary)
            .any(|&errors| errors > 0);
        for component in &mut self.harm {
            component.learn(&baseline, judged.then_some(canary.as_slice()));
        }
        let requests = |(pod, k): (usize, &Option<u64>)| k.map(|k| (k, frame.requests_of(pod)));
        let counts: Vec<_> = baseline.iter().enumerate().map(requests).collect();
        phi::learn(&mut self.phi, &counts, judged.then(|| canary.into_iter()));
    }

    /// Judges a cell; `known` is what is proved of the ratio.
    pub(super) fn step(&mut self, frame: &Frame<'_>, known: Interval) {
        self.step_harm(frame, known);
        self.evidence.cells_of_step += 1;
        let sum = |pods: std::ops::Range<usize>| {
            let active = pods.filter(|&pod| frame.is_active(pod));
            active.fold((0, 0), |(k, n), p| {
                (k + frame.errors_of(p), n + frame.requests_of(p))
            })
        };
        let (baseline, canary) = (sum(frame.baseline()), sum(frame.canary()));
        if let Some(floor) = &mut self.floor {
            floor.harm.step(canary.0, canary.1);
            floor.safe.step(canary.0, canary.1);
        }
        let seen = &mut self.evidence;
        if baseline.1 > 0 && canary.1 > 0 && baseline.0 + canary.0 > 0 {
            let pair = Pair {
                canary_events: canary.0 as f64,
                canary_requests: canary.1 as f64,
                baseline_events: baseline.0 as f64,
                baseline_requests: baseline.1 as f64,
            };
            let limit = self.limits.approve_below;
            likelihood::add(pair, limit, &self.down, &mut seen.safe);
            seen.same += likelihood::log_e(pair, limit, (1.0 / limit, -libm::log(limit)));
            for (ratio, sums) in seen.ladder.safe(known) {
                likelihood::add(pair, ratio, &self.down, sums);
            }
        }
        let add = |(k, n): &mut (u64, u64), arm: (u64, u64)| (*k, *n) = (*k + arm.0, *n + arm.1);
        add(&mut seen.observed.0, baseline);
        add(&mut seen.observed.1, canary);
        seen.traffic.0 = faded(seen.traffic.0, baseline.1 as f64);
        seen.traffic.1 = faded(seen.traffic.1, canary.1 as f64);
    }

    fn step_harm(&mut self, frame: &Frame<'_>, known: Interval) {
        let (n, k, seen) = (&frame.requests, &frame.errors, &mut self.evidence);
        let draw = Draw {
            seed: self.seed,
            objective: LADDER_OBJECTIVE,
            cell: seen.cells,
        };
        seen.cells += 1;
        let Some(who) = seen.exposure.step(n, 0..frame.columns, frame.layout) else {
            return;
        };
        if who.silent(k) {
            return;
        }
        let mut comparison = Comparison::new(&who, n, self.limits.rollback_above, &self.up);
        for component in &mut self.harm {
            component.step(k, &mut comparison, draw);
        }
        let mut room = comparison.room();
        let mut comparison = Comparison::new(&who, n, 1.0, &self.coarse).within(&mut room);
        for (ratio, sums) in seen.ladder.harm(known) {
            comparison.at(ratio);
            counts::step(sums, Family::Count, k, &mut comparison, draw);
        }
    }

    /// Starts safety anew.
    pub(super) fn restart_safety(&mut self) {
        self.evidence.cells_of_step = 0;
        self.evidence.safe.fill(0.0);
        self.evidence.same = 0.0;
        self.evidence.ladder.restart_safety();
        if let Some(floor) = &mut self.floor {
            floor.safe.reset();
        }
    }

    /// Brings κ and φ up to date.
    pub(super) fn refresh(&mut self) {
        let cells = self.evidence.cells.max(1);
        for component in &mut self.harm {
            component.refresh(self.priors.0, cells);
        }
        self.phi_curve = self.phi.curve(self.priors.1);
    }

    fn phi(&self) -> f64 {
        self.phi_curve.at(self.evidence.cells_of_step)
    }

    pub(super) fn save(&self) -> Saved {
        let floor = self.floor.as_ref();
        Saved {
            harm: self.harm.iter().map(Component::save).collect(),
            phi: self.phi.learnt().clone(),
            floor: floor.map(|f| (f.harm.log_e().to_vec(), f.safe.log_e().to_vec())),
            evidence: self.evidence.clone(),
        }
    }

    /// Goes on from what was saved; false when that is of another configuration.
    #[must_use]
    pub(super) fn restore(&mut self, saved: Saved) -> bool {
        let mut fits = saved.harm.len() == self.harm.len()
            && saved.evidence.safe.len() == self.evidence.safe.len()
            && saved.evidence.ladder.fits(&self.evidence.ladder);
        for (component, saved) in self.harm.iter_mut().zip(saved.harm) {
            fits &= component.restore(saved);
        }
        fits &= match (&mut self.floor, saved.floor) {
            (Some(floor), Some((harm, safe))) => {
                floor.harm.restore(harm) && floor.safe.restore(safe)
            }
            (None, None) => true,
            _ => false,
        };
        self.phi.restore(saved.phi);
        self.evidence = saved.evidence;
        fits
    }

    /// φ now, of evidence on the canary alone. While neither arm has had an error there is nothing
    /// that could have memory, and it is 1: else arms that make no errors would wait for a proof
    /// that their errors do not cluster.
    pub(super) fn phi_alone(&self, cells: u64) -> f64 {
        if self.evidence.any {
            self.phi_curve.at(cells)
        } else {
            1.0
        }
    }

    /// ln of its part of the harm mixture, and the weight of that. With a floor it is the smaller
    /// of the two tests.
    pub(super) fn harm(&self, cells: u64) -> (f64, f64) {
        let weight: f64 = self.harm.iter().map(Component::weight).sum();
        let relative = log_mixture(self.harm.iter().map(|c| (c.mixture(), 1.0)));
        let Some(floor) = &self.floor else {
            return (relative, weight);
        };
        let alone = log_mean(floor.harm.log_e(), self.phi_alone(cells));
        (relative.min(alone + libm::log(weight)), weight)
    }

    /// ln E of safety.
    pub(super) fn safe_log_e(&self) -> f64 {
        let phi = self.phi();
        let relative = log_mean(&self.evidence.safe, phi);
        let Some(floor) = &self.floor else {
            return relative;
        };
        let alone = self.phi_alone(self.evidence.cells_of_step);
        let alone = floor.safe.log_e().iter().map(|e| e / alone);
        let alone = log_mixture(alone.zip(BELOW_WEIGHTS));
        let each = [relative, self.evidence.same / phi, alone];
        log_mixture(each.into_iter().zip(SAFE_WEIGHTS))
    }

    /// Takes the ladder into `interval`.
    pub(super) fn bound(&self, interval: &mut Interval, wanted: (f64, f64)) {
        let kappa = self.harm.first().map_or(1.0, Component::divisor);
        let ladder = &self.evidence.ladder;
        ladder.bound(interval, (kappa, self.phi()), wanted);
    }

    /// Expected time until proved safe at ratio 1.
    pub(super) fn eta(&self, wanted: f64) -> Eta {
        let now = self.evidence.cells_of_step;
        let ((kb, nb), (kc, nc)) = self.evidence.observed;
        let (b, c) = self.evidence.traffic;
        let rate = (kb + kc) as f64 / ((nb + nc) as f64).max(1.0);
        let kl = divergence(
            canary_share(c, b, 1.0),
            canary_share(c, b, self.limits.approve_below),
        );
        let growth = if b > 0.0 && c > 0.0 {
            (b + c) * rate * kl
        } else {
            0.0
        };
        let phi = self.phi();
        let even = log_mean(&self.evidence.safe, phi);
        let at_ratio = |raw: f64, wanted: f64| {
            eta::expect(raw * phi, growth, now, wanted, |t| self.phi_curve.at(t))
        };
        let Some((floor, limit)) = self.floor.as_ref().zip(self.limits.negligible) else {
            return at_ratio(even, wanted);
        };
        let [of_even, of_same, of_floor] = SAFE_WEIGHTS;
        let ratio = [(even, of_even), (self.evidence.same / phi, of_same)];
        let by_ratio = at_ratio(log_mixture(ratio.into_iter()), wanted);
        let growth = if rate < limit {
            c * divergence(rate.max(1e-12), limit)
        } else {
            0.0
        };
        let alone = floor.safe.log_e().iter().copied().zip(BELOW_WEIGHTS);
        let wanted = wanted - libm::log(of_floor);
        let by_floor = eta::expect(log_mixture(alone), growth, now, wanted, |t| {
            self.phi_alone(t)
        });
        match (by_ratio.cells(), by_floor.cells()) {
            (Some(a), Some(b)) => Eta::Cells(a.min(b)),
            (None, Some(_)) => by_floor,
            _ => by_ratio,
        }
    }
}

/// The priors: of κ for rollback, of φ.
fn priors(assume: Assume, one_pod: bool) -> (Option<Prior>, Option<Prior>) {
    (
        Use::RollbackErrors.prior(assume, one_pod),
        Use::ApproveErrors.prior(assume, one_pod),
    )
}
