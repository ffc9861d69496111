//! Gate and backend, each without the other.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::time::Duration;

use davy_tests::kit::process::free_port;
use davy_tests::kit::receiver::Receiver;
use davy_tests::kit::sender::{Lines, Rates, Spans, number, produce};
use davy_tests::kit::shop::Shop;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;

use super::{PATIENCE, folder, metrics, spans, start, text};

/// Scenario: the gate is not there, or takes connections and never answers; the app is scraped,
/// traced and logged.
/// Guarantees: everything is forwarded, promptly; nothing is dropped on the way to the backend.
async fn forwards_without(gate: &str) {
    let folder = folder();
    let shop = Shop::start(folder.path(), &[]).expect("the shop starts");
    let receiver = Receiver::start().await.expect("a receiver");
    receiver.keep();
    let endpoint = format!("http://{}", receiver.address());
    let scrape = format!("http://{}/metrics", shop.authority);
    let log = folder.path().join("app.log");
    let agent = start(
        folder.path(),
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_SERVICE_NAME", "shop"),
            ("DAVY_GATE_ENDPOINT", gate),
            ("DAVY_LOG_PATHS", log.to_str().expect("a path")),
            ("DAVY_SCRAPE_URL", &scrape),
            ("DAVY_SCRAPE_INTERVAL", "1s"),
            ("DAVY_EVIDENCE_WINDOW", "5s"),
        ],
    );
    let mut sender = Spans::to(agent.listener("otlp_http").expect("a listener")).expect("a sender");
    let mut lines = Lines::to(&log).expect("a log");
    let rates = Rates {
        spans: 500,
        lines: 100,
    };
    // Two windows of evidence fall due meanwhile.
    let produced = produce(&mut sender, &mut lines, rates, Duration::from_secs(11)).await;
    produced.expect("the agent answers");
    let (wanted, written) = (sender.accepted, lines.written);
    let prompt = Duration::from_secs(10);
    let arrived = receiver
        .wait_for(prompt, |c| c.traces >= wanted && c.logs >= written)
        .await;
    let arrived = arrived.expect("spans and lines, promptly");
    assert_eq!(
        (arrived.traces, arrived.logs, sender.refused),
        (wanted, written, 0)
    );
    let kept = receiver.kept();
    let numbers: BTreeSet<_> = spans(&kept)
        .iter()
        .filter_map(|(_, span)| number(span))
        .collect();
    assert_eq!(numbers.len() as u64, wanted, "each span once");
    let scrapes = metrics(&kept)
        .iter()
        .filter(|(_, metric)| metric.name == "up")
        .count();
    assert!(scrapes >= 7, "{scrapes} scrapes in 11 s");
    let page = agent.metrics().expect("the agent's metrics");
    let dropped = page
        .lines()
        .filter(|line| line.starts_with("davy_agent_dropped_items_total{"))
        .filter(|line| !line.contains("destination=\"gate\"") && !line.ends_with(" 0"));
    assert_eq!(dropped.collect::<Vec<_>>(), [] as [&str; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_gate_disturbs_nothing() {
    forwards_without(&format!("http://127.0.0.1:{}", free_port())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_gate_disturbs_nothing() {
    // The kernel completes connections into the backlog; nobody reads them.
    let silent = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = silent.local_addr().expect("an address");
    forwards_without(&format!("http://{address}")).await;
}

/// Scenario: the backend is not there, and the queue to it is full; the gate is.
/// Guarantees: the gate gets each window in turn, none of them late or lost.
#[tokio::test(flavor = "multi_thread")]
async fn an_absent_backend_disturbs_no_evidence() {
    let folder = folder();
    let shop = Shop::start(folder.path(), &[]).expect("the shop starts");
    let gate = Receiver::start().await.expect("a receiver for the gate");
    gate.keep();
    let endpoint = format!("http://127.0.0.1:{}", free_port());
    let gate_endpoint = format!("http://{}", gate.address());
    let scrape = format!("http://{}/metrics", shop.authority);
    let agent = start(
        folder.path(),
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_SERVICE_NAME", "shop"),
            ("DAVY_ARM", "v1"),
            ("DAVY_GATE_ENDPOINT", &gate_endpoint),
            ("DAVY_SCRAPE_URL", &scrape),
            ("DAVY_SPOOL_MAX_BYTES", "64KiB"),
        ],
    );
    let mut sender = Spans::to(agent.listener("otlp_http").expect("a listener")).expect("a sender");
    let window = (
        "davy_agent_evidence_windows_total",
        &[("outcome", "sent")][..],
    );
    let began = tokio::time::Instant::now();
    while agent
        .metric(window.0, window.1)
        .expect("the agent's metrics")
        < 4.0
    {
        shop.visit(10).expect("the shop answers");
        sender.send(200).await.expect("the agent answers");
        assert!(
            began.elapsed() < PATIENCE,
            "four windows:\n{}",
            agent.metrics().unwrap_or_default()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let full = agent.metric(
        "davy_agent_dropped_items_total",
        &[("reason", "queue_full")],
    );
    assert!(
        full.expect("the agent's metrics") > 0.0,
        "the queue overflowed"
    );
    let kept = gate.kept();
    let (mut windows, mut requests) = (BTreeMap::new(), 0);
    for (about, metric) in metrics(&kept) {
        assert_eq!(text(about, "davy.arm"), Some("v1"));
        for (start, end, count) in periods(metric) {
            let first = windows.entry(end).or_insert(start);
            *first = start.min(*first);
            requests += count;
        }
    }
    let window = 5_000_000_000;
    let windows: Vec<_> = windows.into_iter().collect();
    assert!(windows.len() >= 2, "{windows:?}");
    assert!(
        windows.iter().all(|(end, _)| end % window == 0),
        "{windows:?}"
    );
    // On a busy machine a scrape may come late, and one window covers the time of two.
    let follow = |pair: &[(u64, u64)]| pair[1].1 == pair[0].0;
    assert!(
        windows.windows(2).all(follow),
        "no time is missing: {windows:?}"
    );
    assert!(requests >= 10, "{requests} requests are in the evidence");
}

/// Start, end and count of a histogram's points, classic or native as the page has it.
fn periods(metric: &Metric) -> Vec<(u64, u64, u64)> {
    match &metric.data {
        Some(Data::Histogram(histogram)) => {
            let points = histogram.data_points.iter();
            points
                .map(|p| (p.start_time_unix_nano, p.time_unix_nano, p.count))
                .collect()
        }
        Some(Data::ExponentialHistogram(histogram)) => {
            let points = histogram.data_points.iter();
            points
                .map(|p| (p.start_time_unix_nano, p.time_unix_nano, p.count))
                .collect()
        }
        _ => Vec::new(),
    }
}
