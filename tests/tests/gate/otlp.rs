//! Evidence as OTLP requests, written down shortly; times are seconds since the epoch.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

const SECOND: u64 = 1_000_000_000;
/// Bounds of the latency in seconds; all requests are below the first.
const BOUNDS: [f64; 2] = [0.1, 0.5];

/// A pod of the service `shop`.
pub(super) struct Pod {
    attributes: Vec<KeyValue>,
}

impl Pod {
    /// A pod of an arm, its process started long ago.
    pub(super) fn new(arm: &str, name: &str) -> Self {
        let pairs = [
            ("service.name", "shop"),
            ("davy.arm", arm),
            ("k8s.pod.name", name),
        ];
        let attributes = pairs.map(|(key, value)| attribute(key, value)).to_vec();
        Self { attributes }
    }

    /// The same pod without an attribute of its resource.
    pub(super) fn without(mut self, key: &str) -> Self {
        self.attributes.retain(|attribute| attribute.key != key);
        self
    }

    /// The same pod, its process started at that time (RFC 3339).
    pub(super) fn started(mut self, at: &str) -> Self {
        self.attributes.push(attribute("process.creation.time", at));
        self
    }

    /// What the agent sends of one window: that many good answers and errors more than before.
    pub(super) fn window(&self, start: u64, end: u64, ok: u64, errors: u64) -> ResourceMetrics {
        self.metrics(AggregationTemporality::Delta, (start, end), ok, errors)
    }

    /// What a collector sends of totals since `start`.
    pub(super) fn total(&self, start: u64, at: u64, ok: u64, errors: u64) -> ResourceMetrics {
        self.metrics(AggregationTemporality::Cumulative, (start, at), ok, errors)
    }

    fn metrics(
        &self,
        temporality: AggregationTemporality,
        times: (u64, u64),
        ok: u64,
        errors: u64,
    ) -> ResourceMetrics {
        let points = [("200", ok), ("503", errors)];
        let present = points.into_iter().filter(|(_, count)| *count > 0);
        let histogram = Histogram {
            data_points: present
                .map(|(code, count)| point(times, code, count))
                .collect(),
            aggregation_temporality: temporality.into(),
        };
        let cpu = Sum {
            data_points: vec![NumberDataPoint {
                start_time_unix_nano: times.0 * SECOND,
                time_unix_nano: times.1 * SECOND,
                value: Some(number_data_point::Value::AsDouble(
                    (ok + errors) as f64 * 0.001,
                )),
                ..NumberDataPoint::default()
            }],
            aggregation_temporality: temporality.into(),
            is_monotonic: true,
        };
        let metrics = vec![
            metric("http.server.request.duration", Data::Histogram(histogram)),
            metric("process.cpu.time", Data::Sum(cpu)),
        ];
        let resource = Resource {
            attributes: self.attributes.clone(),
            ..Resource::default()
        };
        ResourceMetrics {
            resource: Some(resource),
            scope_metrics: vec![ScopeMetrics {
                metrics,
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }
    }
}

/// One request of these parts.
pub(super) fn request(resource_metrics: Vec<ResourceMetrics>) -> ExportMetricsServiceRequest {
    ExportMetricsServiceRequest { resource_metrics }
}

fn metric(name: &str, data: Data) -> Metric {
    Metric {
        name: name.to_owned(),
        unit: "s".to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn point((start, end): (u64, u64), code: &str, count: u64) -> HistogramDataPoint {
    let attributes = [
        ("http.request.method", "GET"),
        ("http.route", "/buy"),
        ("http.response.status_code", code),
    ];
    HistogramDataPoint {
        attributes: attributes
            .map(|(key, value)| attribute(key, value))
            .to_vec(),
        start_time_unix_nano: start * SECOND,
        time_unix_nano: end * SECOND,
        count,
        bucket_counts: vec![count, 0, 0],
        explicit_bounds: BOUNDS.to_vec(),
        ..HistogramDataPoint::default()
    }
}

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue {
        value: Some(Value::StringValue(value.to_owned())),
    });
    KeyValue {
        key: key.to_owned(),
        value,
        ..KeyValue::default()
    }
}
