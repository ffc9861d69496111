//! Arbitrary export requests, as prost's types.

use davy_proto::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint,
    Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint,
    metric::Data, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, span::Event};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use prost::Message;

pub(super) fn text(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    }
}

pub(super) fn any_value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        Just(None),
        "\\PC{0,12}".prop_map(|text| Some(Value::StringValue(text))),
        any::<bool>().prop_map(|flag| Some(Value::BoolValue(flag))),
        any::<i64>().prop_map(|number| Some(Value::IntValue(number))),
        (-1e300..1e300f64).prop_map(|number| Some(Value::DoubleValue(number))),
        vec(any::<u8>(), 0..9).prop_map(|bytes| Some(Value::BytesValue(bytes))),
    ];
    let leaf = leaf.prop_map(|value| AnyValue { value });
    leaf.prop_recursive(3, 12, 4, |inner| {
        let list =
            vec(inner.clone(), 0..4).prop_map(|values| Value::ArrayValue(ArrayValue { values }));
        let map = vec(("[a-z]{0,3}", option::of(inner)), 0..4).prop_map(|pairs| {
            let values = pairs.into_iter().map(|(key, value)| KeyValue {
                key,
                value,
                ..KeyValue::default()
            });
            Value::KvlistValue(KeyValueList {
                values: values.collect(),
            })
        });
        prop_oneof![list, map].prop_map(|value| AnyValue { value: Some(value) })
    })
}

/// Keys that meet Davy's own as often as not.
fn key() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] = &[
        "service.name",
        "service.version",
        "davy.arm",
        "k8s.pod.name",
        "k8s.namespace.name",
        "",
    ];
    prop_oneof![
        proptest::sample::select(KNOWN).prop_map(str::to_owned),
        "[a-z.]{1,8}",
    ]
}

fn attribute() -> impl Strategy<Value = KeyValue> {
    const NAMES: &[&str] = &["", "unknown_service", "unknown_service:shop", "shop"];
    prop_oneof![
        3 => (key(), option::of(any_value())).prop_map(|(key, value)| KeyValue {
            key,
            value,
            ..KeyValue::default()
        }),
        1 => proptest::sample::select(NAMES).prop_map(|name| text("service.name", name)),
    ]
}

pub(super) fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    vec(attribute(), 0..6)
}

fn resource() -> impl Strategy<Value = Option<Resource>> {
    option::of(
        (attributes(), any::<u32>()).prop_map(|(attributes, dropped)| Resource {
            attributes,
            dropped_attributes_count: dropped,
            ..Resource::default()
        }),
    )
}

fn scope() -> impl Strategy<Value = Option<InstrumentationScope>> {
    option::of(
        ("[a-z]{0,5}", attributes()).prop_map(|(name, attributes)| InstrumentationScope {
            name,
            attributes,
            ..InstrumentationScope::default()
        }),
    )
}

fn span() -> impl Strategy<Value = Span> {
    let ids = (vec(any::<u8>(), 16), vec(any::<u8>(), 8));
    (ids, "\\PC{0,20}", attributes(), any::<u64>(), 0..3usize).prop_map(
        |((trace_id, span_id), name, attributes, start, events)| Span {
            trace_id,
            span_id,
            name,
            start_time_unix_nano: start,
            events: vec![
                Event {
                    name: "event".to_owned(),
                    attributes: attributes.clone(),
                    ..Event::default()
                };
                events
            ],
            attributes,
            ..Span::default()
        },
    )
}

fn log_record() -> impl Strategy<Value = LogRecord> {
    (
        option::of(any_value()),
        attributes(),
        any::<u64>(),
        0..25i32,
    )
        .prop_map(|(body, attributes, time, severity)| LogRecord {
            time_unix_nano: time,
            severity_number: severity,
            body,
            attributes,
            ..LogRecord::default()
        })
}

fn number_point() -> impl Strategy<Value = NumberDataPoint> {
    (attributes(), any::<u64>(), any::<i64>()).prop_map(|(attributes, time, value)| {
        NumberDataPoint {
            attributes,
            time_unix_nano: time,
            value: Some(number_data_point::Value::AsInt(value)),
            ..NumberDataPoint::default()
        }
    })
}

fn histogram_point() -> impl Strategy<Value = HistogramDataPoint> {
    (attributes(), vec(any::<u64>(), 0..6)).prop_map(|(attributes, bucket_counts)| {
        HistogramDataPoint {
            attributes,
            explicit_bounds: bucket_counts.iter().map(|count| *count as f64).collect(),
            bucket_counts,
            ..HistogramDataPoint::default()
        }
    })
}

fn exponential_point() -> impl Strategy<Value = ExponentialHistogramDataPoint> {
    (attributes(), any::<u64>(), vec(any::<u64>(), 0..6)).prop_map(
        |(attributes, count, bucket_counts)| ExponentialHistogramDataPoint {
            attributes,
            count,
            positive: Some(Buckets {
                offset: -7,
                bucket_counts,
            }),
            ..ExponentialHistogramDataPoint::default()
        },
    )
}

fn summary_point() -> impl Strategy<Value = SummaryDataPoint> {
    (attributes(), any::<u64>()).prop_map(|(attributes, count)| SummaryDataPoint {
        attributes,
        count,
        ..SummaryDataPoint::default()
    })
}

fn metric() -> impl Strategy<Value = Metric> {
    let data = prop_oneof![
        Just(None),
        vec(number_point(), 0..4).prop_map(|data_points| Some(Data::Gauge(Gauge { data_points }))),
        vec(number_point(), 0..4).prop_map(|data_points| Some(Data::Sum(Sum {
            data_points,
            aggregation_temporality: 2,
            is_monotonic: true,
        }))),
        vec(histogram_point(), 0..4).prop_map(|data_points| Some(Data::Histogram(Histogram {
            data_points,
            aggregation_temporality: 2,
        }))),
        vec(exponential_point(), 0..4).prop_map(|data_points| {
            Some(Data::ExponentialHistogram(ExponentialHistogram {
                data_points,
                aggregation_temporality: 1,
            }))
        }),
        vec(summary_point(), 0..4)
            .prop_map(|data_points| Some(Data::Summary(Summary { data_points }))),
    ];
    ("[a-z_]{0,12}", data).prop_map(|(name, data)| Metric {
        name,
        data,
        ..Metric::default()
    })
}

pub(super) fn traces() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let scope_spans = (scope(), vec(span(), 0..5)).prop_map(|(scope, spans)| ScopeSpans {
        scope,
        spans,
        schema_url: String::new(),
    });
    let entry = (resource(), vec(scope_spans, 0..4), "[a-z]{0,4}");
    let entry = entry.prop_map(|(resource, scope_spans, schema_url)| ResourceSpans {
        resource,
        scope_spans,
        schema_url,
    });
    vec(entry, 0..4).prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}

pub(super) fn logs() -> impl Strategy<Value = ExportLogsServiceRequest> {
    let scope_logs =
        (scope(), vec(log_record(), 0..5)).prop_map(|(scope, log_records)| ScopeLogs {
            scope,
            log_records,
            schema_url: String::new(),
        });
    let entry = (resource(), vec(scope_logs, 0..4), "[a-z]{0,4}");
    let entry = entry.prop_map(|(resource, scope_logs, schema_url)| ResourceLogs {
        resource,
        scope_logs,
        schema_url,
    });
    vec(entry, 0..4).prop_map(|resource_logs| ExportLogsServiceRequest { resource_logs })
}

pub(super) fn metrics() -> impl Strategy<Value = ExportMetricsServiceRequest> {
    let scope_metrics = (scope(), vec(metric(), 0..5)).prop_map(|(scope, metrics)| ScopeMetrics {
        scope,
        metrics,
        schema_url: String::new(),
    });
    let entry = (resource(), vec(scope_metrics, 0..4), "[a-z]{0,4}");
    let entry = entry.prop_map(|(resource, scope_metrics, schema_url)| ResourceMetrics {
        resource,
        scope_metrics,
        schema_url,
    });
    vec(entry, 0..4).prop_map(|resource_metrics| ExportMetricsServiceRequest { resource_metrics })
}

/// An encoded request of any signal.
pub(super) fn encoded() -> impl Strategy<Value = (Signal, Vec<u8>)> {
    prop_oneof![
        traces().prop_map(|request| (Signal::Traces, request.encode_to_vec())),
        logs().prop_map(|request| (Signal::Logs, request.encode_to_vec())),
        metrics().prop_map(|request| (Signal::Metrics, request.encode_to_vec())),
    ]
}
