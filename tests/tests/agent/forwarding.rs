//! Metrics, logs and traces of the real shop, with environment variables alone.

use davy_tests::kit::peers;
use davy_tests::kit::process::free_port;
use davy_tests::kit::receiver::{Received, Receiver};
use davy_tests::kit::shop::Shop;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;

use super::{PATIENCE, folder, metrics, records, spans, start, text};

const VISITS: usize = 40;
/// More points than a scrape without a page has, fewer than one with the shop's.
const POINTS: u64 = 50;

/// A scene of shop, agent and one receiver, and what the receiver got.
async fn forwarded(export: &[(&str, &str)], sdk: &str) -> Vec<Received> {
    let receiver = Receiver::start().await.expect("a receiver");
    receiver.keep();
    let endpoint = format!("http://{}", receiver.address());
    let mut export = export.to_vec();
    export.push(("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint));
    visit(&export, sdk, async || {
        let wanted = VISITS as u64;
        let arrived = receiver
            .wait_for(PATIENCE, |c| {
                c.logs >= wanted && c.traces >= wanted && c.metrics > POINTS
            })
            .await;
        arrived.expect("all three signals");
    })
    .await;
    receiver.kept()
}

/// Runs the shop and the agent, visits the shop, waits, and stops both in the order of a pod.
async fn visit(export: &[(&str, &str)], sdk: &str, arrived: impl AsyncFnOnce()) {
    // Built before the agent starts: a minute of failed scrapes would count as points.
    peers::shop().expect("the shop's program");
    let folder = folder();
    let shop_port = free_port();
    let scrape = format!("http://127.0.0.1:{shop_port}/metrics");
    let log = folder.path().join("shop.log");
    let mut variables = vec![
        ("DAVY_SCRAPE_URL", scrape.as_str()),
        ("DAVY_SCRAPE_INTERVAL", "1s"),
        ("DAVY_LOG_PATHS", log.to_str().expect("a path")),
        ("DAVY_ARM", "6c5d8b9f7"),
        ("OTEL_SERVICE_NAME", "shop"),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "service.version=v9.9.9,k8s.namespace.name=prod",
        ),
    ];
    variables.extend(export);
    let agent = start(folder.path(), &variables);
    let listener = if sdk == "grpc" {
        "otlp_grpc"
    } else {
        "otlp_http"
    };
    let url = agent.url(listener).expect("a listener");
    let address = format!("127.0.0.1:{shop_port}");
    let shop = Shop::start(
        folder.path(),
        &[
            ("SHOP_ADDR", &address),
            ("OTEL_TRACES_EXPORTER", "otlp"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &url),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", sdk),
            ("OTEL_BSP_SCHEDULE_DELAY", "200"),
        ],
    );
    let shop = shop.expect("the shop starts");
    shop.visit(VISITS).expect("the shop answers");
    arrived().await;
    drop(shop);
    agent.stop().expect("the agent ends well");
}

#[track_caller]
fn check_metrics(kept: &[Received]) {
    let metrics = metrics(kept);
    let scraped = |name: &str| {
        let mut all = metrics.iter().filter(|(_, metric)| metric.name == name);
        let last = all.next_back().unwrap_or_else(|| panic!("{name} arrives"));
        assert_eq!(text(last.0, "service.name"), Some("shop"), "{name}");
        assert_eq!(text(last.0, "davy.arm"), Some("6c5d8b9f7"), "{name}");
        assert_eq!(text(last.0, "k8s.namespace.name"), Some("prod"), "{name}");
        last.1.data.as_ref().expect("data")
    };
    assert!(matches!(scraped("up"), Data::Gauge(_)));
    // The shop is not there at the first scrape, and no more at the last.
    let is_up = metrics.iter().any(|(_, metric)| match &metric.data {
        Some(Data::Gauge(up)) if metric.name == "up" => {
            let first = up.data_points.first().and_then(|point| point.value);
            first == Some(Number::AsDouble(1.0))
        }
        _ => false,
    });
    assert!(is_up, "the target was up once");
    assert!(matches!(
        scraped("process_resident_memory_bytes"),
        Data::Gauge(_)
    ));
    assert!(matches!(scraped("process_cpu_seconds_total"), Data::Sum(sum) if sum.is_monotonic));
    assert!(matches!(
        scraped("go_gc_duration_seconds"),
        Data::Summary(_)
    ));
    // Of a page that was read before the visits there may be no series of routes yet.
    assert!(matches!(scraped("http_requests_in_flight"), Data::Gauge(_)));
}

#[track_caller]
fn check_logs_and_traces(kept: &[Received]) {
    let spans = spans(kept);
    let mut n_visits = 0;
    for (about, record) in records(kept) {
        assert_eq!(text(about, "service.name"), Some("shop"));
        assert_eq!(text(about, "davy.arm"), Some("6c5d8b9f7"));
        if record.trace_id.is_empty() {
            continue;
        }
        n_visits += 1;
        assert_eq!(
            (record.severity_number, record.severity_text.as_str()),
            (9, "INFO")
        );
        assert!(text(&record.attributes, "route").is_some(), "{record:?}");
        let is_its = |(_, span): &&(_, &opentelemetry_proto::tonic::trace::v1::Span)| {
            span.trace_id == record.trace_id && span.span_id == record.span_id
        };
        assert!(
            spans.iter().any(|span| is_its(&span)),
            "the span of {record:?}"
        );
    }
    assert_eq!(n_visits, VISITS, "a record for each visit, once");
    assert_eq!(spans.len(), VISITS, "a span for each visit, once");
    for (about, span) in spans {
        assert_eq!(text(about, "davy.arm"), Some("6c5d8b9f7"), "spliced in");
        assert_eq!(
            text(about, "k8s.namespace.name"),
            Some("prod"),
            "spliced in"
        );
        assert_eq!(
            text(about, "service.version"),
            Some("v1.0.0"),
            "the SDK's wins"
        );
        assert_eq!(text(about, "telemetry.sdk.language"), Some("go"));
        assert!(text(&span.attributes, "http.route").is_some(), "{span:?}");
        let keys: Vec<_> = about
            .iter()
            .map(|attribute| attribute.key.as_str())
            .collect();
        let unique: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(unique.len(), keys.len(), "no key twice: {keys:?}");
    }
}

/// Scenario: shop and agent in a pod; the SDK speaks `sdk`, the agent exports as the variables say.
/// Guarantees: points, records and spans all arrive, marked with service and arm; the SDK's own
/// attributes are unharmed, and each record's trace is there.
async fn check(protocol: &str, compression: &str, sdk: &str) {
    let export = [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", compression),
        ("OTEL_EXPORTER_OTLP_INSECURE", "true"),
    ];
    let kept = forwarded(&export, sdk).await;
    check_metrics(&kept);
    check_logs_and_traces(&kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_grpc_with_gzip() {
    check("grpc", "gzip", "grpc").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_with_zstd() {
    check("http/protobuf", "zstd", "http/protobuf").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_as_json_without_compression() {
    check("http/json", "none", "grpc").await;
}

/// Scenario: metrics, logs and traces have an endpoint each, in words of their own.
/// Guarantees: each backend gets its signal and no other; the base endpoint gets `/v1/logs`, the
/// signals' own are used as they are.
#[tokio::test(flavor = "multi_thread")]
async fn each_signal_to_an_endpoint_of_its_own() {
    let start = async || {
        let receiver = Receiver::start().await.expect("a receiver");
        receiver.keep();
        receiver
    };
    let (for_metrics, for_logs, for_traces) = (start().await, start().await, start().await);
    let url = |receiver: &Receiver, path: &str| format!("http://{}{path}", receiver.address());
    let export = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url(&for_logs, "")),
        (
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
            url(&for_metrics, "/v1/metrics"),
        ),
        (
            "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
            "http/json".to_owned(),
        ),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", url(&for_traces, "")),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc".to_owned()),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "gzip".to_owned()),
    ];
    let export = export
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let wanted = VISITS as u64;
    visit(&export, "http/protobuf", async || {
        let logs = for_logs.wait_for(PATIENCE, |c| c.logs >= wanted).await;
        logs.expect("logs");
        let traces = for_traces.wait_for(PATIENCE, |c| c.traces >= wanted).await;
        traces.expect("traces");
        let points = for_metrics.wait_for(PATIENCE, |c| c.metrics > POINTS).await;
        points.expect("points");
    })
    .await;
    let (points, logs, traces) = (for_metrics.counts(), for_logs.counts(), for_traces.counts());
    assert_eq!((points.logs, points.traces), (0, 0));
    assert_eq!((logs.metrics, logs.traces), (0, 0));
    assert_eq!((traces.metrics, traces.logs), (0, 0));
    check_metrics(&for_metrics.kept());
    check_logs_and_traces(&[for_logs.kept(), for_traces.kept()].concat());
}
