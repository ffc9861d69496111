//! How much each arm is exposed, and what makes counts comparable where arms differ in it.
//!
//! The canary's count is thinned to a baseline pod's null intensity, and a baseline pod's ψ^k is
//! replaced by its expectation under thinning, (1 + q(ψ−1))^k; by ψ^(qk), q at most 4, where it is
//! exposed to less. Routes are thinned each by itself, so a differing mix cancels.
//!
//! Source: docs/statistics.md, section 5.4. Assumption: events thin independently given
//! the past. Reference: `tests/reference/rollouts.json`, section `count_components`.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::elementary::{exp, ln};

use super::permutation::{Scores, log_choose};
use super::table::{Layout, Table};
use super::thinning::{Key, thin};

/// Draws averaged where the canary is thinned.
const DRAWS: u64 = 4;
/// Factor by which the memory of exposure fades each cell.
const DECAY: f64 = 0.944;
/// Below this null intensity ratio the canary is not thinned.
const UNTHINNED_MAX: f64 = 1.03;
/// The most that a baseline pod's count is raised.
const RAISED_MAX: f64 = 4.0;
/// Routes of a pod in a key of thinning.
const ROUTE_STRIDE: u64 = 4096;

/// Mean requests of a canary and of a baseline pod so far, by column, fading.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Exposure {
    past: Vec<(f64, f64)>,
}

/// Who takes part in a cell, and how the arms were exposed before and are in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Participants {
    /// Slots of the baseline's pods.
    pub baseline: Vec<usize>,
    /// Slots of the canary's pods.
    pub canary: Vec<usize>,
    /// ln of the ways to choose as many pods as the canary has.
    pub choices: f64,
    layout: Layout,
    columns: Range<usize>,
    /// By column: ratio of exposures before the cell, where known; a canary pod's mean now.
    exposed: Vec<(Option<f64>, f64)>,
}

impl Exposure {
    /// Takes in a cell's requests `n` in `columns`; none where an arm has no pod that takes part.
    pub fn step(
        &mut self,
        n: &Table,
        columns: Range<usize>,
        layout: Layout,
    ) -> Option<Participants> {
        let mut baseline = layout.active(|pod| n.sum(pod, columns.clone()));
        let canary = baseline.split_off(baseline.partition_point(|&pod| pod < layout.baseline));
        if baseline.is_empty() || canary.is_empty() {
            return None;
        }
        self.past.resize(columns.len(), (0.0, 0.0));
        let mean = |pods: &[usize], column| {
            let sum: f64 = pods.iter().map(|&pod| n.at(pod, column) as f64).sum();
            sum / pods.len() as f64
        };
        let each = self.past.iter_mut().zip(columns.clone());
        let exposed = each.map(|(past, column)| {
            let now = (mean(&canary, column), mean(&baseline, column));
            if *past == (0.0, 0.0) {
                *past = now;
            }
            let known = past.0 > 0.0 && past.1 > 0.0;
            let before = known.then_some(past.0 / past.1);
            *past = (DECAY * past.0 + now.0, DECAY * past.1 + now.1);
            (before, now.0)
        });
        Some(Participants {
            exposed: exposed.collect(),
            choices: log_choose(baseline.len() + canary.len(), canary.len()),
            baseline,
            canary,
            layout,
            columns,
        })
    }
}

impl Participants {
    /// Events of a pod in the columns.
    pub fn events(&self, k: &Table, pod: usize) -> u64 {
        k.sum(pod, self.columns.clone())
    }

    /// Whether nobody has an event.
    pub fn silent(&self, k: &Table) -> bool {
        let mut pods = self.baseline.iter().chain(&self.canary);
        pods.all(|&pod| self.events(k, pod) == 0)
    }
}

/// A draw's name but for pod and route: seed, component, cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draw {
    /// Seed of the rollout.
    pub seed: u64,
    /// Number of the component.
    pub objective: u64,
    /// Number of the cell since the first judged one.
    pub cell: u64,
}

/// The counts of one cell made comparable at one null rate ratio, for several tilts.
#[derive(Debug)]
pub struct Comparison<'a> {
    who: &'a Participants,
    n: &'a Table,
    tilts: &'a [f64],
    /// ψ − 1 by tilt.
    less_one: Vec<f64>,
    /// By column: the share of the canary's events that is kept, and a canary pod's mean requests
    /// times rate times that.
    thinning: Vec<(f64, f64)>,
    /// ln of the expected ψ of one event by tilt, baseline pod and column; NaN until asked for.
    bases: Vec<f64>,
    /// Room to work in, kept from one component to the next.
    pub(super) desk: Desk,
}

/// Room to work in.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// Thinned counts of the canary's pods, draw by draw.
    pub(super) kept: Vec<u64>,
    /// Events by baseline pod, and their score at one tilt.
    pub(super) events: Vec<u64>,
    pub(super) scores: Vec<f64>,
    pub(super) baseline: Scores,
    pub(super) canary: Scores,
}

impl<'a> Comparison<'a> {
    /// Compares counts among requests `n` at the null rate ratio `rate` and with these `tilts`.
    pub fn new(who: &'a Participants, n: &'a Table, rate: f64, tilts: &'a [f64]) -> Self {
        let thinning = who.exposed.iter().map(|&(before, now)| {
            let intensity = before.map_or(rate, |ratio| rate * ratio);
            let keep = if intensity <= UNTHINNED_MAX {
                1.0
            } else {
                1.0 / intensity
            };
            (keep, rate * keep * now)
        });
        let thinning: Vec<(f64, f64)> = thinning.collect();
        Self {
            bases: vec![f64::NAN; tilts.len() * who.baseline.len() * thinning.len()],
            who,
            n,
            tilts,
            less_one: tilts.iter().map(|&tilt| exp(tilt) - 1.0).collect(),
            thinning,
            desk: Desk::default(),
        }
    }

    /// Who takes part.
    pub fn who(&self) -> &'a Participants {
        self.who
    }

    /// The tilts, ln ψ.
    pub fn tilts(&self) -> &'a [f64] {
        self.tilts
    }

    /// Draws over which an e-value is averaged; 1 where nothing is thinned.
    pub fn draws(&self) -> u64 {
        let thinned = self.thinning.iter().any(|&(keep, _)| keep < 1.0);
        if thinned { DRAWS } else { 1 }
    }

    /// Score of the baseline's pod number `at` among those that take part: ln of the expected ψ^k.
    pub fn score(&mut self, k: &Table, at: usize, tilt: usize) -> f64 {
        let Some(&pod) = self.who.baseline.get(at) else {
            return 0.0;
        };
        let mut score = 0.0;
        for (i, column) in self.who.columns.clone().enumerate() {
            let events = k.at(pod, column);
            if events > 0 {
                score += events as f64 * self.base(pod, at, (i, column), tilt);
            }
        }
        score
    }

    fn base(&mut self, pod: usize, at: usize, (i, column): (usize, usize), tilt: usize) -> f64 {
        let index = (tilt * self.who.baseline.len() + at) * self.thinning.len() + i;
        let known = self.bases.get(index).copied().unwrap_or(f64::NAN);
        if !known.is_nan() {
            return known;
        }
        let (ln_psi, less_one) = self
            .tilts
            .get(tilt)
            .zip(self.less_one.get(tilt))
            .map_or((0.0, 0.0), |(&ln_psi, &less_one)| (ln_psi, less_one));
        let null = self.thinning.get(i).map_or(0.0, |&(_, null)| null);
        let q = null / self.n.at(pod, column) as f64;
        // Events without requests have no intensity to compare.
        let q = if q.is_finite() { q } else { 1.0 };
        let base = if q > 1.0 {
            q.min(RAISED_MAX) * ln_psi
        } else {
            ln(1.0 + q * less_one)
        };
        if let Some(place) = self.bases.get_mut(index) {
            *place = base;
        }
        base
    }

    /// Writes the thinned counts of the canary's pods to `kept`, draw by draw.
    pub fn keep(&self, k: &Table, named: Draw, kept: &mut Vec<u64>) {
        kept.clear();
        for draw in 0..self.draws() {
            let pods = self.who.canary.iter();
            kept.extend(pods.map(|&pod| self.kept_of(k, pod, named, draw)));
        }
    }

    fn kept_of(&self, k: &Table, pod: usize, named: Draw, draw: u64) -> u64 {
        let layout = self.who.layout;
        let slot = layout.canary_key + (pod - layout.baseline) as u64;
        let Draw {
            seed,
            objective,
            cell,
        } = named;
        let columns = self.thinning.iter().zip(self.who.columns.clone());
        let each = columns.zip(0u64..).map(|((&(keep, _), column), route)| {
            let events = k.at(pod, column);
            if keep >= 1.0 || events == 0 {
                return events;
            }
            let key = Key {
                seed,
                objective,
                cell,
                pod_route: slot * ROUTE_STRIDE + route,
                draw,
            };
            thin(events, keep, key)
        });
        each.sum()
    }
}
