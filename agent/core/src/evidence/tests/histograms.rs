//! Names, labels, units, status beside, routes: what is chosen and how it is named.

use super::*;

fn two(e: &mut Evidence, make: impl Fn(UnixNanos, u64) -> Vec<Metric>) -> Closed {
    e.observe_metrics(&page(make(at(5), 1)), PAGE, at(5));
    e.close(at(5));
    e.observe_metrics(&page(make(at(10), 3)), PAGE, at(10));
    e.close(at(10))
}

#[track_caller]
fn check_names(name: &str, unit: &str, pairs: &[(&str, &str)], expected: &str) {
    let mut e = evidence();
    let closed = two(&mut e, |time, n| {
        let mut metric = classic(name, time, &[(pairs, [n, 2 * n, 0])]);
        metric.unit = unit.to_owned();
        vec![metric]
    });
    assert_eq!(lines(closed.request.as_ref()), [expected], "{name}");
}

#[test]
fn names_labels_and_units_become_conventional() {
    let http = |rest: &str| format!("5..10 http.server.request.duration {rest} [2, 4, 0]");
    let rpc = |rest: &str| format!("5..10 rpc.server.call.duration {rest} [2, 4, 0]");
    check_names(
        "http.server.request.duration",
        "s",
        &[
            ("http.route", "/a"),
            ("http.request.method", "GET"),
            ("http.response.status_code", "404"),
        ],
        &http("[/a GET 404] [0.1, 0.25]"),
    );
    check_names(
        "http_request_duration_milliseconds",
        "",
        &[("handler", "/a"), ("status", "5XX")],
        &http("[/a 5xx 5xx] [0.0001, 0.00025]"),
    );
    check_names(
        "http_request_duration_seconds",
        "ms",
        &[],
        &http("[] [0.0001, 0.00025]"),
    );
    check_names(
        "grpc_server_handling_seconds",
        "",
        &[
            ("grpc_service", "shop.Cart"),
            ("grpc_method", "Add"),
            ("grpc_code", "DeadlineExceeded"),
        ],
        &rpc("[Add shop.Cart DEADLINE_EXCEEDED DEADLINE_EXCEEDED] [0.1, 0.25]"),
    );
}

#[test]
fn series_that_differ_in_other_labels_are_summed() {
    let mut e = evidence();
    let closed = two(&mut e, |time, n| {
        let series: [Counted<'_>; 2] = [
            (
                &[("route", "/a"), ("code", "200"), ("zone", "x")],
                [n, 0, 0],
            ),
            (
                &[("route", "/a"), ("code", "200"), ("zone", "y")],
                [0, n, 0],
            ),
        ];
        vec![classic("http_request_duration_seconds", time, &series)]
    });
    let expected = "5..10 http.server.request.duration [/a 200] [0.1, 0.25] [2, 2, 0]";
    assert_eq!(lines(closed.request.as_ref()), [expected]);
}

#[test]
fn errors_come_from_the_counter_where_the_histogram_has_no_status() {
    let mut e = evidence();
    let closed = two(&mut e, |time, n| {
        let route: &[(&str, &str)] = &[("route", "/a"), ("method", "GET")];
        let ok: &[(&str, &str)] = &[("route", "/a"), ("method", "GET"), ("code", "200")];
        let bad: &[(&str, &str)] = &[("route", "/a"), ("method", "GET"), ("code", "500")];
        vec![
            classic(
                "http_request_duration_seconds",
                time,
                &[(route, [5 * n, 0, 0])],
            ),
            counter(
                "http_requests_total",
                time,
                &[(ok, 4.0 * n as f64), (bad, n as f64)],
            ),
        ]
    });
    assert_eq!(
        lines(closed.request.as_ref()),
        [
            "5..10 http.server.request.duration [/a GET] [0.1, 0.25] [10, 0, 0]",
            "5..10 http.server.requests [/a GET 200] 8",
            "5..10 http.server.requests [/a GET 500 500] 2",
        ]
    );
    let errors = &closed.report.objectives[1];
    assert!(errors.judgeable, "{errors:?}");
    assert_eq!(
        errors.why,
        "counter http_requests_total beside the histogram"
    );
}

#[test]
fn the_counter_is_left_out_where_the_histogram_has_the_status() {
    let mut e = evidence();
    let closed = two(&mut e, |time, n| {
        let ok: &[(&str, &str)] = &[("route", "/a"), ("code", "200")];
        vec![
            classic(
                "http_request_duration_seconds",
                time,
                &[(ok, [5 * n, 0, 0])],
            ),
            counter("http_requests_total", time, &[(ok, 5.0 * n as f64)]),
        ]
    });
    assert_eq!(lines(closed.request.as_ref()).len(), 1);
}

#[test]
fn probes_are_excluded_and_routes_beyond_the_limit_are_one() {
    let mut settings = EvidenceSettings::with_resource(Vec::new());
    settings.max_routes = 2;
    let mut e = Evidence::new(settings);
    let closed = two(&mut e, |time, n| {
        let routes = ["/a", "/b", "/c", "/d", "/debug/pprof", "/metrics"];
        let pairs: Vec<_> = routes.iter().map(|route| [("route", *route)]).collect();
        let series: Vec<_> = pairs.iter().map(|pair| (&pair[..], [n, 0, 0])).collect();
        vec![classic("http_request_duration_seconds", time, &series)]
    });
    assert_eq!(
        lines(closed.request.as_ref()),
        [
            "5..10 http.server.request.duration [/a] [0.1, 0.25] [2, 0, 0]",
            "5..10 http.server.request.duration [/b] [0.1, 0.25] [2, 0, 0]",
            "5..10 http.server.request.duration [other] [0.1, 0.25] [4, 0, 0]",
        ]
    );
    assert_eq!(closed.report.refused.get(&Refusal::RouteLimit), Some(&2));
    assert_eq!(closed.report.refused.get(&Refusal::Excluded), Some(&2));
}

#[test]
fn series_beyond_the_limit_are_counted_and_never_taken_for_new() {
    let mut settings = EvidenceSettings::with_resource(Vec::new());
    settings.max_series = 1;
    let mut e = Evidence::new(settings);
    let of = |route: &'static str| [("route", route)];
    let (a, b) = (of("/a"), of("/b"));
    let name = "http_request_duration_seconds";
    let scrape = |e: &mut Evidence, second, series: &[Counted<'_>]| {
        e.observe_metrics(
            &page(vec![classic(name, at(second), series)]),
            PAGE,
            at(second),
        );
    };
    scrape(&mut e, 5, &[(&a, [1, 0, 0]), (&b, [1000, 0, 0])]);
    e.close(at(5));
    scrape(&mut e, 10, &[(&b, [1001, 0, 0])]);
    e.close(at(10));
    scrape(&mut e, 15, &[(&b, [1002, 0, 0])]);
    let closed = e.close(at(15));
    assert!(closed.report.refused.get(&Refusal::SeriesLimit) >= Some(&1));
    let counted: Vec<_> = lines(closed.request.as_ref());
    assert!(
        !counted.iter().any(|line| line.contains("[1002, 0, 0]")),
        "{counted:?}"
    );
}

#[test]
fn a_summary_is_named_as_what_cannot_be_judged() {
    let mut e = evidence();
    let summary = opentelemetry_proto::tonic::metrics::v1::Summary {
        data_points: Vec::new(),
    };
    let metrics = vec![metric(
        "http_request_duration_seconds",
        Data::Summary(summary),
    )];
    e.observe_metrics(&page(metrics), PAGE, at(5));
    let report = e.report();
    assert!(!report.objectives[0].judgeable);
    let why = "http_request_duration_seconds is a summary: quantiles of two pods can't be compared";
    assert_eq!(report.objectives[0].why, why);
}
