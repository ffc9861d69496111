//! Classic histograms: samples with one `le` each into one point with counts per bucket.
//!
//! * Buckets are cumulative on the page and are not in OTLP: each count is the difference to the
//!   bucket below. The `+Inf` bound is left out, its count stays: N bounds, N + 1 counts.
//! * Without `_count` the histogram is dropped; without `_sum` the sum is unset.
//! * Without a `+Inf` bucket `_count` gives the total. Where the two disagree, the bucket counts,
//!   since OTLP's counts must add up, and the mismatch is counted.
//! * Unsorted buckets are sorted; decreasing ones say nothing true and drop the histogram.

use std::borrow::Cow;

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Histogram, HistogramDataPoint,
};

use super::metric::Draft;
use super::{exemplar, native, number};
use crate::exposition::{Family, Native, Page, Role, Sample};

/// Translates a family of classic histograms.
pub(crate) fn translate<'p>(draft: &mut Draft<'p>, family: &Family<'_>, samples: &'p [Sample]) {
    let page = draft.page;
    let runs = points(page, samples);
    let mut classic = Vec::with_capacity(runs.len());
    for run in runs {
        let native = run
            .first
            .and_then(|first| Some((first, page.native(first)?)));
        let is_classic = native.is_none_or(|(first, native)| {
            !send_native(draft, family, first, native) && native.has_classic
        });
        if is_classic {
            classic.push(run);
        }
    }
    draft.next_metric();
    for run in classic {
        let Some(first) = run.first else {
            continue;
        };
        let Some(mut point) = point(draft, &run.samples) else {
            continue;
        };
        let head = draft.head(first);
        point.attributes = head.attributes;
        if let Some(Data::Histogram(data)) = draft.data(head.scope, family, "", empty) {
            data.data_points.push(point);
        }
    }
}

/// Returns whether the native histogram could be sent.
fn send_native<'p>(
    draft: &mut Draft<'p>,
    family: &Family<'_>,
    first: &'p Sample,
    native: &Native<'_>,
) -> bool {
    let mut point = match native::point(draft.page, native, draft.at, &mut draft.native_buckets) {
        Ok(point) => point,
        Err(unfit) => {
            native::note(draft, unfit);
            return false;
        }
    };
    let head = draft.head(first);
    point.attributes = head.attributes;
    let data = draft.data(head.scope, family, "", native::empty);
    if let Some(Data::ExponentialHistogram(data)) = data {
        data.data_points.push(point);
    }
    true
}

fn empty() -> Data {
    Data::Histogram(Histogram {
        data_points: Vec::new(),
        aggregation_temporality: AggregationTemporality::Cumulative as i32,
    })
}

/// The samples of one point.
pub(crate) struct Run<'p> {
    /// The first of them, for labels and time.
    pub(crate) first: Option<&'p Sample>,
    /// All of them.
    pub(crate) samples: Cow<'p, [Sample]>,
}

/// Returns the samples of each point: those of equal labels, `le` and `quantile` aside.
/// On an orderly page they stand together; on any other they are brought together.
pub(crate) fn points<'p>(page: &'p Page<'p>, samples: &'p [Sample]) -> Vec<Run<'p>> {
    let runs: Vec<&[Sample]> = page.runs(samples).collect();
    let key = |index: &usize| {
        let first = runs.get(*index).and_then(|run| run.first());
        first.map(|sample| (page.labels(sample), sample.time_unix_nano))
    };
    let mut order: Vec<usize> = (0..runs.len()).collect();
    order.sort_by(|a, b| key(a).cmp(&key(b)).then(a.cmp(b)));
    let mut groups: Vec<&[usize]> = order.chunk_by(|a, b| key(a) == key(b)).collect();
    groups.sort_by_key(|group| group.first().copied());
    let gather = |group: &[usize]| {
        let mut parts = group.iter().filter_map(|index| runs.get(*index).copied());
        let head = parts.next().unwrap_or_default();
        let samples = match group.len() {
            0 | 1 => Cow::Borrowed(head),
            _ => Cow::Owned([head].into_iter().chain(parts).flatten().cloned().collect()),
        };
        Run {
            first: head.first(),
            samples,
        }
    };
    groups.into_iter().map(gather).collect()
}

/// Returns a count as OTLP holds it.
#[inline]
pub(crate) fn whole(value: f64) -> Option<u64> {
    const EXACT_MAX: f64 = (1u64 << 53) as f64;
    // Nearly all are whole already, and small.
    let count = value as u64;
    if count as f64 == value && value < EXACT_MAX {
        return Some(count);
    }
    // 2^64 is the first value beyond; fractions appear where counts were averaged, and are rounded.
    (0.0..18_446_744_073_709_551_616.0)
        .contains(&value)
        .then(|| value.round() as u64)
}

fn point(draft: &mut Draft<'_>, samples: &[Sample]) -> Option<HistogramDataPoint> {
    let value = |role| samples.iter().find(|s| s.role == role).map(|s| s.value);
    let Some(count) = value(Role::Count) else {
        draft.notes.without_count += 1;
        return None;
    };
    let Some(buckets) = Buckets::of(samples, count) else {
        draft.notes.bad_counts += 1;
        return None;
    };
    let Some(bucket_counts) = buckets.differences() else {
        draft.notes.decreasing_histograms += 1;
        return None;
    };
    draft.notes.count_mismatches += u64::from(buckets.mismatch);
    let first = samples.first()?;
    let time_unix_nano = draft.time(first);
    let page = draft.page;
    let exemplars = samples
        .iter()
        .filter_map(|s| exemplar::of_sample(page, s, time_unix_nano));
    Some(HistogramDataPoint {
        attributes: Vec::new(),
        start_time_unix_nano: value(Role::Created).map_or(0, number::start),
        time_unix_nano,
        count: buckets.total,
        sum: value(Role::Sum),
        bucket_counts,
        explicit_bounds: buckets.cumulative.iter().map(|(bound, _)| *bound).collect(),
        exemplars: exemplars.collect(),
        flags: 0,
        min: None,
        max: None,
    })
}

struct Buckets {
    /// Finite bounds with cumulative counts, sorted.
    cumulative: Vec<(f64, u64)>,
    total: u64,
    mismatch: bool,
}

impl Buckets {
    fn of(samples: &[Sample], count: f64) -> Option<Self> {
        let count = whole(count);
        let mut cumulative = Vec::with_capacity(samples.len());
        let mut infinite = None;
        for bucket in samples.iter().filter(|sample| sample.role == Role::Bucket) {
            let value = whole(bucket.value)?;
            if bucket.bound == f64::INFINITY {
                infinite = Some(value);
            } else if bucket.bound.is_nan() {
                return None;
            } else {
                cumulative.push((bucket.bound, value));
            }
        }
        cumulative.sort_by(|a, b| a.0.total_cmp(&b.0));
        let total = infinite.or(count)?;
        Some(Self {
            cumulative,
            total,
            mismatch: count != Some(total),
        })
    }

    /// Returns the counts between the bounds, or `None` when a bucket holds less than one below it.
    fn differences(&self) -> Option<Vec<u64>> {
        let mut below = 0;
        let counts = self
            .cumulative
            .iter()
            .map(|(_, count)| *count)
            .chain([self.total]);
        counts
            .map(|count| {
                let difference = count.checked_sub(below)?;
                below = count;
                Some(difference)
            })
            .collect()
    }
}
