//! The variance–time curve κ: how much of the evidence is memory of the pods themselves.
//!
//! A pod that is slow now is slow again in the next cell, which exchangeability within a cell does
//! not cover. κ(t) is learnt from the baseline's own pods, history first and then while judging;
//! evidence after t judged cells is ln E / κ(t).
//!
//! Source: statistics.md section 2. Any κ ≥ 1, even one that moves with the data, keeps the
//! theorem; that κ makes up for memory is calibrated, not proved.
//! Reference: `tests/reference/kappa.json`.
//!
//! A pod that sits a cell out has the residual 0 there. The form, one baseline pod or several, is
//! fixed by the baseline pods of the first judged cell ([`Kappa::begin`]): history teaches the form
//! of several; a rollout that begins with one baseline pod starts its curve anew. Later a form of
//! several skips cells with fewer than two pods, and a form of one takes the mean of its pods.

use std::collections::VecDeque;

mod scale;

pub use scale::{CpuScale, IndicatorThreshold};

/// Block lengths in cells.
pub const BLOCKS: [usize; 6] = [6, 12, 24, 48, 90, 180];
/// The longest block, in cells; a pod absent for as long has left no trace.
pub const LONGEST: usize = 180;

/// The curve a + m/b before there is data, worth `blocks` blocks of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prior {
    /// Level.
    pub a: f64,
    /// Cells in which the curve grows by 1.
    pub b: f64,
    /// Weight in blocks.
    pub blocks: f64,
}

/// Whether a pod may be slow for minutes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assume {
    /// No: faster, and assumes more.
    Alike,
    /// `Alike` once several pods have ten minutes of history, else `Vary`.
    Auto,
    /// Yes.
    Vary,
}

/// What a curve belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Approval by CPU.
    ApproveCpu,
    /// Approval by errors: φ, over the binomial variance.
    ApproveErrors,
    /// Approval by latency.
    ApproveLatency,
    /// Rollback by CPU.
    RollbackCpu,
    /// Rollback by errors.
    RollbackErrors,
    /// Rollback by latency.
    RollbackLatency,
}

impl Use {
    /// The prior of statistics.md section 2; none: κ = 1, as the pods are assumed alike.
    pub fn prior(self, assume: Assume, one_pod: bool) -> Option<Prior> {
        let alike = assume == Assume::Alike;
        let (a, b, blocks) = match (self, one_pod) {
            (Self::RollbackLatency | Self::RollbackErrors, true) if alike => return None,
            (Self::RollbackLatency, true) => (2.5, 48.0, 40.0),
            (Self::RollbackLatency, false) if alike => (1.5, 24.0, 4.0),
            (Self::RollbackLatency, false) => (4.0, 24.0, 160.0),
            (Self::RollbackErrors, _) => (1.25, 48.0, 10.0),
            (Self::RollbackCpu, true) => (5.0, 24.0, 12.0),
            (Self::RollbackCpu, false) => (5.0, 12.0, 12.0),
            (Self::ApproveLatency, _) => (4.0, 24.0, 20.0),
            (Self::ApproveErrors, true) => (2.0, 48.0, 16.0),
            (Self::ApproveErrors, false) => (1.5, 48.0, 20.0),
            (Self::ApproveCpu, true) => (5.0, 24.0, 12.0),
            (Self::ApproveCpu, false) => (6.0, 12.0, 24.0),
        };
        Some(Prior { a, b, blocks })
    }
}

/// Sums over all overlapping blocks of one length.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Block {
    count: f64,
    d: f64,
    dd: f64,
    c: f64,
    dc: f64,
}

/// Prefix sums at one cell.
#[derive(Clone, Debug, Default, PartialEq)]
struct Prefix {
    pods: Vec<f64>,
    canary: f64,
}

/// The curve of one component.
#[derive(Clone, Debug, PartialEq)]
pub struct Kappa {
    used: Use,
    one_pod: bool,
    prior: Option<Prior>,
    prefixes: VecDeque<Prefix>,
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
            one_pod: false,
            prior: used.prior(Assume::Vary, false),
            prefixes: VecDeque::from([Prefix::default()]),
            n: 0.0,
            squares: 0.0,
            b: 0.0,
            bb: 0.0,
            c: 0.0,
            bc: 0.0,
            variance: 0.0,
            df: 0.0,
            blocks: [Block::default(); 6],
        }
    }

    /// Fixes the form, at the first judged cell.
    pub fn begin(&mut self, one_pod: bool, prior: Option<Prior>) {
        if one_pod {
            *self = Self::new(self.used);
        }
        self.one_pod = one_pod;
        self.prior = prior;
    }

    /// Whether it has the form of one baseline pod.
    pub fn is_one_pod(&self) -> bool {
        self.one_pod
    }

    /// Adds one cell of the baseline, by slot: `values` are the raw ones of the pods that took
    /// part, none of the others. `canary` is the mean raw value of the canary's pods, at the same
    /// unshifted threshold; none in history.
    pub fn learn(&mut self, values: &[Option<f64>], canary: Option<f64>) {
        let present = values.iter().flatten().count();
        if present == 0 || (!self.one_pod && present < 2) {
            return;
        }
        let mean = values.iter().flatten().sum::<f64>() / present as f64;
        if self.one_pod {
            if let Some(canary) = canary {
                // The binomial variance of rare errors is their count.
                self.add(&[mean], 0.0, canary, mean);
            }
            return;
        }
        let residuals: Vec<f64> = values.iter().map(|v| v.map_or(0.0, |v| v - mean)).collect();
        self.add(&residuals, (present - 1) as f64, 0.0, 0.0);
    }

    /// Adds one row: residuals by slot with `df` degrees of freedom (one pod: its raw value), the
    /// canary's mean, and the binomial variance summed over pods (one pod: its errors).
    pub fn add(&mut self, x: &[f64], df: f64, canary: f64, variance: f64) {
        let mut next = self.prefixes.back().cloned().unwrap_or_default();
        next.pods.resize(next.pods.len().max(x.len()), 0.0);
        for (sum, x) in next.pods.iter_mut().zip(x) {
            *sum += x;
        }
        next.canary += canary;
        self.prefixes.push_back(next);
        if self.prefixes.len() > LONGEST + 1 {
            self.prefixes.pop_front();
        }
        let b = x.first().copied().unwrap_or(0.0);
        self.n += 1.0;
        self.df += df;
        self.squares += x.iter().map(|x| x * x).sum::<f64>();
        self.b += b;
        self.bb += b * b;
        self.c += canary;
        self.bc += b * canary;
        self.variance += variance;
        self.add_blocks();
    }

    fn add_blocks(&mut self) {
        let Some(now) = self.prefixes.back() else {
            return;
        };
        for (block, m) in self.blocks.iter_mut().zip(BLOCKS) {
            let Some(then) = self.prefixes.len().checked_sub(1 + m) else {
                break;
            };
            let Some(then) = self.prefixes.get(then) else {
                break;
            };
            block.count += 1.0;
            let before = then.pods.iter().copied().chain(std::iter::repeat(0.0));
            if self.one_pod {
                let d = now
                    .pods
                    .iter()
                    .zip(before)
                    .map(|(a, b)| a - b)
                    .next()
                    .unwrap_or(0.0);
                let e = now.canary - then.canary;
                block.d += d;
                block.dd += d * d;
                block.c += e;
                block.dc += d * e;
            } else {
                block.dd += now
                    .pods
                    .iter()
                    .zip(before)
                    .map(|(a, b)| (a - b) * (a - b))
                    .sum::<f64>();
            }
        }
    }

    /// κ after `t` judged cells; at least 1.
    pub fn at(&self, t: u64) -> f64 {
        let Some(prior) = self.prior else { return 1.0 };
        let t = t as f64;
        let mut excess = 0.0_f64;
        let mut last: Option<(f64, f64)> = None; // (m, prior there) of the block before
        let mut found: Option<f64> = None;
        for (block, m) in self.blocks.iter().zip(BLOCKS) {
            let m = m as f64;
            let shape = prior.a - 1.0 + m / prior.b;
            // The prior's shape, at the level learnt so far.
            let guess = last.map_or(shape, |(_, before)| excess * shape / before);
            let learnt = self.excess(block, m).map_or(guess, |(ratio, weight)| {
                (prior.blocks * guess + weight * ratio.max(0.0)) / (prior.blocks + weight)
            });
            let next = excess.max(learnt);
            if found.is_none() && t <= m {
                found = Some(last.map_or(next, |(start, _)| {
                    excess + (next - excess) * (t - start) / (m - start)
                }));
            }
            (excess, last) = (next, Some((m, shape)));
        }
        let longest = LONGEST as f64;
        1.0 + found.unwrap_or(excess + excess / longest * (t - longest))
    }

    /// (variance ratio − 1, weight in blocks) at block length `m`, where there is data.
    fn excess(&self, block: &Block, m: f64) -> Option<(f64, f64)> {
        let (n, k) = (self.n, block.count);
        let binomial = self.used == Use::ApproveErrors;
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
        if matches!(self.used, Use::ApproveCpu | Use::RollbackCpu) {
            return Some((own / v - 1.0, n / m));
        }
        let w = (self.bc / n - mb * mc) * r * step;
        let less = (own - shared) / (v - w).max(0.05 * v);
        Some(((own / v).min(less) - 1.0, n / m))
    }
}
