//! Pages and the OTLP they become.

use expect_test::{Expect, expect};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, Metric, SummaryDataPoint};

use super::*;
use crate::exposition::{Options, parse};
use crate::series::NO_RECORDED_VALUE;

mod native;

const AT: u64 = 1_700_000_000_000_000_000;
const SECOND: u64 = 1_000_000_000;
const SCRAPE: ScrapeStats = ScrapeStats {
    duration_seconds: 0.25,
};

fn identity() -> Identity {
    Identity {
        agent_version: "1.2.3".to_owned(),
        defaults: vec![
            attributes::text("service.name", "shop"),
            attributes::text("server.port", "8080"),
        ],
        fixed: vec![attributes::text("davy.arm", "canary")],
    }
}

fn page(text: &str) -> Page<'_> {
    parse(text.as_bytes(), None, &Options::LENIENT).unwrap()
}

fn converted(text: &str) -> (ExportMetricsServiceRequest, Notes) {
    let (metrics, notes) = convert(&page(text), &identity(), AT);
    (
        ExportMetricsServiceRequest {
            resource_metrics: vec![metrics],
        },
        notes,
    )
}

#[track_caller]
fn check(text: &str, expected: &Expect) {
    let (request, notes) = converted(text);
    let notes = if notes == Notes::default() {
        String::new()
    } else {
        format!("{notes:?}\n")
    };
    expected.assert_eq(&(print::lines(&request) + &notes));
}

fn metric<'r>(request: &'r ExportMetricsServiceRequest, name: &str) -> &'r Metric {
    let scopes = request
        .resource_metrics
        .iter()
        .flat_map(|metrics| &metrics.scope_metrics);
    scopes
        .flat_map(|scope| &scope.metrics)
        .find(|metric| metric.name == name)
        .unwrap()
}

#[test]
fn kinds() {
    check(
        "# HELP c_total Help.\n# TYPE c_total counter\nc_total{a=\"b\"} 1\nc_total 2\n\
         # TYPE g gauge\ng NaN\nu 3\n\
         # TYPE s summary\ns{quantile=\"0.9\"} NaN\ns{quantile=\"0.5\"} 1\ns_count 4\n\
         # TYPE t summary\nt_sum 5\n",
        &expect![[r#"
            resource {service.name="shop", server.port="8080", davy.arm="canary"}
            scope davy-agent 1.2.3
            c_total{a="b"} counter 1
            c_total counter 2
            g gauge NaN
            u gauge 3
            s summary count 4 sum 0 [0.5: 1, 0.9: NaN]
            Notes { bad_counts: 0, bad_natives: 0, count_mismatches: 0, decreasing_histograms: 0, gauge_histograms: 0, reserved_names: 0, unsupported_natives: 0, without_count: 1 }
        "#]],
    );
    check(
        "# TYPE i info\ni_info{a=\"b\"} 1\n# TYPE st stateset\nst{st=\"on\"} 1\n\
         # TYPE c counter\n# UNIT c bytes\nc_total 5\nc_created 1700.5\n\
         # TYPE gh gaugehistogram\ngh_bucket{le=\"1\"} 1\ngh_bucket{le=\"+Inf\"} 1\n\
         # TYPE x counter\nx 1\nx_total 2\n# EOF\n",
        &expect![[r#"
            resource {service.name="shop", server.port="8080", davy.arm="canary"}
            scope davy-agent 1.2.3
            i_info{a="b"} sum 1
            st{st="on"} sum 1
            c_total counter 5 By
            x counter 1
            x_total counter 2
            Notes { bad_counts: 0, bad_natives: 0, count_mismatches: 0, decreasing_histograms: 0, gauge_histograms: 1, reserved_names: 0, unsupported_natives: 0, without_count: 0 }
        "#]],
    );
}

#[test]
fn histograms() {
    // In order, labels apart, unsorted and interleaved, without +Inf.
    check(
        "# TYPE h histogram\n\
         h_bucket{r=\"a\",le=\"0.1\"} 2\nh_bucket{r=\"a\",le=\"1.0\"} 5\n\
         h_bucket{r=\"a\",le=\"+Inf\"} 6\nh_sum{r=\"a\"} 9.5\nh_count{r=\"a\"} 6\n\
         h_bucket{r=\"b\",le=\"1\"} 3\nh_count{r=\"b\"} 4\n\
         # TYPE k histogram\n\
         k_bucket{le=\"+Inf\",r=\"a\"} 3\nk_bucket{le=\"2\",r=\"b\"} 1\nk_count{r=\"a\"} 3\n\
         k_bucket{r=\"a\",le=\"1\"} 2\nk_count{r=\"b\"} 1\nk_sum{r=\"b\"} NaN\n\
         # TYPE only histogram\nonly_bucket{le=\"+Inf\"} 7\nonly_count 7\n",
        &expect![[r#"
            resource {service.name="shop", server.port="8080", davy.arm="canary"}
            scope davy-agent 1.2.3
            h{r="a"} histogram count 6 sum 9.5 [≤0.1: 2, ≤1: 3, ≤inf: 1]
            h{r="b"} histogram count 4 [≤1: 3, ≤inf: 1]
            k{r="a"} histogram count 3 [≤1: 2, ≤inf: 1]
            k{r="b"} histogram count 1 sum NaN [≤2: 1, ≤inf: 0]
            only histogram count 7 [≤inf: 7]
        "#]],
    );
    // Mismatch, decreasing, no count, not a number.
    check(
        "# TYPE a histogram\na_bucket{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 5\na_count 4\n\
         # TYPE b histogram\nb_bucket{le=\"1\"} 3\nb_bucket{le=\"2\"} 2\nb_count 3\n\
         # TYPE c histogram\nc_bucket{le=\"1\"} 3\nc_bucket{le=\"+Inf\"} 3\n\
         # TYPE d histogram\nd_bucket{le=\"1\"} -3\nd_count 1\n\
         # TYPE e histogram\ne_count NaN\n",
        &expect![[r#"
            resource {service.name="shop", server.port="8080", davy.arm="canary"}
            scope davy-agent 1.2.3
            a histogram count 5 [≤1: 1, ≤inf: 4]
            Notes { bad_counts: 2, bad_natives: 0, count_mismatches: 1, decreasing_histograms: 1, gauge_histograms: 0, reserved_names: 0, unsupported_natives: 0, without_count: 1 }
        "#]],
    );
}

#[test]
fn scopes_and_resource() {
    check(
        "# TYPE target_info gauge\ntarget_info{service_version=\"v1\",\"server.port\"=\"9\",\"davy.arm\"=\"x\"} 1\n\
         # TYPE otel_scope_info gauge\notel_scope_info{otel_scope_name=\"lib\"} 1\n\
         # TYPE c counter\nc{a=\"1\"} 1\n\
         c{a=\"1\",otel_scope_name=\"lib\",otel_scope_version=\"2\",otel_scope_kind=\"k\"} 2\n\
         c{a=\"2\",otel_scope_name=\"lib\",otel_scope_version=\"2\",otel_scope_kind=\"k\"} 3\n\
         c{a=\"2\"} 4\n",
        &expect![[r#"
            resource {service.name="shop", server.port="9", davy.arm="canary", service_version="v1"}
            scope davy-agent 1.2.3
            c{a="1"} counter 1
            c{a="2"} counter 4
            scope lib 2 {kind="k"}
            c{a="1"} counter 2
            c{a="2"} counter 3
        "#]],
    );
}

#[test]
fn times_exemplars_and_metadata() {
    let (request, _) = converted(
        "# HELP c Help.\n# TYPE c counter\n# UNIT c seconds\n\
         c_total 5 1520879607.789 # {trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\",\
         span_id=\"00f067aa0ba902b7\",user=\"u\"} 1.5 1520879607.5\n\
         c_created 1520430000.123\n# TYPE h histogram\n\
         h_bucket{le=\"1\"} 1 # {trace_id=\"nope\"} 0.5\nh_count 1\nh_sum 2\nh_created 5\n# EOF\n",
    );
    let counter = metric(&request, "c_total");
    assert_eq!(
        (counter.description.as_str(), counter.unit.as_str()),
        ("Help.", "s")
    );
    assert_eq!(
        counter.metadata,
        [attributes::text("prometheus.type", "counter")]
    );
    let Some(Data::Sum(sum)) = &counter.data else {
        panic!("{counter:?}")
    };
    let point = &sum.data_points[0];
    assert_eq!(point.time_unix_nano, 1_520_879_607_789_000_000);
    assert_eq!(point.start_time_unix_nano, 1_520_430_000_123_000_000);
    let exemplar = &point.exemplars[0];
    assert_eq!(exemplar.time_unix_nano, 1_520_879_607_500_000_000);
    assert_eq!((exemplar.trace_id.len(), exemplar.span_id.len()), (16, 8));
    assert_eq!(
        exemplar.filtered_attributes,
        [attributes::text("user", "u")]
    );
    let Some(Data::Histogram(histogram)) = &metric(&request, "h").data else {
        panic!("no histogram")
    };
    let point = &histogram.data_points[0];
    assert_eq!(
        (point.time_unix_nano, point.start_time_unix_nano),
        (AT, 5 * SECOND)
    );
    assert_eq!(point.exemplars[0].time_unix_nano, AT);
    assert_eq!(point.exemplars[0].trace_id, Vec::<u8>::new());
    assert_eq!(
        point.exemplars[0].filtered_attributes,
        [attributes::text("trace_id", "nope")]
    );
}

/// Scenario: scrapes of one target in a row: series vanish, the scrape fails twice, comes back.
/// Guarantees: each vanished series has one marker, `up` says what happened.
#[test]
fn series_that_vanish_are_marked_once() {
    let mut translator = Translator::new(identity());
    let mut lines = String::new();
    let mut note = |translated: Translated| {
        let decoded = ExportMetricsServiceRequest::decode(translated.payload.bytes).unwrap();
        assert_eq!(decoded, translated.request);
        assert_eq!(translated.payload.items, items(&translated.request));
        lines.push_str("---\n");
        lines.push_str(&print::lines(&translated.request));
    };
    let first =
        "# TYPE a counter\na{x=\"1\"} 1\na{x=\"2\"} 2\n# TYPE h histogram\nh_count 1\nup 7\n";
    note(translator.translate(&page(first), AT, &SCRAPE));
    let second = "# TYPE a counter\na{x=\"2\"} 2\n";
    note(translator.translate(&page(second), AT + SECOND, &SCRAPE));
    note(translator.translate(&page(second), AT + 2 * SECOND, &SCRAPE));
    note(translator.failed(AT + 3 * SECOND, &SCRAPE));
    note(translator.failed(AT + 4 * SECOND, &SCRAPE));
    note(translator.translate(&page(second), AT + 5 * SECOND, &SCRAPE));
    let target = format!("{second}# TYPE target_info gauge\ntarget_info{{v=\"2\"}} 1\n");
    note(translator.translate(&page(&target), AT + 6 * SECOND, &SCRAPE));
    let shown =
        |line: &&str| !line.starts_with("scrape_") || line.starts_with("scrape_series_added");
    let lines: Vec<&str> = lines.lines().filter(shown).collect();
    expect![[r#"
        ---
        resource {service.name="shop", server.port="8080", davy.arm="canary"}
        scope davy-agent 1.2.3
        a{x="1"} counter 1
        a{x="2"} counter 2
        h histogram count 1 [≤inf: 1]
        up gauge 1
        scrape_series_added gauge 3
        ---
        resource {service.name="shop", server.port="8080", davy.arm="canary"}
        scope davy-agent 1.2.3
        a{x="2"} counter 2
        up gauge 1
        scrape_series_added gauge 0
        a{x="1"} counter no recorded value
        h histogram no recorded value
        ---
        resource {service.name="shop", server.port="8080", davy.arm="canary"}
        scope davy-agent 1.2.3
        a{x="2"} counter 2
        up gauge 1
        scrape_series_added gauge 0
        ---
        resource {service.name="shop", server.port="8080", davy.arm="canary"}
        scope davy-agent 1.2.3
        up gauge 0
        scrape_series_added gauge 0
        a{x="2"} counter no recorded value
        ---
        resource {service.name="shop", server.port="8080", davy.arm="canary"}
        scope davy-agent 1.2.3
        up gauge 0
        scrape_series_added gauge 0
        ---
        resource {service.name="shop", server.port="8080", davy.arm="canary"}
        scope davy-agent 1.2.3
        a{x="2"} counter 2
        up gauge 1
        scrape_series_added gauge 1
        ---
        resource {service.name="shop", server.port="8080", v="2", davy.arm="canary"}
        scope davy-agent 1.2.3
        a{x="2"} counter 2
        up gauge 1
        scrape_series_added gauge 0
        resource {service.name="shop", server.port="8080", davy.arm="canary"}
        scope davy-agent 1.2.3
        a{x="2"} counter no recorded value
    "#]]
    .assert_eq(&(lines.join("\n") + "\n"));
}

/// Guarantees: a marker names every bucket and quantile, and whether there was a sum, so that a
/// backend that makes a series of each ends them all; it says nothing else.
#[test]
fn markers_name_bounds_and_quantiles() {
    let mut translator = Translator::new(identity());
    let text = "# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 3\nh_sum 4\n\
                h_count 3\n# TYPE s summary\ns{quantile=\"0.5\"} 7\ns_sum 8\ns_count 9\n";
    translator.translate(&page(text), AT, &SCRAPE);
    let failed = translator.failed(AT + SECOND, &SCRAPE);
    let Some(Data::Histogram(histogram)) = &metric(&failed.request, "h").data else {
        panic!("no histogram")
    };
    let marker = HistogramDataPoint {
        time_unix_nano: AT + SECOND,
        flags: NO_RECORDED_VALUE,
        explicit_bounds: vec![1.0],
        bucket_counts: vec![0, 0],
        sum: Some(0.0),
        ..HistogramDataPoint::default()
    };
    assert_eq!(histogram.data_points, [marker]);
    let Some(Data::Summary(summary)) = &metric(&failed.request, "s").data else {
        panic!("no summary")
    };
    let marker = SummaryDataPoint {
        time_unix_nano: AT + SECOND,
        flags: NO_RECORDED_VALUE,
        quantile_values: vec![ValueAtQuantile {
            quantile: 0.5,
            value: 0.0,
        }],
        ..SummaryDataPoint::default()
    };
    assert_eq!(summary.data_points, [marker]);
}

/// Guarantees: a reset moves a known start to just before the point that shows it, and later
/// points keep it; an unknown start stays unset; a newer `_created` wins.
#[test]
fn resets_move_known_starts() {
    let mut translator = Translator::new(identity());
    let mut start = |value: u32, created: Option<u32>, at: u64| {
        let created = created.map_or(String::new(), |created| format!("c_created {created}\n"));
        let text = format!("# TYPE c counter\nc_total {value}\n{created}# EOF\n");
        let translated = translator.translate(&page(&text), at, &SCRAPE);
        let Some(Data::Sum(sum)) = &metric(&translated.request, "c_total").data else {
            panic!("no sum")
        };
        sum.data_points[0].start_time_unix_nano
    };
    let at = |seconds: u64| AT + seconds * SECOND;
    assert_eq!(start(5, Some(1000), at(0)), 1000 * SECOND);
    assert_eq!(start(6, Some(1000), at(1)), 1000 * SECOND);
    assert_eq!(start(2, Some(1000), at(2)), at(2) - 1_000_000);
    assert_eq!(start(3, Some(1000), at(3)), at(2) - 1_000_000);
    assert_eq!(start(4, None, at(4)), 0);
    assert_eq!(start(1, None, at(5)), 0);
    assert_eq!(
        start(1, Some(1_700_000_100), at(200)),
        1_700_000_100 * SECOND
    );
}

#[test]
fn a_real_page_keeps_its_sums() {
    let text = include_str!("../../../../tests/corpora/goapp.prom");
    let (request, notes) = converted(text);
    assert_eq!(notes, Notes::default());
    let Some(Data::Histogram(histogram)) = &metric(&request, "http_request_duration_seconds").data
    else {
        panic!("no histogram")
    };
    let count = |line: &&str| line.starts_with("http_request_duration_seconds_count");
    let value = |line: &str| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
    let counts: Vec<u64> = text.lines().filter(count).map(value).collect();
    let got: Vec<u64> = histogram
        .data_points
        .iter()
        .map(|point| point.count)
        .collect();
    assert_eq!(got, counts);
    for point in &histogram.data_points {
        assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count);
        assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
    }
}

/// Guarantees: a start where the page tells none: the first point's own time, or the program's
/// start; a moment before the point that shows a reset; never beyond the point, never backwards.
#[test]
fn starts_are_synthesized() {
    use crate::series::StartTimes;
    let starts = |pages: &[&str]| {
        let mut translator = Translator::new(identity()).started(StartTimes::Synthesized);
        let mut at = AT;
        let mut all = Vec::new();
        for text in pages {
            at += SECOND;
            let page = page(text);
            let request = translator.translate(&page, at, &SCRAPE).request;
            let metric = &request.resource_metrics[0].scope_metrics[0].metrics[0];
            let (start, time) = match metric.data.as_ref().expect("data") {
                Data::Sum(sum) => {
                    let point = &sum.data_points[0];
                    (point.start_time_unix_nano, point.time_unix_nano)
                }
                Data::Histogram(histogram) => {
                    let point = &histogram.data_points[0];
                    (point.start_time_unix_nano, point.time_unix_nano)
                }
                other => panic!("{other:?}"),
            };
            assert!(start <= time);
            // In milliseconds since the test began.
            all.push((start as i64 - AT as i64) / 1_000_000);
        }
        all
    };
    let counter = |value: u32| format!("# TYPE c_total counter\nc_total {value}\n");
    let [five, six, two, three] = [5, 6, 2, 3].map(counter);
    let none = "# TYPE d_total counter\nd_total 1\n";
    assert_eq!(
        starts(&[&five, &six, &two, &three]),
        [1000, 1000, 2999, 2999]
    );
    assert_eq!(
        starts(&[&five, none, &six]),
        [1000, 2000, 3000],
        "it came anew"
    );
    let histogram = |count: u32| {
        format!("# TYPE h histogram\nh_bucket{{le=\"+Inf\"}} {count}\nh_count {count}\n")
    };
    let [four, one] = [4, 1].map(histogram);
    assert_eq!(starts(&[&four, &four, &one]), [1000, 1000, 2999]);
    // 100 s before the first scrape is at AT + 1 s; then the program starts anew.
    let process = |counter: &str, start: u64| {
        format!(
            "{counter}# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds {start}\n"
        )
    };
    let began = AT / SECOND - 99;
    let pages = [
        process(&five, began),
        process(&two, began),
        process(&three, began),
        process(&two, AT / SECOND + 3),
        process(&five, AT / SECOND + 3600),
    ];
    let pages = pages.each_ref().map(String::as_str);
    assert_eq!(starts(&pages), [-99_000, 1999, 1999, 3000, 3000]);
}
