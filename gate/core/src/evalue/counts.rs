//! One component of counts: events among requests, per pod and route, against a null rate ratio.
//!
//! Scores are counts k, min(k, cap), or 1[k ≥ m]; each tilt ln ψ is an e-process of its own, the
//! product of its cells' e-values.
//!
//! Source: docs/statistics.md, section 5. Assumption: those of [`super::permutation`] and of
//! [`super::exposure`].
//! Reference: `tests/reference/rollouts.json`, section `count_components`.

use crate::elementary::{exp, ln};

use super::exposure::{Comparison, Draw};
use super::permutation;
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
}

/// Takes one cell into `log_e`, one a tilt: `k` events as `comparison` makes them comparable.
pub fn step(
    log_e: &mut [f64],
    family: Family,
    k: &Table,
    comparison: &mut Comparison<'_>,
    draw: Draw,
) {
    let who = comparison.who();
    if family == Family::Indicator(None) || who.silent(k) {
        return;
    }
    let mut desk = std::mem::take(&mut comparison.desk);
    comparison.keep(k, draw, &mut desk.kept);
    desk.events.clear();
    let baseline = who.baseline.iter().map(|&p| who.events(k, p));
    desk.events.extend(baseline);
    let pods = who.canary.len();
    for (at, (sum, &tilt)) in log_e.iter_mut().zip(comparison.tilts()).enumerate() {
        desk.scores.clear();
        for (pod, &events) in desk.events.iter().enumerate() {
            let full = match family {
                Family::Indicator(_) => 0.0,
                _ => comparison.score(k, pod, at),
            };
            desk.scores.push(family.bound(full, events, tilt));
        }
        desk.baseline.set(desk.scores.iter().copied(), pods);
        *sum += mean_of_draws(desk.kept.chunks(pods), |kept| {
            let each = kept.iter().map(|&k| family.bound(k as f64 * tilt, k, tilt));
            desk.canary.set(each, pods);
            permutation::log_e(&desk.baseline, &desk.canary, who.choices)
        });
    }
    comparison.desk = desk;
}

/// ln of the mean over draws of E, at least ln 1e-300.
pub fn mean_of_draws<'a>(
    draws: impl ExactSizeIterator<Item = &'a [u64]>,
    mut log_e: impl FnMut(&[u64]) -> f64,
) -> f64 {
    let n = draws.len();
    if n == 1 {
        let only = draws.map(log_e).sum::<f64>();
        return only.max(super::LOG_SMALLEST);
    }
    let sum: f64 = draws.map(|kept| exp(log_e(kept))).sum();
    ln((sum / n as f64).max(super::SMALLEST))
}
