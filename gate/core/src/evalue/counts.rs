//! One component of counts: events among requests, per pod and route, against a null rate ratio.
//!
//! Scores are counts k, min(k, cap), or 1[k ≥ m]; each tilt ln ψ is an e-process of its own, the
//! product of its cells' e-values.
//!
//! Source: docs/statistics.md, section 5. Assumption: those of [`super::permutation`] and of
//! [`super::exposure`].
//! Reference: `tests/reference/rollouts.json`, section `count_components`.

use super::exposure::{Comparison, Draw};
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
    let kept = comparison.kept(k, draw);
    let events: Vec<u64> = who.baseline.iter().map(|&p| who.events(k, p)).collect();
    let mut scores = vec![0.0; events.len()];
    let (mut baseline, mut canary) = (Scores::default(), Scores::default());
    let pods = who.canary.len();
    for (at, (sum, &tilt)) in log_e.iter_mut().zip(comparison.tilts()).enumerate() {
        for (pod, (score, &events)) in scores.iter_mut().zip(&events).enumerate() {
            let full = match family {
                Family::Indicator(_) => 0.0,
                _ => comparison.score(k, pod, at),
            };
            *score = family.bound(full, events, tilt);
        }
        baseline.set(scores.iter().copied(), pods);
        *sum += mean_of_draws(kept.chunks(pods), |kept| {
            let each = kept.iter().map(|&k| family.bound(k as f64 * tilt, k, tilt));
            canary.set(each, pods);
            permutation::log_e(&baseline, &canary, who.choices)
        });
    }
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
    let sum: f64 = draws.map(|kept| libm::exp(log_e(kept))).sum();
    libm::log((sum / n as f64).max(super::SMALLEST))
}
