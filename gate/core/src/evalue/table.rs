//! Counts of one cell by pod and route, and which pods take part.

use std::ops::Range;

/// A pod below this share of its arm's mean exposure sits the cell out: it lost a window.
const EXPOSURE_MIN: f64 = 0.4;

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
#[derive(Clone, Copy, Debug, Default, PartialEq)]
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
        let mut active = Vec::with_capacity(self.baseline + self.canary);
        for arm in [0..self.baseline, self.baseline..self.baseline + self.canary] {
            let exposures = arm.clone().map(&exposure).filter(|&exposed| exposed > 0);
            let (pods, sum) = exposures.fold((0.0, 0.0), |(pods, sum), exposed| {
                (pods + 1.0, sum + exposed as f64)
            });
            let least = EXPOSURE_MIN * (sum / pods);
            active.extend(arm.filter(|&pod| {
                let exposed = exposure(pod);
                exposed > 0 && exposed as f64 >= least
            }));
        }
        active
    }
}
