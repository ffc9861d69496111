//! One rollout: 8 + 2 pods, two routes, sketches of 120 buckets, some 100 requests in each.

use std::collections::BTreeMap;
use std::time::Duration;

use davy_gate_core::attempt::{Call, Key, Lives, Rollout};
use davy_gate_core::cell::{CELL_SECONDS, Cell, PodCell, RouteCell};
use davy_gate_core::evalue::thinning::mix64;
use davy_gate_core::grid::ArmCell;
use davy_gate_core::history::{Arms, History};
use davy_gate_core::judge::{Judge, JudgeConfig};
use davy_gate_core::policy::Policy;
use davy_gate_core::sketch::Sketch;
use davy_proto::arm::ArmError;
use davy_proto::verdict::Verdict as Said;
use davy_proto::{Arm, UnixNanos};

/// Buckets of a sketch, and its scale: 32 buckets double the latency.
const BUCKETS: usize = 120;
const SCALE: i32 = 5;
/// Cells of history: 20 minutes.
const HISTORY: usize = 240;

/// A number in [0, 1) that is a function of its key alone.
fn uniform(key: u64) -> f64 {
    (mix64(mix64(key)) >> 11) as f64 / (1u64 << 53) as f64
}

/// About 100 requests: a bell over the logarithm of latency, cut off to 120 buckets.
fn sketch(key: u64) -> Sketch {
    let count = |bucket: usize| {
        let z = (bucket as f64 - 50.0) / 22.0;
        let mean = 1.8 * (-z * z / 2.0).exp() + 0.004;
        let (mut left, mut n) = (uniform(key ^ ((bucket as u64) << 40)), 0);
        let mut chance = (-mean).exp();
        while left > chance && n < 50 {
            left -= chance;
            n += 1;
            chance *= mean / n as f64;
        }
        n
    };
    let mut counts: Vec<u64> = (0..BUCKETS).map(count).collect();
    counts[0] = 1;
    counts[BUCKETS - 1] = u64::from(uniform(key ^ 7) < 0.05);
    Sketch::exponential(SCALE, 0, -200, counts).unwrap_or_default()
}

fn pod(name: String, key: u64) -> PodCell {
    let route = |name: &str, key: u64| {
        let latency = sketch(key);
        let errors = u64::from(uniform(key ^ 99) < 0.12);
        let requests = latency.total() + errors;
        (
            name.into(),
            RouteCell {
                requests,
                errors,
                latency,
            },
        )
    };
    let routes = BTreeMap::from([
        route("GET /orders", key * 2),
        route("POST /orders", key * 2 + 1),
    ]);
    let requests: u64 = routes
        .values()
        .map(|route: &RouteCell| route.requests)
        .sum();
    PodCell {
        pod: name.into(),
        warm: true,
        coverage: 1.0,
        routes,
        cpu_seconds: Some(0.004 * requests as f64 * (0.95 + 0.1 * uniform(key ^ 5))),
        cpu_limit_cores: Some(1.0),
    }
}

/// A cell of the two arms, eight pods and two.
pub fn cell(index: u64) -> Cell {
    Cell {
        index,
        baseline: arm("baseline", 1_000 * index, 8),
        canary: arm("canary", 1_000 * index + 8, 2),
    }
}

fn arm(name: &str, key: u64, pods: u64) -> Vec<PodCell> {
    (0..pods)
        .map(|at| pod(format!("{name}-{at}"), key + at))
        .collect()
}

/// A judge with its history behind it, at the limits a policy has by default.
pub fn judge(cells: &[Cell], seed: u64) -> Judge {
    let mut judge = Judge::new(JudgeConfig {
        seed,
        ..JudgeConfig::DEFAULT
    });
    for at in 0..HISTORY {
        judge.history(&cells[at % cells.len()]);
    }
    judge
}

/// A rollout with eight pods an arm that is rolled back for one of them after half an hour, and the
/// history that says which: the most that leaving out one pod after the other has to go through.
///
/// # Errors
/// When a name is none of an arm.
pub fn rolled_back() -> Result<(Rollout, History), ArmError> {
    let (baseline, canary) = (Arm::new("v1")?, Arm::new("v2")?);
    // The pod is bad from there on, and found out within minutes.
    let (bad, last) = (HISTORY as u64 + 360, HISTORY as u64 + 420);
    let mut policy = Policy::standard();
    policy.timing.min_duration = Duration::from_secs(2 * 3600);
    let mut history = History::new(usize::MAX, usize::MAX);
    let arms = |index: u64, pods: Option<Vec<PodCell>>| {
        let cell = |pods: Vec<PodCell>| ArmCell {
            expected: pods.len(),
            pods,
        };
        let mut arms = Arms::from([(baseline.clone(), cell(arm("baseline", 1_000 * index, 8)))]);
        arms.extend(pods.map(|pods| (canary.clone(), cell(pods))));
        arms
    };
    (0..HISTORY as u64).for_each(|index| history.push(index, arms(index, None)));
    let key = Key {
        namespace: String::new(),
        service: "shop".to_owned(),
        uid: String::new(),
        baseline: baseline.clone(),
        canary: canary.clone(),
    };
    let at = |index: u64| UnixNanos::from_seconds(CELL_SECONDS * index);
    let (call, lives) = (Call { key, step: 0 }, Lives::default());
    let begun = at(HISTORY as u64);
    let mut rollout = Rollout::new(&call, &policy, "standard", &history, &lives, begun);
    for index in HISTORY as u64..last {
        let mut pods = arm("canary", 1_000 * index + 8, 8);
        if let Some(pod) = pods.first_mut().filter(|_| index >= bad) {
            for route in pod.routes.values_mut() {
                route.errors = route.requests / 2;
            }
        }
        let arms = arms(index, Some(pods));
        rollout.cell(index, &arms, &lives);
        history.push(index, arms);
        if rollout.evaluate(at(index + 1)).verdict == Said::Rollback {
            break;
        }
    }
    Ok((rollout, history))
}
