mod otlp;

use davy_proto::window::Latency;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use proptest::prelude::*;

use super::*;
use otlp::{cumulative, delta, request, resource, sum};

const HTTP: &str = "http.server.request.duration";
const BUY: [(&str, &str); 3] = [
    ("http.route", "/buy"),
    ("http.request.method", "GET"),
    ("http.response.status_code", "200"),
];
const FAILED: [(&str, &str); 3] = [
    ("http.route", "/buy"),
    ("http.request.method", "GET"),
    ("http.response.status_code", "503"),
];

fn take(normalizer: &mut Normalizer, metrics: Vec<Metric>) -> (Vec<Window>, Report) {
    normalizer.take(
        &request(resource(&[]), metrics),
        UnixNanos::from_seconds(10_000),
    )
}

fn one(metrics: Vec<Metric>) -> Window {
    let (mut windows, report) = take(&mut Normalizer::new(Settings::standard()), metrics);
    assert_eq!((windows.len(), report), (1, Report::default()));
    windows.remove(0)
}

/// Route, requests, errors and latencies of each route of each window.
fn counts(windows: &[Window]) -> Vec<(u64, u64, String, u64, u64, u64)> {
    let mut found = Vec::new();
    for window in windows {
        for route in &window.routes {
            let latencies = route.latency.as_ref().and_then(Latency::total).unwrap_or(0);
            let (start, end) = (window.start.seconds(), window.end.seconds());
            found.push((
                start,
                end,
                route.route.clone(),
                route.requests,
                route.errors,
                latencies,
            ));
        }
    }
    found
}

#[test]
fn a_request_of_the_agent_is_one_window() {
    let window = one(vec![
        delta(HTTP, "s", 100, 105, &BUY, &[0.1, 0.5], &[120, 60, 1]),
        delta(HTTP, "s", 100, 105, &FAILED, &[0.1, 0.5], &[0, 2, 0]),
        sum("process.cpu.time", true, 100, 105, &[], 1.7),
        otlp::gauge("davy.cpu.limit", 105, 2.0),
    ]);
    let expected = concat!(
        r#"{"version":1,"start":"1970-01-01T00:01:40Z","end":"1970-01-01T00:01:45Z","#,
        r#""service":"shop","namespace":"prod","arm":"v2","pod":"pod-1","#,
        r#""started":"1970-01-01T00:01:00Z","source":"histogram","routes":[{"route":"GET /buy","#,
        r#""requests":183,"errors":2,"codes":{"200":181,"503":2},"latency":{"#,
        r#""bounds_seconds":[0.1,0.5],"counts":[120,60,1]}}],"#,
        r#""cpu":{"seconds":1.7,"limit_cores":2.0},"build":{"version":"v2"}}"#
    );
    assert_eq!(window.to_line(), expected);
}

#[test]
fn milliseconds_become_seconds() {
    let labels = [("handler", "/buy"), ("method", "GET"), ("code", "2xx")];
    for (name, unit) in [
        ("http_request_duration_milliseconds", ""),
        ("http.server.duration", "ms"),
    ] {
        let window = one(
            vec![delta(name, unit, 0, 5, &labels, &[5.0, 250.0], &[1, 2, 3])]
                .into_iter()
                .map(|m| otlp::moved(m, 100))
                .collect(),
        );
        let latency = window.routes[0].latency.clone();
        let Some(Latency::Explicit(explicit)) = latency else {
            panic!("{name}")
        };
        assert_eq!(explicit.bounds_seconds, [0.005, 0.25], "{name}");
    }
}

#[test]
fn grpc_statuses_of_any_spelling() {
    let labels = |code| {
        [
            ("grpc_service", "shop.Cart"),
            ("grpc_method", "Add"),
            ("grpc_code", code),
        ]
    };
    let windows = one(vec![
        delta(
            "grpc_server_handling_seconds",
            "",
            100,
            105,
            &labels("OK"),
            &[0.1],
            &[5, 0],
        ),
        delta(
            "grpc_server_handling_seconds",
            "",
            100,
            105,
            &labels("Internal"),
            &[0.1],
            &[1, 0],
        ),
    ]);
    let expected = vec![(100, 105, "shop.Cart/Add".to_owned(), 6, 1, 5)];
    assert_eq!(counts(&[windows]), expected);
}

#[test]
fn counters_say_how_requests_ended_where_the_histogram_does_not() {
    let plain = &BUY[..2];
    let counter = "http.server.requests";
    let window = one(vec![
        delta(HTTP, "s", 100, 105, plain, &[0.1], &[10, 2]),
        sum(counter, true, 100, 105, &BUY, 11.0),
        sum(counter, true, 100, 105, &FAILED, 2.0),
    ]);
    assert_eq!(
        counts(&[window]),
        vec![(100, 105, "GET /buy".to_owned(), 13, 2, 12)]
    );
    let window = one(vec![
        delta(HTTP, "s", 100, 105, &BUY, &[0.1], &[10, 2]),
        sum(counter, true, 100, 105, &BUY, 999.0),
    ]);
    assert_eq!(
        counts(&[window]),
        vec![(100, 105, "GET /buy".to_owned(), 12, 0, 12)]
    );
}

#[test]
fn the_better_name_wins_and_nothing_counts_twice() {
    let window = one(vec![
        delta(
            "http_request_duration_seconds",
            "",
            100,
            105,
            &BUY,
            &[0.1],
            &[10, 2],
        ),
        delta(HTTP, "s", 100, 105, &BUY, &[0.1], &[7, 0]),
        otlp::exponential(HTTP, 100, 105, &BUY, &[3, 4]),
    ]);
    assert_eq!(
        counts(&[window]),
        vec![(100, 105, "GET /buy".to_owned(), 7, 0, 7)]
    );
}

#[test]
fn probes_are_nobodys_request() {
    let probe = [("http.route", "/healthz"), ("http.request.method", "GET")];
    let window = one(vec![delta(HTTP, "s", 100, 105, &probe, &[0.1], &[10, 2])]);
    assert_eq!(counts(&[window]), vec![]);
}

/// Guarantees: invariant 8: a window counts once, however often it is delivered.
#[test]
fn a_delta_window_counts_once() {
    let mut normalizer = Normalizer::new(Settings::standard());
    let at = |start, end| vec![delta(HTTP, "s", start, end, &BUY, &[0.1], &[10, 2])];
    let mut step = |start, end| {
        let (windows, report) = take(&mut normalizer, at(start, end));
        (
            counts(&windows).len(),
            report.counts.keys().copied().collect::<Vec<_>>(),
        )
    };
    assert_eq!(step(100, 105), (1, vec![]));
    assert_eq!(step(100, 105), (0, vec![Refusal::Duplicate]));
    assert_eq!(step(110, 115), (1, vec![]));
    assert_eq!(step(105, 110), (1, vec![]), "out of order");
    assert_eq!(step(105, 110), (0, vec![Refusal::Duplicate]));
    assert_eq!(step(112, 117), (0, vec![Refusal::Overlap]));
    assert_eq!(step(105, 105), (0, vec![Refusal::Period]));
    assert_eq!(step(0, 5), (0, vec![Refusal::NoStart]));
    assert_eq!(step(11_000, 11_005), (0, vec![Refusal::Future]));
}

#[test]
fn cumulative_points_are_differenced() {
    let mut normalizer = Normalizer::new(Settings::standard());
    let mut step = |start, end, buckets: &[u64]| {
        let metrics = vec![cumulative(HTTP, start, end, &BUY, &[0.1], buckets)];
        let (windows, report) = take(&mut normalizer, metrics);
        (
            counts(&windows),
            report.counts.keys().copied().collect::<Vec<_>>(),
        )
    };
    let row = |start, end, n| vec![(start, end, "GET /buy".to_owned(), n, 0, n)];
    assert_eq!(
        step(10, 100, &[90, 10]),
        (vec![], vec![Refusal::FirstPoint])
    );
    assert_eq!(step(10, 105, &[95, 12]), (row(100, 105, 7), vec![]));
    assert_eq!(step(10, 105, &[95, 12]), (vec![], vec![Refusal::Duplicate]));
    assert_eq!(
        step(10, 103, &[94, 12]),
        (vec![], vec![Refusal::OutOfOrder])
    );
    // A gap: the difference spans it.
    assert_eq!(step(10, 120, &[96, 13]), (row(105, 120, 2), vec![]));
    // A new start: what is there was counted since.
    assert_eq!(step(122, 125, &[3, 1]), (row(122, 125, 4), vec![]));
    // A fall without a new start.
    assert_eq!(step(122, 130, &[2, 0]), (row(125, 130, 2), vec![]));
}

#[test]
fn first_points_count_only_when_they_are_young() {
    let first = |start, end| {
        let metrics = vec![cumulative(HTTP, start, end, &BUY, &[0.1], &[4, 0])];
        let (windows, report) = take(&mut Normalizer::new(Settings::standard()), metrics);
        (counts(&windows).len(), report.count(Refusal::FirstPoint))
    };
    assert_eq!(first(100, 105), (1, 0));
    assert_eq!(first(103, 105), (1, 0));
    assert_eq!(first(99, 105), (0, 1));
    assert_eq!(first(0, 5), (0, 1), "no start time");
}

#[test]
fn a_series_that_the_snapshot_before_did_not_have_counts_whole() {
    let mut normalizer = Normalizer::new(Settings::standard());
    let buy = |end, n| cumulative(HTTP, 10, end, &BUY, &[0.1], &[n, 0]);
    take(&mut normalizer, vec![buy(100, 50)]);
    let failed = cumulative(HTTP, 10, 105, &FAILED, &[0.1], &[1, 0]);
    let (windows, _) = take(&mut normalizer, vec![buy(105, 60), failed]);
    assert_eq!(
        counts(&windows),
        vec![(100, 105, "GET /buy".to_owned(), 11, 1, 10)]
    );
}

#[test]
fn exponential_totals_of_different_scale_are_differenced() {
    let mut normalizer = Normalizer::new(Settings::standard());
    let point = |end, scale, offset, counts: &[u64]| {
        otlp::exponential_total(HTTP, 10, end, &BUY, (scale, offset), counts)
    };
    take(&mut normalizer, vec![point(100, 3, 0, &[1, 2, 3, 4])]);
    let (windows, _) = take(&mut normalizer, vec![point(105, 2, 0, &[5, 9])]);
    assert_eq!(
        counts(&windows),
        vec![(100, 105, "GET /buy".to_owned(), 4, 0, 4)]
    );
}

/// A histogram that widens its zero bucket moves counts there, and resets nothing: its whole life
/// would count as one window.
#[test]
fn a_wider_zero_bucket_is_no_reset() {
    let mut normalizer = Normalizer::new(Settings::standard());
    let point = |end, zero, offset, counts: &[u64]| {
        let mut metric = otlp::exponential_total(HTTP, 10, end, &BUY, (3, offset), counts);
        otlp::set_zero_count(&mut metric, zero);
        metric
    };
    take(&mut normalizer, vec![point(100, 1, 0, &[100, 200, 300])]);
    let (windows, _) = take(&mut normalizer, vec![point(105, 103, 1, &[205, 301])]);
    let row = vec![(100, 105, "GET /buy".to_owned(), 8, 0, 8)];
    assert_eq!(counts(&windows), row);
    let (windows, _) = take(&mut normalizer, vec![point(110, 0, 1, &[2, 1])]);
    let row = vec![(105, 110, "GET /buy".to_owned(), 3, 0, 3)];
    assert_eq!(counts(&windows), row, "a reset");
}

/// HTTP histograms with a status, gRPC ones without it and their counter: all in one app.
#[test]
fn each_protocol_has_its_status_where_it_has_it() {
    let call = [("rpc.service", "shop.Cart"), ("rpc.method", "Add")];
    let failed = [call[0], call[1], ("rpc.response.status_code", "INTERNAL")];
    let well = [call[0], call[1], ("rpc.response.status_code", "OK")];
    let window = one(vec![
        delta(HTTP, "s", 100, 105, &BUY, &[0.1], &[10, 2]),
        delta(
            "rpc.server.call.duration",
            "s",
            100,
            105,
            &call,
            &[0.1],
            &[50, 0],
        ),
        sum("rpc.server.requests", true, 100, 105, &well, 40.0),
        sum("rpc.server.requests", true, 100, 105, &failed, 10.0),
    ]);
    let expected = vec![
        (100, 105, "GET /buy".to_owned(), 12, 0, 12),
        (100, 105, "shop.Cart/Add".to_owned(), 50, 10, 50),
    ];
    assert_eq!(counts(&[window]), expected);
}

/// `promhttp` labels durations by handler and counts by code: the requests are the same ones.
#[test]
fn counters_by_other_labels_count_no_request_twice() {
    let by_code = |code| [("http.request.method", "GET"), ("code", code)];
    let window = one(vec![
        delta(HTTP, "s", 100, 105, &BUY[..2], &[0.1], &[90, 10]),
        sum("http_requests_total", true, 100, 105, &by_code("200"), 97.0),
        sum("http_requests_total", true, 100, 105, &by_code("500"), 3.0),
    ]);
    let sum = counts(&[window])
        .iter()
        .fold((0, 0), |sum, row| (sum.0 + row.3, sum.1 + row.4));
    assert_eq!(sum, (103, 3));
}

#[test]
fn a_metric_that_is_no_longer_sent_gives_way() {
    let mut normalizer = Normalizer::new(Settings::standard());
    let mut at = |metric: fn(u64) -> Metric, second: u64| {
        let request = request(resource(&[]), vec![metric(second)]);
        let (windows, _) = normalizer.take(&request, UnixNanos::from_seconds(second + 5));
        counts(&windows).iter().map(|row| row.3).sum::<u64>()
    };
    let native: fn(u64) -> Metric = |at| otlp::exponential(HTTP, at, at + 5, &BUY, &[3, 4]);
    let classic: fn(u64) -> Metric = |at| delta(HTTP, "s", at, at + 5, &BUY, &[0.1], &[7, 0]);
    assert_eq!(at(native, 100), 7);
    let later = [105, 130, 155].map(|second| at(classic, second));
    assert_eq!(later, [0, 0, 0], "the better one may come again");
    assert_eq!([165, 170].map(|second| at(classic, second)), [7, 7]);
    assert_eq!(at(native, 175), 7);
}

#[test]
fn different_bounds_are_an_anomaly() {
    let created = [BUY[0], BUY[1], ("http.response.status_code", "201")];
    let (windows, report) = take(
        &mut Normalizer::new(Settings::standard()),
        vec![
            delta(HTTP, "s", 100, 105, &BUY, &[0.1], &[10, 2]),
            delta(HTTP, "s", 100, 105, &created, &[0.2], &[3, 0]),
        ],
    );
    assert_eq!(report.count(Refusal::BoundsDiffer), 1);
    assert_eq!(
        counts(&windows),
        vec![(100, 105, "GET /buy".to_owned(), 15, 0, 12)]
    );
}

#[test]
fn who_sent_it_must_be_known() {
    let take = |drop: &str| {
        let metrics = vec![delta(HTTP, "s", 100, 105, &BUY, &[0.1], &[10, 2])];
        let request = request(resource(&[drop]), metrics);
        let mut normalizer = Normalizer::new(Settings::standard());
        let (_, report) = normalizer.take(&request, UnixNanos::from_seconds(200));
        report.counts.keys().copied().collect::<Vec<_>>()
    };
    assert_eq!(take("service.name"), [Refusal::NoService]);
    assert_eq!(take("service.version"), [Refusal::NoArm]);
    assert_eq!(take("k8s.pod.name"), [Refusal::NoPod]);
}

#[test]
fn malformed_points_cost_themselves_only() {
    let (windows, report) = take(
        &mut Normalizer::new(Settings::standard()),
        vec![
            delta(HTTP, "s", 100, 105, &BUY, &[0.1], &[10, 2, 7]),
            delta(HTTP, "s", 100, 105, &FAILED, &[0.1], &[1, 0]),
            sum("process.cpu.time", true, 100, 105, &[], f64::NAN),
        ],
    );
    assert_eq!(
        counts(&windows),
        vec![(100, 105, "GET /buy".to_owned(), 1, 1, 0)]
    );
    assert_eq!(
        (
            report.count(Refusal::Malformed),
            report.count(Refusal::NotFinite)
        ),
        (1, 1)
    );
    assert_eq!(
        report.examples[0].place,
        "prod/shop/v2/pod-1: http.server.request.duration"
    );
}

#[test]
fn state_is_bounded() {
    let mut settings = Settings::standard();
    (settings.pods_max, settings.pod_series_max) = (3, 2);
    let mut normalizer = Normalizer::new(settings);
    for pod in 0..10_u64 {
        let mut from = resource(&["k8s.pod.name"]);
        from.attributes
            .push(otlp::attribute("k8s.pod.name", &format!("pod-{pod}")));
        let metrics = vec![delta(HTTP, "s", 100, 105, &BUY, &[0.1], &[1, 0])];
        normalizer.take(&request(from, metrics), UnixNanos::from_seconds(200 + pod));
    }
    assert_eq!((normalizer.pods.len(), normalizer.evicted()), (3, 7));
    let routes = (0..4).map(|route| {
        let route = format!("/{route}");
        delta(
            HTTP,
            "s",
            100,
            105,
            &[("http.route", &route)],
            &[0.1],
            &[1, 0],
        )
    });
    let (_, report) = take(&mut normalizer, routes.collect());
    assert_eq!(report.count(Refusal::TooManySeries), 2);
}

#[test]
fn an_hdr_latency_is_read() {
    use hdrhistogram::serialization::{Serializer, V2DeflateSerializer};
    let mut recorded = hdrhistogram::Histogram::<u64>::new(3).unwrap();
    recorded.record_n(1_000, 5).unwrap();
    recorded.record_n(240_000, 2).unwrap();
    let mut bytes = Vec::new();
    V2DeflateSerializer::new()
        .serialize(&recorded, &mut bytes)
        .unwrap();
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(bytes);
    let sketch = sketch_of(&Latency::Hdr(text)).unwrap();
    assert_eq!(sketch.total(), 7);
    let p99 = sketch.quantile(0.99).unwrap();
    assert!(p99.low < 0.24 && 0.24 <= p99.high, "{p99:?}");
    assert_eq!(
        sketch_of(&Latency::Hdr("!".to_owned())),
        Err(LatencyError::Base64)
    );
    assert_eq!(
        sketch_of(&Latency::Hdr("AAAA".to_owned())),
        Err(LatencyError::Hdr)
    );
}

proptest! {
    /// Guarantees: whatever decodes as a request is counted or refused, never a panic.
    #[test]
    fn never_panics(requests in prop::collection::vec(otlp::any_request(), 1..6)) {
        let mut normalizer = Normalizer::new(Settings::standard());
        for request in requests {
            let (windows, _) = normalizer.take(&request, UnixNanos::from_seconds(1_000));
            for window in windows {
                prop_assert_eq!(Window::parse_line(&window.to_line()), Ok(window));
            }
        }
    }
}
