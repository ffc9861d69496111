//! The last 181 rows of a series: what a block leaves behind as it moves on.
//!
//! Counts are kept as they came, two bytes a pod and cell, and their residuals made again when
//! read; other values are kept as residuals. A count over 65,534 is kept as that: κ may be any
//! number from 1 on.

use serde::{Deserialize, Serialize};

use super::LONGEST;

/// Marks a pod that sat the cell out.
const ABSENT: u16 = u16::MAX;

/// Rows kept: the longest block, and the one that it leaves behind.
const KEPT: usize = LONGEST + 1;

/// Rows of one kind.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) enum Rows {
    /// Whole numbers, whose residuals are wanted.
    Whole(Ring<u16>),
    /// Values as they are wanted.
    Real(Ring<f64>),
}

/// The last [`KEPT`] rows, each `width` long.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Ring<T> {
    width: usize,
    rows: usize,
    /// Where the next row goes.
    next: usize,
    values: Vec<T>,
}

impl Rows {
    pub(super) fn whole() -> Self {
        Self::Whole(Ring::new())
    }

    pub(super) fn real() -> Self {
        Self::Real(Ring::new())
    }

    pub(super) fn are_whole(&self) -> bool {
        matches!(self, Self::Whole(_))
    }

    /// Keeps a row: whole values by slot, none of pods that sat out; of real ones, 0.
    pub(super) fn push(&mut self, values: impl ExactSizeIterator<Item = Option<f64>>) {
        match self {
            Self::Whole(ring) => {
                let whole = |value: Option<f64>| value.map_or(ABSENT, |v| v.min(65_534.0) as u16);
                ring.push(values.map(whole), ABSENT);
            }
            Self::Real(ring) => ring.push(values.map(|value| value.unwrap_or(0.0)), 0.0),
        }
    }

    /// What the values of the row before which `back` − 1 others came are taken from: their mean
    /// where residuals are wanted, else 0.
    pub(super) fn center(&self, back: usize) -> f64 {
        let Self::Whole(ring) = self else { return 0.0 };
        let present = ring.row(back).iter().filter(|&&k| k != ABSENT);
        let (n, sum) = present.fold((0u32, 0u32), |(n, sum), &k| (n + 1, sum + u32::from(k)));
        f64::from(sum) / f64::from(n)
    }

    /// Shows that row, each value beside what is kept of its place; nothing where there is none.
    pub(super) fn show(
        &self,
        (back, center): (usize, f64),
        places: &mut [f64],
        mut each: impl FnMut(&mut f64, f64),
    ) {
        match self {
            Self::Real(ring) => {
                let row = ring.row(back).iter();
                places.iter_mut().zip(row).for_each(|(at, &x)| each(at, x));
            }
            Self::Whole(ring) => {
                for (place, &k) in places.iter_mut().zip(ring.row(back)) {
                    let residual = f64::from(k) - center;
                    each(place, if k == ABSENT { 0.0 } else { residual });
                }
            }
        }
    }
}

impl<T: Copy> Ring<T> {
    fn new() -> Self {
        Self {
            width: 0,
            rows: 0,
            next: 0,
            values: Vec::new(),
        }
    }

    fn push(&mut self, row: impl ExactSizeIterator<Item = T>, absent: T) {
        if row.len() > self.width {
            self.widen(row.len(), absent);
        }
        let start = self.next * self.width;
        let end = start + self.width;
        if self.values.len() < end {
            self.values.resize(end, absent);
        }
        let padded = row.chain(std::iter::repeat(absent));
        if let Some(places) = self.values.get_mut(start..end) {
            for (place, value) in places.iter_mut().zip(padded) {
                *place = value;
            }
        }
        self.next = (self.next + 1) % KEPT;
        self.rows = (self.rows + 1).min(KEPT);
    }

    /// Makes room for more slots; who was not there was absent.
    fn widen(&mut self, width: usize, absent: T) {
        let mut values = Vec::with_capacity(self.rows.max(1) * width);
        for row in self.values.chunks_exact(self.width.max(1)) {
            values.extend_from_slice(row);
            values.resize(values.len() + width - row.len(), absent);
        }
        (self.width, self.values) = (width, values);
    }

    /// The row `back` pushes ago, 1 being the last one; empty where there is none.
    fn row(&self, back: usize) -> &[T] {
        if back == 0 || back > self.rows {
            return &[];
        }
        let at = (self.next + KEPT - back) % KEPT * self.width;
        self.values.get(at..at + self.width).unwrap_or(&[])
    }
}
