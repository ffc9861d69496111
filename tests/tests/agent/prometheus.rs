//! A real Prometheus as the backend, with no collector between, and the dashboard on top.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use davy_tests::kit::agent::Agent;
use davy_tests::kit::process::{Process, free_port};
use davy_tests::kit::shop::Shop;
use davy_tests::kit::{http, prometheus};
use serde_json::Value;

use super::{PATIENCE, folder, start, start_gate};

/// Shop, agent, gate and a Prometheus that gets the agent's metrics and scrapes both programs' own.
struct Scene {
    prometheus: String,
    shop: Shop,
    agent: Agent,
    gate_http: String,
    _processes: [Process; 2],
    _folder: tempfile::TempDir,
}

impl Scene {
    fn start() -> Self {
        let folder = folder();
        let path = folder.path();
        let shop = Shop::start(path, &[("SHOP_ERROR_RATE", "0.05")]).expect("the shop starts");
        let (gate, gate_otlp, gate_http) = start_gate(path);
        let prometheus = format!("127.0.0.1:{}", free_port());
        let endpoint = format!("http://{prometheus}/api/v1/otlp/v1/metrics");
        let scrape = format!("http://{}/metrics", shop.authority);
        let gate_endpoint = format!("http://{gate_otlp}");
        let agent = start(
            path,
            &[
                ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", endpoint.as_str()),
                ("OTEL_SERVICE_NAME", "shop"),
                (
                    "OTEL_RESOURCE_ATTRIBUTES",
                    "service.version=v1.0.0,k8s.pod.name=shop-1",
                ),
                ("DAVY_ARM", "v1"),
                ("DAVY_SCRAPE_URL", &scrape),
                ("DAVY_SCRAPE_INTERVAL", "1s"),
                ("DAVY_GATE_ENDPOINT", &gate_endpoint),
            ],
        );
        let targets = [agent.listener("admin").expect("admin"), &gate_http];
        let process = start_prometheus(path, &prometheus, targets);
        Self {
            prometheus,
            shop,
            agent,
            gate_http,
            _processes: [process, gate],
            _folder: folder,
        }
    }

    /// Asks a query of one instant; the error is Prometheus's.
    fn query(&self, expression: &str) -> Result<Vec<Value>, String> {
        let mut path = "/api/v1/query?query=".to_owned();
        for byte in expression.bytes() {
            path.push_str(&format!("%{byte:02X}"));
        }
        let response = http::get(&self.prometheus, &path).map_err(|error| format!("{error:#}"))?;
        let answer: Value = serde_json::from_slice(&response.body).map_err(|e| e.to_string())?;
        match answer["data"]["result"].as_array() {
            Some(result) if answer["status"] == "success" => Ok(result.clone()),
            _ => Err(response.text()),
        }
    }
}

/// The configuration that users are given, but for the targets of its scrapes.
fn start_prometheus(folder: &Path, address: &str, targets: [&str; 2]) -> Process {
    let deployed = deploy("prometheus/prometheus.yaml");
    let text = fs::read_to_string(&deployed).expect("deploy/prometheus");
    let (text, scrapes) = text.split_once("scrape_configs:").expect("scrapes");
    for job in ["job_name: davy-gate", "job_name: davy-agent"] {
        assert!(scrapes.contains(job), "{job}");
    }
    let text = text.replace("scrape_interval: 15s", "scrape_interval: 1s");
    let [agent, gate] = targets;
    let scrapes = format!(
        "scrape_configs:\n\
         - {{job_name: davy-agent, static_configs: [{{targets: [\"{agent}\"]}}]}}\n\
         - {{job_name: davy-gate, static_configs: [{{targets: [\"{gate}\"]}}]}}\n"
    );
    let process = prometheus::start(folder, address, &(text + &scrapes), &[]);
    process.unwrap_or_else(|error| panic!("{error:#}"))
}

fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../deploy")
        .join(path)
}

/// Labels without those that Davy and Prometheus add; bounds as numbers, for 1 is 1.0.
type Labels = BTreeMap<String, String>;

const ADDED: &[&str] = &[
    "davy_arm",
    "instance",
    "job",
    "k8s_pod_name",
    "otel_scope_name",
    "otel_scope_version",
    "service_name",
    "service_version",
];

fn bound(key: &str, value: &str) -> String {
    match value.parse::<f64>() {
        Ok(number) if key == "le" || key == "quantile" => number.to_string(),
        _ => value.to_owned(),
    }
}

/// The shop's page in the text format, series by series. No value on it has a quote or line break.
fn page(shop: &Shop) -> BTreeMap<Labels, f64> {
    let text = http::page(&shop.authority, "/metrics").expect("the shop's page");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(series).collect()
}

fn series(line: &str) -> (Labels, f64) {
    let (series, value) = line.rsplit_once(' ').expect("a series and a value");
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let mut own = Labels::from([("__name__".to_owned(), name.to_owned())]);
    for label in labels.trim_end_matches('}').split_terminator("\",") {
        let (key, value) = label.split_once("=\"").expect("a label");
        own.insert(key.to_owned(), bound(key, value.trim_end_matches('"')));
    }
    (own, value.parse().expect("a value"))
}

/// What Prometheus holds of the shop now; of native histograms the count and the sum, under the
/// names that they have on the page.
fn held(scene: &Scene) -> BTreeMap<Labels, f64> {
    let found = scene.query("{service_name=\"shop\"}").unwrap_or_default();
    let mut held = BTreeMap::new();
    for series in &found {
        let all = series["metric"].as_object().expect("labels").iter();
        let own = all.filter(|(key, _)| !ADDED.contains(&key.as_str()));
        let labels: Labels = own
            .map(|(key, value)| (key.clone(), bound(key, value.as_str().unwrap_or_default())))
            .collect();
        let number = |value: &Value| value.as_str().and_then(|text| text.parse::<f64>().ok());
        if let Some(value) = number(&series["value"][1]) {
            held.insert(labels, value);
            continue;
        }
        let histogram = &series["histogram"][1];
        let count = number(&histogram["count"]).expect("a count");
        let buckets = histogram["buckets"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        let in_buckets: f64 = buckets.iter().filter_map(|bucket| number(&bucket[3])).sum();
        assert_eq!(
            in_buckets, count,
            "{labels:?}: the buckets hold all observations"
        );
        held.insert(with_suffix(&labels, "_count"), count);
        held.insert(
            with_suffix(&labels, "_sum"),
            number(&histogram["sum"]).expect("a sum"),
        );
        held.insert(with_suffix(&labels, NATIVE), count);
    }
    held
}

/// Marks a series as native: it has no classic buckets.
const NATIVE: &str = " native";

fn with_suffix(labels: &Labels, suffix: &str) -> Labels {
    let mut labels = labels.clone();
    labels
        .entry("__name__".to_owned())
        .or_default()
        .push_str(suffix);
    labels
}

/// Whether these are the labels of a classic bucket whose histogram is held as a native one.
fn is_bucket_of_native(labels: &Labels, held: &BTreeMap<Labels, f64>) -> bool {
    let mut native = labels.clone();
    let Some(name) = native.get_mut("__name__") else {
        return false;
    };
    let Some(base) = name.strip_suffix("_bucket") else {
        return false;
    };
    *name = format!("{base}{NATIVE}");
    native.remove("le");
    held.contains_key(&native)
}

/// What each scrape adds to the page.
const OF_THE_SCRAPE: &[&str] = &[
    "scrape_duration_seconds",
    "scrape_samples_post_metric_relabeling",
    "scrape_samples_scraped",
    "scrape_series_added",
    "up",
];

/// What differs: of the series that stand still, the value; of the others, whether they are there.
fn differences(
    before: &BTreeMap<Labels, f64>,
    after: &BTreeMap<Labels, f64>,
    held: &BTreeMap<Labels, f64>,
) -> Vec<String> {
    let mut differ = Vec::new();
    for (labels, value) in before {
        let stands = after.get(labels) == Some(value);
        match held.get(labels) {
            None if is_bucket_of_native(labels, held) => {}
            None => differ.push(format!("{labels:?} {value}: is not there")),
            Some(found)
                if stands && !is_of_the_caller(labels) && found.to_bits() != value.to_bits() =>
            {
                differ.push(format!("{labels:?}: {found}, not {value}"));
            }
            Some(_) => {}
        }
    }
    let name = |labels: &Labels| labels.get("__name__").cloned().unwrap_or_default();
    for labels in held.keys().filter(|labels| !after.contains_key(*labels)) {
        let name = name(labels);
        if !OF_THE_SCRAPE.contains(&name.as_str()) && !name.ends_with(NATIVE) {
            differ.push(format!("{labels:?}: is on no page"));
        }
    }
    let names: BTreeSet<_> = held.keys().map(name).collect();
    let absent = OF_THE_SCRAPE.iter().filter(|name| !names.contains(**name));
    differ.extend(absent.map(|name| format!("{name}: is not there")));
    differ
}

/// Whether a value depends on who is asking just now: a connection, and what serves it.
fn is_of_the_caller(labels: &Labels) -> bool {
    let name = labels.get("__name__").map_or("", String::as_str);
    ["go_goroutines", "process_open_fds"].contains(&name)
}

/// Scenario: the shop has been visited and is at rest; the agent exports straight into Prometheus.
/// Guarantees: the series are those of the shop's page, no more and no less, and so are the values,
/// bit for bit: counters, gauges, buckets, sums, counts and quantiles.
///
/// Then, on the same scene: every query of the dashboard runs, and those whose subject is there
/// return data.
#[tokio::test(flavor = "multi_thread")]
async fn holds_what_the_shop_says_and_answers_the_dashboard() {
    let scene = Scene::start();
    let errors = || scene.shop.visit(100);
    while errors().is_ok() {}
    let end = Instant::now() + PATIENCE;
    loop {
        let before = page(&scene.shop);
        // Two scrapes, and their way.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let held = held(&scene);
        let after = page(&scene.shop);
        let differ = differences(&before, &after, &held);
        let routes = before
            .keys()
            .filter(|labels| labels.contains_key("route"))
            .count();
        if differ.is_empty() && routes > 30 {
            break;
        }
        assert!(
            Instant::now() < end,
            "{routes} series of routes, {differ:#?}"
        );
    }
    check_dashboard(&scene);
    scene.agent.stop().expect("the agent ends well");
}

/// Metrics that have no series before what they count has happened.
const EMPTY_AT_REST: &[&str] = &[
    "davy_agent_dropped_items_total",
    "davy_agent_rejected_items_total",
    "davy_gate_refused_items_total",
];

#[track_caller]
fn check_dashboard(scene: &Scene) {
    // A rollout, so that the gate has something to say of one.
    let body = r#"{"service":"shop","uid":"1","baseline":"v1","canary":"v2","step":0}"#;
    let json = [("content-type", "application/json")];
    let answer = http::send(
        &scene.gate_http,
        "POST",
        "/v1/evaluate",
        &json,
        body.as_bytes(),
    );
    let answer = answer.expect("the gate answers");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let file = fs::read_to_string(deploy("grafana/davy.json")).expect("the dashboard");
    let dashboard: Value = serde_json::from_str(&file).expect("JSON");
    let mut queries = BTreeSet::new();
    collect(&dashboard["panels"], &mut queries);
    assert!(queries.len() >= 20, "{} queries", queries.len());
    let subject = |query: &&String| !EMPTY_AT_REST.iter().any(|name| query.contains(name));
    let wanted: Vec<_> = queries.iter().filter(subject).collect();
    let end = Instant::now() + PATIENCE;
    loop {
        scene.shop.visit(1).ok();
        let mut empty = Vec::new();
        for query in &queries {
            let asked = substituted(query);
            let result = scene
                .query(&asked)
                .unwrap_or_else(|error| panic!("{asked}: {error}"));
            let values = result.iter().filter(|series| series["value"][1] != "NaN");
            if values.count() == 0 && wanted.contains(&query) && !needs_canary(query) {
                empty.push(asked);
            }
        }
        if empty.is_empty() {
            break;
        }
        assert!(Instant::now() < end, "queries without data: {empty:#?}");
        std::thread::sleep(Duration::from_millis(500));
    }
    // The lists to choose from.
    let mut lists = BTreeSet::new();
    for variable in dashboard["templating"]["list"]
        .as_array()
        .expect("variables")
    {
        lists.extend(variable["definition"].as_str().map(str::to_owned));
    }
    for list in lists
        .iter()
        .filter(|list| !list.contains("davy_gate_objective_ratio"))
    {
        let inner = list
            .trim_start_matches("label_values(")
            .trim_end_matches(')');
        let (series, label) = inner.rsplit_once(", ").expect("series and label");
        let asked = substituted(&format!("count by ({label}) ({series})"));
        let found = scene
            .query(&asked)
            .unwrap_or_else(|error| panic!("{asked}: {error}"));
        assert!(
            found
                .iter()
                .all(|series| series["metric"][label].is_string()),
            "{found:?}"
        );
        assert!(!found.is_empty(), "{asked}");
    }
}

/// A ratio needs evidence of both arms, and here there is one.
fn needs_canary(query: &str) -> bool {
    query.contains("davy_gate_objective_ratio")
}

fn collect(value: &Value, queries: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, queries)),
        Value::Object(members) => {
            queries.extend(
                members
                    .get("expr")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
            );
            members.values().for_each(|member| collect(member, queries));
        }
        _ => {}
    }
}

fn substituted(query: &str) -> String {
    let query = query
        .replace("$__rate_interval", "10s")
        .replace("$__interval", "5s")
        .replace("$__range", "30s")
        .replace("$service", "shop")
        .replace("$arm", "v1")
        .replace("$objective", "latency");
    assert!(!query.contains('$'), "a variable is unknown: {query}");
    query
}
