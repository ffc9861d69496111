//! Small requests with something of everything in them, to begin from.

use davy_agent_core::exposition::{Options, parse};
use davy_agent_core::translate::{Identity, convert};
use davy_proto::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope};
use opentelemetry_proto::tonic::common::v1::{KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;

use super::{Request, attribute};
use crate::page;

const SECOND: u64 = 1_000_000_000;
const PAGE: &[u8] = b"# HELP a Things.\n# TYPE a counter\na_total{x=\"1\"} 2 # {trace_id=\
\"00f067aa0ba902b700f067aa0ba902b7\"} 1 1700000000.5\na_created{x=\"1\"} 1600000000\n\
# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 3\nh_sum 4.5\nh_count 3\n\
# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 2\ns_count 2\n# TYPE g gauge\ng NaN\n\
# TYPE target info\ntarget_info{service_version=\"v1\"} 1\n# EOF\n";

/// A request of each signal.
pub(crate) fn requests() -> Vec<(Signal, Vec<u8>)> {
    vec![
        (Signal::Metrics, metrics()),
        (Signal::Metrics, evidence(1, 1)),
        (Signal::Logs, logs()),
        (Signal::Traces, traces()),
    ]
}

fn resource() -> Option<Resource> {
    let attributes = vec![
        attribute("service.name", "shop"),
        attribute("davy.arm", "v2"),
        attribute("k8s.pod.name", "pod-1"),
    ];
    Some(Resource {
        attributes,
        dropped_attributes_count: 1,
        ..Resource::default()
    })
}

fn scope() -> Option<InstrumentationScope> {
    Some(InstrumentationScope {
        name: "scope".to_owned(),
        version: "1".to_owned(),
        attributes: vec![attribute("a", "b")],
        ..InstrumentationScope::default()
    })
}

fn metrics() -> Vec<u8> {
    let Ok(page) = parse(PAGE, Some(page::OPEN), &Options::LENIENT) else {
        return Vec::new();
    };
    let (metrics, _) = convert(&page, &Identity::default(), 1_700_000_000 * SECOND);
    Request::Metrics(ExportMetricsServiceRequest {
        resource_metrics: vec![metrics],
    })
    .encode()
}

fn logs() -> Vec<u8> {
    let any = |value| AnyValue { value: Some(value) };
    let list = ArrayValue {
        values: vec![
            any(Value::IntValue(-1)),
            any(Value::DoubleValue(0.5)),
            any(Value::BoolValue(true)),
        ],
    };
    let map = KeyValueList {
        values: vec![attribute("k", "v")],
    };
    let attributes = [
        Value::ArrayValue(list),
        Value::KvlistValue(map),
        Value::BytesValue(vec![0, 255]),
    ];
    let attributes = attributes.into_iter().map(|value| KeyValue {
        key: "a".to_owned(),
        value: Some(any(value)),
        ..KeyValue::default()
    });
    let record = LogRecord {
        time_unix_nano: SECOND,
        severity_number: 9,
        severity_text: "INFO".to_owned(),
        body: Some(any(Value::StringValue("said \"é\"\n".to_owned()))),
        attributes: attributes.collect(),
        trace_id: (0..16).collect(),
        span_id: (0..8).collect(),
        flags: 1,
        ..LogRecord::default()
    };
    let scope_logs = ScopeLogs {
        scope: scope(),
        log_records: vec![record.clone(), record],
        schema_url: "u".to_owned(),
    };
    let entry = ResourceLogs {
        resource: resource(),
        scope_logs: vec![scope_logs],
        ..ResourceLogs::default()
    };
    ExportLogsServiceRequest {
        resource_logs: vec![entry],
    }
    .encode_to_vec()
}

fn traces() -> Vec<u8> {
    let span = Span {
        trace_id: (0..16).collect(),
        span_id: (0..8).collect(),
        parent_span_id: (8..16).collect(),
        name: "GET /buy".to_owned(),
        kind: 2,
        start_time_unix_nano: SECOND,
        end_time_unix_nano: 2 * SECOND,
        attributes: vec![attribute("http.route", "/buy")],
        events: vec![Event {
            name: "event".to_owned(),
            attributes: vec![attribute("e", "f")],
            ..Event::default()
        }],
        links: vec![Link {
            trace_id: (0..16).collect(),
            span_id: (0..8).collect(),
            ..Link::default()
        }],
        status: Some(Status {
            message: "bad".to_owned(),
            code: 2,
        }),
        ..Span::default()
    };
    let scope_spans = ScopeSpans {
        scope: scope(),
        spans: vec![span.clone(), span],
        ..ScopeSpans::default()
    };
    let entry = ResourceSpans {
        resource: resource(),
        scope_spans: vec![scope_spans],
        ..ResourceSpans::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![entry],
    }
    .encode_to_vec()
}

/// What a pod tells the gate: delta or cumulative (2), the window of that number.
pub(crate) fn evidence(temporality: i32, window: u64) -> Vec<u8> {
    let (start, end) = match temporality {
        1 => (9_000 + 5 * window, 9_005 + 5 * window),
        _ => (9_000, 9_005 + 5 * window),
    };
    let (start_time_unix_nano, time_unix_nano) = (start * SECOND, end * SECOND);
    let attributes = vec![
        attribute("http.route", "/buy"),
        attribute("http.request.method", "GET"),
        attribute("http.response.status_code", "200"),
    ];
    let explicit = HistogramDataPoint {
        attributes: attributes.clone(),
        start_time_unix_nano,
        time_unix_nano,
        count: 6 * window,
        explicit_bounds: vec![0.1, 0.5],
        bucket_counts: vec![window, 2 * window, 3 * window],
        ..HistogramDataPoint::default()
    };
    let exponential = ExponentialHistogramDataPoint {
        attributes,
        start_time_unix_nano,
        time_unix_nano,
        count: 4 * window,
        scale: 3,
        zero_count: window,
        positive: Some(Buckets {
            offset: -7,
            bucket_counts: vec![window, 0, 2 * window],
        }),
        ..ExponentialHistogramDataPoint::default()
    };
    let cpu = NumberDataPoint {
        start_time_unix_nano,
        time_unix_nano,
        value: Some(number_data_point::Value::AsDouble(1.5 * window as f64)),
        ..NumberDataPoint::default()
    };
    let metric = |name: &str, data| Metric {
        name: name.to_owned(),
        unit: "s".to_owned(),
        data: Some(data),
        ..Metric::default()
    };
    let metrics = vec![
        metric(
            "http.server.request.duration",
            match window % 2 {
                0 => Data::Histogram(Histogram {
                    data_points: vec![explicit],
                    aggregation_temporality: temporality,
                }),
                _ => Data::ExponentialHistogram(ExponentialHistogram {
                    data_points: vec![exponential],
                    aggregation_temporality: temporality,
                }),
            },
        ),
        metric(
            "process.cpu.time",
            Data::Sum(Sum {
                data_points: vec![cpu],
                aggregation_temporality: temporality,
                is_monotonic: true,
            }),
        ),
    ];
    let entry = ResourceMetrics {
        resource: resource(),
        scope_metrics: vec![ScopeMetrics {
            scope: scope(),
            metrics,
            ..ScopeMetrics::default()
        }],
        ..ResourceMetrics::default()
    };
    ExportMetricsServiceRequest {
        resource_metrics: vec![entry],
    }
    .encode_to_vec()
}
