//! A real SDK of another language before the agent, a real Collector behind it.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use davy_tests::kit::capture::Capture;
use davy_tests::kit::peers;
use davy_tests::kit::process::{Process, free_port, wait_until};
use serde_json::{Map, Value, json};

use super::{PATIENCE, folder, start};

const COUNT: usize = 50;

/// Scenario: Python's SDK sends traces, metrics and logs to the agent; a Collector is the backend.
/// Guarantees: the Collector gets each span, record and point once, with its attributes as the SDK
/// holds them, and with Davy's beside those of the resource.
#[tokio::test(flavor = "multi_thread")]
async fn python_over_grpc() {
    check("grpc", "otlp_grpc", "grpc").await;
}

/// Scenario: as above, over HTTP.
/// Guarantees: as above.
#[tokio::test(flavor = "multi_thread")]
async fn python_over_http() {
    check("http/protobuf", "otlp_http", "http/protobuf").await;
}

async fn check(sdk: &str, listener: &str, export: &str) {
    let python = peers::python_otlp().expect("Python's SDK");
    let folder = folder();
    let capture = Capture::start().await.expect("a capture");
    let (collector, ports) = start_collector(folder.path(), &capture);
    let port = if export == "grpc" { ports.0 } else { ports.1 };
    let endpoint = format!("http://127.0.0.1:{port}");
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", export),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "service.version=v0,k8s.pod.name=sdk-1",
        ),
        ("DAVY_ARM", "canary-7"),
    ];
    let agent = start(folder.path(), &variables);
    let mut command = Command::new(python);
    command
        .arg(peers::sources().join("sdk/send.py"))
        .arg(agent.url(listener).expect("a listener"))
        .args([sdk, &COUNT.to_string()]);
    let output = command.output().expect("the SDK runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let sent: Value = serde_json::from_slice(&output.stdout).expect("what was sent");
    let arrived = wait_until("everything at the capture", PATIENCE, || {
        let arrived = Arrived::read(&capture);
        arrived.is_whole().then_some(arrived)
    });
    let arrived = arrived.unwrap_or_else(|error| {
        panic!(
            "{error:#}: {:?}\n{}",
            Arrived::read(&capture).sizes(),
            collector.log()
        )
    });
    arrived.check_resources();
    arrived.check_spans(&sent);
    arrived.check_records(&sent);
    arrived.check_points(&sent);
    agent.stop().expect("the agent ends well");
}

/// Starts the Collector; it sends on, as JSON, to the capture. Returns its gRPC and HTTP ports.
fn start_collector(folder: &Path, capture: &Capture) -> (Process, (u16, u16)) {
    let (grpc, http) = (free_port(), free_port());
    let config = json!({
        "receivers": {"otlp": {"protocols": {
            "grpc": {"endpoint": format!("127.0.0.1:{grpc}")},
            "http": {"endpoint": format!("127.0.0.1:{http}")},
        }}},
        "exporters": {"otlphttp": {
            "endpoint": format!("http://{}", capture.address()),
            "encoding": "json",
            "compression": "none",
        }},
        "service": {
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {
                "traces": {"receivers": ["otlp"], "exporters": ["otlphttp"]},
                "metrics": {"receivers": ["otlp"], "exporters": ["otlphttp"]},
                "logs": {"receivers": ["otlp"], "exporters": ["otlphttp"]},
            },
        },
    });
    // JSON is YAML.
    let file = folder.join("collector.yaml");
    fs::write(&file, config.to_string()).expect("write the configuration");
    let mut command = Command::new(peers::collector(peers::Collector::Relay).expect("a Collector"));
    command.arg("--config").arg(&file);
    let log = folder.join("collector.out");
    let collector = Process::start("otelcol", &mut command, &log).expect("it starts");
    let listens = |port: u16| TcpStream::connect(("127.0.0.1", port)).is_ok();
    wait_until("the Collector", Duration::from_secs(30), || {
        (listens(grpc) && listens(http)).then_some(())
    })
    .unwrap_or_else(|error| panic!("{error:#}:\n{}", collector.log()));
    (collector, (grpc, http))
}

/// What the Collector passed on: items as its JSON has them.
#[derive(Debug, Default)]
struct Arrived {
    resources: Vec<Map<String, Value>>,
    spans: Vec<Value>,
    records: Vec<Value>,
    metrics: Vec<Value>,
}

impl Arrived {
    fn read(capture: &Capture) -> Self {
        let mut arrived = Self::default();
        for (path, body) in capture.posted() {
            let body: Value = serde_json::from_slice(&body).expect("JSON of the Collector");
            let (resources, scopes, items, into) = match path.as_str() {
                "/v1/traces" => ("resourceSpans", "scopeSpans", "spans", &mut arrived.spans),
                "/v1/logs" => (
                    "resourceLogs",
                    "scopeLogs",
                    "logRecords",
                    &mut arrived.records,
                ),
                "/v1/metrics" => (
                    "resourceMetrics",
                    "scopeMetrics",
                    "metrics",
                    &mut arrived.metrics,
                ),
                other => panic!("the Collector posted to {other}"),
            };
            for resource in list(&body[resources]) {
                arrived
                    .resources
                    .push(attributes(&resource["resource"]["attributes"]));
                for scope in list(&resource[scopes]) {
                    for item in list(&scope[items]) {
                        let mut item = item.clone();
                        item["scope"] = scope["scope"].clone();
                        into.push(item);
                    }
                }
            }
        }
        arrived
    }

    fn sizes(&self) -> (usize, usize, usize) {
        (self.spans.len(), self.records.len(), self.metrics.len())
    }

    fn is_whole(&self) -> bool {
        self.spans.len() >= 2 * COUNT && self.records.len() >= COUNT && self.metrics.len() >= 4
    }

    fn check_resources(&self) {
        assert!(
            self.resources.len() >= 3,
            "{} resources",
            self.resources.len()
        );
        for resource in &self.resources {
            let expected = [
                ("service.name", "sdk"),
                ("service.version", "v9"),
                ("deployment.environment.name", "test"),
                ("telemetry.sdk.language", "python"),
                ("davy.arm", "canary-7"),
                ("k8s.pod.name", "sdk-1"),
            ];
            for (key, value) in expected {
                assert_eq!(resource.get(key), Some(&json!(value)), "{key}");
            }
        }
    }

    fn check_spans(&self, sent: &Value) {
        let by_id = |span: &Value| {
            (
                span["spanId"].as_str().unwrap_or_default().to_owned(),
                span.clone(),
            )
        };
        let found: BTreeMap<_, _> = self.spans.iter().map(by_id).collect();
        assert_eq!(self.spans.len(), 2 * COUNT, "each span once");
        let sent = list(&sent["spans"]);
        assert_eq!(sent.len(), 2 * COUNT);
        for span in sent {
            let id = span["spanId"].as_str().expect("an id");
            let arrived = found.get(id).unwrap_or_else(|| panic!("span {id} arrives"));
            assert_eq!(arrived["traceId"], span["traceId"]);
            assert_eq!(arrived["name"], span["name"]);
            assert_eq!(
                arrived["scope"],
                json!({"name": "sdk.tracer", "version": "1.2.3"})
            );
            let expected = span["attributes"].as_object().expect("attributes");
            assert_eq!(
                &attributes(&arrived["attributes"]),
                expected,
                "{}",
                span["name"]
            );
            if arrived["name"]
                .as_str()
                .is_some_and(|name| name.starts_with("child"))
            {
                assert_eq!(arrived["status"], json!({"message": "it broke", "code": 2}));
                let link = &arrived["links"][0];
                assert_eq!(link["spanId"], arrived["parentSpanId"]);
                assert_eq!(
                    attributes(&link["attributes"]),
                    *object(&json!({"why": "test"}))
                );
            } else {
                let event = &arrived["events"][0];
                assert_eq!(event["name"], "event");
                assert_eq!(attributes(&event["attributes"])["text"], "ü");
            }
        }
    }

    fn check_records(&self, sent: &Value) {
        assert_eq!(self.records.len(), COUNT, "each record once");
        for record in list(&sent["logs"]) {
            let body = |arrived: &&Value| arrived["body"]["stringValue"] == record["body"];
            let arrived = self.records.iter().find(body);
            let arrived = arrived.unwrap_or_else(|| panic!("{record} arrives"));
            assert_eq!(arrived["severityNumber"], 13, "{arrived}");
            let attributes = attributes(&arrived["attributes"]);
            assert_eq!(attributes["n"], record["n"]);
            assert_eq!(attributes["route"], "/api/orders/{id}");
        }
    }

    fn check_points(&self, sent: &Value) {
        let metric = |name: &str| {
            let all: Vec<_> = self
                .metrics
                .iter()
                .filter(|metric| metric["name"] == name)
                .collect();
            assert_eq!(all.len(), 1, "{name} arrives once");
            all[0]
        };
        let orders = metric("orders");
        assert_eq!(orders["description"], "orders taken");
        assert_eq!(orders["scope"]["name"], "sdk.meter");
        let points = list(&orders["sum"]["dataPoints"]);
        assert_eq!(points.len(), COUNT);
        for order in list(&sent["metrics"]["orders"]) {
            let own = json!({"n": order["n"], "kind": order["kind"]});
            let is_its = |point: &&Value| attributes(&point["attributes"]) == *object(&own);
            let point = points
                .iter()
                .find(is_its)
                .unwrap_or_else(|| panic!("{own} arrives"));
            assert_eq!(point["asInt"], order["value"].to_string());
        }
        let count = COUNT.to_string();
        let coarse = &metric("coarse")["histogram"]["dataPoints"][0];
        assert_eq!(coarse["count"], count);
        assert_eq!(attributes(&coarse["attributes"])["kind"], "ü");
        let fine = &metric("fine")["exponentialHistogram"]["dataPoints"][0];
        assert_eq!(fine["count"], count);
        let open: i64 = (0..COUNT as i64).map(|n| -n).sum();
        let found = &metric("open")["sum"]["dataPoints"][0]["asInt"];
        assert_eq!(*found, open.to_string());
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().expect("an object")
}

/// OTLP's list of attributes as plain JSON; no key may stand twice.
fn attributes(of: &Value) -> Map<String, Value> {
    let mut plain = Map::new();
    for attribute in list(of) {
        let key = attribute["key"].as_str().expect("a key").to_owned();
        let value = self::plain(&attribute["value"]);
        assert!(plain.insert(key, value).is_none(), "twice: {attribute}");
    }
    plain
}

/// OTLP's value as plain JSON: integers are text there, and doubles may look like integers.
fn plain(value: &Value) -> Value {
    let Some((kind, inner)) = value.as_object().and_then(|value| value.iter().next()) else {
        return Value::Null;
    };
    match kind.as_str() {
        "intValue" => {
            let digits = inner.as_str().expect("digits");
            json!(digits.parse::<i64>().expect("an integer"))
        }
        "doubleValue" => json!(inner.as_f64()),
        "arrayValue" => list(&inner["values"]).iter().map(plain).collect(),
        _ => inner.clone(),
    }
}
