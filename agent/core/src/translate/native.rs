//! Native histograms into exponential ones.
//!
//! * Scale is the schema, −4 to 8. A bucket of Prometheus ends at its bound and is numbered by it,
//!   one of OTLP is numbered by where it begins: the offset is the first span's less one.
//! * Gaps between spans are filled with zeros, up to [`BUCKETS_MAX`] a side and
//!   [`PAGE_BUCKETS_MAX`] a page; where they are longer, the scale is lowered until they fit, which
//!   merges neighbours and loses no observation.
//! * Buckets beyond the largest number, and NaN, are in no bucket of OTLP and not in its count.
//! * Floats, gauges and other schemas have no form in OTLP and are left out, counted. So are custom
//!   bounds (−53): this format has no field for them.
//!
//! Where a point has native and classic buckets, the native ones are sent, under the same name, as
//! Prometheus does unless told otherwise; where they are left out and there are classic ones with
//! finite bounds, these are sent.

use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, ExponentialHistogram, ExponentialHistogramDataPoint,
};

use super::exemplar;
use super::metric::Draft;
use crate::exposition::{self, Native, Page};
use crate::series::NO_RECORDED_VALUE;

/// Most buckets of a side, positive or negative.
pub(crate) const BUCKETS_MAX: usize = 4096;

/// Most buckets of a page that gaps may be filled to: 16 MiB. Forty bytes on the wire can ask for
/// 8,192 buckets, so a page of 16 MiB for gigabytes.
pub(crate) const PAGE_BUCKETS_MAX: usize = 2 << 20;

/// Buckets of a page up to which no gap was refused: another point of any size still had room.
pub(crate) const PAGE_BUCKETS_ROOM: usize = PAGE_BUCKETS_MAX - 2 * BUCKETS_MAX;

/// Buckets of a side that always fit; beyond [`PAGE_BUCKETS_MAX`], or twice as many as hold
/// something.
const SIDE_BUCKETS_MIN: usize = 32;

/// Prometheus's NaN for "no more values", which is told by its bits.
const STALE_NAN: u64 = 0x7ff0_0000_0000_0002;

/// Why a native histogram is left out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Unfit {
    /// Its buckets do not add up.
    Malformed,
    /// It is of floats, or of a schema that OTLP has not.
    Unsupported,
}

/// Translates a native histogram. `at` is the scrape's time, Unix nanoseconds; `filled` counts the
/// page's buckets.
pub(crate) fn point(
    page: &Page<'_>,
    native: &Native<'_>,
    at: u64,
    filled: &mut usize,
) -> Result<ExponentialHistogramDataPoint, Unfit> {
    if native.is_float || !(-4..=8).contains(&native.schema) {
        return Err(Unfit::Unsupported);
    }
    let time_unix_nano = native.time_unix_nano.unwrap_or(at);
    let extents =
        [native.positive(), native.negative()].map(|side| Extent::of(side, native.schema));
    let [positive, negative] = extents;
    let (positive, negative) = (positive?, negative?);
    let has_room = *filled <= PAGE_BUCKETS_ROOM;
    let lowered = positive.lowered(has_room).max(negative.lowered(has_room));
    *filled += positive.length(lowered) + negative.length(lowered);
    let in_buckets = positive.count.checked_add(negative.count);
    let count = in_buckets.and_then(|count| count.checked_add(native.zero_count));
    let exemplars = page.native_exemplars(native).iter();
    let is_stale = native.sum.to_bits() == STALE_NAN;
    Ok(ExponentialHistogramDataPoint {
        attributes: Vec::new(),
        start_time_unix_nano: native.start_unix_nano,
        time_unix_nano,
        count: count.ok_or(Unfit::Malformed)?,
        sum: (!is_stale).then_some(native.sum),
        scale: native.schema - lowered as i32,
        zero_count: native.zero_count,
        positive: positive.filled(native.positive(), lowered),
        negative: negative.filled(native.negative(), lowered),
        flags: if is_stale { NO_RECORDED_VALUE } else { 0 },
        exemplars: exemplars
            .map(|source| exemplar::of(page, source, time_unix_nano))
            .collect(),
        min: None,
        max: None,
        zero_threshold: native.zero_threshold,
    })
}

/// Returns a metric's data without points.
pub(crate) fn empty() -> Data {
    Data::ExponentialHistogram(ExponentialHistogram {
        data_points: Vec::new(),
        aggregation_temporality: AggregationTemporality::Cumulative as i32,
    })
}

/// Counts a native histogram that is left out.
pub(crate) fn note(draft: &mut Draft<'_>, unfit: Unfit) {
    let counter = match unfit {
        Unfit::Malformed => &mut draft.notes.bad_natives,
        Unfit::Unsupported => &mut draft.notes.unsupported_natives,
    };
    *counter += 1;
}

/// Where the buckets of a side lie, numbered as in OTLP, and what they hold.
#[derive(Clone, Copy, Debug)]
struct Extent {
    /// First and last; `None` without any.
    range: Option<(i64, i64)>,
    /// Last bucket that holds a finite number.
    last_finite: i64,
    count: u64,
    /// How many buckets there are without the gaps.
    buckets: usize,
}

impl Extent {
    fn of(buckets: exposition::Buckets<'_>, schema: i32) -> Result<Self, Unfit> {
        // Finite numbers lie between 2^-1074 and 2^1024; each doubling has 2^schema buckets.
        let (first_finite, last_finite) = (scaled(-1075, schema), scaled(1024, schema) - 1);
        let mut extent = Self {
            range: None,
            last_finite,
            count: 0,
            buckets: 0,
        };
        for bucket in buckets {
            let (index, count) = bucket.map_err(|_| Unfit::Malformed)?;
            let index = index - 1;
            if index > last_finite {
                continue;
            }
            if index < first_finite {
                return Err(Unfit::Malformed);
            }
            let (first, _) = extent.range.unwrap_or((index, index));
            extent.range = Some((first, index));
            extent.buckets += 1;
            let sum = extent.count.checked_add(count);
            extent.count = sum.ok_or(Unfit::Malformed)?;
        }
        Ok(extent)
    }

    /// Returns by how much the scale must be lowered for the buckets to fit.
    fn lowered(&self, has_room: bool) -> u32 {
        let Some((first, last)) = self.range else {
            return 0;
        };
        let most = match has_room {
            true => BUCKETS_MAX,
            false => (2 * self.buckets).clamp(SIDE_BUCKETS_MIN, BUCKETS_MAX),
        };
        // A range of 64 bits fits after as many halvings, whatever the range.
        let fits = |lowered: &u32| (last >> lowered) - (first >> lowered) < most as i64;
        (0..63).find(fits).unwrap_or(63)
    }

    /// Returns how many buckets there are side by side, at most [`BUCKETS_MAX`].
    fn length(&self, lowered: u32) -> usize {
        let length = self.range.map_or(0, |(first, last)| {
            (last >> lowered) - (first >> lowered) + 1
        });
        usize::try_from(length).unwrap_or(0).min(BUCKETS_MAX)
    }

    /// Puts the buckets side by side, the gaps filled.
    fn filled(&self, buckets: exposition::Buckets<'_>, lowered: u32) -> Option<Buckets> {
        let (first, _) = self.range?;
        let offset = first >> lowered;
        let mut bucket_counts = vec![0u64; self.length(lowered)];
        for (index, count) in buckets.map_while(Result::ok) {
            let index = index - 1;
            if index > self.last_finite {
                continue;
            }
            let place = usize::try_from((index >> lowered) - offset).unwrap_or(usize::MAX);
            if let Some(sum) = bucket_counts.get_mut(place) {
                *sum += count;
            }
        }
        let offset = i32::try_from(offset).unwrap_or_default();
        Some(Buckets {
            offset,
            bucket_counts,
        })
    }
}

/// Returns `exponent` × 2^schema, rounded away from zero.
fn scaled(exponent: i64, schema: i32) -> i64 {
    if schema >= 0 {
        return exponent << schema;
    }
    let part = 1i64 << -schema;
    let rounded = (exponent.abs() + part - 1) / part;
    exponent.signum() * rounded
}
