//! Latency sketches as they arrive: exponential or explicit buckets, never re-binned.
//!
//! A [`Sketch`] is counts by bucket. Exponential ones reconcile by downscaling, which is exact;
//! explicit ones merge only when their bounds are the same. Memory is bounded: an exponential
//! sketch over [`MAX_BUCKETS`] is downscaled, an explicit one over it is refused.

use serde::{Deserialize, Serialize};

mod counts;
mod explicit;
mod exponential;
mod packed;
#[cfg(test)]
mod tests;

pub use explicit::Explicit;
pub use exponential::Exponential;
pub use packed::Packed;

/// The most buckets that one sketch may have.
pub const MAX_BUCKETS: usize = 2048;

/// Why a sketch was refused or two could not be merged.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SketchError {
    /// Explicit bounds that differ, which nothing can reconcile.
    #[error("the explicit bounds of the two histograms differ")]
    BoundsDiffer,
    /// One is exponential, the other explicit.
    #[error("one histogram is exponential, the other has explicit bounds")]
    KindsDiffer,
    /// Bounds that are not finite and increasing, or counts that do not fit them.
    #[error("{counts} counts do not fit {bounds} increasing, finite bounds")]
    Misfit {
        /// Number of bounds.
        bounds: usize,
        /// Number of counts.
        counts: usize,
    },
    /// A scale outside [-10, 20], as OpenTelemetry has it.
    #[error("scale {scale} is outside [-10, 20]")]
    Scale {
        /// The scale as given.
        scale: i32,
    },
    /// More buckets than [`MAX_BUCKETS`], or offsets that do not fit.
    #[error("{buckets} buckets are too many")]
    TooLarge {
        /// Number of buckets.
        buckets: usize,
    },
}

/// Latency of requests in seconds, counted by bucket.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub enum Sketch {
    /// No request yet; merges with either kind.
    #[default]
    Empty,
    /// Buckets between given bounds.
    Explicit(Explicit),
    /// Buckets that grow by a constant factor.
    Exponential(Exponential),
}

/// A quantile and the bucket it lies in, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuantileEstimate {
    /// Interpolated value; of the open bucket its lower bound.
    pub value: f64,
    /// Lower bound of the bucket.
    pub low: f64,
    /// Upper bound of the bucket, infinite for the open one.
    pub high: f64,
}

impl Sketch {
    /// Builds an exponential sketch: bucket `offset + i` holds `counts[i]` requests with a latency
    /// in (base^(offset+i), base^(offset+i+1)] seconds, base = 2^(2^-scale).
    ///
    /// # Errors
    /// When the scale is outside [-10, 20] or the offsets do not fit. Too many buckets are
    /// downscaled instead.
    pub fn exponential(
        scale: i32,
        zero_count: u64,
        offset: i32,
        counts: Vec<u64>,
    ) -> Result<Self, SketchError> {
        Exponential::new(scale, zero_count, offset, counts).map(Self::Exponential)
    }

    /// Builds a sketch of explicit buckets, `counts[i]` requests in (bounds[i-1], bounds[i]]
    /// seconds; the last bucket is open.
    ///
    /// # Errors
    /// When bounds are not finite and increasing, counts are not one more, or both are too many.
    pub fn explicit(bounds: Vec<f64>, counts: Vec<u64>) -> Result<Self, SketchError> {
        Explicit::new(bounds, counts).map(Self::Explicit)
    }

    /// Adds the counts of `other`. On an error this sketch is unchanged.
    ///
    /// # Errors
    /// When the two are of different kinds, or their explicit bounds differ.
    pub fn merge(&mut self, other: &Self) -> Result<(), SketchError> {
        match (&mut *self, other) {
            (_, Self::Empty) => Ok(()),
            (Self::Empty, _) => {
                *self = other.clone();
                Ok(())
            }
            (Self::Exponential(a), Self::Exponential(b)) => {
                a.merge(b);
                Ok(())
            }
            (Self::Explicit(a), Self::Explicit(b)) => a.merge(b),
            _ => Err(SketchError::KindsDiffer),
        }
    }

    /// Takes away the counts of a sketch that was merged into this one; no count goes below 0.
    pub fn subtract(&mut self, other: &Self) {
        match (self, other) {
            (Self::Exponential(a), Self::Exponential(b)) => a.subtract(b),
            (Self::Explicit(a), Self::Explicit(b)) => a.subtract(b),
            _ => {}
        }
    }

    /// Counts one request of `seconds`; an empty sketch becomes an exponential one of `scale`.
    pub fn add(&mut self, seconds: f64, scale: i32) {
        match self {
            Self::Empty => {
                let mut sketch = Exponential::empty(scale.clamp(-10, 20));
                sketch.add(seconds);
                *self = Self::Exponential(sketch);
            }
            Self::Exponential(sketch) => sketch.add(seconds),
            Self::Explicit(sketch) => sketch.add(seconds),
        }
    }

    /// Number of requests.
    pub fn total(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Exponential(sketch) => sketch.total(),
            Self::Explicit(sketch) => sketch.total(),
        }
    }

    /// Number of requests in buckets above the bucket `edge`. Explicit buckets are numbered from 0,
    /// so that `edge` is also the index of the bound.
    pub fn count_above(&self, edge: i32) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Exponential(sketch) => sketch.count_above(edge),
            Self::Explicit(sketch) => sketch.count_above(edge),
        }
    }

    /// The requests that certainly took longer than `seconds`, and the edge above which they were
    /// counted: the lowest one that is no less. None where all of an explicit histogram's bounds
    /// lie below.
    pub fn longer_than(&self, seconds: f64) -> Option<(u64, f64)> {
        match self {
            Self::Empty => Some((0, seconds)),
            Self::Exponential(sketch) => Some(sketch.longer_than(seconds)),
            Self::Explicit(sketch) => sketch.longer_than(seconds),
        }
    }

    /// The quantile `q` in [0, 1]; none of no request.
    pub fn quantile(&self, q: f64) -> Option<QuantileEstimate> {
        match self {
            Self::Empty => None,
            Self::Exponential(sketch) => sketch.quantile(q),
            Self::Explicit(sketch) => sketch.quantile(q),
        }
    }
}

/// Bounds are the same when they differ by less than this share: they are written in decimals.
const SAME: f64 = 1e-9;

/// Position of the quantile among counts that make `total` with those below them: the index of its
/// bucket, and the share of that bucket that lies below it; none where it is below them all.
fn locate(counts: &[u64], total: u64, q: f64) -> Option<(usize, f64)> {
    let rank = q.clamp(0.0, 1.0) * total as f64;
    let mut below = total;
    // Most quantiles are near the upper end.
    for (i, &count) in counts.iter().enumerate().rev() {
        if count == 0 {
            continue;
        }
        let before = below.saturating_sub(count);
        if (before as f64) < rank || before == 0 {
            return Some((i, ((rank - before as f64) / count as f64).clamp(0.0, 1.0)));
        }
        below = before;
    }
    None
}
