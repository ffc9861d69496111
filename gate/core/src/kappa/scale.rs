//! The scale of CPU residuals and the threshold of the indicator score, both predictable: read
//! before the cell is added.
//!
//! Source: docs/statistics.md, sections 5.1 and 5.3. Reference: `tests/reference/kappa.json`,
//! sections `cpu_scale` and `indicator`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Standard deviation of CPU residuals; starts at 0.1, worth 12 residuals.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct CpuScale {
    squares: f64,
    df: f64,
    /// Slot and value of the only pod of the cell before.
    last: Option<(usize, f64)>,
}

impl CpuScale {
    /// The standard deviation so far, at least 0.01.
    pub fn value(&self) -> f64 {
        ((12.0 * 0.01 + self.squares) / (12.0 + self.df))
            .sqrt()
            .max(0.01)
    }

    /// Adds ln(CPU seconds per request) of the baseline's pods, by slot. Several pods: around
    /// their mean. One pod: three quarters of its squared step.
    pub fn add(&mut self, y: &[Option<f64>]) {
        let mut present = y
            .iter()
            .enumerate()
            .filter_map(|(slot, y)| y.map(|y| (slot, y)));
        let first = present.next();
        let count = y.iter().flatten().count();
        if count >= 2 {
            let mean = y.iter().flatten().sum::<f64>() / count as f64;
            self.squares += y
                .iter()
                .flatten()
                .map(|y| (y - mean) * (y - mean))
                .sum::<f64>();
            self.df += (count - 1) as f64;
            self.last = None;
        } else if let Some((slot, y)) = first {
            if let Some((_, before)) = self.last.filter(|&(before, _)| before == slot) {
                self.squares += 0.75 * (y - before) * (y - before);
                self.df += 1.0;
            }
            self.last = Some((slot, y));
        }
    }
}

/// Threshold m of the score 1[k ≥ m]: the 95 % quantile of the baseline's counts so far, plus 1.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct IndicatorThreshold {
    counts: BTreeMap<u64, u64>,
    n: u64,
    cells: u64,
}

/// The most different counts kept; the largest are joined beyond, which only raises evidence
/// needed of a pod that is slow so often that the score says nothing.
const DISTINCT_MAX: usize = 4096;

impl IndicatorThreshold {
    /// The threshold; none before 12 cells.
    pub fn value(&self) -> Option<u64> {
        if self.cells < 12 {
            return None;
        }
        let wanted = 0.95 * self.n as f64;
        let mut seen = 0;
        for (&count, &times) in &self.counts {
            seen += times;
            if seen as f64 >= wanted {
                return Some(count + 1);
            }
        }
        None
    }

    /// Adds the counts of the baseline's pods in one cell.
    pub fn add(&mut self, counts: impl Iterator<Item = u64>) {
        self.cells += 1;
        for count in counts {
            let full = self.counts.len() >= DISTINCT_MAX && !self.counts.contains_key(&count);
            let key = if full {
                self.counts.keys().next_back().copied()
            } else {
                None
            };
            *self.counts.entry(key.unwrap_or(count)).or_insert(0) += 1;
            self.n += 1;
        }
    }
}
