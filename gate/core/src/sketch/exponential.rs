//! Buckets that grow by a constant factor: OpenTelemetry's exponential histogram, positive range.
//!
//! Source: OpenTelemetry metrics data model, "ExponentialHistogram": base 2^(2^-scale), bucket i is
//! (base^i, base^(i+1)]; one step down in scale joins buckets 2i and 2i+1 exactly.

use serde::{Deserialize, Serialize};

use super::{MAX_BUCKETS, QuantileEstimate, SAME, SketchError, counts, locate};

/// Widest bucket index kept, so that shifting one never overflows.
const MAX_INDEX: i64 = 1 << 30;
/// Doublings between 1 s and the furthest latency that is kept, to either side: a float's range is
/// 2^-1074 to 2^1024. Sketches that keep to it fit each other at scale -1, whatever they hold.
const MAX_DOUBLINGS: i64 = 1200;

/// Counts by exponential bucket.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Exponential {
    scale: i32,
    zero_count: u64,
    offset: i32,
    pub(super) counts: Vec<u64>,
}

impl Exponential {
    pub(super) fn empty(scale: i32) -> Self {
        Self {
            scale,
            zero_count: 0,
            offset: 0,
            counts: Vec::new(),
        }
    }

    pub(super) fn new(
        scale: i32,
        zero_count: u64,
        offset: i32,
        counts: Vec<u64>,
    ) -> Result<Self, SketchError> {
        if !(-10..=20).contains(&scale) {
            return Err(SketchError::Scale { scale });
        }
        let last = i64::from(offset) + counts.len() as i64;
        let furthest = furthest(scale);
        if i64::from(offset) < -furthest || last > furthest {
            return Err(SketchError::TooLarge {
                buckets: counts.len(),
            });
        }
        let mut sketch = Self {
            scale,
            zero_count,
            offset,
            counts,
        };
        sketch.trim();
        while sketch.counts.len() > MAX_BUCKETS {
            sketch.downscale(sketch.scale - 1);
        }
        Ok(sketch)
    }

    /// The scale: 2^scale buckets double the latency.
    pub fn scale(&self) -> i32 {
        self.scale
    }

    /// Requests at zero latency.
    pub fn zero_count(&self) -> u64 {
        self.zero_count
    }

    /// Index of the first bucket.
    pub fn offset(&self) -> i32 {
        self.offset
    }

    /// Counts from the first bucket on.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Joins buckets until the scale is at most `scale`. Exact.
    pub fn downscale(&mut self, scale: i32) {
        if scale >= self.scale {
            return;
        }
        let shift = (self.scale - scale).min(31) as u32;
        let first = self.offset >> shift;
        let mut joined: Vec<u64> = Vec::new();
        for (i, &count) in self.counts.iter().enumerate() {
            let to = ((self.offset + i as i32) >> shift) - first;
            let to = to as usize;
            if to >= joined.len() {
                joined.resize(to + 1, 0);
            }
            if let Some(cell) = joined.get_mut(to) {
                *cell = cell.saturating_add(count);
            }
        }
        (self.scale, self.offset, self.counts) = (scale, first, joined);
    }

    pub(super) fn total(&self) -> u64 {
        counts::sum(&self.counts).saturating_add(self.zero_count)
    }

    pub(super) fn count_above(&self, edge: i32) -> u64 {
        let skip = (i64::from(edge) + 1 - i64::from(self.offset)).max(0) as usize;
        self.counts
            .iter()
            .skip(skip)
            .fold(0, |sum: u64, &n| sum.saturating_add(n))
    }

    pub(super) fn longer_than(&self, seconds: f64) -> (u64, f64) {
        let position = libm::ldexp(libm::log2(seconds * (1.0 - SAME)), self.scale);
        let index = libm::ceil(position).clamp(-MAX_INDEX as f64, MAX_INDEX as f64);
        (self.count_above(index as i32 - 1), self.edge(index))
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.downscale(other.scale);
        self.zero_count = self.zero_count.saturating_add(other.zero_count);
        let shift = other.steps_above(self);
        let last = other.offset + other.counts.len() as i32 - 1;
        if !other.counts.is_empty() && self.cover(other.offset >> shift, last >> shift) {
            if shift == 0 {
                let from = (other.offset - self.offset) as usize;
                counts::add(
                    self.counts.get_mut(from..).unwrap_or_default(),
                    &other.counts,
                );
                return;
            }
            let places = other.places_in(self);
            for (at, &count) in places.zip(&other.counts) {
                if let Some(cell) = self.counts.get_mut(at) {
                    *cell = cell.saturating_add(count);
                }
            }
            return;
        }
        for (i, &count) in other.counts.iter().enumerate() {
            if count > 0 {
                // The bucket may have moved: making room may have downscaled this sketch.
                let index = (other.offset + i as i32) >> other.steps_above(self);
                self.count(index, count);
            }
        }
    }

    /// Takes away what was merged: this sketch covers it, at its scale or a coarser one.
    pub(super) fn subtract(&mut self, other: &Self) {
        self.zero_count = self.zero_count.saturating_sub(other.zero_count);
        let from = usize::try_from(i64::from(other.offset) - i64::from(self.offset));
        let same = from.ok().filter(|_| other.steps_above(self) == 0);
        if let Some(sums) = same.and_then(|from| self.counts.get_mut(from..)) {
            counts::subtract(sums, &other.counts);
        } else {
            let places = other.places_in(self);
            for (at, &count) in places.zip(&other.counts) {
                if let Some(cell) = self.counts.get_mut(at) {
                    *cell = cell.saturating_sub(count);
                }
            }
        }
        if self.counts.len() > MAX_BUCKETS / 2 {
            self.trim();
        }
    }

    /// Steps in scale down to `coarse`.
    fn steps_above(&self, coarse: &Self) -> i32 {
        (self.scale - coarse.scale).clamp(0, 31)
    }

    /// Where each bucket lies among the counts of `coarse`.
    fn places_in(&self, coarse: &Self) -> impl Iterator<Item = usize> + use<> {
        let (offset, first, shift) = (self.offset, coarse.offset, self.steps_above(coarse));
        // Below the first bucket it lies far above the last, which is none either.
        (offset..).map(move |index| ((index >> shift) - first) as usize)
    }

    /// Makes room for buckets `first` to `last`; false where they are too many.
    fn cover(&mut self, first: i32, last: i32) -> bool {
        if self.counts.is_empty() {
            self.offset = first;
        }
        let end = i64::from(self.offset) + self.counts.len() as i64;
        let end = end.max(i64::from(last) + 1);
        let offset = self.offset.min(first);
        if end - i64::from(offset) > MAX_BUCKETS as i64 {
            return false;
        }
        let grow = (self.offset - offset) as usize;
        let len = (end - i64::from(offset)) as usize;
        self.counts.reserve_exact(len - self.counts.len());
        self.counts.splice(0..0, std::iter::repeat_n(0, grow));
        self.counts.resize(len, 0);
        self.offset = offset;
        true
    }

    pub(super) fn add(&mut self, seconds: f64) {
        if seconds.is_nan() || seconds <= 0.0 {
            self.zero_count = self.zero_count.saturating_add(1);
            return;
        }
        let position = libm::ldexp(libm::log2(seconds), self.scale);
        let furthest = furthest(self.scale) as f64;
        let index = (libm::ceil(position) - 1.0).clamp(-furthest, furthest - 1.0);
        self.count(index as i32, 1);
    }

    pub(super) fn quantile(&self, q: f64) -> Option<QuantileEstimate> {
        let total = self.total();
        if total == 0 {
            return None;
        }
        let Some((bucket, share)) = locate(&self.counts, total, q) else {
            return Some(QuantileEstimate {
                value: 0.0,
                low: 0.0,
                high: 0.0,
            });
        };
        let index = f64::from(self.offset) + bucket as f64;
        Some(QuantileEstimate {
            value: self.edge(index + share),
            low: self.edge(index),
            high: self.edge(index + 1.0),
        })
    }

    /// base^index seconds.
    fn edge(&self, index: f64) -> f64 {
        libm::exp2(libm::ldexp(index, -self.scale))
    }

    /// Adds to bucket `index` of this scale, downscaling when the range grows too wide.
    fn count(&mut self, index: i32, count: u64) {
        let mut index = index;
        if self.counts.is_empty() {
            self.offset = index;
        }
        loop {
            let first = i64::from(self.offset.min(index));
            let end = (i64::from(self.offset) + self.counts.len() as i64).max(i64::from(index) + 1);
            if end - first <= MAX_BUCKETS as i64 {
                break;
            }
            self.downscale(self.scale - 1);
            index >>= 1;
        }
        if index < self.offset {
            let grow = (self.offset - index) as usize;
            self.counts.splice(0..0, std::iter::repeat_n(0, grow));
            self.offset = index;
        }
        let at = (index - self.offset) as usize;
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0);
        }
        if let Some(cell) = self.counts.get_mut(at) {
            *cell = cell.saturating_add(count);
        }
    }

    /// Drops empty buckets at both ends, so that a sparse sender costs nothing.
    fn trim(&mut self) {
        let filled = self
            .counts
            .iter()
            .rposition(|&n| n > 0)
            .map_or(0, |last| last + 1);
        self.counts.truncate(filled);
        let empty = self.counts.iter().position(|&n| n > 0).unwrap_or(0);
        self.counts.drain(..empty);
        self.offset += empty as i32;
    }
}

/// The furthest index at that scale, to either side.
fn furthest(scale: i32) -> i64 {
    let index = match scale {
        0.. => MAX_DOUBLINGS << scale.min(20),
        _ => (MAX_DOUBLINGS >> -scale.max(-10)) + 1,
    };
    index.min(MAX_INDEX)
}
