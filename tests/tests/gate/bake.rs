//! An approval that is judged on: harm before its bake ends is a rollback, and is acted upon.

use std::fs;
use std::time::Duration;

use davy_tests::kit::gate::Gate;
use davy_tests::kit::http;
use davy_tests::kit::process::wait_until;
use opentelemetry_proto::tonic::metrics::v1::ResourceMetrics;
use prost::Message;
use serde_json::Value;

use super::otlp::{Pod, request};
use super::{QUESTION, folder, last_cell_end, start};

const CELL: u64 = 5;
/// Cells of the baseline alone, then of both, before the gate is asked.
const PAST: (u64, u64) = (24, 40);
/// Requests of a pod in a cell.
const REQUESTS: u64 = 500;
/// More cells than evidence of a fifth of all requests needs.
const DECIDED_WITHIN: Duration = Duration::from_secs(120);
const POLICY: &str = "\
version: 1
objectives:
  - {name: errors, indicator: errors}
risk: {assume: alike}
timing: {min_duration: 20s, bake: 1h}
";

/// Five pods in the cell that ends at `end`; the canary's fails so often.
fn cell(end: u64, canary: Option<u64>) -> Vec<ResourceMetrics> {
    let baseline = ["a", "b", "c", "d"].map(|name| Pod::new("v1", name));
    let mut all: Vec<_> = baseline
        .iter()
        .map(|pod| pod.window(end - CELL, end, REQUESTS, 0))
        .collect();
    if let Some(errors) = canary {
        let pod = Pod::new("v2", "e");
        all.push(pod.window(end - CELL, end, REQUESTS - errors, errors));
    }
    all
}

fn send(gate: &Gate, evidence: Vec<ResourceMetrics>) {
    let headers = [("content-type", "application/x-protobuf")];
    let body = request(evidence).encode_to_vec();
    let answer = http::send(&gate.otlp, "POST", "/v1/metrics", &headers, &body);
    assert_eq!(answer.expect("an answer").status, 200);
}

/// Scenario: a canary was as good as its baseline for minutes and then begins to fail, within an
/// hour of bake.
/// Guarantees: the approval is not final and starts nothing; what follows is a final rollback, which
/// runs its actuator once.
#[test]
fn a_canary_that_turns_bad_during_its_bake_is_rolled_back() {
    let folder = folder();
    let root = folder.path();
    let policy = root.join("policy.yaml");
    fs::write(&policy, POLICY).expect("a policy");
    let action = |name: &str| {
        let file = root.join(name).display().to_string();
        format!(
            "{{command: [/bin/sh, -c, \"echo $1 >> $0\", \"{file}\", \"{{idempotency_key}}\"]}}"
        )
    };
    let gate = start(
        root,
        &format!(
            "policies: {{files: [\"{}\"]}}\nactuators:\n  on_approve: {}\n  on_rollback: {}\n",
            policy.display(),
            action("approved"),
            action("rolled-back"),
        ),
    );
    let mut end = last_cell_end();
    let cells = (0..PAST.0 + PAST.1).rev().flat_map(|ago| {
        let both = ago < PAST.1;
        cell(end - ago * CELL, both.then_some(0))
    });
    send(&gate, cells.collect());
    let approved = wait_until("an approval", DECIDED_WITHIN, || {
        let answer = gate.evaluate(QUESTION).expect("an evaluation");
        (answer["verdict"] == "approve").then_some(answer)
    });
    let approved = approved.expect("approved");
    assert_eq!(approved["final"], false, "{approved}");
    let reason = approved["reason"].as_str().expect("a reason");
    assert!(reason.contains("; judged on for "), "{reason}");

    let decided = wait_until("a rollback", DECIDED_WITHIN, || {
        while end + CELL <= last_cell_end() {
            end += CELL;
            send(&gate, cell(end, Some(REQUESTS / 5)));
        }
        let answer = gate.evaluate(QUESTION).expect("an evaluation");
        (answer["final"] == true).then_some(answer)
    });
    let decided = decided.expect("decided");
    assert_eq!(decided["verdict"], "rollback", "{decided}");
    let id = decided.pointer("/rollout/id").and_then(Value::as_str);
    let key = format!("{}/1/rollback\n", id.expect("an id"));
    let ran = wait_until("the actuator", DECIDED_WITHIN, || {
        fs::read_to_string(root.join("rolled-back"))
            .ok()
            .filter(|text| !text.is_empty())
    });
    assert_eq!(ran.expect("it ran"), key, "once, with its key");
    assert!(
        !root.join("approved").exists(),
        "the approval was never final"
    );
}
