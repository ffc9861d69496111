//! One component of counts: events among requests, per pod and route, against a null rate ratio.
//!
//! Scores are counts k, min(k, cap), or 1[k ≥ m]; each tilt ln ψ is an e-process of its own, the
//! product of its cells' e-values.
//!
//! Source: docs/statistics.md, section 5. Assumption: those of [`super::permutation`] and of
//! [`super::exposure`].
//! Reference: `tests/reference/rollouts.json`, section `count_components`.

use crate::combine::log_mean;
use crate::elementary::ln;

use super::exposure::{Comparison, Draw};
use super::lanes::{self, LANES, Lanes, Weights};
use super::permutation::{self, Scores};
use super::table::Table;

/// How counts become scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// min(k, cap).
    Capped(u64),
    /// k itself.
    Count,
    /// 1[k ≥ m], m learnt from the baseline; none while too little is known.
    Indicator(Option<u64>),
}

impl Family {
    /// The score of a count, as memory is learnt of it.
    pub fn of(self, k: u64) -> f64 {
        match self {
            Self::Capped(cap) => k.min(cap) as f64,
            Self::Count => k as f64,
            Self::Indicator(m) => f64::from(u8::from(k >= m.unwrap_or(1))),
        }
    }

    /// The tilted score as the family has it, of a pod with so many events.
    fn bound(self, score: f64, events: u64, tilt: f64) -> f64 {
        match self {
            Self::Capped(cap) if tilt > 0.0 => score.min(cap as f64 * tilt),
            Self::Capped(cap) => score.max(cap as f64 * tilt),
            Self::Count => score,
            Self::Indicator(Some(m)) if events >= m => tilt,
            Self::Indicator(_) => 0.0,
        }
    }

    /// The weight at which it is capped, by tilt.
    fn bound_of(self, psi: &Lanes) -> Lanes {
        match self {
            Self::Capped(cap) => lanes::power(psi, cap),
            Self::Count | Self::Indicator(_) => *psi,
        }
    }

    /// The weight as the family has it: e to the power of [`Self::bound`].
    fn weight(self, full: Lanes, bound: &Lanes) -> Lanes {
        match self {
            Self::Capped(_) => {
                let mut capped = full;
                for (weight, &bound) in capped.iter_mut().zip(bound) {
                    *weight = match bound > 1.0 {
                        true => weight.min(bound),
                        false => weight.max(bound),
                    };
                }
                capped
            }
            Self::Count => full,
            Self::Indicator(_) => *bound,
        }
    }

    /// Whether a pod with so many events has another score than one without.
    fn counts(self, events: u64) -> bool {
        match self {
            Self::Capped(_) | Self::Count => events > 0,
            Self::Indicator(m) => m.is_some_and(|m| events >= m),
        }
    }

    /// The largest score that a pod of at most so many events has.
    fn most(self, events: u64) -> u64 {
        match self {
            Self::Capped(cap) => events.min(cap),
            Self::Count => events,
            Self::Indicator(_) => events.min(1),
        }
    }
}

/// Takes one cell into `log_e`, one a tilt, at most eight: `k` events as `comparison` makes them
/// comparable.
pub fn step(
    log_e: &mut [f64],
    family: Family,
    k: &Table,
    comparison: &mut Comparison<'_>,
    draw: Draw,
) {
    if family == Family::Indicator(None) || comparison.who().silent(k) {
        return;
    }
    let mut baseline = std::mem::take(&mut comparison.baseline);
    baseline.set(family, k, comparison);
    baseline.step((log_e, 0), k, comparison, draw);
    comparison.baseline = baseline;
}

/// The baseline's side of a cell, which several counts of the canary may be compared with.
#[derive(Debug, Default)]
pub struct Baseline {
    family: Option<Family>,
    /// Events by pod.
    events: Vec<u64>,
    weights: Weights,
    /// Room to work in: thinned counts of the canary's pods, draw by draw, and their weights.
    kept: Vec<u64>,
    canary: Weights,
}

impl Baseline {
    /// Takes the baseline's events out of `k`.
    pub fn set(&mut self, family: Family, k: &Table, comparison: &mut Comparison<'_>) {
        let who = comparison.who();
        self.family = Some(family);
        self.events.clear();
        let events = who.baseline.iter().map(|&pod| who.events(k, pod));
        self.events.extend(events);
        let bound = family.bound_of(comparison.psi());
        let each = self.events.iter().enumerate();
        let others = each.filter(|&(_, &events)| family.counts(events));
        let others = others.map(|(at, _)| match family {
            Family::Indicator(_) => bound,
            _ => family.weight(comparison.weight(k, at), &bound),
        });
        let silent = self.events.iter().filter(|&&k| !family.counts(k));
        let ones = silent.count();
        self.weights.set(ones, others, who.canary.len());
    }

    /// Compares the canary's events of `k` at the tilts from number `from` on, one sum each.
    pub fn step(
        &mut self,
        (sums, from): (&mut [f64], usize),
        k: &Table,
        comparison: &Comparison<'_>,
        draw: Draw,
    ) {
        let Some(family) = self.family else { return };
        let who = comparison.who();
        comparison.keep(k, draw, &mut self.kept);
        let most = self.events.iter().chain(&self.kept).max().copied();
        let log_weight = family.most(most.unwrap_or(0)) as f64 * comparison.strongest();
        if lanes::fits(who.canary.len(), log_weight, who.choices) {
            let e = self.mean_of_draws(family, comparison);
            for (sum, e) in sums.iter_mut().zip(e.into_iter().skip(from)) {
                *sum += ln(e.max(super::SMALLEST));
            }
        } else {
            for (sum, tilt) in sums.iter_mut().zip(from..) {
                *sum += self.scored(family, k, tilt, comparison);
            }
        }
    }

    /// E by products, all tilts at once.
    fn mean_of_draws(&mut self, family: Family, comparison: &Comparison<'_>) -> Lanes {
        let (who, psi) = (comparison.who(), comparison.psi());
        let pods = who.canary.len();
        let bound = family.bound_of(psi);
        let mut sum = [0.0; LANES];
        for kept in self.kept.chunks(pods) {
            let others = kept.iter().filter(|&&k| family.counts(k));
            let others = others.map(|&k| match family {
                Family::Indicator(_) => bound,
                _ => family.weight(lanes::power(psi, k), &bound),
            });
            let ones = kept.iter().filter(|&&k| !family.counts(k)).count();
            self.canary.set(ones, others, pods);
            let e = lanes::e(&self.weights, &self.canary, who.ways());
            for (sum, e) in sum.iter_mut().zip(e) {
                *sum += e;
            }
        }
        sum.map(|sum| sum / comparison.draws() as f64)
    }

    /// ln E by logarithms, of counts of any size.
    fn scored(&self, family: Family, k: &Table, at: usize, comparison: &Comparison<'_>) -> f64 {
        let who = comparison.who();
        let tilt = comparison.tilts().get(at).copied().unwrap_or(0.0);
        let scores = self.events.iter().enumerate().map(|(pod, &events)| {
            let full = match family {
                Family::Indicator(_) => 0.0,
                _ => comparison.score(k, pod, at),
            };
            family.bound(full, events, tilt)
        });
        let scores: Vec<f64> = scores.collect();
        let pods = who.canary.len();
        let (mut baseline, mut canary) = (Scores::default(), Scores::default());
        baseline.set(scores.iter().copied(), pods);
        let each = self.kept.chunks(pods).map(|kept| {
            let each = kept.iter().map(|&k| family.bound(k as f64 * tilt, k, tilt));
            canary.set(each, pods);
            permutation::log_e(&baseline, &canary, who.choices)
        });
        let each: Vec<f64> = each.collect();
        log_mean(&each, 1.0).max(super::LOG_SMALLEST)
    }
}
