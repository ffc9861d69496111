//! Bounds of a ratio that are valid at all times: the harm test and the safety test on a ladder of
//! ratios.
//!
//! Source: docs/statistics.md, section 6.4. A bound once proved stays, so rungs that lie within it
//! are not stepped any more: they could prove nothing new. The ladder informs and does not decide,
//! so it has fewer tilts than the tests that do.

use serde::{Deserialize, Serialize};

use crate::combine::log_mean;

/// Ratios at which safety is tested, ascending.
pub(super) const SAFETY: [f64; 14] = [
    1.05, 1.1, 1.15, 1.2, 1.25, 1.3, 1.4, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 5.0,
];
/// Ratios at which harm is tested, ascending.
pub(super) const HARM: [f64; 12] = [
    0.2, 0.35, 0.5, 0.7, 0.85, 1.0, 1.1, 1.2, 1.35, 1.5, 2.0, 3.0,
];

/// ln E of both tests by ratio and tilt.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Ladder {
    harm: Vec<f64>,
    safe: Vec<f64>,
}

/// One rung: its ratio and ln E by tilt.
pub(super) type Rung<'a> = (f64, &'a mut [f64]);

impl Ladder {
    /// A ladder without evidence, with so many tilts of harm and of safety.
    pub(super) fn new(harm: usize, safe: usize) -> Self {
        Self {
            harm: vec![0.0; HARM.len() * harm],
            safe: vec![0.0; SAFETY.len() * safe],
        }
    }

    /// The rungs of harm that can still prove something beyond `known`, ascending.
    pub(super) fn harm(&mut self, known: Interval) -> impl Iterator<Item = Rung<'_>> {
        let tilts = self.harm.len() / HARM.len();
        let rungs = HARM.into_iter().zip(self.harm.chunks_mut(tilts.max(1)));
        rungs.filter(move |(ratio, _)| known.may_raise(*ratio))
    }

    /// The rungs of safety that can still prove something beyond `known`, ascending.
    pub(super) fn safe(&mut self, known: Interval) -> impl Iterator<Item = Rung<'_>> {
        let tilts = self.safe.len() / SAFETY.len();
        let rungs = SAFETY.into_iter().zip(self.safe.chunks_mut(tilts.max(1)));
        rungs.filter(move |(ratio, _)| known.may_lower(*ratio))
    }

    /// Starts safety anew.
    pub(super) fn restart_safety(&mut self) {
        self.safe.fill(0.0);
    }

    /// Whether `other` has as many tilts.
    pub(super) fn fits(&self, other: &Self) -> bool {
        (self.harm.len(), self.safe.len()) == (other.harm.len(), other.safe.len())
    }

    /// Takes the ladder into `interval`: the ln E, divided by `kappa` of harm and of safety,
    /// against `wanted`.
    pub(super) fn bound(&self, interval: &mut Interval, kappa: (f64, f64), wanted: (f64, f64)) {
        let tilts = (self.harm.len() / HARM.len(), self.safe.len() / SAFETY.len());
        let known = *interval;
        let harm = HARM.iter().zip(self.harm.chunks(tilts.0.max(1)));
        let harm = harm.filter(|(ratio, _)| known.may_raise(**ratio));
        let low = harm.take_while(|(_, sums)| log_mean(sums, kappa.0) >= wanted.0);
        interval.raise(low.last().map(|(&ratio, _)| ratio));
        let safe = SAFETY.iter().zip(self.safe.chunks(tilts.1.max(1))).rev();
        let safe = safe.filter(|(ratio, _)| known.may_lower(**ratio));
        let high = safe.take_while(|(_, sums)| log_mean(sums, kappa.1) >= wanted.1);
        interval.lower(high.last().map(|(&ratio, _)| ratio));
    }
}

/// The bounds found so far.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(super) struct Interval {
    pub(super) low: Option<f64>,
    pub(super) high: Option<f64>,
}

impl Interval {
    /// Whether a proof of "more than `ratio`" would raise the lower bound.
    fn may_raise(self, ratio: f64) -> bool {
        self.low.is_none_or(|low| ratio > low)
    }

    /// Whether a proof of "less than `ratio`" would lower the upper bound.
    fn may_lower(self, ratio: f64) -> bool {
        self.high.is_none_or(|high| ratio < high)
    }

    /// Raises the lower bound.
    pub(super) fn raise(&mut self, low: Option<f64>) {
        self.low = [self.low, low].into_iter().flatten().reduce(f64::max);
    }

    /// Lowers the upper bound.
    pub(super) fn lower(&mut self, high: Option<f64>) {
        self.high = [self.high, high].into_iter().flatten().reduce(f64::min);
    }
}
