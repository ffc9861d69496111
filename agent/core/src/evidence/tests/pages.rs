//! Scraped pages: differencing, resets, gaps, new series.

use super::*;

const NAME: &str = "http_request_duration_seconds";
const BUY_OK: &[(&str, &str)] = &[("route", "/buy"), ("method", "GET"), ("code", "200")];
const BUY_503: &[(&str, &str)] = &[("route", "/buy"), ("method", "GET"), ("code", "503")];

fn scrape(e: &mut Evidence, second: u64, series: &[Counted<'_>]) {
    e.observe_metrics(
        &page(vec![classic(NAME, at(second), series)]),
        PAGE,
        at(second),
    );
}

#[test]
fn the_first_page_is_a_base_and_later_ones_are_differences() {
    let mut e = evidence();
    scrape(&mut e, 5, &[(BUY_OK, [1000, 20, 3])]);
    let idle = "0..5 http.server.request.duration [/buy GET 200] [0.1, 0.25] [0, 0, 0]";
    check(&mut e, 5, &[idle]);
    scrape(&mut e, 10, &[(BUY_OK, [1010, 25, 4])]);
    check(
        &mut e,
        10,
        &["5..10 http.server.request.duration [/buy GET 200] [0.1, 0.25] [10, 5, 1]"],
    );
    check(&mut e, 15, &["nothing"]);
}

#[test]
fn a_series_that_an_earlier_page_did_not_have_counts_from_zero() {
    let mut e = evidence();
    scrape(&mut e, 5, &[(BUY_OK, [1000, 20, 3])]);
    e.close(at(5));
    scrape(&mut e, 10, &[(BUY_OK, [1001, 20, 3]), (BUY_503, [0, 1, 0])]);
    check(
        &mut e,
        10,
        &[
            "5..10 http.server.request.duration [/buy GET 200] [0.1, 0.25] [1, 0, 0]",
            "5..10 http.server.request.duration [/buy GET 503 503] [0.1, 0.25] [0, 1, 0]",
        ],
    );
}

#[test]
fn a_family_that_an_earlier_page_did_not_have_counts_from_zero() {
    let mut e = evidence();
    e.observe_metrics(&page(vec![gauge("up", 1.0)]), PAGE, at(5));
    check(&mut e, 5, &["nothing"]);
    scrape(&mut e, 10, &[(BUY_OK, [2, 0, 0])]);
    check(
        &mut e,
        10,
        &["5..10 http.server.request.duration [/buy GET 200] [0.1, 0.25] [2, 0, 0]"],
    );
}

#[test]
fn a_young_process_counts_from_zero_on_its_first_page() {
    let mut e = evidence();
    let start = gauge("process_start_time_seconds", (T0 + 2) as f64);
    let requests = classic(NAME, at(5), &[(BUY_OK, [2, 0, 0])]);
    e.observe_metrics(&page(vec![start, requests]), PAGE, at(5));
    let closed = check(
        &mut e,
        5,
        &["0..5 http.server.request.duration [/buy GET 200] [0.1, 0.25] [2, 0, 0]"],
    );
    let request = closed.request.expect("a request");
    let resource = request.resource_metrics[0]
        .resource
        .as_ref()
        .expect("a resource");
    let text = |name: &str| attributes::named(&resource.attributes, name).map(|t| t.into_owned());
    assert_eq!(text("process.creation.time"), Some(at(2).to_string()));
    assert_eq!(text("service.name").as_deref(), Some("shop"));
    assert_eq!(text("davy.evidence.source").as_deref(), Some("histogram"));
}

#[test]
fn a_restart_counts_the_new_process_from_zero_even_when_values_grew() {
    let mut e = evidence();
    for (second, start, counts) in [(5, 0, [10, 0, 0]), (10, 7, [30, 0, 0])] {
        let start = gauge("process_start_time_seconds", (T0 + start) as f64 - 0.0);
        let requests = classic(NAME, at(second), &[(BUY_OK, counts)]);
        e.observe_metrics(&page(vec![start, requests]), PAGE, at(second));
        if second == 5 {
            e.close(at(5));
        }
    }
    check(
        &mut e,
        10,
        &["5..10 http.server.request.duration [/buy GET 200] [0.1, 0.25] [30, 0, 0]"],
    );
}

#[test]
fn a_decrease_is_a_reset() {
    let mut e = evidence();
    scrape(&mut e, 5, &[(BUY_OK, [1000, 20, 3])]);
    e.close(at(5));
    scrape(&mut e, 10, &[(BUY_OK, [1001, 0, 0])]);
    check(
        &mut e,
        10,
        &["5..10 http.server.request.duration [/buy GET 200] [0.1, 0.25] [1001, 0, 0]"],
    );
}

#[test]
fn a_missed_scrape_is_a_longer_point_never_interpolated() {
    let mut e = evidence();
    scrape(&mut e, 5, &[(BUY_OK, [10, 0, 0])]);
    e.close(at(5));
    e.observe_metrics(&page(vec![gauge("up", 0.0)]), PAGE, at(10));
    check(&mut e, 10, &["nothing"]);
    scrape(&mut e, 15, &[(BUY_OK, [14, 0, 0])]);
    check(
        &mut e,
        15,
        &["5..15 http.server.request.duration [/buy GET 200] [0.1, 0.25] [4, 0, 0]"],
    );
}

#[test]
fn after_too_long_a_gap_the_difference_is_dropped() {
    let mut e = evidence();
    scrape(&mut e, 5, &[(BUY_OK, [10, 0, 0])]);
    e.close(at(5));
    scrape(&mut e, 130, &[(BUY_OK, [900, 0, 0])]);
    let idle = "125..130 http.server.request.duration [/buy GET 200] [0.1, 0.25] [0, 0, 0]";
    let closed = check(&mut e, 130, &[idle]);
    assert_eq!(closed.report.refused.get(&Refusal::Gap), Some(&1));
}

#[test]
fn totals_agree_over_many_windows_with_restarts() {
    let mut e = evidence();
    let (mut counts, mut expected, mut total) = ([0_u64; 3], 0, 0);
    for window in 1..=200_u64 {
        let started = window - window % 50;
        if window % 50 == 0 {
            counts = [0; 3];
        }
        let grow = [window % 7, window % 3, u64::from(window % 11 == 0)];
        counts = [
            counts[0] + grow[0],
            counts[1] + grow[1],
            counts[2] + grow[2],
        ];
        expected += if window == 1 {
            0
        } else {
            grow.iter().sum::<u64>()
        };
        let start = gauge("process_start_time_seconds", (T0 - 20 + started * 5) as f64);
        let requests = classic(NAME, at(window * 5), &[(BUY_OK, counts)]);
        e.observe_metrics(&page(vec![start, requests]), PAGE, at(window * 5));
        let request = e.close(at(window * 5)).request.expect("a request");
        let metric = &request.resource_metrics[0].scope_metrics[0].metrics[0];
        let Some(Data::Histogram(histogram)) = &metric.data else {
            panic!("a histogram")
        };
        total += histogram
            .data_points
            .iter()
            .map(|point| point.count)
            .sum::<u64>();
    }
    assert_eq!(total, expected);
}

#[test]
fn cpu_limit_and_runtime_travel_beside() {
    let mut settings = EvidenceSettings::with_resource(Vec::new());
    settings.cpu_limit_cores = Some(0.5);
    let mut e = Evidence::new(settings);
    for (second, cpu, allocated) in [(5, 1.5, 1000.0), (10, 1.75, 5000.0)] {
        let metrics = vec![
            counter("process_cpu_seconds_total", at(second), &[(&[], cpu)]),
            gauge("go_goroutines", 7.0),
            counter(
                "go_memstats_alloc_bytes_total",
                at(second),
                &[(&[], allocated)],
            ),
        ];
        e.observe_metrics(&page(metrics), PAGE, at(second));
        if second == 5 {
            check(
                &mut e,
                5,
                &["5 go.goroutine.count [] 7", "5 davy.cpu.limit [] 0.5"],
            );
        }
    }
    check(
        &mut e,
        10,
        &[
            "5..10 process.cpu.time [] 0.25",
            "10 go.goroutine.count [] 7",
            "5..10 go.memory.allocated [] 4000",
            "10 davy.cpu.limit [] 0.5",
        ],
    );
}
