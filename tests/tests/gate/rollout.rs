//! A whole rollout: two shops, an agent beside each, a gate that is polled as Argo does, and acts.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use davy_tests::kit::agent::Agent;
use davy_tests::kit::gate::Gate;
use davy_tests::kit::http;
use davy_tests::kit::load::{Load, Plan, Schedule, Target};
use davy_tests::kit::process::wait_until;
use davy_tests::kit::receiver::Receiver;
use davy_tests::kit::shop::Shop;
use serde_json::Value;

use super::{AGENT, QUESTION, folder, start};

/// Requests a second over both instances.
const RATE: f64 = 160.0;
/// Longer than the machine may take when it has much else to do.
const DECIDED_WITHIN: Duration = Duration::from_secs(90);
/// As often as Argo asks, at the most.
const ASKED_EVERY: Duration = Duration::from_secs(2);
/// Several ticks of the engine: what acts twice has done so by then.
const SETTLED: Duration = Duration::from_secs(3);
const ENDS_WITHIN: Duration = Duration::from_secs(5);

const POLICY: &str = "\
version: 1
service: shop
objectives:
  - {name: latency, indicator: latency, rollback_above: 1.3, approve_below: 3.0}
  - {name: errors, indicator: errors, rollback_above: 1.25, approve_below: 3.0}
risk: {false_rollback: 0.05, false_approval: 0.05, assume: alike}
timing: {warm_up: 0s, min_duration: 20s, max_duration: 10m}
";

/// A shop and the agent that feeds the gate with its evidence; the shop ends first.
struct Instance {
    shop: Shop,
    agent: Agent,
}

impl Instance {
    fn start(
        root: &Path,
        arm: &str,
        behavior: &[(&str, &str)],
        gate: &Gate,
        backend: &str,
    ) -> Self {
        let folder = root.join(arm);
        fs::create_dir(&folder).expect("a folder");
        let shop = Shop::start(&folder, behavior).expect("the shop starts");
        let resource = format!("service.instance.id=shop-{arm}");
        let metrics = format!("http://{}/metrics", shop.authority);
        let evidence = format!("http://{}", gate.otlp);
        let variables = [
            ("OTEL_SERVICE_NAME", "shop"),
            ("OTEL_RESOURCE_ATTRIBUTES", resource.as_str()),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", backend),
            ("DAVY_ARM", arm),
            ("DAVY_SCRAPE_URL", metrics.as_str()),
            ("DAVY_GATE_ENDPOINT", evidence.as_str()),
        ];
        let agent = Agent::start(AGENT, &folder, &variables).expect("the agent starts");
        Self { shop, agent }
    }

    fn target(&self) -> Target {
        Target {
            authority: self.shop.authority.clone(),
            group: 0,
            weight: 1.0,
        }
    }
}

/// A gate whose actuators write a line into a file of their own: the decision's key and the canary.
fn gate(root: &Path) -> Gate {
    let policy = root.join("policy.yaml");
    fs::write(&policy, POLICY).expect("a policy");
    let action = |name: &str| {
        let line = "echo $1 $2 >> $0";
        let file = root.join(name).display().to_string();
        format!(
            "{{command: [/bin/sh, -c, \"{line}\", \"{file}\", \"{{idempotency_key}}\", \
             \"{{canary}}\"]}}"
        )
    };
    let config = format!(
        "policies: {{files: [\"{}\"]}}\nactuators:\n  on_approve: {}\n  on_rollback: {}\n",
        policy.display(),
        action("approved"),
        action("rolled-back"),
    );
    start(root, &config)
}

/// Asks until the answer is final.
async fn decided(gate: &Gate) -> Value {
    let end = tokio::time::Instant::now() + DECIDED_WITHIN;
    loop {
        let answer = gate.evaluate(QUESTION).expect("an evaluation");
        if answer["final"] == true {
            return answer;
        }
        assert_eq!(answer["verdict"], "undecided", "{answer}");
        assert!(
            tokio::time::Instant::now() < end,
            "{answer}\n{}",
            gate.process.log()
        );
        tokio::time::sleep(ASKED_EVERY).await;
    }
}

/// Scenario: a canary twice as slow, with a quarter of its answers errors, beside a baseline.
/// Guarantees: what Argo polls ends in a final rollback that stays, the actuator runs exactly once,
/// page and metrics say so, and the gate ends within five seconds of SIGTERM.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_canary_is_rolled_back_once() {
    let folder = folder();
    let root = folder.path();
    let backend = Receiver::start().await.expect("a backend");
    let url = format!("http://{}", backend.address());
    let mut gate = gate(root);
    operations(&gate);
    let sound = [("SHOP_LATENCY_P99", "100ms"), ("SHOP_ERROR_RATE", "0.02")];
    let bad = [("SHOP_LATENCY_P99", "200ms"), ("SHOP_ERROR_RATE", "0.25")];
    let baseline = Instance::start(root, "v1", &sound, &gate, &url);
    let canary = Instance::start(root, "v2", &bad, &gate, &url);
    let targets = vec![baseline.target(), canary.target()];
    let plan = Plan {
        rate: RATE,
        targets,
    };
    let _load = Load::start_on(Schedule::Poisson, plan, 1, 9);

    let answer = decided(&gate).await;
    assert_eq!(answer["verdict"], "rollback", "{answer}");
    let id = answer
        .pointer("/rollout/id")
        .and_then(Value::as_str)
        .expect("an id");
    let reason = answer["reason"].as_str().expect("a reason");
    tokio::time::sleep(SETTLED).await;
    let again = gate.evaluate(QUESTION).expect("an evaluation");
    let facts = |answer: &Value| {
        ["verdict", "final", "reason", "elapsed_seconds", "attempt"].map(|key| answer[key].clone())
    };
    assert_eq!(facts(&again), facts(&answer), "a rollback stays");
    let ran = fs::read_to_string(root.join("rolled-back")).expect("the actuator ran");
    assert_eq!(ran, format!("{id}/1/rollback v2\n"), "once, with its key");
    assert!(!root.join("approved").exists(), "and nothing else");
    page(&gate, id, reason);
    metrics(&gate);
    drop(canary.agent);
    drop(baseline.agent);
    ends(&mut gate);
}

fn operations(gate: &Gate) {
    for path in ["/livez", "/readyz"] {
        assert_eq!(http::page(&gate.http, path).expect(path), "ok\n");
    }
    let version = http::page(&gate.http, "/version").expect("a version");
    let version: Value = serde_json::from_str(&version).expect("JSON");
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    let page = http::page(&gate.http, "/").expect("the page");
    assert!(
        page.contains("No rollout has been asked about yet"),
        "{page}"
    );
}

fn page(gate: &Gate, id: &str, reason: &str) {
    let all = http::page(&gate.http, "/").expect("the page");
    let link = format!("<a href=\"/rollouts/{id}\">shop</a>");
    let shown = [
        link.as_str(),
        "rollback, final",
        "canary <b>v2</b> against baseline <b>v1</b>",
    ];
    shown
        .iter()
        .for_each(|text| assert!(all.contains(text), "{text:?} in {all}"));
    let one = http::page(&gate.http, &format!("/rollouts/{id}")).expect("the rollout's page");
    let reason = reason.replace('\'', "&#39;");
    let shown = [
        reason.as_str(),
        "What happened",
        "rollback (final)",
        "errors",
        "<svg",
    ];
    shown
        .iter()
        .for_each(|text| assert!(one.contains(text), "{text:?} in {one}"));
    let listed = http::page(&gate.http, "/v1/rollouts").expect("the list");
    assert!(
        listed.contains(id) && listed.contains("\"rollback\""),
        "{listed}"
    );
    let path = format!("/v1/rollouts/{id}/timeline");
    let timeline = http::page(&gate.http, &path).expect("the timeline");
    let timeline: Value = serde_json::from_str(&timeline).expect("JSON");
    let entries = timeline["data"].as_array().expect("entries");
    let verdicts: Vec<_> = entries.iter().map(|entry| &entry["verdict"]).collect();
    assert_eq!(verdicts, ["undecided", "rollback"]);
}

fn metrics(gate: &Gate) {
    let metric = |name: &str, labels: &[(&str, &str)]| gate.metric(name, labels).expect("metrics");
    for (verdict, value) in [("rollback", 1.0), ("approve", 0.0), ("undecided", 0.0)] {
        let labels = [("service", "shop"), ("verdict", verdict)];
        assert_eq!(metric("davy_gate_verdict", &labels), value, "{verdict}");
    }
    // Sound 2 % against bad 25 %, and 100 ms against 200 ms.
    for (objective, range) in [("errors", 4.0..40.0), ("latency", 1.5..3.0)] {
        let labels = [
            ("service", "shop"),
            ("objective", objective),
            ("bound", "point"),
        ];
        let ratio = metric("davy_gate_objective_ratio", &labels);
        assert!(range.contains(&ratio), "{objective}: {ratio}");
    }
    let ran = [("occasion", "on_rollback"), ("result", "ok")];
    assert_eq!(metric("davy_gate_actuations_total", &ran), 1.0);
    assert_eq!(metric("davy_gate_actuations_total", &[]), 1.0);
    // The first cell closes before a second pod is known: it may miss that one.
    let late = metric(
        "davy_gate_refused_items_total",
        &[("reason", "window_late")],
    );
    assert!(late <= 2.0, "{late} windows were late");
    assert_eq!(metric("davy_gate_refused_items_total", &[]), late);
    assert!(metric("davy_gate_windows_total", &[]) > 4.0);
    assert_eq!(metric("davy_gate_rollouts", &[]), 1.0);
}

/// One caller has opened a connection and says nothing, another has stopped in a request's head.
fn ends(gate: &mut Gate) {
    let silent = TcpStream::connect(&gate.http).expect("a connection");
    let mut stuck = TcpStream::connect(&gate.http).expect("a connection");
    stuck
        .write_all(b"POST /v1/evaluate HTTP/1.1\r\nhost: g")
        .expect("half a head");
    // Both have been accepted when a later caller has been answered.
    http::page(&gate.http, "/livez").expect("alive");
    let status = gate
        .process
        .terminate(ENDS_WITHIN)
        .expect("it ends in time");
    assert!(status.success(), "{status}:\n{}", gate.process.log());
    wait_until("the port to be free", ENDS_WITHIN, || {
        TcpStream::connect(&gate.http).err()
    })
    .expect("nobody listens");
    let log = gate.process.log();
    assert!(!log.contains('\u{1b}'), "no colors in a file:\n{log}");
    drop((silent, stuck));
}
