//! Latency of a cell as counts above an edge, and the thresholds that the baseline sets.
//!
//! The threshold x_q is the smallest edge with at most (1 − q) of the baseline's requests of the
//! previous 12 cells above it, so it is predictable. Of explicit bounds it is the one whose share
//! above is nearest to 1 − q, the same in both arms.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::assessment::Unavailable;
use super::frame::Frame;
use crate::evalue::counts::Table;
use crate::sketch::{Sketch, SketchError};

/// Cells whose latency sets the thresholds.
const ROLLING: usize = 12;
/// Edge of the bucket of zero latency, below all others; no shift moves it.
pub(super) const ZERO: i32 = i32::MIN;

/// The buckets that all sketches of a rollout share.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Grid {
    /// Exponential ones of the coarsest scale seen.
    Exponential(i32),
    /// Explicit bounds in seconds.
    Explicit(Vec<f64>),
}

impl Grid {
    /// Buckets by which an edge moves for a ratio: rounded up for harm, down for safety.
    pub(super) fn shift(&self, ratio: f64, harm: bool) -> i32 {
        let Self::Exponential(scale) = self else {
            return 0;
        };
        let buckets = libm::ldexp(libm::log2(ratio), *scale);
        let whole = if harm {
            libm::ceil(buckets - 1e-9)
        } else {
            libm::floor(buckets + 1e-9)
        };
        whole as i32
    }
}

/// Suffix sums of one sketch.
#[derive(Clone, Debug, Default, PartialEq)]
struct Tail {
    total: u64,
    first: i32,
    above: Vec<u64>,
}

impl Tail {
    fn new(sketch: &Sketch, grid: &Grid) -> Self {
        let (zero, first, counts) = match sketch {
            Sketch::Empty => return Self::default(),
            Sketch::Explicit(explicit) => (0, 0, Cow::Borrowed(explicit.counts())),
            Sketch::Exponential(fine) => match grid {
                Grid::Exponential(scale) if *scale < fine.scale() => {
                    let mut coarse = fine.clone();
                    coarse.downscale(*scale);
                    (
                        coarse.zero_count(),
                        coarse.offset(),
                        Cow::Owned(coarse.counts().to_vec()),
                    )
                }
                _ => (
                    fine.zero_count(),
                    fine.offset(),
                    Cow::Borrowed(fine.counts()),
                ),
            },
        };
        let mut sum = 0u64;
        let mut above: Vec<u64> = counts
            .iter()
            .rev()
            .map(|&count| {
                sum = sum.saturating_add(count);
                sum
            })
            .collect();
        above.reverse();
        Self {
            total: sum.saturating_add(zero),
            first,
            above,
        }
    }

    fn above(&self, edge: i32) -> u64 {
        let from = (i64::from(edge) + 1 - i64::from(self.first)).max(0) as usize;
        self.above.get(from).copied().unwrap_or(0)
    }

    /// The threshold of quantile `level`; none of no request.
    fn threshold(&self, level: f64, grid: &Grid) -> Option<i32> {
        if self.total == 0 {
            return None;
        }
        let allowed = (1.0 - level) * self.total as f64;
        if let Grid::Explicit(bounds) = grid {
            let distance = |edge: &i32| {
                let share = self.above(*edge) as f64 / allowed;
                if share > 0.0 {
                    libm::log(share).abs()
                } else {
                    f64::INFINITY
                }
            };
            return (0..bounds.len() as i32).min_by(|a, b| distance(a).total_cmp(&distance(b)));
        }
        if self.above(ZERO) as f64 <= allowed {
            return Some(ZERO);
        }
        (0i32..)
            .zip(&self.above)
            .map(|(i, _)| self.first.saturating_add(i))
            .find(|&edge| self.above(edge) as f64 <= allowed)
    }
}

/// The latency of one cell by slot and column.
#[derive(Clone, Debug)]
pub(super) struct Tails {
    tails: Vec<Tail>,
    columns: usize,
    baseline: usize,
}

impl Tails {
    fn new(frame: &Frame<'_>, grid: &Grid) -> Self {
        let each = frame.latency.iter().enumerate();
        let tails = each.map(|(i, sketch)| {
            if frame.is_warm(i / frame.columns) {
                Tail::new(sketch, grid)
            } else {
                Tail::default()
            }
        });
        Self {
            tails: tails.collect(),
            columns: frame.columns,
            baseline: frame.layout.baseline,
        }
    }

    fn table(&self, count: impl Fn(usize, usize, &Tail) -> u64) -> Table {
        let pods = self.tails.len() / self.columns.max(1);
        let mut table = Table::new(pods, self.columns);
        for (i, tail) in self.tails.iter().enumerate() {
            let (pod, column) = (i / self.columns, i % self.columns);
            table.set(pod, column, count(pod, column, tail));
        }
        table
    }

    /// Requests with a latency, the exposure.
    pub(super) fn totals(&self) -> Table {
        self.table(|_, _, tail| tail.total)
    }

    /// Requests above the edge that `edge` gives a column; the canary's edge is moved by `shift`.
    pub(super) fn exceedances(&self, shift: i32, edge: impl Fn(usize) -> Option<i32>) -> Table {
        self.table(|pod, column, tail| match edge(column) {
            None => 0,
            Some(ZERO) => tail.above(ZERO),
            Some(edge) if pod < self.baseline => tail.above(edge),
            Some(edge) => tail.above(edge.saturating_add(shift)),
        })
    }
}

/// The baseline's latency of the last 12 cells.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Rolling {
    /// Pooled first, then by column.
    cells: VecDeque<Vec<Sketch>>,
    grid: Option<Grid>,
    /// Why latency can't be judged any more.
    broken: Option<Unavailable>,
}

impl Rolling {
    /// The buckets in use; none before the first request.
    pub(super) fn grid(&self) -> Option<&Grid> {
        self.grid.as_ref()
    }

    /// Why latency can't be judged.
    pub(super) fn broken(&self) -> Option<Unavailable> {
        self.broken
    }

    /// Whether the baseline has reported no latency in these cells.
    pub(super) fn is_empty(&self) -> bool {
        let pooled = self.cells.iter().filter_map(|cell| cell.first());
        pooled.map(Sketch::total).sum::<u64>() == 0
    }

    /// Takes the buckets of a cell into account and returns its tails.
    pub(super) fn read(&mut self, frame: &Frame<'_>) -> Option<Tails> {
        if frame.misfits > 0 {
            self.broken = Some(Unavailable::KindsDiffer);
        }
        for sketch in &frame.latency {
            let grid = match (&**sketch, self.grid.take()) {
                (Sketch::Empty, grid) => grid,
                (Sketch::Exponential(e), None) => Some(Grid::Exponential(e.scale())),
                (Sketch::Explicit(e), None) => Some(Grid::Explicit(e.bounds().to_vec())),
                (Sketch::Exponential(e), Some(Grid::Exponential(scale))) => {
                    Some(Grid::Exponential(scale.min(e.scale())))
                }
                (Sketch::Explicit(e), Some(Grid::Explicit(bounds))) => {
                    if e.bounds() != bounds {
                        self.broken = Some(Unavailable::BoundsDiffer);
                    }
                    Some(Grid::Explicit(bounds))
                }
                (_, grid) => {
                    self.broken = Some(Unavailable::KindsDiffer);
                    grid
                }
            };
            self.grid = grid;
        }
        if self.broken.is_some() {
            return None;
        }
        self.grid.as_ref().map(|grid| Tails::new(frame, grid))
    }

    /// Thresholds of the given levels over pooled requests and, of `routes`, over each column.
    pub(super) fn thresholds(&self, pooled: &[f64], routes: &[f64], columns: usize) -> Thresholds {
        let Some(grid) = &self.grid else {
            return Thresholds::default();
        };
        let of = |at: usize, levels: &[f64]| {
            let mut sum = Sketch::Empty;
            for cell in &self.cells {
                // Differing sketches have marked latency as broken in `read`.
                let _: Result<(), SketchError> =
                    cell.get(at).map_or(Ok(()), |sketch| sum.merge(sketch));
            }
            let tail = Tail::new(&sum, grid);
            let share = |edge: i32| tail.above(edge) as f64 / (tail.total as f64).max(1.0);
            let each = levels.iter().map(|&level| tail.threshold(level, grid));
            each.map(|edge| edge.map(|edge| (edge, share(edge))))
                .collect::<Vec<_>>()
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

    /// Adds the baseline's latency of a cell.
    pub(super) fn push(&mut self, frame: &Frame<'_>) {
        if self.broken.is_some() {
            return;
        }
        let mut cell = vec![Sketch::Empty; frame.columns + 1];
        for pod in frame.baseline().filter(|&pod| frame.is_warm(pod)) {
            for column in 0..frame.columns {
                let Some(sketch) = frame.latency.get(pod * frame.columns + column) else {
                    continue;
                };
                for at in [0, column + 1] {
                    let result = cell.get_mut(at).map_or(Ok(()), |sum| sum.merge(sketch));
                    if result.is_err() {
                        self.broken = Some(Unavailable::KindsDiffer);
                    }
                }
            }
        }
        self.cells.push_back(cell);
        if self.cells.len() > ROLLING {
            self.cells.pop_front();
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
