//! Points of OTLP metrics as values that grow, with their attributes.

use davy_proto::UnixNanos;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Metric, NumberDataPoint, ResourceMetrics,
};

use super::Refusal;
use super::distribution::Distribution;
use super::series::{Point, Value};

/// `DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK`: the series has ended.
const NO_RECORDED_VALUE: u32 = 1;

/// One point as it was read.
pub(super) struct Reading<'a> {
    pub(super) attributes: &'a [KeyValue],
    pub(super) point: Result<Point, Refusal>,
    /// The point says that the series has ended.
    pub(super) ended: bool,
}

/// The points of a sum or histogram; `factor` turns its unit into seconds. A point without a time
/// is of time `at`.
pub(super) fn readings(metric: &Metric, factor: f64, at: UnixNanos) -> Vec<Reading<'_>> {
    let delta = |temporality: i32| temporality == AggregationTemporality::Delta as i32;
    let reading = |attributes, flags: u32, start, time, delta, value: Result<Value, Refusal>| {
        let time = if time == 0 { at.nanos() } else { time };
        let point = value.map(|value| Point {
            start,
            time,
            delta,
            value,
        });
        Reading {
            attributes,
            point,
            ended: flags & NO_RECORDED_VALUE != 0,
        }
    };
    match &metric.data {
        Some(Data::Sum(sum)) => {
            let delta = delta(sum.aggregation_temporality);
            let usable = |p: &&NumberDataPoint| {
                number(p).is_some_and(|n| n >= 0.0 && n.is_finite()) || p.flags != 0
            };
            let read = |p| {
                let p: &NumberDataPoint = p;
                let value = Ok(Value::Number(number(p).unwrap_or_default()));
                reading(
                    &*p.attributes,
                    p.flags,
                    p.start_time_unix_nano,
                    p.time_unix_nano,
                    delta,
                    value,
                )
            };
            sum.data_points.iter().filter(usable).map(read).collect()
        }
        Some(Data::Histogram(histogram)) => {
            let delta = delta(histogram.aggregation_temporality);
            let points = histogram.data_points.iter().map(|p| {
                let value = Distribution::explicit(p, factor).map(Value::Distribution);
                reading(
                    &*p.attributes,
                    p.flags,
                    p.start_time_unix_nano,
                    p.time_unix_nano,
                    delta,
                    value,
                )
            });
            points.collect()
        }
        Some(Data::ExponentialHistogram(histogram)) => {
            let delta = delta(histogram.aggregation_temporality);
            let points = histogram.data_points.iter().map(|p| {
                let value = Distribution::exponential(p, factor).map(Value::Distribution);
                reading(
                    &*p.attributes,
                    p.flags,
                    p.start_time_unix_nano,
                    p.time_unix_nano,
                    delta,
                    value,
                )
            });
            points.collect()
        }
        _ => Vec::new(),
    }
}

/// The number of a point.
pub(super) fn number(point: &NumberDataPoint) -> Option<f64> {
    match point.value? {
        Number::AsDouble(number) => Some(number),
        Number::AsInt(number) => Some(number as f64),
    }
}

/// The value of the first gauge of that name.
pub(super) fn gauge(metrics: &[ResourceMetrics], name: &str) -> Option<f64> {
    let scopes = metrics.iter().flat_map(|resource| &resource.scope_metrics);
    let metric = scopes
        .flat_map(|scope| &scope.metrics)
        .find(|metric| metric.name == name)?;
    match metric.data.as_ref()? {
        Data::Gauge(gauge) => gauge.data_points.first().and_then(number),
        _ => None,
    }
}
