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

use super::counts::Baseline;
use super::lanes::{self, LANES, Lanes};
use super::permutation::log_choose;
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
    ways: f64,
    layout: Layout,
    columns: Range<usize>,
    exposed: Vec<Exposed>,
}

/// How a column is exposed.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Exposed {
    /// Ratio of a canary pod's exposure to a baseline pod's before the cell, where known.
    before: Option<f64>,
    /// A canary pod's mean now.
    now: f64,
    /// The fewest requests that a baseline pod has now, of those that have any; 0 of none.
    least: u64,
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
            let requests = baseline.iter().map(|&pod| n.at(pod, column));
            Exposed {
                before,
                now: now.0,
                least: requests.filter(|&n| n > 0).min().unwrap_or(0),
            }
        });
        let choices = log_choose(baseline.len() + canary.len(), canary.len());
        Some(Participants {
            exposed: exposed.collect(),
            ways: exp(choices),
            choices,
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

    /// Ways to choose as many pods as the canary has.
    pub(super) fn ways(&self) -> f64 {
        self.ways
    }

    /// Whether nobody has an event.
    pub fn silent(&self, k: &Table) -> bool {
        let mut pods = self.baseline.iter().chain(&self.canary);
        pods.all(|&pod| self.events(k, pod) == 0)
    }
}

/// A null intensity against that of so many requests; 1 where there are none, for events without
/// requests have no intensity to compare.
fn against(null: f64, requests: u64) -> f64 {
    let q = null / requests as f64;
    if q.is_finite() { q } else { 1.0 }
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
    /// By column: the share of the canary's events that is kept, and a canary pod's mean requests
    /// times rate times that.
    thinning: Vec<(f64, f64)>,
    /// ψ by tilt.
    psi: Lanes,
    /// |ln ψ| of the furthest tilt, times the most that a count is raised.
    strongest: f64,
    /// The expected ψ of one event, of those baseline pods and columns that were asked for.
    bases: Vec<Lanes>,
    /// By baseline pod and column, the number of its base plus 1; 0 until asked for.
    known: Vec<u16>,
    /// Kept from one component to the next for its memory.
    pub(super) baseline: Baseline,
}

impl<'a> Comparison<'a> {
    /// Compares counts among requests `n` at the null rate ratio `rate` and with these `tilts`, at
    /// most eight.
    pub fn new(who: &'a Participants, n: &'a Table, rate: f64, tilts: &'a [f64]) -> Self {
        let mut psi = [1.0; LANES];
        for (psi, &tilt) in psi.iter_mut().zip(tilts) {
            *psi = exp(tilt);
        }
        let places = who.baseline.len() * who.columns.len();
        let mut comparison = Self {
            who,
            n,
            tilts,
            psi,
            thinning: Vec::with_capacity(who.columns.len()),
            strongest: 0.0,
            bases: Vec::with_capacity(places),
            known: vec![0; places],
            baseline: Baseline::default(),
        };
        comparison.at(rate);
        comparison
    }

    /// The same in the room of one that is done.
    pub fn within(mut self, room: &mut Baseline) -> Self {
        self.baseline = std::mem::take(room);
        self
    }

    /// Its room, for another one.
    pub fn room(self) -> Baseline {
        self.baseline
    }

    /// Compares at another null rate ratio.
    pub fn at(&mut self, rate: f64) {
        self.thinning.clear();
        let mut raised: f64 = 1.0;
        self.thinning.extend(self.who.exposed.iter().map(|exposed| {
            let intensity = exposed.before.map_or(rate, |ratio| rate * ratio);
            let keep = if intensity <= UNTHINNED_MAX {
                1.0
            } else {
                1.0 / intensity
            };
            let null = rate * keep * exposed.now;
            raised = raised.max(against(null, exposed.least));
            (keep, null)
        }));
        let furthest = |most: f64, tilt: &f64| most.max(tilt.abs());
        self.strongest = raised.min(RAISED_MAX) * self.tilts.iter().fold(0.0, furthest);
        self.bases.clear();
        self.known.fill(0);
    }

    /// The null intensity of the requests of baseline pod `pod` against its own, in column number
    /// `column` of those compared.
    fn intensity(&self, pod: usize, column: usize) -> f64 {
        let null = self.thinning.get(column).map_or(0.0, |&(_, null)| null);
        against(null, self.n.at(pod, self.who.columns.start + column))
    }

    /// ψ by tilt.
    pub(super) fn psi(&self) -> &Lanes {
        &self.psi
    }

    /// |ln| of the weight of one event, at most.
    pub(super) fn strongest(&self) -> f64 {
        self.strongest
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
    pub fn score(&self, k: &Table, at: usize, tilt: usize) -> f64 {
        let ln_psi = self.tilts.get(tilt).copied().unwrap_or(0.0);
        let less_one = exp(ln_psi) - 1.0;
        let Some(&pod) = self.who.baseline.get(at) else {
            return 0.0;
        };
        let columns = self.who.columns.clone().enumerate();
        let each = columns.map(|(number, column)| (number, k.at(pod, column)));
        let each = each.filter(|&(_, events)| events > 0);
        let each = each.map(|(number, events)| {
            let q = self.intensity(pod, number);
            let base = if q > 1.0 {
                q.min(RAISED_MAX) * ln_psi
            } else {
                ln(1.0 + q * less_one)
            };
            events as f64 * base
        });
        each.sum()
    }

    /// The expected ψ^k of the baseline's pod number `at`, by tilt.
    pub(super) fn weight(&mut self, k: &Table, at: usize) -> Lanes {
        let columns = self.who.columns.clone();
        let Some(&pod) = self.who.baseline.get(at) else {
            return [1.0; LANES];
        };
        let mut weight = [1.0; LANES];
        for (number, column) in columns.enumerate() {
            let events = k.at(pod, column);
            if events > 0 {
                let base = self.base(at, number);
                weight = lanes::product(&weight, &lanes::power(&base, events));
            }
        }
        weight
    }

    /// The expected ψ of one event of baseline pod number `at`, by tilt.
    fn base(&mut self, at: usize, column: usize) -> Lanes {
        let place = at * self.who.columns.len() + column;
        let number = self.known.get(place).copied().map_or(0, usize::from);
        if let Some(known) = number.checked_sub(1).and_then(|at| self.bases.get(at)) {
            return *known;
        }
        let pod = self.who.baseline.get(at).copied().unwrap_or(usize::MAX);
        let q = self.intensity(pod, column);
        let mut base = [1.0; LANES];
        if q > 1.0 {
            for (base, tilt) in base.iter_mut().zip(self.tilts) {
                *base = exp(q.min(RAISED_MAX) * tilt);
            }
        } else {
            for (base, psi) in base.iter_mut().zip(&self.psi) {
                *base += q * (psi - 1.0);
            }
        }
        self.bases.push(base);
        if let Some(known) = self.known.get_mut(place) {
            *known = u16::try_from(self.bases.len()).unwrap_or(0);
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
