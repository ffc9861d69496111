//! What the app's SDK sends: delta and cumulative points, spans.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

use super::*;

const NAME: &str = "http.server.request.duration";

struct Of {
    delta: bool,
    start: u64,
    time: u64,
    code: &'static str,
    count: u64,
}

fn sent(e: &mut Evidence, of: &[Of]) {
    let points = of.iter().map(|of| HistogramDataPoint {
        attributes: labels(&[("http.route", "/a"), ("http.response.status_code", of.code)]),
        start_time_unix_nano: at(of.start).nanos(),
        time_unix_nano: at(of.time).nanos(),
        count: of.count,
        bucket_counts: vec![of.count, 0, 0],
        explicit_bounds: vec![0.1, 0.25],
        ..HistogramDataPoint::default()
    });
    let temporality = if of.iter().any(|of| of.delta) {
        AggregationTemporality::Delta
    } else {
        AggregationTemporality::Cumulative
    };
    let histogram = Histogram {
        data_points: points.collect(),
        aggregation_temporality: temporality as i32,
    };
    let metrics = vec![metric(NAME, Data::Histogram(histogram))];
    let resource = [("service.name", "checkout"), ("service.version", "v2")];
    let time = of.first().map_or(0, |of| of.time);
    e.observe_metrics(&of_resource(&resource, metrics), Origin::Otlp, at(time));
}

fn line(span: &str, code: &str, count: u64) -> String {
    format!("{span} http.server.request.duration [/a {code}] [0.1, 0.25] [{count}, 0, 0]")
}

#[test]
fn increments_count_as_they_are_once() {
    let mut e = evidence();
    let first = || Of {
        delta: true,
        start: 0,
        time: 3,
        code: "200",
        count: 7,
    };
    sent(&mut e, &[first()]);
    sent(&mut e, &[first()]);
    let closed = check(&mut e, 5, &[&line("0..5", "200", 7)]);
    assert_eq!(closed.report.refused.get(&Refusal::Duplicate), Some(&1));
    sent(
        &mut e,
        &[Of {
            delta: true,
            start: 2,
            time: 8,
            code: "200",
            count: 5,
        }],
    );
    sent(
        &mut e,
        &[Of {
            delta: true,
            start: 3,
            time: 8,
            code: "200",
            count: 4,
        }],
    );
    let closed = check(&mut e, 10, &[&line("5..10", "200", 4)]);
    assert_eq!(closed.report.refused.get(&Refusal::OutOfOrder), Some(&1));
}

#[test]
fn cumulative_points_are_differenced_and_new_series_count() {
    let mut e = evidence();
    let of = |start, time, code, count| Of {
        delta: false,
        start,
        time,
        code,
        count,
    };
    // A process that began long before: its first snapshot is a base, for all series of it.
    e.open_from = Some(at(100));
    sent(&mut e, &[of(10, 103, "200", 500), of(10, 103, "404", 30)]);
    check(&mut e, 105, &[&line("100..105", "404", 0)]);
    sent(&mut e, &[of(10, 108, "200", 510), of(10, 108, "503", 2)]);
    check(
        &mut e,
        110,
        &[
            &line("105..110", "200", 10),
            &line("105..110", "503 503", 2),
        ],
    );
    // A new process: its start lies ahead.
    sent(&mut e, &[of(111, 113, "200", 4)]);
    let closed = check(&mut e, 115, &[&line("110..115", "200", 4)]);
    let request = closed.request.expect("a request");
    let resource = request.resource_metrics[0]
        .resource
        .as_ref()
        .expect("a resource");
    let named = |name: &str| attributes::named(&resource.attributes, name).map(|t| t.into_owned());
    assert_eq!(named("service.name").as_deref(), Some("checkout"));
    assert_eq!(named("service.version").as_deref(), Some("v2"));
}

#[test]
fn an_export_in_two_requests_is_not_taken_for_new_series() {
    let mut e = evidence();
    let of = |code, count| Of {
        delta: false,
        start: 10,
        time: 103,
        code,
        count,
    };
    e.open_from = Some(at(100));
    sent(&mut e, &[of("200", 500)]);
    sent(&mut e, &[of("404", 300)]);
    check(&mut e, 105, &[&line("100..105", "404", 0)]);
}

fn span(kind: i32, micros: u64, code: i64, trace_state: &str) -> Span {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    let mut attributes = labels(&[("http.route", "/a"), ("http.request.method", "GET")]);
    attributes.push(attributes::pair(
        "http.response.status_code",
        Value::IntValue(code),
    ));
    Span {
        kind,
        trace_state: trace_state.to_owned(),
        start_time_unix_nano: at(1).nanos(),
        end_time_unix_nano: at(1).nanos() + micros * 1_000,
        attributes,
        ..Span::default()
    }
}

fn traces(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope_spans = vec![ScopeSpans {
        spans,
        ..ScopeSpans::default()
    }];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans,
            ..ResourceSpans::default()
        }],
    }
}

/// The buckets `(base^i, base^(i+1)]` of scale 5 that hold these latencies.
fn bucket(micros: f64) -> i32 {
    ((micros / 1e6).log2() * 32.0).ceil() as i32 - 1
}

#[test]
fn server_spans_are_weighted_by_their_sampling_probability() {
    let mut settings = EvidenceSettings::with_resource(Vec::new());
    settings.source = SourceMode::Spans;
    let mut e = Evidence::new(settings);
    e.observe_spans(&traces(vec![
        span(2, 100_000, 200, "ot=th:8"),
        span(2, 100_000, 200, "ot=th:8"),
        span(2, 25_000, 503, ""),
        span(3, 25_000, 200, ""),
        Span {
            end_time_unix_nano: 1,
            ..span(2, 25_000, 200, "")
        },
    ]));
    let of = |rest: String| format!("0..5 http.server.request.duration [/a GET {rest}");
    let closed = check(
        &mut e,
        5,
        &[
            &of(format!(
                "200] scale 5 zero 0 from {} [4]",
                bucket(100_000.0)
            )),
            &of(format!(
                "503 503] scale 5 zero 0 from {} [1]",
                bucket(25_000.0)
            )),
        ],
    );
    assert_eq!(closed.report.refused.get(&Refusal::SpanTime), Some(&1));
    assert!(closed.report.spans);
}

#[test]
fn fractions_of_a_weight_are_carried_over() {
    let mut tally = tally::SpanTally::new();
    for _ in 0..30 {
        tally.record(1_000, 1.0 / 0.3);
    }
    assert!((99..=100).contains(&tally.distribution().count()));
}

#[test]
fn spans_wait_for_a_histogram_and_give_way_to_one() {
    let mut e = evidence();
    for window in 1..=u64::from(SPANS_AFTER_WINDOWS) {
        assert!(e.wants_spans());
        e.observe_spans(&traces(vec![span(2, 100_000, 200, "")]));
        let request = e.close(at(window * 5)).request;
        assert_eq!(
            request.is_some(),
            window == u64::from(SPANS_AFTER_WINDOWS),
            "{window}"
        );
    }
    sent(
        &mut e,
        &[Of {
            delta: true,
            start: 30,
            time: 33,
            code: "200",
            count: 7,
        }],
    );
    assert!(!e.wants_spans());
    check(&mut e, 35, &[&line("30..35", "200", 7)]);
}
