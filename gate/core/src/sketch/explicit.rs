//! Buckets between bounds that the application chose, the last one open.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{MAX_BUCKETS, QuantileEstimate, SAME, SketchError, locate};

/// Counts by explicit bucket.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Explicit {
    bounds: Arc<[f64]>,
    counts: Vec<u64>,
}

impl Explicit {
    pub(super) fn new(bounds: Vec<f64>, counts: Vec<u64>) -> Result<Self, SketchError> {
        let increasing = bounds.iter().zip(bounds.iter().skip(1)).all(|(a, b)| a < b);
        if counts.len() > MAX_BUCKETS {
            return Err(SketchError::TooLarge {
                buckets: counts.len(),
            });
        }
        if !increasing || !bounds.iter().all(|b| b.is_finite()) || counts.len() != bounds.len() + 1
        {
            return Err(SketchError::Misfit {
                bounds: bounds.len(),
                counts: counts.len(),
            });
        }
        Ok(Self {
            bounds: bounds.into(),
            counts,
        })
    }

    /// Upper bounds of all but the last bucket, in seconds.
    pub fn bounds(&self) -> &[f64] {
        &self.bounds
    }

    /// Counts by bucket, one more than bounds.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    pub(super) fn total(&self) -> u64 {
        self.counts.iter().fold(0, |sum, &n| sum.saturating_add(n))
    }

    pub(super) fn count_above(&self, edge: i32) -> u64 {
        let skip = (i64::from(edge) + 1).max(0) as usize;
        self.counts
            .iter()
            .skip(skip)
            .fold(0, |sum: u64, &n| sum.saturating_add(n))
    }

    pub(super) fn longer_than(&self, seconds: f64) -> Option<(u64, f64)> {
        let lowest = seconds * (1.0 - SAME);
        let edge = self.bounds.partition_point(|&bound| bound < lowest);
        let bound = *self.bounds.get(edge)?;
        Some((self.count_above(i32::try_from(edge).ok()?), bound))
    }

    pub(super) fn merge(&mut self, other: &Self) -> Result<(), SketchError> {
        if self.bounds != other.bounds {
            return Err(SketchError::BoundsDiffer);
        }
        for (to, from) in self.counts.iter_mut().zip(&other.counts) {
            *to = to.saturating_add(*from);
        }
        Ok(())
    }

    pub(super) fn subtract(&mut self, other: &Self) {
        for (from, counts) in self.counts.iter_mut().zip(&other.counts) {
            *from = from.saturating_sub(*counts);
        }
    }

    pub(super) fn add(&mut self, seconds: f64) {
        let bucket = self.bounds.partition_point(|&bound| bound < seconds);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count = count.saturating_add(1);
        }
    }

    pub(super) fn quantile(&self, q: f64) -> Option<QuantileEstimate> {
        let (bucket, share) = locate(&self.counts, self.total(), q)?;
        let low = bucket
            .checked_sub(1)
            .and_then(|i| self.bounds.get(i))
            .copied()
            .unwrap_or(0.0);
        let Some(&high) = self.bounds.get(bucket) else {
            return Some(QuantileEstimate {
                value: low,
                low,
                high: f64::INFINITY,
            });
        };
        Some(QuantileEstimate {
            // Rounding may lead past the bound.
            value: (low + share * (high - low)).min(high),
            low,
            high,
        })
    }
}
