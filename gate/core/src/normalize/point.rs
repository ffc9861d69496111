//! One data point, whatever its kind, in seconds; and the difference of two.

use davy_proto::UnixNanos;
use davy_proto::indicator::seconds_per_unit;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, ExponentialHistogramDataPoint, HistogramDataPoint, Metric,
    NumberDataPoint, number_data_point,
};

use super::Refusal;
use super::choice::Role;
use crate::sketch::Sketch;

/// Bit of a point's flags that says that it has no value (OTLP `DataPointFlags`).
const NO_RECORDED_VALUE: u32 = 1;

/// How a point relates to those before it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Temporality {
    Cumulative,
    Delta,
    Gauge,
}

/// What a point holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// A sum or a gauge, finite and not negative.
    Number(f64),
    /// A histogram of seconds; empty where it has a count only.
    Histogram { count: u64, sketch: Sketch },
}

/// One data point.
#[derive(Clone, Debug)]
pub(super) struct Point<'a> {
    pub(super) start: UnixNanos,
    pub(super) end: UnixNanos,
    pub(super) attributes: &'a [KeyValue],
    pub(super) temporality: Temporality,
    pub(super) value: Value,
}

impl Point<'_> {
    /// Short name of the kind, part of a series' identity.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Number(_) => "n",
            Value::Histogram {
                sketch: Sketch::Exponential(_),
                ..
            } => "x",
            Value::Histogram { .. } => "h",
        }
    }
}

/// The points of a metric, each read on its own.
pub(super) fn points<'a>(
    metric: &'a Metric,
    role: Role,
) -> Box<dyn Iterator<Item = Result<Point<'a>, Refusal>> + 'a> {
    let unit = match role {
        Role::Duration(_) | Role::Cpu => seconds_per_unit(&metric.name, &metric.unit),
        _ => Some(1.0),
    };
    let Some(unit) = unit else {
        return Box::new(std::iter::once(Err(Refusal::Unit)));
    };
    match &metric.data {
        Some(Data::Sum(sum)) => {
            let temporality = temporality(sum.aggregation_temporality);
            let read = move |point| number(point, temporality?, unit);
            Box::new(sum.data_points.iter().map(read))
        }
        Some(Data::Gauge(gauge)) => Box::new(
            gauge
                .data_points
                .iter()
                .map(|p| number(p, Temporality::Gauge, 1.0)),
        ),
        Some(Data::Histogram(histogram)) => {
            let temporality = temporality(histogram.aggregation_temporality);
            let read = move |point| explicit(point, temporality?, unit);
            Box::new(histogram.data_points.iter().map(read))
        }
        Some(Data::ExponentialHistogram(histogram)) => {
            let temporality = temporality(histogram.aggregation_temporality);
            let read = move |point| exponential(point, temporality?, unit);
            Box::new(histogram.data_points.iter().map(read))
        }
        _ => Box::new(std::iter::empty()),
    }
}

/// What came between two cumulative values; none after a reset.
pub(super) fn difference(newer: &Value, older: &Value) -> Option<Value> {
    match (newer, older) {
        (Value::Number(newer), Value::Number(older)) => {
            (newer >= older).then(|| Value::Number(newer - older))
        }
        (
            Value::Histogram {
                count: newer_count,
                sketch: newer,
            },
            Value::Histogram {
                count: older_count,
                sketch: older,
            },
        ) => {
            let count = newer_count.checked_sub(*older_count)?;
            let sketch = subtract(newer, older)?;
            Some(Value::Histogram { count, sketch })
        }
        _ => None,
    }
}

fn subtract(newer: &Sketch, older: &Sketch) -> Option<Sketch> {
    match (newer, older) {
        (_, Sketch::Empty) => Some(newer.clone()),
        (Sketch::Explicit(newer), Sketch::Explicit(older)) => {
            if newer.bounds() != older.bounds() {
                return None;
            }
            let pairs = newer.counts().iter().zip(older.counts());
            let counts = pairs
                .map(|(n, o)| n.checked_sub(*o))
                .collect::<Option<Vec<_>>>()?;
            Sketch::explicit(newer.bounds().to_vec(), counts).ok()
        }
        (Sketch::Exponential(newer), Sketch::Exponential(older)) => {
            let (mut newer, mut older) = (newer.clone(), older.clone());
            let scale = newer.scale().min(older.scale());
            newer.downscale(scale);
            older.downscale(scale);
            let mut zero_count = newer.zero_count().checked_sub(older.zero_count())?;
            let mut counts = newer.counts().to_vec();
            for (at, count) in (i64::from(older.offset())..).zip(older.counts()) {
                let at = usize::try_from(at - i64::from(newer.offset())).ok();
                let left = at.and_then(|at| counts.get_mut(at));
                let there = left.as_ref().map_or(0, |left| **left);
                // A wider zero bucket took over what is missing; what it doesn't hold is a reset.
                zero_count = zero_count.checked_sub(count.saturating_sub(there))?;
                if let Some(left) = left {
                    *left = there.saturating_sub(*count);
                }
            }
            Sketch::exponential(scale, zero_count, newer.offset(), counts).ok()
        }
        _ => None,
    }
}

fn temporality(wire: i32) -> Result<Temporality, Refusal> {
    match AggregationTemporality::try_from(wire) {
        Ok(AggregationTemporality::Cumulative) => Ok(Temporality::Cumulative),
        Ok(AggregationTemporality::Delta) => Ok(Temporality::Delta),
        _ => Err(Refusal::Temporality),
    }
}

fn number(
    point: &NumberDataPoint,
    temporality: Temporality,
    unit: f64,
) -> Result<Point<'_>, Refusal> {
    recorded(point.flags)?;
    let value = match point.value.as_ref().ok_or(Refusal::NoRecordedValue)? {
        number_data_point::Value::AsDouble(value) => *value,
        number_data_point::Value::AsInt(value) => *value as f64,
    };
    let value = to_seconds(value, unit);
    if !value.is_finite() || value < 0.0 {
        return Err(Refusal::NotFinite);
    }
    Ok(Point {
        start: UnixNanos::new(point.start_time_unix_nano),
        end: UnixNanos::new(point.time_unix_nano),
        attributes: &point.attributes,
        temporality,
        value: Value::Number(value),
    })
}

fn explicit(
    point: &HistogramDataPoint,
    temporality: Temporality,
    unit: f64,
) -> Result<Point<'_>, Refusal> {
    recorded(point.flags)?;
    let sketch = if point.bucket_counts.is_empty() {
        Sketch::Empty
    } else {
        let bounds = point
            .explicit_bounds
            .iter()
            .map(|bound| to_seconds(*bound, unit))
            .collect();
        Sketch::explicit(bounds, point.bucket_counts.clone()).map_err(|_| Refusal::Malformed)?
    };
    agrees(
        point.count,
        &point.bucket_counts,
        0,
        point.bucket_counts.is_empty(),
    )?;
    Ok(Point {
        start: UnixNanos::new(point.start_time_unix_nano),
        end: UnixNanos::new(point.time_unix_nano),
        attributes: &point.attributes,
        temporality,
        value: Value::Histogram {
            count: point.count,
            sketch,
        },
    })
}

fn exponential(
    point: &ExponentialHistogramDataPoint,
    temporality: Temporality,
    unit: f64,
) -> Result<Point<'_>, Refusal> {
    recorded(point.flags)?;
    let negative = point
        .negative
        .as_ref()
        .is_some_and(|b| b.bucket_counts.iter().any(|n| *n > 0));
    if negative || !(-10..=20).contains(&point.scale) {
        return Err(Refusal::Malformed);
    }
    let (offset, counts) = match &point.positive {
        Some(buckets) => (buckets.offset, buckets.bucket_counts.clone()),
        None => (0, Vec::new()),
    };
    agrees(point.count, &counts, point.zero_count, false)?;
    // Another unit shifts the indexes by log2(unit) · 2^scale; rounding moves all edges by less
    // than one bucket, in both arms alike.
    let width = libm::exp2(f64::from(point.scale));
    let shift = if unit == 1.0 {
        0.0
    } else {
        libm::round(libm::log2(unit) * width)
    };
    let offset = f64::from(offset) + shift;
    if offset < f64::from(i32::MIN) || offset > f64::from(i32::MAX) {
        return Err(Refusal::Malformed);
    }
    let sketch = Sketch::exponential(point.scale, point.zero_count, offset as i32, counts);
    Ok(Point {
        start: UnixNanos::new(point.start_time_unix_nano),
        end: UnixNanos::new(point.time_unix_nano),
        attributes: &point.attributes,
        temporality,
        value: Value::Histogram {
            count: point.count,
            sketch: sketch.map_err(|_| Refusal::Malformed)?,
        },
    })
}

fn recorded(flags: u32) -> Result<(), Refusal> {
    if flags & NO_RECORDED_VALUE == 0 {
        Ok(())
    } else {
        Err(Refusal::NoRecordedValue)
    }
}

/// A histogram's count is the sum of its buckets, unless it has none.
fn agrees(count: u64, buckets: &[u64], zero_count: u64, countless: bool) -> Result<(), Refusal> {
    let sum = buckets
        .iter()
        .try_fold(zero_count, |sum, n| sum.checked_add(*n));
    if countless || sum == Some(count) {
        Ok(())
    } else {
        Err(Refusal::Malformed)
    }
}

/// Dividing by a thousand is exact where multiplying by 0.001 is not.
fn to_seconds(value: f64, unit: f64) -> f64 {
    if unit < 1.0 {
        value / libm::round(1.0 / unit)
    } else {
        value * unit
    }
}
