//! OTLP metrics for people: one line a point.

use std::fmt::{self, Display, Write as _};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, ExponentialHistogramDataPoint, HistogramDataPoint, Metric,
    NumberDataPoint, SummaryDataPoint,
};

use crate::series::NO_RECORDED_VALUE;

/// Returns a request as text: a line for each resource and scope, then one a point.
pub fn lines(request: &ExportMetricsServiceRequest) -> String {
    let mut out = String::new();
    for metrics in &request.resource_metrics {
        let attributes = metrics
            .resource
            .as_ref()
            .map(|resource| resource.attributes.as_slice());
        line(
            &mut out,
            format_args!("resource {}", Attributes(attributes.unwrap_or_default())),
        );
        for scope in &metrics.scope_metrics {
            if let Some(scope) = &scope.scope {
                let attributes = Attributes(&scope.attributes);
                line(
                    &mut out,
                    format_args!("scope {} {} {attributes}", scope.name, scope.version),
                );
            }
            for metric in &scope.metrics {
                points(&mut out, metric);
            }
        }
    }
    out
}

fn line(out: &mut String, text: fmt::Arguments<'_>) {
    let start = out.len();
    // Writing to a string can't fail.
    let _ = out.write_fmt(text);
    let trimmed = out.trim_end().len().max(start);
    out.truncate(trimmed);
    out.push('\n');
}

fn points(out: &mut String, metric: &Metric) {
    let mut point = |attributes: &[KeyValue], flags: u32, kind: &str, value: &dyn Display| {
        let (name, unit) = (&metric.name, &metric.unit);
        let attributes = Attributes(attributes);
        match flags & NO_RECORDED_VALUE {
            0 => line(
                out,
                format_args!("{name}{attributes} {kind} {value} {unit}"),
            ),
            _ => line(
                out,
                format_args!("{name}{attributes} {kind} no recorded value"),
            ),
        }
    };
    match &metric.data {
        Some(Data::Gauge(gauge)) => {
            for p in &gauge.data_points {
                point(&p.attributes, p.flags, "gauge", &Number(p));
            }
        }
        Some(Data::Sum(sum)) => {
            let kind = match (sum.is_monotonic, sum.aggregation_temporality) {
                (true, t) if t == AggregationTemporality::Delta as i32 => "counter (delta)",
                (true, _) => "counter",
                (false, _) => "sum",
            };
            for p in &sum.data_points {
                point(&p.attributes, p.flags, kind, &Number(p));
            }
        }
        Some(Data::Histogram(histogram)) => {
            for p in &histogram.data_points {
                point(&p.attributes, p.flags, "histogram", &Explicit(p));
            }
        }
        Some(Data::ExponentialHistogram(histogram)) => {
            for p in &histogram.data_points {
                point(
                    &p.attributes,
                    p.flags,
                    "exponential histogram",
                    &Exponential(p),
                );
            }
        }
        Some(Data::Summary(summary)) => {
            for p in &summary.data_points {
                point(&p.attributes, p.flags, "summary", &Quantiles(p));
            }
        }
        None => {}
    }
}

struct Attributes<'a>(&'a [KeyValue]);

impl Display for Attributes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, attribute) in self.0.iter().enumerate() {
            f.write_str(if index == 0 { "{" } else { ", " })?;
            f.write_str(&attribute.key)?;
            f.write_str("=")?;
            any(f, attribute.value.as_ref())?;
        }
        f.write_str(if self.0.is_empty() { "" } else { "}" })
    }
}

fn any(f: &mut fmt::Formatter<'_>, value: Option<&AnyValue>) -> fmt::Result {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Any::StringValue(text)) => write!(f, "{text:?}"),
        Some(Any::BoolValue(value)) => write!(f, "{value}"),
        Some(Any::IntValue(value)) => write!(f, "{value}"),
        Some(Any::DoubleValue(value)) => write!(f, "{value}"),
        Some(_) => f.write_str("…"),
        None => f.write_str("null"),
    }
}

struct Number<'a>(&'a NumberDataPoint);

impl Display for Number<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.value {
            Some(Value::AsDouble(value)) => write!(f, "{value}"),
            Some(Value::AsInt(value)) => write!(f, "{value}"),
            None => f.write_str("no value"),
        }
    }
}

struct Explicit<'a>(&'a HistogramDataPoint);

impl Display for Explicit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "count {}", self.0.count)?;
        if let Some(sum) = self.0.sum {
            write!(f, " sum {sum}")?;
        }
        f.write_str(" [")?;
        let bounds = self
            .0
            .explicit_bounds
            .iter()
            .copied()
            .chain([f64::INFINITY]);
        for (index, (bound, count)) in bounds.zip(&self.0.bucket_counts).enumerate() {
            write!(f, "{}≤{bound}: {count}", if index == 0 { "" } else { ", " })?;
        }
        f.write_str("]")
    }
}

struct Exponential<'a>(&'a ExponentialHistogramDataPoint);

impl Display for Exponential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "count {}", self.0.count)?;
        if let Some(sum) = self.0.sum {
            write!(f, " sum {sum}")?;
        }
        write!(f, " scale {} zero {}", self.0.scale, self.0.zero_count)?;
        for (sign, buckets) in [("+", &self.0.positive), ("-", &self.0.negative)] {
            if let Some(buckets) = buckets.as_ref().filter(|b| !b.bucket_counts.is_empty()) {
                write!(f, " {sign}{}{:?}", buckets.offset, buckets.bucket_counts)?;
            }
        }
        Ok(())
    }
}

struct Quantiles<'a>(&'a SummaryDataPoint);

impl Display for Quantiles<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "count {} sum {} [", self.0.count, self.0.sum)?;
        for (index, at) in self.0.quantile_values.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{}: {}", at.quantile, at.value)?;
        }
        f.write_str("]")
    }
}
