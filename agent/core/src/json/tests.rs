use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;

use super::*;

/// The examples of the specification's repository (`opentelemetry-proto/examples`), shortened.
const TRACE: &str = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name",
"value":{"stringValue":"my.service"}}]},"scopeSpans":[{"scope":{"name":"my.library","version":
"1.0.0","attributes":[{"key":"my.scope.attribute","value":{"stringValue":"some scope attribute"}}]},
"spans":[{"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174","parentSpanId":
"EEE19B7EC3C1B173","name":"I'm a server span","startTimeUnixNano":"1544712660000000000",
"endTimeUnixNano":"1544712661000000000","kind":2,"attributes":[{"key":"my.span.attr","value":
{"stringValue":"some value"}}]}]}]}]}"#;

const METRICS: &str = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"my.counter",
"unit":"1","description":"I am a Counter","sum":{"aggregationTemporality":1,"isMonotonic":true,
"dataPoints":[{"asDouble":5,"startTimeUnixNano":"1544712660300000000","timeUnixNano":
"1544712660300000000"}]}},{"name":"my.histogram","histogram":{"aggregationTemporality":1,
"dataPoints":[{"startTimeUnixNano":"1544712660300000000","timeUnixNano":"1544712660300000000",
"count":2,"sum":2,"bucketCounts":[1,1],"explicitBounds":[1],"min":0,"max":2}]}}]}]}]}"#;

const LOGS: &str = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":
"1544712660300000000","observedTimeUnixNano":"1544712660300000000","severityNumber":10,
"severityText":"Information","traceId":"5B8EFFF798038103D269B633813FC60C","spanId":
"EEE19B7EC3C1B174","body":{"stringValue":"Example log record"},"attributes":[{"key":"map.attribute",
"value":{"kvlistValue":{"values":[{"key":"some.map.key","value":{"stringValue":"some value"}}]}}},
{"key":"int.attribute","value":{"intValue":"10"}},{"key":"array.attribute","value":{"arrayValue":
{"values":[{"stringValue":"many"},{"stringValue":"values"}]}}}]}]}]}]}"#;

#[test]
fn examples_of_the_specification_are_read_and_written_back() {
    for (signal, text) in [
        (Signal::Traces, TRACE),
        (Signal::Metrics, METRICS),
        (Signal::Logs, LOGS),
    ] {
        let protobuf = to_protobuf(signal, text.as_bytes()).expect("an example");
        let json = from_protobuf(signal, &protobuf).expect("protobuf");
        assert_eq!(
            to_protobuf(signal, json.as_bytes()),
            Ok(protobuf),
            "{signal}"
        );
    }
    let trace = read_traces(TRACE.as_bytes()).expect("an example");
    let span = &trace.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!(
        span.span_id,
        [0xee, 0xe1, 0x9b, 0x7e, 0xc3, 0xc1, 0xb1, 0x74]
    );
    assert_eq!(
        (span.kind, span.end_time_unix_nano),
        (2, 1_544_712_661_000_000_000)
    );
    let metrics = read_metrics(METRICS.as_bytes()).expect("an example");
    let Some(Data::Histogram(histogram)) =
        &metrics.resource_metrics[0].scope_metrics[0].metrics[1].data
    else {
        panic!("a histogram")
    };
    let point = &histogram.data_points[0];
    assert_eq!(
        (point.count, point.sum, point.min),
        (2, Some(2.0), Some(0.0))
    );
}

#[test]
fn what_is_written_has_the_forms_of_the_specification() {
    let span = Span {
        trace_id: vec![0xab; 16],
        kind: 2,
        start_time_unix_nano: u64::MAX,
        attributes: vec![
            pair("b", Any::BytesValue(vec![0xfb, 0xff])),
            pair("i", Any::IntValue(-5)),
            pair("n", Any::DoubleValue(f64::NAN)),
            pair("x", Any::DoubleValue(f64::NEG_INFINITY)),
        ],
        status: Some(Status {
            code: 2,
            ..Status::default()
        }),
        ..Span::default()
    };
    let expected = concat!(
        r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":["#,
        r#"{"key":"b","value":{"bytesValue":"+/8="}},{"key":"i","value":{"intValue":"-5"}},"#,
        r#"{"key":"n","value":{"doubleValue":"NaN"}},"#,
        r#"{"key":"x","value":{"doubleValue":"-Infinity"}}],"#,
        r#""kind":2,"startTimeUnixNano":"18446744073709551615","status":{"code":2},"#,
        r#""traceId":"abababababababababababababababab"}]}]}]}"#,
    );
    assert_eq!(write_traces(&of_span(span)), expected);
}

#[test]
fn lenient_forms_are_read() {
    let text = r#"{"resource_spans":[{"unknown":{"x":[1]},"scope_spans":[{"spans":[{"span_id":"01",
        "kind":"2","startTimeUnixNano":7,"endTimeUnixNano":"1e3","flags":1.0,"status":null,
        "attributes":[{"key":"k","value":{}}]}]}]}]}"#;
    let read = read_traces(text.as_bytes()).expect("lenient forms");
    let expected = Span {
        span_id: vec![1],
        kind: 2,
        start_time_unix_nano: 7,
        end_time_unix_nano: 1000,
        flags: 1,
        attributes: vec![KeyValue {
            key: "k".into(),
            value: Some(AnyValue { value: None }),
            ..KeyValue::default()
        }],
        ..Span::default()
    };
    assert_eq!(read, of_span(expected));
}

#[track_caller]
fn check_error(text: &str, expected: &str) {
    let error = read_traces(text.as_bytes()).expect_err("a mistake");
    assert_eq!(error.to_string(), expected);
}

/// Guarantees: references into a string table, of which the three signals have none, are not lost.
#[test]
fn references_into_a_string_table_are_read_and_written() {
    let span = Span {
        attributes: vec![KeyValue {
            key_strindex: 7,
            ..pair("", Any::StringValueStrindex(8))
        }],
        ..Span::default()
    };
    let text = concat!(
        r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":["#,
        r#"{"keyStrindex":7,"value":{"stringValueStrindex":8}}]}]}]}]}"#,
    );
    assert_eq!(write_traces(&of_span(span.clone())), text);
    assert_eq!(read_traces(text.as_bytes()), Ok(of_span(span)));
}

#[test]
fn errors_name_the_place() {
    check_error("[]", "request: invalid type: sequence, expected an object");
    check_error(
        r#"{"resourceSpans":[{"scopeSpans":{}}]}"#,
        "resourceSpans[0].scopeSpans: invalid type: map, expected a list",
    );
    check_error("{} {}", "line 1, column 4: trailing characters");
    check_error("{", "line 1, column 1: EOF while parsing an object");
    check_error(
        r#"{"resourceSpans":[{},{"scopeSpans":[{"spans":[{"traceId":"xyz"}]}]}]}"#,
        "resourceSpans[1].scopeSpans[0].spans[0].traceId: expected a hexadecimal id, found \"xyz\"",
    );
    check_error(
        r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"kind":"SERVER"}]}]}]}"#,
        "resourceSpans[0].scopeSpans[0].spans[0].kind: expected a 32-bit integer, found \"SERVER\"",
    );
    check_error(
        r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":-1}]}]}]}"#,
        "resourceSpans[0].scopeSpans[0].spans[0].startTimeUnixNano: \
         expected an unsigned 64-bit integer, found -1",
    );
    check_error(
        r#"{"resourceSpans":[{"resource":{"attributes":[{"value":{"bytesValue":"*"}}]}}]}"#,
        "resourceSpans[0].resource.attributes[0].value.bytesValue: expected base64, found \"*\"",
    );
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    check_error(
        &format!(r#"{{"resourceSpans":[{{"deep":{deep}}}]}}"#),
        "resourceSpans[0].deep: recursion limit exceeded",
    );
    let wide = vec!["{}"; read::VALUES_MAX].join(",");
    check_error(
        &format!(r#"{{"resourceSpans":[{{"resource":{{"attributes":[{wide}]}}}}]}}"#),
        "resourceSpans[0]: more than 65536 values in one object; no span, record or point has as \
         many",
    );
}

#[test]
fn of_members_that_come_twice_the_last_counts() {
    let read = |text: &str| read_metrics(text.as_bytes()).expect("a request");
    let twice = r#"{"resourceMetrics":[{"schemaUrl":"a","scopeMetrics":[{"schemaUrl":"b"}],
        "scopeMetrics":[{"metrics":[{"gauge":{},"sum":{"isMonotonic":true},"name":"c",
        "metadata":[{"key":"d"}]}],"schemaUrl":"e"}]}],"resourceMetrics":null}"#;
    let once = r#"{"resourceMetrics":[{"schemaUrl":"a","scopeMetrics":[{"schemaUrl":"e","metrics":[
        {"name":"c","metadata":[{"key":"d"}],"sum":{"isMonotonic":true}}]}]}]}"#;
    assert_eq!(read(twice), read(once));
    let bytes = to_protobuf(Signal::Metrics, twice.as_bytes()).expect("a request");
    assert_eq!(bytes, read(once).encode_to_vec(), "in the order of numbers");
    // On the wire likewise: the sum comes after the gauge, in two parts.
    let metric = b"\x2a\x00\x3a\x02\x10\x02\x3a\x02\x18\x01";
    let scope = [&[0x12, metric.len() as u8], metric.as_slice()].concat();
    let resource = [&[0x12, scope.len() as u8], scope.as_slice()].concat();
    let request = [&[0x0a, resource.len() as u8], resource.as_slice()].concat();
    assert_eq!(
        from_protobuf(Signal::Metrics, &request).as_deref(),
        Ok(concat!(
            r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"sum":"#,
            r#"{"aggregationTemporality":2,"isMonotonic":true}}]}]}]}"#
        ))
    );
}

#[test]
fn a_body_of_empty_items_is_read_one_by_one() {
    let count = 200_000;
    let spans = vec!["{}"; count].join(",");
    let text = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{spans}]}}]}}]}}"#);
    let bytes = to_protobuf(Signal::Traces, text.as_bytes()).expect("a request");
    assert_eq!(
        crate::payload::count(Signal::Traces, &bytes),
        Ok(count as u64)
    );
    assert_eq!(from_protobuf(Signal::Traces, &bytes), Ok(text));
}

fn pair(key: &str, value: Any) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue {
        key: key.to_owned(),
        value,
        ..KeyValue::default()
    }
}

fn of_span(span: Span) -> ExportTraceServiceRequest {
    let scope_spans = vec![ScopeSpans {
        spans: vec![span],
        ..ScopeSpans::default()
    }];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans,
            ..ResourceSpans::default()
        }],
    }
}

fn doubles() -> impl Strategy<Value = f64> {
    // One NaN only: JSON has no payloads of NaN.
    prop_oneof![
        any::<f64>().prop_map(|n| if n.is_nan() { f64::NAN } else { n }),
        Just(0.0)
    ]
}

fn values() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        ".{0,8}".prop_map(Any::StringValue),
        any::<bool>().prop_map(Any::BoolValue),
        any::<i64>().prop_map(Any::IntValue),
        doubles().prop_map(Any::DoubleValue),
        vec(any::<u8>(), 0..6).prop_map(Any::BytesValue),
    ];
    let leaf = proptest::option::of(leaf).prop_map(|value| AnyValue { value });
    leaf.prop_recursive(3, 12, 3, |inner| {
        let list =
            vec(inner.clone(), 0..3).prop_map(|values| Any::ArrayValue(ArrayValue { values }));
        let map = vec((".{0,4}", inner), 0..3).prop_map(|pairs| {
            let pairs = pairs.into_iter();
            let values = pairs.map(|(key, value)| KeyValue {
                key,
                value: Some(value),
                ..KeyValue::default()
            });
            Any::KvlistValue(KeyValueList {
                values: values.collect(),
            })
        });
        prop_oneof![list, map].prop_map(|value| AnyValue { value: Some(value) })
    })
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let pair = (".{0,6}", proptest::option::of(values()));
    vec(
        pair.prop_map(|(key, value)| KeyValue {
            key,
            value,
            ..KeyValue::default()
        }),
        0..3,
    )
}

fn ids() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(Vec::new()), vec(any::<u8>(), 8), vec(any::<u8>(), 16)]
}

prop_compose! {
    fn span()(trace_id in ids(), span_id in ids(), trace_state in ".{0,6}", flags in any::<u32>(),
        kind in any::<i32>(), start_time_unix_nano in any::<u64>(), attributes in attributes(),
        event in attributes(), link in ids(), code in 0..3_i32) -> Span {
        Span {
            trace_id, span_id, trace_state, flags, kind, start_time_unix_nano, attributes,
            events: vec![Event { attributes: event, ..Event::default() }],
            links: vec![Link { trace_id: link, ..Link::default() }],
            status: Some(Status { code, message: String::new() }),
            ..Span::default()
        }
    }
}

prop_compose! {
    fn metrics()(attributes in attributes(), numbers in vec(doubles(), 1..4), int in any::<i64>(),
        counts in vec(any::<u64>(), 0..4), sum in proptest::option::of(doubles()),
        scale in any::<i32>(), id in ids(), name in ".{0,6}") -> Vec<Metric> {
        let exemplar = Exemplar { trace_id: id, value: None, ..Exemplar::default() };
        let number = |value| NumberDataPoint {
            attributes: attributes.clone(),
            exemplars: vec![exemplar.clone()],
            value: Some(value),
            ..NumberDataPoint::default()
        };
        let gauge = Gauge {
            data_points: numbers.iter().map(|n| number(Number::AsDouble(*n))).collect(),
        };
        let total = Sum {
            data_points: vec![number(Number::AsInt(int))],
            is_monotonic: true,
            aggregation_temporality: 2,
        };
        let histogram = Histogram {
            data_points: vec![HistogramDataPoint {
                bucket_counts: counts.clone(),
                explicit_bounds: numbers,
                sum,
                ..HistogramDataPoint::default()
            }],
            aggregation_temporality: 1,
        };
        let exponential = ExponentialHistogram {
            data_points: vec![ExponentialHistogramDataPoint {
                scale,
                sum,
                positive: Some(Buckets { offset: scale, bucket_counts: counts }),
                zero_threshold: 0.5,
                ..ExponentialHistogramDataPoint::default()
            }],
            aggregation_temporality: 1,
        };
        let all = [
            Data::Gauge(gauge),
            Data::Sum(total),
            Data::Histogram(histogram),
            Data::ExponentialHistogram(exponential),
        ];
        let named = |data| Metric { name: name.clone(), data: Some(data), ..Metric::default() };
        all.into_iter().map(named).collect()
    }
}

prop_compose! {
    fn record()(time_unix_nano in any::<u64>(), severity_number in 0..25_i32,
        body in proptest::option::of(values()), attributes in attributes(), trace_id in ids(),
        event_name in ".{0,6}") -> LogRecord {
        LogRecord {
            time_unix_nano,
            severity_number,
            body,
            attributes,
            trace_id,
            event_name,
            ..LogRecord::default()
        }
    }
}

/// Compared as protobuf, where NaN equals itself.
fn check_round_trip(signal: Signal, protobuf: &[u8]) -> Result<(), TestCaseError> {
    let json = from_protobuf(signal, protobuf).expect("protobuf");
    let back = to_protobuf(signal, json.as_bytes());
    prop_assert_eq!(back.as_deref(), Ok(protobuf), "{}", json);
    Ok(())
}

proptest! {
    #[test]
    fn traces_round_trip(span in span()) {
        check_round_trip(Signal::Traces, &of_span(span).encode_to_vec())?;
    }

    #[test]
    fn metrics_round_trip(metrics in metrics(), attributes in attributes()) {
        let request = ExportMetricsServiceRequest { resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource { attributes, ..Resource::default() }),
            scope_metrics: vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }],
            ..ResourceMetrics::default()
        }] };
        check_round_trip(Signal::Metrics, &request.encode_to_vec())?;
    }

    #[test]
    fn logs_round_trip(record in record()) {
        let scope_logs = vec![ScopeLogs { log_records: vec![record], ..ScopeLogs::default() }];
        let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
        let request = ExportLogsServiceRequest { resource_logs };
        check_round_trip(Signal::Logs, &request.encode_to_vec())?;
    }

    #[test]
    fn arbitrary_text_never_panics(text in ".{0,200}") {
        let _ = read_traces(text.as_bytes());
        let _ = read_metrics(text.as_bytes());
        let _ = read_logs(text.as_bytes());
    }
}
