//! Evidence as it arrives: counted once, differenced, refused with a reason, and judged.

use std::fs;
use std::path::Path;
use std::time::Duration;

use davy_proto::window::Window;
use davy_tests::kit::gate::Gate;
use davy_tests::kit::http::{self, Response};
use davy_tests::kit::process::wait_until;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::metrics::v1::ResourceMetrics;
use prost::Message;
use serde_json::Value;

use super::otlp::{Pod, request};
use super::{GATE, QUESTION, folder, last_cell_end, start};

/// A few ticks of the engine.
const JUDGED_WITHIN: Duration = Duration::from_secs(20);
/// Points in a window without errors: a histogram's and the CPU's.
const POINTS: f64 = 2.0;
const PROTOBUF: &str = "application/x-protobuf";

/// A gate that records what it counts, and what it counted so far.
struct Counting {
    gate: Gate,
    folder: tempfile::TempDir,
}

impl Counting {
    fn start() -> Self {
        let folder = folder();
        let record = folder.path().join("record").display().to_string();
        let arguments = ["--record", record.as_str()];
        let gate = Gate::start(GATE, folder.path(), "version: 1\n", &arguments);
        Self {
            gate: gate.expect("the gate starts"),
            folder,
        }
    }

    fn windows(&self) -> f64 {
        self.gate
            .metric("davy_gate_windows_total", &[])
            .expect("metrics")
    }

    fn refused(&self, labels: &[(&str, &str)]) -> f64 {
        self.gate
            .metric("davy_gate_refused_items_total", labels)
            .expect("metrics")
    }

    /// Sends a pod's metrics: with a reason, all its points are refused for it, and as the sender's
    /// fault where it is told; without, they are one window more.
    #[track_caller]
    fn check(
        &self,
        what: &str,
        metrics: ResourceMetrics,
        refused: Option<(&str, f64)>,
        told: bool,
    ) {
        let before = (self.windows(), self.refused(&[]));
        let response = send(&self.gate, "/v1/metrics", PROTOBUF, &encoded(vec![metrics]));
        assert_eq!(response.status, 200, "{what}: {}", response.text());
        let answer = ExportMetricsServiceResponse::decode(response.body.as_slice());
        let partial = answer
            .expect("an export response")
            .partial_success
            .unwrap_or_default();
        let new_windows = self.windows() - before.0;
        let new_refused = self.refused(&[]) - before.1;
        let Some((reason, count)) = refused else {
            assert_eq!(
                (new_windows, new_refused),
                (1.0, 0.0),
                "{what}: {partial:?}"
            );
            assert_eq!(partial, Default::default(), "{what}");
            return;
        };
        assert_eq!(
            (new_windows, new_refused),
            (0.0, count),
            "{what}: {partial:?}"
        );
        assert!(
            self.refused(&[("reason", reason)]) >= count,
            "{what}: {reason}"
        );
        let rejected = if told { count as i64 } else { 0 };
        assert_eq!(partial.rejected_data_points, rejected, "{what}");
        assert_eq!(
            partial.error_message.contains(reason),
            told,
            "{what}: {partial:?}"
        );
    }

    /// Requests and errors of each window counted so far.
    fn recorded(&self) -> Vec<(u64, u64)> {
        let file = self.folder.path().join("record/shop.jsonl");
        let text = fs::read_to_string(file).expect("a recording");
        let window = |line: &str| serde_json::from_str::<Window>(line).expect("a window");
        let count = |window: Window| {
            let routes = window.routes.iter();
            routes.fold((0, 0), |sum, route| {
                (sum.0 + route.requests, sum.1 + route.errors)
            })
        };
        text.lines().map(window).map(count).collect()
    }
}

fn encoded(resource_metrics: Vec<ResourceMetrics>) -> Vec<u8> {
    request(resource_metrics).encode_to_vec()
}

fn send(gate: &Gate, path: &str, content_type: &str, body: &[u8]) -> Response {
    let headers = [("content-type", content_type)];
    http::send(&gate.otlp, "POST", path, &headers, body).expect("an answer")
}

/// Scenario: an agent's windows arrive twice, cut each other, leave a gap, lie in the future.
/// Guarantees: each interval counts once; what is refused is counted by its reason, and told to the
/// sender as a partial success when it is its fault; a gap is no fault, and what fills it counts.
#[test]
fn a_window_counts_once() {
    let counting = Counting::start();
    let end = last_cell_end();
    let pod = Pod::new("v1", "a");
    let window = |start, end| pod.window(start, end, 100, 0);
    let check = |what, (start, end), refused: Option<&'static str>, told| {
        let refused = refused.map(|reason| (reason, POINTS));
        counting.check(what, window(start, end), refused, told);
    };
    check("a window", (end - 5, end), None, false);
    check("again", (end - 5, end), Some("duplicate"), false);
    check("cuts its end", (end - 3, end + 2), Some("overlap"), true);
    check("spans it", (end - 10, end + 5), Some("overlap"), true);
    check("after a gap", (end + 5, end + 10), None, false);
    check("into the gap", (end, end + 5), None, false);
    check("no start", (0, end + 15), Some("no_start"), true);
    check("no length", (end + 15, end + 15), Some("period"), true);
    check("the future", (end + 600, end + 605), Some("future"), true);
    let nobody = |key: &str| Pod::new("v1", "a").without(key).window(end, end + 5, 1, 0);
    counting.check(
        "no service",
        nobody("service.name"),
        Some(("no_service", 1.0)),
        true,
    );
    counting.check("no arm", nobody("davy.arm"), Some(("no_arm", 1.0)), true);
    counting.check(
        "no pod",
        nobody("k8s.pod.name"),
        Some(("no_pod", 1.0)),
        true,
    );
    assert_eq!(counting.recorded(), [(100, 0); 3]);
}

/// Scenario: any collector sends totals, of a process that began an hour ago and restarts.
/// Guarantees: the first total holds the past and is not counted, which is nobody's fault; later
/// ones count what was added, the first error of all included, and after a restart from zero.
#[test]
fn totals_of_any_collector_are_differenced() {
    let counting = Counting::start();
    let end = last_cell_end();
    let pod = Pod::new("v1", "a");
    let began = end - 3600;
    let check = |what, (start, at), (ok, errors), refused: Option<&'static str>, told| {
        let refused = refused.map(|reason| (reason, POINTS));
        counting.check(what, pod.total(start, at, ok, errors), refused, told);
    };
    check(
        "the first",
        (began, end - 10),
        (1_000, 0),
        Some("first_point"),
        false,
    );
    check("the second", (began, end - 5), (1_100, 0), None, false);
    check(
        "again",
        (began, end - 5),
        (1_100, 0),
        Some("duplicate"),
        false,
    );
    check(
        "older",
        (began, end - 7),
        (1_050, 0),
        Some("out_of_order"),
        true,
    );
    check("the first error", (began, end), (1_190, 5), None, false);
    check("restarted", (end + 1, end + 5), (30, 0), None, false);
    assert_eq!(counting.recorded(), [(100, 0), (95, 5), (30, 0)]);
}

/// Scenario: what is no evidence: other signals, broken and oversized bodies, other types.
/// Guarantees: each gets the status that OTLP gives it, is counted, and counts as nothing.
#[test]
fn what_is_no_evidence_is_refused_with_its_status() {
    let counting = Counting::start();
    let gate = &counting.gate;
    let end = last_cell_end();
    let window = encoded(vec![Pod::new("v1", "a").window(end - 5, end, 100, 0)]);
    let broken = window.get(..window.len() - 3).expect("a part");
    let large = vec![0_u8; (16 << 20) + 1];
    let json = "application/json";
    let cases: [(&str, &str, &[u8], u16, &str); 9] = [
        ("/v1/traces", PROTOBUF, b"", 404, "metrics"),
        ("/v1/logs", json, b"{}", 404, "metrics"),
        ("/v1/profiles", PROTOBUF, b"", 404, ""),
        ("/v1/metrics", PROTOBUF, broken, 400, ""),
        ("/v1/metrics", json, b"{\"resourceMetrics\":7}", 400, ""),
        ("/v1/metrics", "text/plain", b"a 1\n", 415, ""),
        ("/v1/metrics", PROTOBUF, &large, 413, ""),
        ("/v1/metrics", PROTOBUF, b"", 200, ""),
        ("/v1/metrics", json, b"{}", 200, ""),
    ];
    let total = || {
        gate.metric("davy_gate_refused_requests_total", &[])
            .expect("metrics")
    };
    for (path, content_type, body, status, word) in cases {
        let before = total();
        let response = send(gate, path, content_type, body);
        let asked = format!("{path} {content_type}, {} bytes", body.len());
        let text = response.text();
        assert_eq!(response.status, status, "{asked}: {text}");
        assert!(text.contains(word), "{asked}: {text}");
        let refused = if status == 200 { 0.0 } else { 1.0 };
        assert_eq!(total() - before, refused, "{asked} is counted");
    }
    let got = http::get(&gate.otlp, "/v1/metrics").expect("an answer");
    assert_eq!(got.status, 405);
    for reason in [
        "too_large",
        "content_type",
        "unknown_path",
        "signal",
        "invalid",
    ] {
        let labels = [("reason", reason)];
        let count = gate.metric("davy_gate_refused_requests_total", &labels);
        assert!(count.expect("metrics") >= 1.0, "{reason}");
    }
    assert_eq!((counting.windows(), counting.refused(&[])), (0.0, 0.0));
    assert_eq!(send(gate, "/v1/metrics", PROTOBUF, &window).status, 200);
    assert_eq!(counting.windows(), 1.0, "it goes on");
}

/// Two minutes of a baseline's windows and of what `canary` says of each cell, in one request.
fn rollout(canary: impl Fn(u64, u64, u64) -> Option<ResourceMetrics>) -> Vec<u8> {
    const CELLS: u64 = 24;
    let end = last_cell_end();
    let baseline = Pod::new("v1", "a");
    let cells = (0..CELLS).map(|n| (n, end - 5 * (CELLS - n), end - 5 * (CELLS - 1 - n)));
    let windows = cells.flat_map(|(n, start, end)| {
        let beside = Some(baseline.window(start, end, 200, 0));
        [beside, canary(n, start, end)].into_iter().flatten()
    });
    encoded(windows.collect())
}

/// What is answered once a gate that was asked before has judged this evidence.
#[track_caller]
fn judged(folder: &Path, body: &[u8]) -> Value {
    let gate = start(folder, "");
    gate.evaluate(QUESTION).expect("an evaluation");
    let response = send(&gate, "/v1/metrics", PROTOBUF, body);
    assert_eq!((response.status, response.text()), (200, String::new()));
    wait_until("the evidence to be judged", JUDGED_WITHIN, || {
        let answer = gate.evaluate(QUESTION).ok()?;
        let covered = answer["coverage"].is_f64() || answer["final"] == true;
        covered.then_some(answer)
    })
    .expect("an answer")
}

/// Scenario: the canary's process begins anew every fifteen seconds, and answers well in between;
/// beside it a canary that stays up.
/// Guarantees: a crash loop is a final rollback that says so; a canary that stays up is not.
#[test]
fn a_canary_in_a_crash_loop_is_rolled_back() {
    let crashing = rollout(|n, start, end| {
        let life = n / 3;
        let pod = Pod::new("v2", "b").started(&format!(
            "2026-11-24T10:{:02}:{:02}Z",
            life / 4,
            life % 4 * 15
        ));
        // Of three windows the last one never leaves.
        (n % 3 < 2).then(|| pod.window(start, end, 200, 0))
    });
    let folders = [folder(), folder()];
    let answer = judged(folders[0].path(), &crashing);
    assert_eq!(
        (&answer["verdict"], &answer["final"]),
        (&"rollback".into(), &true.into()),
        "{answer}"
    );
    let reason = answer["reason"].as_str().expect("a reason");
    assert!(
        reason.contains("restart") || reason.contains("started again"),
        "{reason}"
    );
    let up = Pod::new("v2", "b").started("2026-11-24T10:00:00Z");
    let steady = rollout(|_, start, end| Some(up.window(start, end, 200, 0)));
    let answer = judged(folders[1].path(), &steady);
    assert_ne!(answer["verdict"], "rollback", "{answer}");
    assert_eq!(answer["coverage"], 1.0, "{answer}");
}

/// Scenario: every other window of the canary is lost.
/// Guarantees: coverage says so, and what was lost is no approval.
#[test]
fn lost_windows_are_lost_coverage() {
    let pod = Pod::new("v2", "b");
    let body = rollout(|n, start, end| (n % 2 == 0).then(|| pod.window(start, end, 200, 0)));
    let folder = folder();
    let answer = judged(folder.path(), &body);
    let coverage = answer["coverage"].as_f64().expect("a share");
    assert!((0.4..0.8).contains(&coverage), "{answer}");
    assert_eq!(answer["verdict"], "undecided", "{answer}");
}
