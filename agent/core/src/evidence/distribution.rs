//! Latency distributions of one point: explicit bounds or exponential buckets, never re-binned.
//!
//! Merging exponential buckets of different scales goes to the coarser one, which loses nothing
//! that the coarser had: bucket `i` covers `(base^i, base^(i+1)]`, `base = 2^(2^-scale)`, so scale
//! `s − k` has bucket `i >> k` (OpenTelemetry, *Metrics Data Model*, "Exponential Scale").

use opentelemetry_proto::tonic::metrics::v1::{ExponentialHistogramDataPoint, HistogramDataPoint};

use super::Refusal;

/// Most buckets of a distribution.
const BUCKETS_MAX: usize = davy_proto::limits::BUCKETS_MAX;
/// Scales of OTLP's exponential histograms.
const SCALES: std::ops::RangeInclusive<i32> = -10..=20;

/// A latency distribution.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Distribution {
    /// Counts between explicit bounds; one more count than bounds, the last is open.
    Explicit(Explicit),
    /// Exponential buckets.
    Exponential(Exponential),
}

/// Counts between explicit bounds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Explicit {
    pub(super) bounds: Vec<f64>,
    pub(super) counts: Vec<u64>,
    pub(super) sum: Option<f64>,
}

/// Exponential buckets of positive values.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Exponential {
    pub(super) scale: i32,
    pub(super) zero_count: u64,
    pub(super) zero_threshold: f64,
    pub(super) offset: i32,
    pub(super) counts: Vec<u64>,
    pub(super) sum: Option<f64>,
}

impl Distribution {
    /// Reads a point with explicit bounds; `factor` turns its unit into seconds.
    pub(super) fn explicit(point: &HistogramDataPoint, factor: f64) -> Result<Self, Refusal> {
        let bounds: Vec<f64> = point.explicit_bounds.iter().map(|b| b * factor).collect();
        let counts = if point.bucket_counts.is_empty() && bounds.is_empty() {
            vec![point.count]
        } else {
            point.bucket_counts.clone()
        };
        let rising = bounds
            .iter()
            .zip(bounds.iter().skip(1))
            .all(|(low, high)| low < high);
        let finite = bounds.iter().all(|bound| bound.is_finite());
        if !rising || !finite || counts.len() != bounds.len() + 1 || counts.len() > BUCKETS_MAX {
            return Err(Refusal::Buckets);
        }
        let sum = point
            .sum
            .filter(|sum| sum.is_finite())
            .map(|sum| sum * factor);
        Ok(Self::Explicit(Explicit {
            bounds,
            counts,
            sum,
        }))
    }

    /// Reads a point with exponential buckets; `factor` turns its unit into seconds. A factor other
    /// than 1 shifts by whole buckets, so values are off by at most half a bucket, alike in all
    /// arms.
    pub(super) fn exponential(
        point: &ExponentialHistogramDataPoint,
        factor: f64,
    ) -> Result<Self, Refusal> {
        let negative = point.negative.as_ref();
        let negative = negative.is_some_and(|b| b.bucket_counts.iter().any(|count| *count > 0));
        let (offset, counts) = match &point.positive {
            Some(buckets) => (buckets.offset, buckets.bucket_counts.clone()),
            None => (0, Vec::new()),
        };
        let reach = i64::from(offset).unsigned_abs() + counts.len() as u64;
        let sane = SCALES.contains(&point.scale) && counts.len() <= BUCKETS_MAX;
        if negative || !sane || reach > (1 << 30) {
            return Err(Refusal::Buckets);
        }
        let shift = (factor.log2() * 2_f64.powi(point.scale)).round();
        let mut read = Exponential {
            scale: point.scale,
            zero_count: point.zero_count,
            zero_threshold: point.zero_threshold.max(0.0) * factor,
            offset: offset.saturating_add(shift as i32),
            counts,
            sum: point
                .sum
                .filter(|sum| sum.is_finite())
                .map(|sum| sum * factor),
        };
        read.trim();
        Ok(Self::Exponential(read))
    }

    /// All values counted.
    pub(super) fn count(&self) -> u64 {
        let sum = |counts: &[u64]| {
            counts
                .iter()
                .fold(0_u64, |sum, count| sum.saturating_add(*count))
        };
        match self {
            Self::Explicit(explicit) => sum(&explicit.counts),
            Self::Exponential(buckets) => sum(&buckets.counts).saturating_add(buckets.zero_count),
        }
    }

    /// The same shape with nothing counted.
    pub(super) fn emptied(&self) -> Self {
        match self {
            Self::Explicit(explicit) => Self::Explicit(Explicit {
                bounds: explicit.bounds.clone(),
                counts: vec![0; explicit.counts.len()],
                sum: Some(0.0),
            }),
            Self::Exponential(buckets) => Self::Exponential(Exponential {
                zero_count: 0,
                counts: Vec::new(),
                offset: 0,
                sum: Some(0.0),
                ..buckets.clone()
            }),
        }
    }

    /// What came since `earlier`; none when this is not a continuation of it: a reset.
    pub(super) fn since(&self, earlier: &Self) -> Option<Self> {
        match (self, earlier) {
            (Self::Explicit(now), Self::Explicit(then)) => now.since(then).map(Self::Explicit),
            (Self::Exponential(now), Self::Exponential(then)) => {
                now.since(then).map(Self::Exponential)
            }
            _ => None,
        }
    }

    /// Adds another distribution.
    pub(super) fn add(&mut self, other: &Self) -> Result<(), Refusal> {
        match (self, other) {
            (Self::Explicit(into), Self::Explicit(from)) => into.add(from),
            (Self::Exponential(into), Self::Exponential(from)) => {
                into.add(from);
                Ok(())
            }
            _ => Err(Refusal::MixedBounds),
        }
    }
}

impl Explicit {
    fn since(&self, earlier: &Self) -> Option<Self> {
        if self.bounds != earlier.bounds {
            return None;
        }
        let pairs = self.counts.iter().zip(&earlier.counts);
        let counts = pairs
            .map(|(now, then)| now.checked_sub(*then))
            .collect::<Option<_>>()?;
        let sum = difference(self.sum, earlier.sum);
        Some(Self {
            bounds: self.bounds.clone(),
            counts,
            sum,
        })
    }

    fn add(&mut self, other: &Self) -> Result<(), Refusal> {
        if self.bounds != other.bounds {
            return Err(Refusal::MixedBounds);
        }
        for (into, from) in self.counts.iter_mut().zip(&other.counts) {
            *into = into.saturating_add(*from);
        }
        self.sum = self.sum.zip(other.sum).map(|(a, b)| a + b);
        Ok(())
    }
}

impl Exponential {
    /// No values, at this scale.
    pub(super) fn empty(scale: i32) -> Self {
        let (zero_count, zero_threshold, offset) = (0, 0.0, 0);
        Self {
            scale,
            zero_count,
            zero_threshold,
            offset,
            counts: Vec::new(),
            sum: Some(0.0),
        }
    }

    fn since(&self, earlier: &Self) -> Option<Self> {
        if earlier.scale < self.scale || earlier.zero_threshold > self.zero_threshold {
            return None;
        }
        let mut then = earlier.clone();
        then.coarsen(self.scale);
        then.widen_zero(self.zero_threshold);
        let mut delta = self.clone();
        for (at, count) in then
            .counts
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
        {
            let index = i64::from(then.offset) + at as i64 - i64::from(self.offset);
            let slot = delta.counts.get_mut(usize::try_from(index).ok()?)?;
            *slot = slot.checked_sub(*count)?;
        }
        delta.zero_count = delta.zero_count.checked_sub(then.zero_count)?;
        delta.sum = difference(self.sum, earlier.sum);
        delta.trim();
        Some(delta)
    }

    fn add(&mut self, other: &Self) {
        let mut other = other.clone();
        let zero_threshold = self.zero_threshold.max(other.zero_threshold);
        let scale = self.scale.min(other.scale);
        self.coarsen(scale);
        other.coarsen(scale);
        self.widen_zero(zero_threshold);
        other.widen_zero(zero_threshold);
        while self.reach(&other) > BUCKETS_MAX as i64 {
            let coarser = self.scale - 1;
            self.coarsen(coarser);
            other.coarsen(coarser);
        }
        self.zero_count = self.zero_count.saturating_add(other.zero_count);
        self.sum = self.sum.zip(other.sum).map(|(a, b)| a + b);
        for (at, count) in other
            .counts
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
        {
            self.record(
                other
                    .offset
                    .saturating_add(i32::try_from(at).unwrap_or(i32::MAX)),
                *count,
            );
        }
    }

    /// Buckets needed to hold both.
    fn reach(&self, other: &Self) -> i64 {
        let end = |e: &Self| i64::from(e.offset) + e.counts.len() as i64;
        match (self.counts.is_empty(), other.counts.is_empty()) {
            (true, _) => other.counts.len() as i64,
            (_, true) => self.counts.len() as i64,
            _ => end(self).max(end(other)) - i64::from(self.offset.min(other.offset)),
        }
    }

    /// Counts values in bucket `index`; the caller keeps the reach within bounds.
    pub(super) fn record(&mut self, index: i32, count: u64) {
        if self.counts.is_empty() {
            self.offset = index;
        }
        let before = i64::from(self.offset) - i64::from(index);
        if let Ok(missing @ 1..) = usize::try_from(before) {
            self.counts.splice(0..0, std::iter::repeat_n(0, missing));
            self.offset = index;
        }
        let at = usize::try_from(i64::from(index) - i64::from(self.offset)).unwrap_or(0);
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0);
        }
        if let Some(slot) = self.counts.get_mut(at) {
            *slot = slot.saturating_add(count);
        }
    }

    fn coarsen(&mut self, scale: i32) {
        let by = u32::try_from(self.scale - scale).unwrap_or(0).min(31);
        if by == 0 {
            return;
        }
        let counts = std::mem::take(&mut self.counts);
        let offset = self.offset;
        self.scale = scale;
        for (at, count) in counts
            .into_iter()
            .enumerate()
            .filter(|(_, count)| *count > 0)
        {
            let index = offset.saturating_add(i32::try_from(at).unwrap_or(i32::MAX));
            self.record(index >> by, count);
        }
    }

    /// Moves buckets that end at or below the threshold into the zero bucket.
    fn widen_zero(&mut self, threshold: f64) {
        if threshold <= self.zero_threshold {
            return;
        }
        self.zero_threshold = threshold;
        let width = 2_f64.powi(-self.scale);
        for (at, count) in self.counts.iter_mut().enumerate() {
            let upper = ((f64::from(self.offset) + at as f64 + 1.0) * width).exp2();
            if upper <= threshold * (1.0 + 1e-9) {
                self.zero_count = self.zero_count.saturating_add(std::mem::take(count));
            }
        }
        self.trim();
    }

    /// Drops empty buckets at both ends.
    fn trim(&mut self) {
        let last = self.counts.iter().rposition(|count| *count > 0);
        self.counts.truncate(last.map_or(0, |last| last + 1));
        let first = self.counts.iter().position(|count| *count > 0).unwrap_or(0);
        self.counts.drain(..first);
        self.offset = self
            .offset
            .saturating_add(i32::try_from(first).unwrap_or(i32::MAX));
    }
}

fn difference(now: Option<f64>, then: Option<f64>) -> Option<f64> {
    now.zip(then).map(|(now, then)| (now - then).max(0.0))
}

#[cfg(test)]
mod tests;
