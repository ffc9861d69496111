//! Latency of a cell as counts above an edge.

use std::borrow::Cow;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::frame::Frame;
use crate::evalue::table::Table;
use crate::sketch::Sketch;

/// Edge of the bucket of zero latency, below all others; no shift moves it.
pub(super) const ZERO: i32 = i32::MIN;
/// Buckets of a sketch for which room is made at first.
const USUAL_BUCKETS: usize = 128;

/// The buckets that all sketches of a rollout share.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
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

/// An edge moved by `shift` buckets.
pub(super) fn moved(edge: i32, shift: i32) -> i32 {
    if edge == ZERO {
        ZERO
    } else {
        edge.saturating_add(shift)
    }
}

/// Suffix sums of one sketch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Tail<'a> {
    pub(super) total: u64,
    first: i32,
    /// Requests in the last bucket, in the last two, and so on.
    above: &'a [u64],
}

/// Where the suffix sums of a sketch lie among those of others.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    total: u64,
    first: i32,
    range: Range<usize>,
}

impl Place {
    /// Appends the suffix sums of `sketch` to `sums`.
    pub(super) fn append(sketch: &Sketch, grid: &Grid, sums: &mut Vec<u64>) -> Self {
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
        let from = sums.len();
        let mut sum = 0u64;
        sums.extend(counts.iter().rev().map(|&count| {
            sum = sum.saturating_add(count);
            sum
        }));
        Self {
            total: sum.saturating_add(zero),
            first,
            range: from..sums.len(),
        }
    }

    /// The suffix sums among all `sums`.
    pub(super) fn of<'a>(&self, sums: &'a [u64]) -> Tail<'a> {
        Tail {
            total: self.total,
            first: self.first,
            above: sums.get(self.range.clone()).unwrap_or(&[]),
        }
    }
}

impl Tail<'_> {
    pub(super) fn above(&self, edge: i32) -> u64 {
        let below = (i64::from(edge) + 1 - i64::from(self.first)).max(0) as usize;
        match self.above.len().checked_sub(below) {
            None | Some(0) => 0,
            Some(buckets) => self.above.get(buckets - 1).copied().unwrap_or(0),
        }
    }

    /// The threshold of quantile `level`; none of no request.
    pub(super) fn threshold(&self, level: f64, grid: &Grid) -> Option<i32> {
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
        // Few at the top end are above it, so it is near there.
        let few = self.above.partition_point(|&above| above as f64 <= allowed);
        let beyond = self.above.len() - few;
        Some(self.first.saturating_add(beyond as i32).saturating_sub(1))
    }
}

/// The latency of one cell by slot and column.
#[derive(Clone, Debug)]
pub(super) struct Tails {
    places: Vec<Place>,
    sums: Vec<u64>,
    columns: usize,
    baseline: usize,
}

impl Tails {
    pub(super) fn new(frame: &Frame<'_>, grid: &Grid) -> Self {
        let mut sums = Vec::with_capacity(frame.latency.len() * USUAL_BUCKETS);
        let each = frame.latency.iter().enumerate();
        let places = each.map(|(i, sketch)| {
            if frame.is_warm(i / frame.columns) {
                Place::append(sketch, grid, &mut sums)
            } else {
                Place::default()
            }
        });
        Self {
            places: places.collect(),
            sums,
            columns: frame.columns,
            baseline: frame.layout.baseline,
        }
    }

    fn pods(&self) -> usize {
        self.places.len() / self.columns.max(1)
    }

    fn fill(&self, table: &mut Table, pods: Range<usize>, count: impl Fn(usize, Tail<'_>) -> u64) {
        for pod in pods {
            for column in 0..self.columns {
                if let Some(place) = self.places.get(pod * self.columns + column) {
                    table.set(pod, column, count(column, place.of(&self.sums)));
                }
            }
        }
    }

    /// Requests with a latency, the exposure.
    pub(super) fn totals(&self) -> Table {
        let mut table = Table::new(self.pods(), self.columns);
        self.fill(&mut table, 0..self.pods(), |_, tail| tail.total);
        table
    }

    /// Requests above the edge that `edge` gives a column; the canary's edge is moved by `shift`.
    pub(super) fn exceedances(&self, shift: i32, edge: impl Fn(usize) -> Option<i32>) -> Table {
        let mut table = Table::new(self.pods(), self.columns);
        let above = |edge: Option<i32>, tail: Tail<'_>| edge.map_or(0, |edge| tail.above(edge));
        self.fill(&mut table, 0..self.baseline, |column, tail| {
            above(edge(column), tail)
        });
        self.fill(&mut table, self.baseline..self.pods(), |column, tail| {
            above(edge(column).map(|edge| moved(edge, shift)), tail)
        });
        table
    }

    /// Sets the canary's counts in `table` to its requests above `edge`.
    pub(super) fn canary_above(&self, edge: i32, table: &mut Table) {
        self.fill(table, self.baseline..self.pods(), |_, tail| {
            tail.above(edge)
        });
    }
}
