//! The numeric layer against tables made by another implementation (Python, numpy).
//!
//! `reference/rollouts.json` and `reference/kappa.json` hold inputs and outputs; all must agree to
//! 1e-9, whole rollouts at every cell.

#![expect(
    clippy::expect_used,
    reason = "a reference that does not parse must fail the test"
)]

use davy_gate_core::evalue::counts::{self, Family};
use davy_gate_core::evalue::exposure::{Comparison, Draw, Exposure};
use davy_gate_core::evalue::likelihood::{self, Pair};
use davy_gate_core::evalue::permutation::{self, Scores, log_choose};
use davy_gate_core::evalue::table::{Layout, Table};
use davy_gate_core::evalue::thinning::{Key, mix64, thin};
use davy_gate_core::kappa::{CpuScale, IndicatorThreshold, Kappa, Prior, Use};
use serde_json::Value;

#[path = "reference/rollout.rs"]
mod rollout;

const TOLERANCE: f64 = 1e-9;

fn table(text: &str) -> Value {
    serde_json::from_str(text).expect("the reference is JSON")
}

fn rollouts() -> Value {
    table(include_str!("reference/rollouts.json"))
}

fn kappas() -> Value {
    table(include_str!("reference/kappa.json"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn numbers(value: &Value) -> Vec<f64> {
    list(value)
        .iter()
        .map(|x| x.as_f64().expect("a number"))
        .collect()
}

fn integer(value: &Value) -> u64 {
    let text = value.as_str().map(|text| text.parse().expect("an integer"));
    text.or(value.as_u64()).expect("an integer")
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

#[track_caller]
fn check(found: f64, expected: f64, place: &str) {
    assert!(
        (found - expected).abs() <= TOLERANCE,
        "{place}: {found}, not {expected}"
    );
}

#[test]
fn mix64_and_thinning_agree() {
    let tables = rollouts();
    for pair in list(&tables["mix64"]) {
        assert_eq!(mix64(integer(&pair[0])), integer(&pair[1]));
    }
    for case in list(&tables["thin"]) {
        let key = Key {
            seed: integer(&case["seed"]),
            objective: integer(&case["objective"]),
            cell: integer(&case["batch"]),
            pod_route: integer(&case["pod_route"]),
            draw: integer(&case["draw"]),
        };
        let kept = thin(integer(&case["k"]), number(&case["q"]), key);
        assert_eq!(kept, integer(&case["kept"]), "{case}");
    }
}

#[test]
fn permutation_and_likelihood_agree() {
    let tables = rollouts();
    for case in list(&tables["perm_log_e"]) {
        let scores = numbers(&case["scores"]);
        let split = scores.len() - integer(&case["canary_pods_last"]) as usize;
        let pods = scores.len() - split;
        let (mut baseline, mut canary) = (Scores::default(), Scores::default());
        baseline.set(scores[..split].iter().copied(), pods);
        canary.set(scores[split..].iter().copied(), pods);
        let found = permutation::log_e(&baseline, &canary, log_choose(scores.len(), pods));
        check(found, number(&case["log_e"]), &case.to_string());
    }
    for case in list(&tables["lr_log_e"]) {
        let pair = Pair {
            canary_events: number(&case["kc"]),
            canary_requests: number(&case["nc"]),
            baseline_events: number(&case["kb"]),
            baseline_requests: number(&case["nb"]),
        };
        for (tilt, expected) in numbers(&case["tilts"]).iter().zip(numbers(&case["log_e"])) {
            let found = likelihood::log_e(pair, number(&case["r"]), (libm::exp(*tilt), *tilt));
            check(found, expected, &case.to_string());
        }
    }
}

fn single_column(row: &Value) -> Table {
    let row = list(row);
    let mut table = Table::new(row.len(), 1);
    for (pod, count) in row.iter().enumerate() {
        table.set(pod, 0, integer(count));
    }
    table
}

#[test]
fn count_components_agree() {
    for case in list(&rollouts()["count_components"]) {
        let tilts = numbers(&case["tilts"]);
        let cap = number(&case["cap"]) as u64;
        let family = if cap > 0 {
            Family::Capped(cap)
        } else {
            Family::Count
        };
        let mut log_e = vec![0.0; tilts.len()];
        let mut exposure = Exposure::default();
        let baseline = integer(&case["baseline_pods"]) as usize;
        let cells = list(&case["k"]).iter().zip(list(&case["n"]));
        for (i, ((k, n), expected)) in cells.zip(list(&case["log_e_cumulative"])).enumerate() {
            let layout = Layout {
                baseline,
                canary: list(k).len() - baseline,
                canary_key: baseline as u64,
            };
            let draw = Draw {
                seed: integer(&case["seed"]),
                objective: integer(&case["objective"]),
                cell: i as u64,
            };
            let (k, n) = (single_column(k), single_column(n));
            if let Some(who) = exposure.step(&n, 0..1, layout) {
                let mut comparison = Comparison::new(&who, &n, number(&case["rate"]), &tilts);
                counts::step(&mut log_e, family, &k, &mut comparison, draw);
            }
            for (found, expected) in log_e.iter().zip(numbers(expected)) {
                check(*found, expected, &case.to_string());
            }
        }
    }
}

fn used(case: &Value) -> Use {
    match (case["binomial"].as_bool(), case["cpu"].as_bool()) {
        (Some(true), _) => Use::ApproveErrors,
        (_, Some(true)) => Use::ApproveCpu,
        _ => Use::ApproveLatency,
    }
}

#[test]
fn kappa_agrees() {
    for case in list(&kappas()["cases"]) {
        let mut kappa = Kappa::new(used(case));
        let pods = integer(&case["pods"]) as usize;
        let prior = case["prior"].as_array().map(|p| Prior {
            a: number(&p[0]),
            b: number(&p[1]),
            blocks: number(&p[2]),
            margin: 0.0,
        });
        let history = integer(&case["history"]) as usize;
        kappa.begin(pods == 1);
        for (i, row) in list(&case["rows"]).iter().enumerate() {
            // The reference gives the binomial variance as a mean over pods.
            let variance = number(&row[2]) * pods as f64;
            kappa.add(
                &numbers(&row[0]),
                (pods - 1) as f64,
                number(&row[1]),
                variance,
            );
            if let Some(judged) = i.checked_sub(history) {
                let found = kappa.curve(prior).at(judged as u64 + 1);
                check(
                    found,
                    number(&case["kappa"][judged]),
                    &case["name"].to_string(),
                );
            }
        }
    }
}

#[test]
fn cpu_scale_and_indicator_agree() {
    let tables = kappas();
    let mut scale = CpuScale::default();
    let case = &tables["cpu_scale"];
    for (y, expected) in list(&case["y"]).iter().zip(numbers(&case["value"])) {
        check(scale.value(), expected, "cpu_scale");
        let y: Vec<Option<f64>> = match y.as_array() {
            Some(_) => numbers(y).into_iter().map(Some).collect(),
            None => vec![Some(number(y))],
        };
        scale.add(&y);
    }
    let mut threshold = IndicatorThreshold::default();
    let case = &tables["indicator"];
    for (counts, expected) in list(&case["counts"]).iter().zip(list(&case["value"])) {
        assert_eq!(threshold.value().unwrap_or(0), integer(expected));
        threshold.add(list(counts).iter().map(integer));
    }
}
