//! Whole rollouts, at every cell.

use std::collections::BTreeMap;
use std::sync::Arc;

use davy_gate_core::cell::{Cell, PodCell, RouteCell};
use davy_gate_core::combine::log_mixture;
use davy_gate_core::judge::{Assessment, Assume, Judge, JudgeConfig, Objective, Verdict};
use davy_gate_core::sketch::Sketch;
use serde_json::Value;

use super::{check, integer, list, number, rollouts};

fn route(value: &Value) -> RouteCell {
    let mut counts = Vec::new();
    for bin in list(&value["hist"]) {
        let at = integer(&bin[0]) as usize;
        counts.resize(counts.len().max(at + 1), 0);
        counts[at] += integer(&bin[1]);
    }
    RouteCell {
        requests: integer(&value["n"]),
        errors: integer(&value["err"]),
        // 64 bins an octave from 2 ms are bins of scale 6 but for where they begin.
        latency: Sketch::exponential(6, 0, -574, counts).expect("fits"),
    }
}

fn pod(value: &Value, name: usize) -> PodCell {
    let routes = list(&value["routes"]).iter().enumerate();
    let routes: BTreeMap<Arc<str>, RouteCell> = routes
        .map(|(i, value)| (format!("r{i}").into(), route(value)))
        .collect();
    PodCell {
        pod: format!("p{name}").into(),
        warm: true,
        coverage: 1.0,
        routes,
        cpu_seconds: value["cpu"].as_f64(),
        cpu_limit_cores: None,
    }
}

fn cell(value: &Value, index: u64, baseline: usize) -> Cell {
    let mut pods: Vec<PodCell> = list(&value["pods"])
        .iter()
        .enumerate()
        .map(|(i, value)| pod(value, i))
        .collect();
    let canary = pods.split_off(baseline.min(pods.len()));
    Cell {
        index,
        baseline: pods,
        canary,
    }
}

fn judge(rollout: &Value) -> Judge {
    Judge::new(JudgeConfig {
        assume: if rollout["assume"] == "vary" {
            Assume::Vary
        } else {
            Assume::Alike
        },
        seed: integer(&rollout["seed"]),
        ..JudgeConfig::DEFAULT
    })
}

fn compare(found: &Assessment, expected: &Value, place: &str) {
    let verdict = match found.verdict {
        Verdict::Approve => "approve",
        Verdict::Rollback => "rollback",
        Verdict::Undecided => "undecided",
    };
    assert_eq!(verdict, expected["verdict"], "{place}");
    check(found.log_e_harm, number(&expected["log_e_harm"]), place);
    for objective in &found.objectives {
        let (name, short) = match objective.objective {
            Objective::Latency => ("latency", "lat"),
            Objective::Errors => ("errors", "err"),
            Objective::Cpu => ("cpu", "cpu"),
        };
        let place = format!("{place}, {name}");
        let mut harm = number(&expected["harm"][name]);
        if let Some(route) = expected["harm"]["route"]
            .as_f64()
            .filter(|_| name == "latency")
        {
            harm = log_mixture([(harm, 1.0), (route, 1.0)].into_iter());
        }
        check(objective.harm_log_e, harm, &place);
        check(
            objective.safe_log_e,
            number(&expected["safe"][short]),
            &place,
        );
        assert_eq!(objective.safe_proved, expected["proved"][short], "{place}");
    }
}

#[test]
fn whole_rollouts_agree_at_every_cell() {
    let mut judged = 0;
    for rollout in list(&rollouts()["rollouts"]) {
        let mut judge = judge(rollout);
        let baseline = integer(&rollout["baseline_pods"]) as usize;
        for (i, batch) in list(&rollout["batches"]).iter().enumerate() {
            let cell = cell(batch, i as u64, baseline);
            if batch["result"].is_null() {
                judge.history(&cell);
                continue;
            }
            let found = judge.step(&cell);
            compare(
                &found,
                &batch["result"],
                &format!("{}, cell {i}", rollout["name"]),
            );
            judged += 1;
        }
    }
    assert_eq!(judged, 16 + 30 + 20);
}
