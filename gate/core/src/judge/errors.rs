//! Errors: the canary's rate against the baseline's, and against a floor that is negligible.
//!
//! Harm is judged by labelling pods, with the canary's errors thinned; safety by the capped
//! likelihood ratio over φ. With a floor the harm null is p_c ≤ max(r·p_b, floor), so both tests
//! must reject (the smaller e-value), and the safety null is p_c ≥ max(r_s·p_b, floor), so either
//! may (the average). Source: statistics.md sections 3 and 5.

use super::frame::Frame;
use super::interval::{HARM, Interval, SAFETY};
use super::{ErrorLimits, faded, logs};
use crate::combine::{log_mean, log_mixture};
use crate::eta::{self, Eta};
use crate::evalue::bernoulli::Bernoulli;
use crate::evalue::counts::{Counts, Family, Plan};
use crate::evalue::likelihood::{self, Pair, canary_share, divergence};
use crate::kappa::{Assume, Kappa, Use};

/// ψ of harm and their weights.
const UP: [f64; 5] = [1.5, 2.0, 3.0, 5.0, 10.0];
const UP_WEIGHTS: [f64; 5] = [0.15, 0.25, 0.3, 0.2, 0.1];
/// 1/ψ of safety.
const DOWN: [f64; 6] = [1.2, 1.35, 1.6, 2.0, 3.0, 5.0];
/// ψ of the grid, which informs and does not decide.
const COARSE: [f64; 2] = [2.0, 5.0];
/// Alternatives to a limit on the canary alone, as factors of it, when it is to be proved above.
const ABOVE: [f64; 5] = UP;
/// The same when it is to be proved below: none at all carries half the weight, since that is
/// what a service without errors shows.
const BELOW: [f64; 4] = [0.0, 0.2, 0.35, 0.6];
const BELOW_WEIGHTS: [f64; 4] = [0.7, 0.1, 0.1, 0.1];
/// Weight of errors in the harm mixture: counts, capped.
pub(super) const WEIGHT: f64 = 0.50;
const WEIGHT_COUNTS: f64 = 0.43;
const WEIGHT_CAPPED: f64 = 0.07;

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
    harm: Vec<Counts>,
    safe: Vec<f64>,
    phi: Kappa,
    floor: Option<Floor>,
    grid: Vec<Counts>,
    safe_grid: Vec<Vec<f64>>,
    any: bool,
    /// Whether the baseline has reported requests.
    pub(super) seen_baseline: bool,
    cells_of_step: u64,
    /// Errors and requests since the first judged cell: baseline, canary.
    pub(super) observed: ((u64, u64), (u64, u64)),
    traffic: (f64, f64),
}

impl Errors {
    pub(super) fn new(limits: ErrorLimits, seed: u64, scale: f64) -> Self {
        let component = |objective, family, rate, psi: &[f64], weights: Vec<f64>| {
            let tilts = logs(psi);
            let plan = Plan {
                objective,
                family,
                rate,
                seed,
                tilts,
                weights,
            };
            Counts::new(plan, Use::RollbackErrors)
        };
        let weights = |x: f64| UP_WEIGHTS.iter().map(|w| w * x * scale).collect();
        let rate = limits.rollback_above;
        let floor = |limit| Floor {
            harm: Bernoulli::new(limit, &ABOVE),
            safe: Bernoulli::new(limit, &BELOW),
        };
        let coarse = |&r: &f64| component(12, Family::Count, r, &COARSE, vec![0.5; 2]);
        Self {
            harm: vec![
                component(10, Family::Count, rate, &UP, weights(WEIGHT_COUNTS)),
                component(11, Family::Capped(1), rate, &UP, weights(WEIGHT_CAPPED)),
            ],
            safe: vec![0.0; DOWN.len()],
            phi: Kappa::new(Use::ApproveErrors),
            floor: limits.negligible.map(floor),
            grid: HARM.iter().map(coarse).collect(),
            safe_grid: vec![vec![0.0; DOWN.len()]; SAFETY.len()],
            limits,
            any: false,
            seen_baseline: false,
            cells_of_step: 0,
            observed: ((0, 0), (0, 0)),
            traffic: (0.0, 0.0),
        }
    }

    /// Fixes the form of κ and φ, at the first judged cell.
    pub(super) fn begin(&mut self, one_pod: bool, assume: Assume, harm_weight: f64) {
        let prior = Use::RollbackErrors.prior(assume, one_pod);
        for component in &mut self.harm {
            component.kappa_mut().begin(one_pod, prior);
            component.scale_weights(harm_weight);
        }
        self.phi
            .begin(one_pod, Use::ApproveErrors.prior(assume, one_pod));
    }

    /// Learns memory from a cell of history or a judged one.
    pub(super) fn learn(&mut self, frame: &Frame<'_>, judged: bool) {
        let active = |pod: &usize| frame.is_active(*pod);
        let baseline: Vec<Option<u64>> = frame
            .baseline()
            .map(|p| frame.is_active(p).then(|| frame.errors_of(p)))
            .collect();
        self.seen_baseline |= baseline.iter().flatten().next().is_some();
        let canary: Vec<u64> = frame
            .canary()
            .filter(active)
            .map(|p| frame.errors_of(p))
            .collect();
        self.any |= baseline
            .iter()
            .flatten()
            .chain(&canary)
            .any(|&errors| errors > 0);
        for component in &mut self.harm {
            component.learn(&baseline, judged.then_some(canary.as_slice()));
        }
        if self.phi.is_one_pod() {
            let mean = canary.iter().map(|&k| k as f64).sum::<f64>() / canary.len() as f64;
            let values: Vec<Option<f64>> = baseline.iter().map(|k| k.map(|k| k as f64)).collect();
            self.phi
                .learn(&values, (judged && !canary.is_empty()).then_some(mean));
            return;
        }
        let pods: Vec<usize> = frame.baseline().filter(active).collect();
        if pods.len() < 2 {
            return;
        }
        let errors: f64 = pods.iter().map(|&pod| frame.errors_of(pod) as f64).sum();
        let requests: f64 = pods.iter().map(|&pod| frame.requests_of(pod) as f64).sum();
        let p = errors / requests.max(1.0);
        let mut residuals = vec![0.0; frame.layout.baseline];
        let mut variance = 0.0;
        for &pod in &pods {
            let n = frame.requests_of(pod) as f64;
            if let Some(residual) = residuals.get_mut(pod) {
                *residual = frame.errors_of(pod) as f64 - n * p;
            }
            variance += n * p * (1.0 - p) * (1.0 - n / requests.max(1.0));
        }
        self.phi
            .add(&residuals, (pods.len() - 1) as f64, 0.0, variance);
    }

    /// Judges a cell.
    pub(super) fn step(&mut self, frame: &Frame<'_>) {
        self.cells_of_step += 1;
        let (n, k, layout) = (&frame.requests, &frame.errors, frame.layout);
        for component in self.harm.iter_mut().chain(&mut self.grid) {
            component.step(k, n, 0..frame.columns, layout);
        }
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
        if baseline.1 > 0 && canary.1 > 0 && baseline.0 + canary.0 > 0 {
            let pair = Pair {
                canary_events: canary.0 as f64,
                canary_requests: canary.1 as f64,
                baseline_events: baseline.0 as f64,
                baseline_requests: baseline.1 as f64,
            };
            let add = |sums: &mut Vec<f64>, ratio| {
                for (sum, psi) in sums.iter_mut().zip(logs(&DOWN)) {
                    *sum += likelihood::log_e(pair, ratio, -psi);
                }
            };
            add(&mut self.safe, self.limits.approve_below);
            self.safe_grid
                .iter_mut()
                .zip(SAFETY)
                .for_each(|(sums, ratio)| add(sums, ratio));
        }
        self.observed.0 = (
            self.observed.0.0 + baseline.0,
            self.observed.0.1 + baseline.1,
        );
        self.observed.1 = (self.observed.1.0 + canary.0, self.observed.1.1 + canary.1);
        self.traffic.0 = faded(self.traffic.0, baseline.1 as f64);
        self.traffic.1 = faded(self.traffic.1, canary.1 as f64);
    }

    /// Starts safety anew.
    pub(super) fn restart_safety(&mut self) {
        self.cells_of_step = 0;
        self.safe.fill(0.0);
        self.safe_grid.iter_mut().for_each(|sums| sums.fill(0.0));
        if let Some(floor) = &mut self.floor {
            floor.safe.reset();
        }
    }

    /// φ now, of evidence on the canary alone. While neither arm has had an error there is nothing
    /// that could have memory, and it is 1: else arms that make no errors would wait for a proof
    /// that their errors do not cluster.
    pub(super) fn phi_alone(&self, cells: u64) -> f64 {
        if self.any {
            self.phi.at(cells.max(1))
        } else {
            1.0
        }
    }

    /// Parts of the harm mixture: (ln E, weight). With a floor it is one part, the smaller of the
    /// two tests.
    pub(super) fn parts(&self, cells: u64) -> Vec<(f64, f64)> {
        let parts: Vec<(f64, f64)> = self.harm.iter().flat_map(Counts::parts).collect();
        let Some(floor) = &self.floor else {
            return parts;
        };
        let weight: f64 = self.harm.iter().map(Counts::weight).sum();
        let phi = self.phi_alone(cells);
        let alone: Vec<f64> = floor.harm.log_e().iter().map(|e| e / phi).collect();
        let relative = log_mixture(parts.iter().copied()) - libm::log(weight);
        vec![(relative.min(log_mean(&alone)), weight)]
    }

    /// ln E of safety.
    pub(super) fn safe_log_e(&self) -> f64 {
        let phi = self.phi.at(self.cells_of_step.max(1));
        let relative: Vec<f64> = self.safe.iter().map(|e| e / phi).collect();
        let relative = log_mean(&relative);
        let Some(floor) = &self.floor else {
            return relative;
        };
        let phi = self.phi_alone(self.cells_of_step);
        let alone = floor
            .safe
            .log_e()
            .iter()
            .map(|e| e / phi)
            .zip(BELOW_WEIGHTS);
        log_mean(&[relative, log_mixture(alone)])
    }

    /// Takes the grid into `interval`.
    pub(super) fn bound(&self, interval: &mut Interval, wanted: (f64, f64)) {
        let kappa = self.harm.first().map_or(1.0, Counts::kappa_now);
        let phi = self.phi.at(self.cells_of_step.max(1));
        let mean = |sums: &[f64], by: f64| {
            let weight = 1.0 / sums.len() as f64;
            log_mixture(sums.iter().map(|e| (e / by, weight)))
        };
        let harm = self.grid.iter().map(|c| mean(c.raw_log_e(), kappa));
        let safety = self.safe_grid.iter().map(|sums| mean(sums, phi));
        interval.update(harm, safety, wanted);
    }

    /// Expected time until proved safe at ratio 1.
    pub(super) fn eta(&self, wanted: f64) -> Eta {
        let now = self.cells_of_step;
        let ((kb, nb), (kc, nc)) = self.observed;
        let (b, c) = self.traffic;
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
        let phi = self.phi.at(now.max(1));
        let relative: Vec<f64> = self.safe.iter().map(|e| e / phi).collect();
        let raw = log_mean(&relative) * phi;
        // The other half of the average is the floor's.
        let half = if self.floor.is_some() {
            libm::log(2.0)
        } else {
            0.0
        };
        let by_ratio = eta::expect(raw, growth, now, wanted + half, |t| self.phi.at(t));
        let Some((floor, limit)) = self.floor.as_ref().zip(self.limits.negligible) else {
            return by_ratio;
        };
        let growth = if rate < limit {
            c * divergence(rate.max(1e-12), limit)
        } else {
            0.0
        };
        let alone = floor.safe.log_e().iter().copied().zip(BELOW_WEIGHTS);
        let by_floor = eta::expect(log_mixture(alone), growth, now, wanted + half, |t| {
            self.phi_alone(t)
        });
        match (by_ratio.cells(), by_floor.cells()) {
            (Some(a), Some(b)) => Eta::Cells(a.min(b)),
            (None, Some(_)) => by_floor,
            _ => by_ratio,
        }
    }
}
