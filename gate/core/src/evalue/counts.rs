//! One component of counts: events among requests, per pod and route, against a null rate ratio.
//!
//! Scores are counts k, min(k, cap), or 1[k ≥ m]; each tilt ln ψ is an e-process of its own. Where
//! arms differ in exposure the canary's count is thinned to a baseline pod's null intensity, and a
//! baseline pod's ψ^k is replaced by its expectation under thinning, (1 + q(ψ−1))^k.
//!
//! Source: statistics.md section 3. Assumption: that of [`super::permutation`], and events thin
//! independently given the past. Routes are thinned each by itself, so a differing mix cancels.
//! Reference: `tests/reference/rollouts.json`, section `count_components`.

use std::ops::Range;

use super::permutation;
use super::thinning::{Key, thin};
use crate::kappa::{IndicatorThreshold, Kappa, Use};

/// Draws averaged where the canary is thinned.
const DRAWS: u64 = 4;
/// Factor by which the memory of exposure fades each cell.
const DECAY: f64 = 0.944;
/// Below this null intensity ratio the canary is not thinned.
const UNTHINNED_MAX: f64 = 1.03;
/// A pod below this share of its arm's mean exposure sits the cell out: it lost a window.
const EXPOSURE_MIN: f64 = 0.4;
/// Routes of a pod in a key of thinning.
const ROUTE_STRIDE: u64 = 4096;

/// Counts by pod slot, baseline's first, and column of routes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    columns: usize,
    cells: Vec<u64>,
}

impl Table {
    /// A table of zeros.
    pub fn new(pods: usize, columns: usize) -> Self {
        Self {
            columns,
            cells: vec![0; pods * columns],
        }
    }

    /// One count; 0 outside.
    pub fn at(&self, pod: usize, column: usize) -> u64 {
        self.cells
            .get(pod * self.columns + column)
            .copied()
            .unwrap_or(0)
    }

    /// Sets one count.
    pub fn set(&mut self, pod: usize, column: usize, count: u64) {
        if let Some(cell) = self.cells.get_mut(pod * self.columns + column) {
            *cell = count;
        }
    }

    /// Sum of one pod over columns.
    pub fn sum(&self, pod: usize, columns: Range<usize>) -> u64 {
        columns.map(|column| self.at(pod, column)).sum()
    }
}

/// Where the slots of the arms lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layout {
    /// Slots of the baseline.
    pub baseline: usize,
    /// Slots of the canary, after the baseline's.
    pub canary: usize,
    /// Number that the canary's first slot has in the keys of thinning.
    pub canary_key: u64,
}

impl Layout {
    /// Slots that take part, given their exposure: at least 40 % of their arm's mean.
    pub fn active(self, exposure: impl Fn(usize) -> u64) -> Vec<usize> {
        let mut active = Vec::new();
        for arm in [0..self.baseline, self.baseline..self.baseline + self.canary] {
            let exposed: Vec<usize> = arm.filter(|&pod| exposure(pod) > 0).collect();
            let sum: f64 = exposed.iter().map(|&pod| exposure(pod) as f64).sum();
            let mean = sum / exposed.len() as f64;
            active.extend(
                exposed
                    .iter()
                    .filter(|&&p| exposure(p) as f64 >= EXPOSURE_MIN * mean),
            );
        }
        active
    }
}

/// How counts become scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// min(k, cap).
    Capped(u64),
    /// k itself.
    Count,
    /// 1[k ≥ m], m learnt from the baseline.
    Indicator,
}

/// What a component is.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Number of the component in the keys of thinning.
    pub objective: u64,
    /// How counts become scores.
    pub family: Family,
    /// Null rate ratio of canary to baseline.
    pub rate: f64,
    /// Seed of the rollout.
    pub seed: u64,
    /// ln ψ of each e-process.
    pub tilts: Vec<f64>,
    /// Weight of each e-process in the mixture.
    pub weights: Vec<f64>,
}

/// The e-processes of one component, one a tilt, and their curve of memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Counts {
    plan: Plan,
    log_e: Vec<f64>,
    kappa: Kappa,
    threshold: IndicatorThreshold,
    indicator: Option<u64>,
    exposure: Vec<(f64, f64)>,
    cell: u64,
    judged: u64,
}

impl Counts {
    /// A component without evidence.
    pub fn new(plan: Plan, used: Use) -> Self {
        Self {
            log_e: vec![0.0; plan.tilts.len()],
            plan,
            kappa: Kappa::new(used),
            threshold: IndicatorThreshold::default(),
            indicator: None,
            exposure: Vec::new(),
            cell: 0,
            judged: 0,
        }
    }

    /// The curve, to fix its form.
    pub fn kappa_mut(&mut self) -> &mut Kappa {
        &mut self.kappa
    }

    /// Sets the null rate ratio, before the first judged cell.
    pub fn set_rate(&mut self, rate: f64) {
        self.plan.rate = rate;
    }

    /// Multiplies all weights, before the first judged cell.
    pub fn scale_weights(&mut self, factor: f64) {
        for weight in &mut self.plan.weights {
            *weight *= factor;
        }
    }

    /// Learns memory from one cell: events at the unshifted threshold, of the baseline by slot,
    /// and of the canary where the cell is judged. Pods that sit out are `None`.
    pub fn learn(&mut self, baseline: &[Option<u64>], canary: Option<&[u64]>) {
        if self.plan.family == Family::Indicator {
            self.indicator = self.threshold.value();
            self.threshold.add(baseline.iter().flatten().copied());
        }
        let at = self.indicator.unwrap_or(1);
        let score = |k: u64| match self.plan.family {
            Family::Capped(cap) => k.min(cap) as f64,
            Family::Count => k as f64,
            Family::Indicator => f64::from(u8::from(k >= at)),
        };
        let scores: Vec<Option<f64>> = baseline.iter().map(|k| k.map(score)).collect();
        let mean = canary.filter(|c| !c.is_empty()).map(|c| {
            let sum: f64 = c.iter().map(|&k| score(k)).sum();
            sum / c.len() as f64
        });
        self.kappa.learn(&scores, mean);
    }

    /// Judges one cell: `k` events among `n` requests, in the given columns.
    pub fn step(&mut self, k: &Table, n: &Table, columns: Range<usize>, layout: Layout) {
        let cell = self.cell;
        self.cell += 1;
        self.judged += 1;
        let active = layout.active(|pod| n.sum(pod, columns.clone()));
        let split = active.partition_point(|&pod| pod < layout.baseline);
        let (baseline, canary) = active.split_at(split);
        if baseline.is_empty() || canary.is_empty() {
            return;
        }
        let thinning = self.thinning(n, &columns, baseline, canary);
        let silent = active.iter().all(|&pod| k.sum(pod, columns.clone()) == 0);
        if silent || (self.plan.family == Family::Indicator && self.indicator.is_none()) {
            return;
        }
        let draws = if thinning.iter().any(|t| t.keep < 1.0) {
            DRAWS
        } else {
            1
        };
        let kept = self.draw(k, &columns, canary, &thinning, (cell, draws, layout));
        let mut scratch = Vec::new();
        let mut scores = (Vec::with_capacity(split), Vec::with_capacity(canary.len()));
        for (index, &tilt) in self.plan.tilts.iter().enumerate() {
            scores.0.clear();
            scores.0.extend(baseline.iter().map(|&pod| {
                let terms = thinning.iter().zip(columns.clone());
                let terms = terms.map(|(t, c)| (k.at(pod, c), t.null / n.at(pod, c) as f64));
                self.baseline_score(terms, tilt)
            }));
            let mut e = 0.0;
            for drawn in kept.chunks(canary.len()) {
                scores.1.clear();
                scores
                    .1
                    .extend(drawn.iter().map(|&k| self.bound(k as f64 * tilt, k, tilt)));
                e += libm::exp(permutation::log_e(&scores.0, &scores.1, &mut scratch));
            }
            let e = (e / draws as f64).max(super::SMALLEST);
            if let Some(sum) = self.log_e.get_mut(index) {
                *sum += libm::log(e);
            }
        }
    }

    /// Per column, how the canary is thinned; takes the cell into the memory of exposure.
    fn thinning(
        &mut self,
        n: &Table,
        columns: &Range<usize>,
        baseline: &[usize],
        canary: &[usize],
    ) -> Vec<Thinning> {
        self.exposure.resize(columns.len(), (0.0, 0.0));
        let mean = |pods: &[usize], column| {
            let sum: f64 = pods.iter().map(|&pod| n.at(pod, column) as f64).sum();
            sum / pods.len() as f64
        };
        let rate = self.plan.rate;
        let each = self.exposure.iter_mut().zip(columns.clone());
        each.map(|(past, column)| {
            let now = (mean(canary, column), mean(baseline, column));
            if *past == (0.0, 0.0) {
                *past = now;
            }
            let known = past.0 > 0.0 && past.1 > 0.0;
            let intensity = if known { rate * past.0 / past.1 } else { rate };
            let keep = if intensity <= UNTHINNED_MAX {
                1.0
            } else {
                1.0 / intensity
            };
            *past = (DECAY * past.0 + now.0, DECAY * past.1 + now.1);
            Thinning {
                keep,
                null: rate * keep * now.0,
            }
        })
        .collect()
    }

    /// Thinned counts of the canary's pods, draw by draw.
    fn draw(
        &self,
        k: &Table,
        columns: &Range<usize>,
        canary: &[usize],
        thinning: &[Thinning],
        (cell, draws, layout): (u64, u64, Layout),
    ) -> Vec<u64> {
        let mut kept = Vec::with_capacity(canary.len() * draws as usize);
        for draw in 0..draws {
            for &pod in canary {
                let slot = layout.canary_key + (pod - layout.baseline) as u64;
                let routes = thinning.iter().zip(columns.clone()).zip(0u64..);
                kept.push(
                    routes
                        .map(|((thinning, column), route)| {
                            let pod_route = slot * ROUTE_STRIDE + route;
                            let Plan {
                                seed, objective, ..
                            } = self.plan;
                            let key = Key {
                                seed,
                                objective,
                                cell,
                                pod_route,
                                draw,
                            };
                            let k = k.at(pod, column);
                            if thinning.keep >= 1.0 {
                                k
                            } else {
                                thin(k, thinning.keep, key)
                            }
                        })
                        .sum(),
                );
            }
        }
        kept
    }

    /// ln of the expected ψ^k of a baseline pod thinned by q, over its routes' (k, q); ψ^(qk),
    /// q at most 4, where q > 1.
    fn baseline_score(&self, routes: impl Iterator<Item = (u64, f64)>, tilt: f64) -> f64 {
        let psi_less_1 = libm::exp(tilt) - 1.0;
        let (mut score, mut events) = (0.0, 0);
        for (k, q) in routes.filter(|&(k, _)| k > 0) {
            // Events without requests have no intensity to compare.
            let q = if q.is_finite() { q } else { 1.0 };
            events += k;
            score += if q > 1.0 {
                q.min(4.0) * k as f64 * tilt
            } else {
                k as f64 * libm::log(1.0 + q * psi_less_1)
            };
        }
        self.bound(score, events, tilt)
    }

    /// A score as the family has it.
    fn bound(&self, score: f64, events: u64, tilt: f64) -> f64 {
        match self.plan.family {
            Family::Capped(cap) if tilt > 0.0 => score.min(cap as f64 * tilt),
            Family::Capped(cap) => score.max(cap as f64 * tilt),
            Family::Count => score,
            Family::Indicator if self.indicator.is_some_and(|m| events >= m) => tilt,
            Family::Indicator => 0.0,
        }
    }

    /// Starts anew, keeping what was learnt of memory.
    pub fn reset(&mut self) {
        self.log_e.fill(0.0);
        self.judged = 0;
    }

    /// ln E of each tilt before the correction for memory.
    pub fn raw_log_e(&self) -> &[f64] {
        &self.log_e
    }

    /// (ln E / κ, weight) of each tilt.
    pub fn parts(&self) -> impl Iterator<Item = (f64, f64)> + Clone {
        let kappa = self.kappa.at(self.judged.max(1));
        let weights = self.plan.weights.iter().copied();
        self.log_e
            .iter()
            .map(move |log_e| log_e / kappa)
            .zip(weights)
    }

    /// Sum of weights.
    pub fn weight(&self) -> f64 {
        self.plan.weights.iter().sum()
    }

    /// κ after the cells judged so far.
    pub fn kappa_now(&self) -> f64 {
        self.kappa_at(self.judged.max(1))
    }

    /// κ after `t` judged cells.
    pub fn kappa_at(&self, t: u64) -> f64 {
        self.kappa.at(t.max(1))
    }
}

/// How one column is thinned in one cell.
#[derive(Clone, Copy, Debug)]
struct Thinning {
    /// Share of the canary's events that is kept.
    keep: f64,
    /// Mean requests of a canary pod, times rate, times what is kept.
    null: f64,
}
