//! Malformed inputs in one table: each has its status, its words and its counter, and the agent
//! goes on.

use std::io::Write as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use davy_tests::kit::agent::{Agent, sum};
use davy_tests::kit::capture::Capture;
use davy_tests::kit::http;
use davy_tests::kit::receiver::Receiver;
use davy_tests::kit::sender::Spans;
use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Histogram, HistogramDataPoint, Metric, ResourceMetrics, ScopeMetrics,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;

use super::{AGENT, PATIENCE, folder, metrics, start};

/// A request, and what must become of it.
struct Case {
    name: &'static str,
    method: &'static str,
    path: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    body: Vec<u8>,
    status: u16,
    /// Part of the answer.
    says: &'static str,
    /// Reason under which it is counted; none when nothing is refused.
    reason: Option<&'static str>,
}

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");
const GZIP: (&str, &str) = ("content-encoding", "gzip");

/// One span named `name`, in a resource and a scope without anything.
fn request(name: &[u8]) -> Vec<u8> {
    let field = |number: u8, inner: &[u8]| {
        let length = u8::try_from(inner.len()).expect("short");
        [&[number << 3 | 2, length], inner].concat()
    };
    let span = [field(1, &[7; 16]), field(2, &[7; 8]), field(5, name)].concat();
    field(1, &field(2, &field(2, &span)))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("into memory");
    encoder.finish().expect("into memory")
}

/// A POST of traces that is refused.
fn refused(
    name: &'static str,
    headers: &[(&'static str, &'static str)],
    body: impl Into<Vec<u8>>,
    (status, says, reason): (u16, &'static str, &'static str),
) -> Case {
    Case {
        name,
        method: "POST",
        path: "/v1/traces",
        headers: headers.to_vec(),
        body: body.into(),
        status,
        says,
        reason: Some(reason),
    }
}

fn cases() -> Vec<Case> {
    let whole = request(b"span");
    let cut = |bytes: &[u8], n: usize| bytes.get(..bytes.len() - n).expect("longer").to_vec();
    let nested = [vec![b'['; 100_000]].concat();
    let wire: &[u8] = &[0x0d, 1, 0, 0, 0];
    let malformed = |says| (400, says, "malformed");
    let corrupt = (400, "corrupt", "corrupt");
    let too_large = (413, "65536", "too_large");
    let alien = (415, "unsupported content type", "content_type");
    let mut cases = vec![
        refused(
            "a request cut short",
            &[PROTOBUF],
            cut(&whole, 3),
            malformed(""),
        ),
        refused("another wire type", &[PROTOBUF], wire, malformed("")),
        refused("text as protobuf", &[PROTOBUF], "hello", malformed("")),
        refused(
            "a name that is no UTF-8",
            &[PROTOBUF],
            request(b"\xff\xfe"),
            malformed("UTF-8"),
        ),
        refused(
            "JSON cut short",
            &[JSON],
            r#"{"resourceSpans":["#,
            malformed(""),
        ),
        refused(
            "JSON of another shape",
            &[JSON],
            r#"{"resourceSpans":3}"#,
            malformed(""),
        ),
        refused(
            "an id that is no hex",
            &[JSON],
            r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xyz"}]}]}]}"#,
            malformed(""),
        ),
        refused(
            "JSON without an end to its depth",
            &[JSON],
            cut(&nested, 50_000),
            malformed(""),
        ),
        refused("no gzip at all", &[PROTOBUF, GZIP], whole.clone(), corrupt),
        refused(
            "gzip cut short",
            &[PROTOBUF, GZIP],
            cut(&gzip(&whole), 9),
            corrupt,
        ),
        refused(
            "a body over the limit",
            &[PROTOBUF],
            vec![0; 70_000],
            too_large,
        ),
        refused(
            "a bomb",
            &[PROTOBUF, GZIP],
            gzip(&vec![0; 10 << 20]),
            too_large,
        ),
        refused(
            "text",
            &[("content-type", "text/plain")],
            whole.clone(),
            alien,
        ),
        refused("no content type", &[], whole.clone(), alien),
        refused(
            "an unknown encoding",
            &[PROTOBUF, ("content-encoding", "br")],
            whole.clone(),
            (415, "unsupported content encoding", "content_type"),
        ),
        refused(
            "gRPC over HTTP/1.1",
            &[("content-type", "application/grpc")],
            whole.clone(),
            (505, "", "grpc"),
        ),
    ];
    let mut profiles = refused(
        "a path of no signal",
        &[PROTOBUF],
        whole,
        (404, "/v1/profiles", "unknown_path"),
    );
    profiles.path = "/v1/profiles";
    let mut get = refused("another method", &[PROTOBUF], [], (405, "GET", "method"));
    get.method = "GET";
    cases.extend([profiles, get]);
    for (name, media, body) in [("nothing", PROTOBUF, ""), ("an empty object", JSON, "{}")] {
        let mut case = refused(name, &[media], body, (200, "", ""));
        case.reason = None;
        cases.push(case);
    }
    cases
}

fn small_limit(folder: &Path, endpoint: &str) -> Agent {
    let file = folder.join("davy.yaml");
    let text = format!(
        "version: 1\nreceive: {{max_request_bytes: 64KiB}}\n\
         export: [{{endpoint: \"{endpoint}\"}}]\n"
    );
    std::fs::write(&file, text).expect("write the configuration");
    let arguments = ["--config".as_ref(), file.as_os_str()];
    Agent::start_with(AGENT, folder, &[], &arguments).expect("the agent starts")
}

/// Scenario: malformed requests, one after the other, and a good one after each.
/// Guarantees: each is answered with its status, says what is wrong, is counted under its reason
/// once and under no other; the good ones arrive, and nothing else does.
#[tokio::test(flavor = "multi_thread")]
async fn requests_are_refused_each_with_its_reason() {
    let folder = folder();
    let receiver = Receiver::start().await.expect("a receiver");
    let agent = small_limit(folder.path(), &format!("http://{}", receiver.address()));
    let authority = agent.listener("otlp_http").expect("a listener").to_owned();
    let mut good = Spans::to(&authority).expect("a sender");
    let counted = |labels: &[(&str, &str)]| {
        agent
            .metric("davy_agent_refused_requests_total", labels)
            .expect("the agent's metrics")
    };
    let cases = cases();
    assert_eq!(cases.len(), 20);
    for case in cases {
        let name = case.name;
        let labels = case
            .reason
            .map(|reason| [("source", "otlp_http"), ("reason", reason)]);
        let labels = labels.as_ref().map_or(&[][..], |labels| &labels[..]);
        let before = (counted(labels), counted(&[]));
        let response = http::send(
            &authority,
            case.method,
            case.path,
            &case.headers,
            &case.body,
        );
        let response = response.unwrap_or_else(|error| panic!("{name}: {error:#}"));
        let said = format!("{}\n{}", response.head, response.text());
        assert_eq!(response.status, case.status, "{name}: {said}");
        assert!(said.contains(case.says), "{name}: {said}");
        let more = f64::from(u8::from(case.reason.is_some()));
        let after = (counted(labels), counted(&[]));
        assert_eq!(
            (after.0 - before.0, after.1 - before.1),
            (more, more),
            "{name}: counted"
        );
        good.send(1)
            .await
            .unwrap_or_else(|error| panic!("after {name}: {error:#}"));
    }
    let arrived = receiver
        .wait_for(PATIENCE, |counts| counts.traces >= 20)
        .await;
    assert_eq!(arrived.expect("the good ones").traces, 20);
    agent.stop().expect("the agent ends well");
    assert_eq!((receiver.counts().traces, receiver.invalid()), (20, 0));
}

/// Scenario: a page with lines that can't be read, and with contradictions, scraped each second.
/// Guarantees: each oddity is counted under its kind; what is good on the page arrives.
#[tokio::test(flavor = "multi_thread")]
async fn pages_lose_their_bad_lines_only() {
    let folder = folder();
    let page = Capture::start().await.expect("a page");
    let receiver = Receiver::start().await.expect("a receiver");
    receiver.keep();
    let scrape = format!("http://{}/metrics", page.address());
    let endpoint = format!("http://{}", receiver.address());
    let variables = [
        ("DAVY_SCRAPE_URL", scrape.as_str()),
        ("DAVY_SCRAPE_INTERVAL", "1s"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
    ];
    let agent = start(folder.path(), &variables);
    let histogram =
        "# TYPE h histogram\nh_bucket{le=\"1\"} 5\nh_bucket{le=\"+Inf\"} 3\nh_count 3\n";
    let cases = [
        ("bad_lines", "bad{ 1\n"),
        ("bad_lines", "bad{a=\"b} 1\n"),
        ("bad_lines", "bad one\n"),
        ("bad_lines", "bad{a=b} 1\n"),
        ("bad_lines", "<html><body>down</body></html>\n"),
        ("duplicate_samples", "twice 1\ntwice 2\n"),
        ("decreasing_histograms", histogram),
    ];
    for (n, (kind, lines)) in cases.into_iter().enumerate() {
        let counter = (
            "davy_agent_anomalies_total",
            [("source", "scrape"), ("kind", kind)],
        );
        let before = agent
            .metric(counter.0, &counter.1)
            .expect("the agent's metrics");
        page.set_page(&format!("before_{n} 1\n{lines}after_{n} 2\n"));
        let moved = agent.wait_for_metric(PATIENCE, (counter.0, &counter.1), |now| now > before);
        moved
            .await
            .unwrap_or_else(|error| panic!("{lines:?}: {error:#}"));
        page.set_page("");
    }
    let good: Vec<_> = (0..cases.len())
        .flat_map(|n| [format!("before_{n}"), format!("after_{n}")])
        .collect();
    agent.stop().expect("the agent ends well");
    let kept = receiver.kept();
    let metrics = metrics(&kept);
    for name in good {
        assert!(
            metrics.iter().any(|(_, metric)| metric.name == name),
            "{name} arrives"
        );
    }
    assert!(metrics.iter().all(|(_, metric)| metric.name != "bad"));
}

/// One window of evidence, from `start` for `seconds`.
fn evidence(start: u64, seconds: u64) -> Vec<u8> {
    let text = |key: &str, value: &str| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    };
    let nanos = |seconds: u64| seconds * 1_000_000_000;
    let point = HistogramDataPoint {
        attributes: vec![text("http.route", "/"), text("http.request.method", "GET")],
        start_time_unix_nano: nanos(start),
        time_unix_nano: nanos(start + seconds),
        count: 3,
        sum: Some(0.3),
        bucket_counts: vec![1, 2],
        explicit_bounds: vec![0.1],
        ..HistogramDataPoint::default()
    };
    let metric = Metric {
        name: "http.server.request.duration".to_owned(),
        unit: "s".to_owned(),
        data: Some(Data::Histogram(Histogram {
            data_points: vec![point],
            aggregation_temporality: 1,
        })),
        ..Metric::default()
    };
    let attributes = ["service.name", "davy.arm", "k8s.pod.name"]
        .map(|key| text(key, key))
        .to_vec();
    let resource = Resource {
        attributes,
        ..Resource::default()
    };
    let request = ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource),
            scope_metrics: vec![ScopeMetrics {
                metrics: vec![metric],
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    };
    request.encode_to_vec()
}

/// Scenario: a real gate is sent a window, the same again, and one that overlaps it; and then what
/// is no evidence at all.
/// Guarantees: the same again is counted and no fault; the overlap is refused, said and counted;
/// the next window is taken.
#[tokio::test(flavor = "multi_thread")]
async fn evidence_counts_once() {
    let folder = folder();
    let (_gate, otlp, api) = super::start_gate(folder.path());
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    let window = now / 5 * 5 - 10;
    let page = || http::page(&api, "/metrics").expect("the gate's metrics");
    let cases = [
        ("a window", evidence(window, 5), 200, None, ""),
        (
            "the same again",
            evidence(window, 5),
            200,
            Some("duplicate"),
            "",
        ),
        (
            "an overlap",
            evidence(window + 3, 5),
            200,
            Some("overlap"),
            "overlap",
        ),
        ("the next window", evidence(window + 5, 5), 200, None, ""),
        ("no protobuf", b"hello".to_vec(), 400, None, ""),
    ];
    for (name, body, status, reason, says) in cases {
        let labels = reason.map(|reason| [("reason", reason)]);
        let labels = labels.as_ref().map_or(&[][..], |labels| &labels[..]);
        let counted = || sum(&page(), "davy_gate_refused_items_total", labels);
        let before = counted();
        let response = http::send(&otlp, "POST", "/v1/metrics", &[PROTOBUF], &body);
        let response = response.expect("the gate answers");
        let said = response.text();
        assert_eq!(response.status, status, "{name}: {said}");
        assert!(said.contains(says), "{name}: {said}");
        let more = f64::from(u8::from(reason.is_some()));
        assert_eq!(counted() - before, more, "{name}: {}", page());
    }
    let windows = sum(&page(), "davy_gate_windows_total", &[]);
    assert!(windows >= 1.0, "windows were taken: {}", page());
}
