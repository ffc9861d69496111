//! The variance–time curve κ: how much of the evidence is memory of the pods themselves.
//!
//! A pod that is slow now is slow again in the next cell, which exchangeability within a cell does
//! not cover. κ(t) is learnt from the baseline's own pods, history first and then while judging;
//! evidence after t judged cells is ln E / κ(t).
//!
//! Source: docs/statistics.md, section 4. Any κ ≥ 1, even one that moves with the data, keeps the
//! theorem; that κ makes up for memory is calibrated, not proved.
//! Reference: `tests/reference/kappa.json`.
//!
//! A pod that sits a cell out has the residual 0 there. The form, one baseline pod or several, is
//! fixed by the baseline pods of the first judged cell ([`Kappa::begin`]): history teaches the form
//! of several; a rollout that begins with one baseline pod starts its curve anew. Later a form of
//! several skips cells with fewer than two pods, and a form of one takes the mean of its pods.

use serde::{Deserialize, Serialize};

mod curve;
mod rows;
mod scale;

pub use curve::{Assume, Curve, Prior, Use};
pub use scale::{CpuScale, IndicatorThreshold};

use rows::Rows;

/// Block lengths in cells.
pub const BLOCKS: [usize; 6] = [6, 12, 24, 48, 90, 180];
/// The longest block, in cells; a pod absent for as long has left no trace.
pub const LONGEST: usize = 180;

/// Sums over all overlapping blocks of one length, and the block that ends now.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
struct Block {
    /// Sum over the cells of the block that ends now, by place in a row.
    now: Vec<f64>,
    count: f64,
    d: f64,
    dd: f64,
    c: f64,
    dc: f64,
}

/// The curve of one series of scores.
#[derive(Clone, Debug, PartialEq)]
pub struct Kappa {
    used: Use,
    learnt: Learnt,
}

/// What a curve has learnt; the rest of it is known from the configuration.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Learnt {
    one_pod: bool,
    rows: Rows,
    n: f64,
    squares: f64,
    b: f64,
    bb: f64,
    c: f64,
    bc: f64,
    variance: f64,
    df: f64,
    blocks: [Block; 6],
}

impl Kappa {
    /// A curve without data, of the form of several pods.
    pub fn new(used: Use) -> Self {
        Self {
            used,
            learnt: Learnt::new(used.is_count(), false),
        }
    }

    /// Fixes the form, at the first judged cell.
    pub fn begin(&mut self, one_pod: bool) {
        if one_pod {
            self.learnt = Learnt::new(false, true);
        }
    }

    /// Whether it has the form of one baseline pod.
    pub fn is_one_pod(&self) -> bool {
        self.learnt.one_pod
    }

    /// What it has learnt, to be kept.
    pub fn learnt(&self) -> &Learnt {
        &self.learnt
    }

    /// Goes on from what was kept.
    pub fn restore(&mut self, learnt: Learnt) {
        self.learnt = learnt;
    }

    /// Adds one cell of the baseline, by slot: `values` are the raw ones of the pods that took
    /// part, none of the others. `canary` is the mean raw value of the canary's pods, at the same
    /// unshifted threshold; none in history. Of a count the values are whole.
    pub fn learn(
        &mut self,
        values: impl ExactSizeIterator<Item = Option<f64>> + Clone,
        canary: Option<f64>,
    ) {
        let (present, sum) = values
            .clone()
            .flatten()
            .fold((0, 0.0), |(n, sum), value| (n + 1, sum + value));
        if present == 0 || (!self.learnt.one_pod && present < 2) {
            return;
        }
        let mean = sum / f64::from(present);
        if self.learnt.one_pod {
            if let Some(canary) = canary {
                // The binomial variance of rare errors is their count.
                self.add(&[mean], 0.0, canary, mean);
            }
            return;
        }
        let df = f64::from(present - 1);
        if self.learnt.rows.are_whole() {
            self.learnt.add_row(values, df);
            return;
        }
        let residuals: Vec<f64> = values.map(|v| v.map_or(0.0, |v| v - mean)).collect();
        self.add(&residuals, df, 0.0, 0.0);
    }

    /// Adds one row: residuals by slot with `df` degrees of freedom (one pod: its raw value), the
    /// canary's mean, and the binomial variance summed over pods (one pod: its errors).
    pub fn add(&mut self, x: &[f64], df: f64, canary: f64, variance: f64) {
        let learnt = &mut self.learnt;
        let b = x.first().copied().unwrap_or(0.0);
        learnt.b += b;
        learnt.bb += b * b;
        learnt.c += canary;
        learnt.bc += b * canary;
        learnt.variance += variance;
        let pair = [b, canary];
        let x = if learnt.one_pod { &pair } else { x };
        learnt.add_row(x.iter().copied().map(Some), df);
    }

    /// κ − 1 at each block length, as `prior` and the data have it; 0 without a prior.
    pub fn curve(&self, prior: Option<Prior>) -> Curve {
        let Some(prior) = prior else {
            return Curve::default();
        };
        let each = self.learnt.blocks.iter().zip(BLOCKS);
        prior.curve(each.map(|(block, m)| self.learnt.excess(block, m as f64, self.used)))
    }
}

impl Learnt {
    fn new(whole: bool, one_pod: bool) -> Self {
        Self {
            one_pod,
            rows: if whole { Rows::whole() } else { Rows::real() },
            n: 0.0,
            squares: 0.0,
            b: 0.0,
            bb: 0.0,
            c: 0.0,
            bc: 0.0,
            variance: 0.0,
            df: 0.0,
            blocks: Default::default(),
        }
    }

    /// Keeps a row and adds it to all sums.
    fn add_row(&mut self, row: impl ExactSizeIterator<Item = Option<f64>>, df: f64) {
        let width = row.len();
        self.rows.push(row);
        self.n += 1.0;
        self.df += df;
        for block in &mut self.blocks {
            // A row is as long as the baseline had slots; a shorter one ends in zeros.
            block.now.resize(width.max(block.now.len()), 0.0);
        }
        let mut squares = 0.0;
        let row = (1, self.rows.center(1));
        let [first, others @ ..] = &mut self.blocks;
        self.rows.show(row, &mut first.now, |sum, x| {
            squares += x * x;
            *sum += x;
        });
        for block in others {
            self.rows.show(row, &mut block.now, |sum, x| *sum += x);
        }
        self.squares += squares;
        for (block, m) in self.blocks.iter_mut().zip(BLOCKS) {
            block.leave(&self.rows, m);
            if self.n < m as f64 {
                continue;
            }
            block.count += 1.0;
            if self.one_pod {
                let at = |place: usize| block.now.get(place).copied().unwrap_or(0.0);
                let (d, e) = (at(0), at(1));
                block.d += d;
                block.dd += d * d;
                block.c += e;
                block.dc += d * e;
            } else {
                block.dd += block.now.iter().map(|x| x * x).sum::<f64>();
            }
        }
    }

    /// (variance ratio − 1, weight in blocks) at block length `m`, where there is data.
    fn excess(&self, block: &Block, m: f64, used: Use) -> Option<(f64, f64)> {
        let (n, k) = (self.n, block.count);
        let binomial = used == Use::ApproveErrors;
        if !self.one_pod {
            // The number of pods cancels; with pods that come and go so does its meaning.
            let single = if binomial {
                self.variance
            } else {
                self.squares
            } / n;
            let known = n >= m && single > 0.0;
            return known.then(|| (block.dd / (k * m) / single - 1.0, self.df / m));
        }
        if n < 2.0 * m {
            return None;
        }
        let (mb, mc) = (self.b / n, self.c / n);
        let r = if mc == 0.0 { 0.0 } else { mb / mc };
        let unbiased = n / (n - m);
        let own = block.dd - 2.0 * m * mb * block.d + k * m * m * mb * mb;
        let own = unbiased * own / k / m;
        let shared = block.dc - m * mb * block.c - m * mc * block.d + k * m * m * mb * mc;
        let shared = unbiased * r * shared / k / m;
        if binomial {
            let single = self.variance / n;
            return (single > 0.0).then(|| ((own - shared).max(0.0) / single - 1.0, n / m));
        }
        let step = n / (n - 1.0).max(1.0);
        let v = (self.bb / n - mb * mb) * step;
        if v <= 0.0 {
            return None;
        }
        // What the arms share in CPU is small, and taking it off costs more noise than it saves.
        if matches!(used, Use::ApproveCpu | Use::RollbackCpu) {
            return Some((own / v - 1.0, n / m));
        }
        let w = (self.bc / n - mb * mc) * r * step;
        let less = (own - shared) / (v - w).max(0.05 * v);
        Some(((own / v).min(less) - 1.0, n / m))
    }
}

impl Block {
    /// Leaves behind the row that a block of `m` does not reach any more.
    fn leave(&mut self, rows: &Rows, m: usize) {
        let row = (m + 1, rows.center(m + 1));
        rows.show(row, &mut self.now, |sum, old| *sum -= old);
    }
}
