//! The thresholds that the baseline sets.
//!
//! The threshold x_q is the smallest edge with at most (1 − q) of the baseline's requests of the
//! previous 12 cells above it, so it is predictable. Of explicit bounds it is the one whose share
//! above is nearest to 1 − q, the same in both arms.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::assessment::Unavailable;
use super::frame::Frame;
use super::tails::{Grid, Place, Tails};
use crate::sketch::{Packed, Sketch};

/// Cells whose latency sets the thresholds.
const ROLLING: usize = 12;

/// The baseline's latency of the last 12 cells.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(from = "Saved", into = "Saved")]
pub(super) struct Rolling {
    saved: Saved,
    /// Of those cells: pooled first, then by column.
    sums: Vec<Sketch>,
}

/// What the sums are made of.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
struct Saved {
    /// By column.
    cells: VecDeque<Box<[Packed]>>,
    grid: Option<Grid>,
    /// Why latency can't be judged any more.
    broken: Option<Unavailable>,
}

impl From<Rolling> for Saved {
    fn from(rolling: Rolling) -> Self {
        rolling.saved
    }
}

impl From<Saved> for Rolling {
    fn from(mut saved: Saved) -> Self {
        let cells = std::mem::take(&mut saved.cells);
        let mut rolling = Self {
            saved,
            sums: Vec::new(),
        };
        for cell in cells {
            rolling.add(cell.into_iter().map(Sketch::from).collect());
        }
        rolling
    }
}

impl Rolling {
    /// The buckets in use; none before the first request.
    pub(super) fn grid(&self) -> Option<&Grid> {
        self.saved.grid.as_ref()
    }

    /// Why latency can't be judged.
    pub(super) fn broken(&self) -> Option<Unavailable> {
        self.saved.broken
    }

    /// Whether the baseline has reported no latency in these cells.
    pub(super) fn is_empty(&self) -> bool {
        self.sums.first().is_none_or(|sum| sum.total() == 0)
    }

    /// Takes the buckets of a cell into account and returns its tails.
    pub(super) fn read(&mut self, frame: &Frame<'_>) -> Option<Tails> {
        if frame.misfits > 0 {
            self.saved.broken = Some(Unavailable::KindsDiffer);
        }
        for sketch in &frame.latency {
            self.read_grid(sketch);
        }
        if self.broken().is_some() {
            return None;
        }
        self.grid().map(|grid| Tails::new(frame, grid))
    }

    fn read_grid(&mut self, sketch: &Sketch) {
        match (sketch, &mut self.saved.grid) {
            (Sketch::Empty, _) => {}
            (Sketch::Exponential(e), grid @ None) => *grid = Some(Grid::Exponential(e.scale())),
            (Sketch::Explicit(e), grid @ None) => {
                *grid = Some(Grid::Explicit(e.bounds().to_vec()));
            }
            (Sketch::Exponential(e), Some(Grid::Exponential(scale))) => {
                *scale = (*scale).min(e.scale());
            }
            (Sketch::Explicit(e), Some(Grid::Explicit(bounds))) => {
                if e.bounds() != bounds {
                    self.saved.broken = Some(Unavailable::BoundsDiffer);
                }
            }
            _ => self.saved.broken = Some(Unavailable::KindsDiffer),
        }
    }

    /// Thresholds of the given levels over pooled requests and, of `routes`, over each column.
    pub(super) fn thresholds(&self, pooled: &[f64], routes: &[f64], columns: usize) -> Thresholds {
        let Some(grid) = self.grid() else {
            return Thresholds::default();
        };
        let mut sums = Vec::new();
        let mut of = |at: usize, levels: &[f64]| -> Vec<Option<(i32, f64)>> {
            let Some(sum) = self.sums.get(at) else {
                return vec![None; levels.len()];
            };
            sums.clear();
            let place = Place::append(sum, grid, &mut sums);
            let tail = place.of(&sums);
            let share = |edge: i32| tail.above(edge) as f64 / (tail.total as f64).max(1.0);
            let each = levels.iter().map(|&level| tail.threshold(level, grid));
            each.map(|edge| edge.map(|edge| (edge, share(edge))))
                .collect()
        };
        Thresholds {
            pooled: of(0, pooled),
            routes: if routes.is_empty() {
                Vec::new()
            } else {
                (1..columns).map(|column| of(column, routes)).collect()
            },
        }
    }

    /// Adds the baseline's latency of a cell; shows it to `observe`, column by column.
    pub(super) fn push(&mut self, frame: &Frame<'_>, observe: impl FnMut(&Sketch)) {
        if self.broken().is_some() {
            return;
        }
        let mut cell = vec![Sketch::Empty; frame.columns];
        for pod in frame.baseline().filter(|&pod| frame.is_warm(pod)) {
            for (column, sum) in cell.iter_mut().enumerate() {
                if let Some(sketch) = frame.latency.get(pod * frame.columns + column) {
                    self.saved.note(sum.merge(sketch).is_err());
                }
            }
        }
        cell.iter().for_each(observe);
        self.add(cell);
    }

    fn add(&mut self, cell: Vec<Sketch>) {
        self.sums
            .resize((cell.len() + 1).max(self.sums.len()), Sketch::Empty);
        for (column, sketch) in cell.iter().enumerate() {
            for at in [0, column + 1] {
                if let Some(sum) = self.sums.get_mut(at) {
                    self.saved.note(sum.merge(sketch).is_err());
                }
            }
        }
        let cell = cell.into_iter().map(Packed::from).collect();
        self.saved.cells.push_back(cell);
        if self.saved.cells.len() > ROLLING {
            self.drop_oldest();
        }
        // A range too wide for its scale was made coarser.
        if let (Some(Sketch::Exponential(sum)), Some(Grid::Exponential(scale))) =
            (self.sums.first(), &mut self.saved.grid)
        {
            *scale = (*scale).min(sum.scale());
        }
    }

    fn drop_oldest(&mut self) {
        let oldest = self.saved.cells.pop_front().unwrap_or_default();
        for (column, sketch) in oldest.into_iter().enumerate() {
            let sketch = Sketch::from(sketch);
            for at in [0, column + 1] {
                if let Some(sum) = self.sums.get_mut(at) {
                    sum.subtract(&sketch);
                }
            }
        }
    }
}

impl Saved {
    /// Buckets that can't be added leave nothing to judge by.
    fn note(&mut self, misfit: bool) {
        if misfit {
            self.broken = Some(Unavailable::KindsDiffer);
        }
    }
}

/// Edges and the baseline's share above them, by level.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Thresholds {
    pooled: Vec<Option<(i32, f64)>>,
    routes: Vec<Vec<Option<(i32, f64)>>>,
}

impl Thresholds {
    /// The edge of a pooled level.
    pub(super) fn pooled(&self, level: usize) -> Option<i32> {
        self.pooled_share(level).map(|(edge, _)| edge)
    }

    /// The edge of a pooled level and the share above it.
    pub(super) fn pooled_share(&self, level: usize) -> Option<(i32, f64)> {
        self.pooled.get(level).copied().flatten()
    }

    /// The edge of a route's level.
    pub(super) fn route(&self, column: usize, level: usize) -> Option<i32> {
        let (edge, _) = self.routes.get(column)?.get(level).copied().flatten()?;
        Some(edge)
    }
}
