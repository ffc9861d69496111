//! Bounds of a ratio that are valid at all times: the harm test and the safety test on a grid.
//!
//! Source: statistics.md section 5, "Deadline". A bound once proved stays.

/// Ratios at which safety is tested, ascending.
pub(super) const SAFETY: [f64; 14] = [
    1.05, 1.1, 1.15, 1.2, 1.25, 1.3, 1.4, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 5.0,
];
/// Ratios at which harm is tested, ascending.
pub(super) const HARM: [f64; 12] = [
    0.2, 0.35, 0.5, 0.7, 0.85, 1.0, 1.1, 1.2, 1.35, 1.5, 2.0, 3.0,
];

/// The bounds found so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Interval {
    pub(super) low: Option<f64>,
    pub(super) high: Option<f64>,
}

impl Interval {
    /// Takes in ln E of the grid, corrected for memory, against `wanted`.
    pub(super) fn update(
        &mut self,
        harm: impl Iterator<Item = f64>,
        safety: impl DoubleEndedIterator<Item = f64> + ExactSizeIterator,
        wanted: (f64, f64),
    ) {
        let low = HARM
            .iter()
            .zip(harm)
            .take_while(|(_, e)| *e >= wanted.0)
            .last();
        let high = SAFETY
            .iter()
            .rev()
            .zip(safety.rev())
            .take_while(|(_, e)| *e >= wanted.1)
            .last();
        self.raise(low.map(|(&r, _)| r));
        self.lower(high.map(|(&r, _)| r));
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
