//! OTLP requests written down shortly.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint,
    Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;

pub(crate) fn attribute(key: &str, value: &str) -> KeyValue {
    let value = match value.parse() {
        Ok(number) => any_value::Value::IntValue(number),
        Err(_) => any_value::Value::StringValue(value.to_owned()),
    };
    let value = Some(AnyValue { value: Some(value) });
    KeyValue {
        key: key.to_owned(),
        value,
        ..KeyValue::default()
    }
}

fn attributes(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    pairs
        .iter()
        .map(|(key, value)| attribute(key, value))
        .collect()
}

/// The resource of a pod, without the attributes to drop.
pub(crate) fn resource(drop: &[&str]) -> Resource {
    let mut attributes = attributes(&[
        ("service.name", "shop"),
        ("service.version", "v2"),
        ("k8s.namespace.name", "prod"),
        ("k8s.pod.name", "pod-1"),
        ("process.creation.time", "1970-01-01T00:01:00Z"),
    ]);
    attributes.retain(|kv| !drop.contains(&kv.key.as_str()));
    Resource {
        attributes,
        ..Resource::default()
    }
}

pub(crate) fn request(resource: Resource, metrics: Vec<Metric>) -> ExportMetricsServiceRequest {
    let scope_metrics = vec![ScopeMetrics {
        metrics,
        ..ScopeMetrics::default()
    }];
    let resource_metrics = ResourceMetrics {
        resource: Some(resource),
        scope_metrics,
        ..ResourceMetrics::default()
    };
    ExportMetricsServiceRequest {
        resource_metrics: vec![resource_metrics],
    }
}

fn metric(name: &str, unit: &str, data: Data) -> Metric {
    let (name, unit) = (name.to_owned(), unit.to_owned());
    Metric {
        name,
        unit,
        data: Some(data),
        ..Metric::default()
    }
}

fn histogram(
    temporality: i32,
    (start, end): (u64, u64),
    labels: &[(&str, &str)],
    bounds: &[f64],
    counts: &[u64],
) -> Data {
    let point = HistogramDataPoint {
        attributes: attributes(labels),
        start_time_unix_nano: start * SECOND,
        time_unix_nano: end * SECOND,
        count: counts.iter().sum(),
        bucket_counts: counts.to_vec(),
        explicit_bounds: bounds.to_vec(),
        ..HistogramDataPoint::default()
    };
    Data::Histogram(Histogram {
        data_points: vec![point],
        aggregation_temporality: temporality,
    })
}

pub(crate) fn delta(
    name: &str,
    unit: &str,
    start: u64,
    end: u64,
    labels: &[(&str, &str)],
    bounds: &[f64],
    counts: &[u64],
) -> Metric {
    metric(
        name,
        unit,
        histogram(1, (start, end), labels, bounds, counts),
    )
}

pub(crate) fn cumulative(
    name: &str,
    start: u64,
    end: u64,
    labels: &[(&str, &str)],
    bounds: &[f64],
    counts: &[u64],
) -> Metric {
    metric(
        name,
        "s",
        histogram(2, (start, end), labels, bounds, counts),
    )
}

/// The same metric, all its histogram points later by `seconds`.
pub(crate) fn moved(mut metric: Metric, seconds: u64) -> Metric {
    if let Some(Data::Histogram(histogram)) = &mut metric.data {
        for point in &mut histogram.data_points {
            point.start_time_unix_nano += seconds * SECOND;
            point.time_unix_nano += seconds * SECOND;
        }
    }
    metric
}

pub(crate) fn exponential(
    name: &str,
    start: u64,
    end: u64,
    labels: &[(&str, &str)],
    counts: &[u64],
) -> Metric {
    metric(
        name,
        "s",
        exponential_data(1, (start, end), labels, (5, -40), counts),
    )
}

pub(crate) fn exponential_total(
    name: &str,
    start: u64,
    end: u64,
    labels: &[(&str, &str)],
    form: (i32, i32),
    counts: &[u64],
) -> Metric {
    metric(
        name,
        "s",
        exponential_data(2, (start, end), labels, form, counts),
    )
}

fn exponential_data(
    temporality: i32,
    (start, end): (u64, u64),
    labels: &[(&str, &str)],
    (scale, offset): (i32, i32),
    counts: &[u64],
) -> Data {
    let point = ExponentialHistogramDataPoint {
        attributes: attributes(labels),
        start_time_unix_nano: start * SECOND,
        time_unix_nano: end * SECOND,
        count: counts.iter().sum(),
        scale,
        positive: Some(Buckets {
            offset,
            bucket_counts: counts.to_vec(),
        }),
        ..ExponentialHistogramDataPoint::default()
    };
    let data_points = vec![point];
    Data::ExponentialHistogram(ExponentialHistogram {
        data_points,
        aggregation_temporality: temporality,
    })
}

/// The same metric with so many observations at zero.
pub(crate) fn set_zero_count(metric: &mut Metric, zero_count: u64) {
    if let Some(Data::ExponentialHistogram(histogram)) = &mut metric.data {
        for point in &mut histogram.data_points {
            point.zero_count = zero_count;
            point.count += zero_count;
        }
    }
}

pub(crate) fn sum(
    name: &str,
    is_delta: bool,
    start: u64,
    end: u64,
    labels: &[(&str, &str)],
    value: f64,
) -> Metric {
    let point = NumberDataPoint {
        attributes: attributes(labels),
        start_time_unix_nano: start * SECOND,
        time_unix_nano: end * SECOND,
        value: Some(number_data_point::Value::AsDouble(value)),
        ..NumberDataPoint::default()
    };
    let aggregation_temporality = if is_delta { 1 } else { 2 };
    let sum = Sum {
        data_points: vec![point],
        aggregation_temporality,
        is_monotonic: true,
    };
    metric(name, "", Data::Sum(sum))
}

pub(crate) fn gauge(name: &str, at: u64, value: f64) -> Metric {
    let point = NumberDataPoint {
        time_unix_nano: at * SECOND,
        value: Some(number_data_point::Value::AsDouble(value)),
        ..NumberDataPoint::default()
    };
    metric(
        name,
        "",
        Data::Gauge(Gauge {
            data_points: vec![point],
        }),
    )
}

fn any_time() -> impl Strategy<Value = u64> {
    prop_oneof![
        (0..40_u64).prop_map(|n| n * 5 * SECOND),
        any::<u64>(),
        Just(u64::MAX)
    ]
}

fn any_labels() -> impl Strategy<Value = Vec<KeyValue>> {
    let key = prop_oneof![
        Just("http.route"),
        Just("http.request.method"),
        Just("http.response.status_code"),
        Just("grpc_code"),
        Just("error.type"),
        Just("")
    ];
    let value = prop_oneof![
        Just("/buy".to_owned()),
        Just("503".to_owned()),
        "\\PC{0,600}"
    ];
    let pair = (key, value).prop_map(|(key, value)| attribute(key, &value));
    prop::collection::vec(pair, 0..4)
}

fn any_metric() -> impl Strategy<Value = Metric> {
    let name = prop_oneof![
        Just("http.server.request.duration"),
        Just("http_request_duration_ms"),
        Just("grpc_server_handling_seconds"),
        Just("http_requests_total"),
        Just("process.cpu.time"),
        Just("davy.cpu.limit"),
        Just("process_start_time_seconds")
    ];
    let unit = prop_oneof![Just("s"), Just("ms"), Just(""), Just("By")];
    let counts = prop::collection::vec(prop_oneof![0..9_u64, any::<u64>()], 0..5);
    let floats = prop::collection::vec(prop_oneof![0.0..9.0, any::<f64>()], 0..5);
    let times = (any_time(), any_time());
    let numbers = (
        any::<i32>(),
        any::<i32>(),
        any::<f64>(),
        0..3_i32,
        any::<bool>(),
    );
    let parts = (
        name,
        unit,
        counts,
        floats,
        times,
        any_labels(),
        0..4_u8,
        numbers,
    );
    parts.prop_map(
        |(name, unit, counts, floats, (start, end), labels, kind, numbers)| {
            let (scale, offset, value, temporality, honest) = numbers;
            let count = counts.iter().fold(0_u64, |sum, n| sum.wrapping_add(*n));
            let count = if honest { count } else { count.wrapping_add(1) };
            let number = NumberDataPoint {
                attributes: labels.clone(),
                start_time_unix_nano: start,
                time_unix_nano: end,
                value: Some(number_data_point::Value::AsDouble(value)),
                ..NumberDataPoint::default()
            };
            let data = match kind {
                0 => Data::Histogram(Histogram {
                    data_points: vec![HistogramDataPoint {
                        attributes: labels,
                        start_time_unix_nano: start,
                        time_unix_nano: end,
                        count,
                        bucket_counts: counts,
                        explicit_bounds: floats,
                        ..HistogramDataPoint::default()
                    }],
                    aggregation_temporality: temporality,
                }),
                1 => Data::ExponentialHistogram(ExponentialHistogram {
                    data_points: vec![ExponentialHistogramDataPoint {
                        attributes: labels,
                        start_time_unix_nano: start,
                        time_unix_nano: end,
                        count,
                        scale: if honest { scale % 21 } else { scale },
                        positive: Some(Buckets {
                            offset,
                            bucket_counts: counts,
                        }),
                        ..ExponentialHistogramDataPoint::default()
                    }],
                    aggregation_temporality: temporality,
                }),
                2 => Data::Sum(Sum {
                    data_points: vec![number],
                    aggregation_temporality: temporality,
                    is_monotonic: true,
                }),
                _ => Data::Gauge(Gauge {
                    data_points: vec![number],
                }),
            };
            metric(name, unit, data)
        },
    )
}

pub(crate) fn any_request() -> impl Strategy<Value = ExportMetricsServiceRequest> {
    let metrics = prop::collection::vec(any_metric(), 0..6);
    metrics.prop_map(|metrics| request(resource(&[]), metrics))
}
