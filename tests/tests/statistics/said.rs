//! Inputs, and what the judge makes of them, as the script reads them.

use davy_gate_core::evalue::bernoulli::Bernoulli;
use davy_gate_core::evalue::betting::Betting;
use davy_gate_core::evalue::likelihood::{self, Pair};
use davy_gate_core::evalue::permutation::{Scores, log_choose, log_e};
use davy_gate_core::evalue::thinning::{Key, thin};
use davy_gate_core::expect::{Traffic, expectations, limit_expectations};
use davy_gate_core::kappa::{Assume, Kappa, Use};
use davy_gate_core::policy::{self, Indicator, Policy};
use serde_json::{Value, json};

use super::chance::Chance;
use super::rollouts;

/// Cells of a series, twice the longest block and more.
const ROWS: u64 = 400;
/// Cells of a series at which κ is compared.
const AT: [u64; 6] = [2, 9, 40, 130, 250, ROWS - 1];

/// All of it.
pub(super) fn by_the_judge(seed: u64) -> Value {
    let chance = &mut Chance(seed);
    json!({
        "labels": (0..100).map(|_| label(chance)).collect::<Vec<_>>(),
        "labelings": (0..30).map(|_| labeling(chance)).collect::<Vec<_>>(),
        "ratios": (0..60).map(|_| ratio(chance)).collect::<Vec<_>>(),
        "alone": (0..60).map(|_| alone(chance)).collect::<Vec<_>>(),
        "thinnings": (0..60).map(|_| thinning(chance)).collect::<Vec<_>>(),
        "memories": memories(chance),
        "rollouts": (0..6).map(|i| rollouts::rollout(chance, i % 2 == 0)).collect::<Vec<_>>(),
        "bounds": (0..60).map(|_| bound(chance)).collect::<Vec<_>>(),
        "limit_times": (0..12).flat_map(|_| limit_times(chance)).collect::<Vec<_>>(),
        "times": (0..12).flat_map(|_| times(chance)).collect::<Vec<_>>(),
    })
}

fn scores(chance: &mut Chance) -> (Vec<f64>, usize) {
    let pods = 2 + chance.up_to(5) as usize;
    let tilt = chance.between(-1.6, 2.3);
    let scores = (0..pods).map(|_| chance.up_to(20) as f64 * tilt).collect();
    (scores, 1 + chance.up_to(pods as u64 - 2).min(2) as usize)
}

/// ln E of the last pods being the canary's.
fn of_the_last(scores: &[f64], canary: usize) -> f64 {
    let (baseline, last) = scores.split_at(scores.len() - canary);
    let mut arms = (Scores::default(), Scores::default());
    arms.0.set(baseline.iter().copied(), canary);
    arms.1.set(last.iter().copied(), canary);
    log_e(&arms.0, &arms.1, log_choose(scores.len(), canary))
}

fn label(chance: &mut Chance) -> Value {
    let (scores, canary) = scores(chance);
    let log_e = of_the_last(&scores, canary);
    json!({"scores": scores, "canary_pods_last": canary, "log_e": log_e})
}

/// ln E of every choice of pods that could have been the canary's.
fn labeling(chance: &mut Chance) -> Value {
    let (scores, canary) = scores(chance);
    let choices = (0u32..1 << scores.len()).filter(|set| set.count_ones() as usize == canary);
    let each = choices.map(|set| {
        let chosen = |pod: &usize| set & (1 << pod) != 0;
        let (last, mut first): (Vec<usize>, Vec<usize>) = (0..scores.len()).partition(chosen);
        first.extend(last);
        let moved: Vec<f64> = first.iter().map(|&pod| scores[pod]).collect();
        of_the_last(&moved, canary)
    });
    json!(each.collect::<Vec<f64>>())
}

fn ratio(chance: &mut Chance) -> Value {
    let pair = Pair {
        canary_events: chance.up_to(20) as f64,
        canary_requests: (1 + chance.up_to(3000)) as f64,
        baseline_events: chance.up_to(60) as f64,
        baseline_requests: (1 + chance.up_to(9000)) as f64,
    };
    let limit = chance.between(1.05, 5.0);
    let tilts = [1.2, 1.35, 1.6, 2.0, 3.0, 5.0].map(|psi: f64| -psi.ln());
    let each = tilts.map(|tilt| likelihood::log_e(pair, limit, (tilt.exp(), tilt)));
    json!({
        "kc": pair.canary_events, "nc": pair.canary_requests, "kb": pair.baseline_events,
        "nb": pair.baseline_requests, "r": limit, "tilts": tilts, "log_e": each,
    })
}

fn alone(chance: &mut Chance) -> Value {
    let (limit, requests) = (chance.between(0.0005, 0.1), chance.up_to(2000));
    let events = chance.binomial(requests, limit).min(requests);
    let factors = [0.0, 0.2, 0.35, 0.6, 1.5, 2.0, 3.0, 5.0, 10.0];
    let mut test = Bernoulli::new(limit, &factors);
    test.step(events, requests);
    json!({
        "k": events, "n": requests, "limit": limit, "factors": factors, "log_e": test.log_e(),
    })
}

/// Cells of a canary against an absolute limit: events of requests, or values with a mean.
fn bound(chance: &mut Chance) -> Value {
    let (limit, mean) = (chance.one(&[0.0005, 0.01, 0.2, 0.5]), chance.happens(0.5));
    let limit = if mean { limit + 0.4 } else { limit };
    let mut betting = Betting::new(limit);
    let mut share = Bernoulli::by_odds(limit, &[1.2, 1.5, 2.0, 3.0, 5.0, 10.0]);
    let (mut cells, mut log_e) = (Vec::new(), Vec::new());
    for _ in 0..8 {
        if mean {
            let value = chance.between(0.0, 1.2);
            betting.step(value);
            cells.push(json!(value));
            log_e.push(betting.log_e().to_vec());
        } else {
            let requests = 1 + chance.up_to(1000);
            let events = chance.binomial(requests, (2.0 * limit).min(1.0));
            share.step(events, requests);
            cells.push(json!([events, requests]));
            log_e.push(share.log_e().to_vec());
        }
    }
    json!({"limit": limit, "mean": mean, "cells": cells, "log_e": log_e})
}

fn thinning(chance: &mut Chance) -> Value {
    let key = Key {
        seed: chance.next(),
        objective: chance.up_to(110),
        cell: chance.up_to(400),
        pod_route: chance.up_to(64 * 4096),
        draw: chance.up_to(3),
    };
    let (events, keep) = (chance.up_to(200), chance.share());
    json!({
        "seed": key.seed, "objective": key.objective, "batch": key.cell,
        "pod_route": key.pod_route, "draw": key.draw, "k": events, "q": keep,
        "kept": thin(events, keep, key),
    })
}

fn memories(chance: &mut Chance) -> Vec<Value> {
    let uses = [
        (Use::RollbackLatency, "rollback latency"),
        (Use::RollbackErrors, "rollback errors"),
        (Use::RollbackCpu, "rollback cpu"),
        (Use::ApproveLatency, "approve latency"),
        (Use::ApproveErrors, "approve errors"),
        (Use::ApproveCpu, "approve cpu"),
    ];
    let mut found = Vec::new();
    for (used, name) in uses {
        for (assume, word) in [
            (Assume::Vary, "vary"),
            (Assume::Alike, "alike"),
            (Assume::Watched, "watched"),
        ] {
            for one_pod in [true, false] {
                let mut memory = memory(chance, used, assume, one_pod);
                memory["use"] = json!(name);
                memory["assume"] = json!(word);
                memory["one_pod"] = json!(one_pod);
                found.push(memory);
            }
        }
    }
    found
}

/// A series of pods that remember and now and then sit out, and κ along it.
fn memory(chance: &mut Chance, used: Use, assume: Assume, one_pod: bool) -> Value {
    let pods = if one_pod { 1 } else { 2 + chance.up_to(3) };
    let remembers = chance.one(&[0.0, 0.8, 0.98]);
    let whole = !matches!(used, Use::ApproveCpu | Use::RollbackCpu);
    let binomial = used == Use::ApproveErrors && !one_pod;
    let mut kappa = Kappa::new(used);
    kappa.begin(one_pod);
    let mut level = vec![0.0; pods as usize];
    let (mut rows, mut found) = (Vec::new(), serde_json::Map::new());
    for at in 0..ROWS {
        for level in &mut level {
            *level = remembers * *level + chance.normal();
        }
        let mut value = |level: f64| {
            let value = 4.0 + level + chance.normal();
            let value = if whole { value.max(0.0).round() } else { value };
            (!chance.happens(0.05)).then_some(value)
        };
        let values: Vec<Option<f64>> = level.iter().map(|&level| value(level)).collect();
        let canary = value(0.0);
        if binomial {
            let residuals: Vec<f64> = values.iter().map(|v| v.unwrap_or(4.0) - 4.0).collect();
            let (df, variance) = ((pods - 1) as f64, chance.between(3.0, 5.0));
            kappa.add(&residuals, df, 0.0, variance);
            rows.push(json!([null, null, [residuals, df, variance]]));
        } else {
            kappa.learn(values.iter().copied(), canary);
            rows.push(json!([values, canary, null]));
        }
        if AT.contains(&at) {
            let curve = kappa.curve(used.prior(assume, one_pod));
            found.insert(at.to_string(), json!(curve.at(at + 1)));
        }
    }
    json!({"rows": rows, "kappa": found})
}

fn traffic(chance: &mut Chance) -> Traffic {
    Traffic {
        rate: chance.one(&[5.0, 50.0, 300.0, 2000.0]),
        weight: chance.one(&[0.05, 0.2, 0.35, 0.5]),
        errors: chance.one(&[0.0, 0.0012, 0.02]),
        history_seconds: chance.one(&[0.0, 120.0, 900.0, 3600.0]),
    }
}

fn traffic_as_json(traffic: &Traffic) -> Value {
    json!({
        "rate": traffic.rate, "weight": traffic.weight, "errors": traffic.errors,
        "history_seconds": traffic.history_seconds,
    })
}

/// Absolute limits, beside a comparison or not, and how long it takes to prove them broken.
fn limit_times(chance: &mut Chance) -> Vec<Value> {
    let traffic = traffic(chance);
    let (beside, weight) = chance.one(&[("", 1.0), ("- {name: ratio, indicator: latency}\n", 0.2)]);
    let text = format!(
        "version: 1\nobjectives:\n{beside}- {{name: success, indicator: errors, \
         min_success: 0.995}}\n- {{name: latency, indicator: latency, quantile: 0.95, max: 1s}}\n\
         - {{name: utilization, indicator: cpu_utilization, max_utilization: 0.7}}\n"
    );
    let policy = Policy::read("drawn.yaml", &text).expect("a right policy");
    let mut cases = Vec::new();
    for expected in limit_expectations(&policy, &traffic) {
        let (permitted, alternatives) = match &*expected.name {
            "success" => (0.005, 6.0),
            "latency" => (0.05, 6.0),
            _ => (0.7, 4.0),
        };
        for (value, seconds) in expected.rollback_seconds {
            cases.push(json!({
                "what": expected.name, "permitted": permitted, "value": value,
                "parts": alternatives * 3.0 / weight, "risk": policy.risk.false_rollback,
                "seconds": seconds, "traffic": traffic_as_json(&traffic),
            }));
        }
    }
    cases
}

/// A policy and a traffic, and how long each decision is expected to take.
fn times(chance: &mut Chance) -> Vec<Value> {
    let traffic = traffic(chance);
    let assume = chance.one(&[
        "",
        "risk: {assume: alike}\n",
        "risk: {false_rollback: 0.001}\n",
    ]);
    let strict = chance.one(&[
        "",
        "objectives:\n  - {name: latency, indicator: latency, quantile: 0.95, strict: true}\n  \
         - {name: errors, indicator: errors, approve_below: 2.0, negligible: 0}\n",
    ]);
    let text = format!("version: 1\n{strict}{assume}");
    let policy = Policy::read("drawn.yaml", &text).expect("a right policy");
    let mut cases = Vec::new();
    for expected in expectations(&policy, &traffic) {
        let named = |o: &&policy::Objective| o.name == expected.name;
        let objective = policy.objectives.iter().find(named).expect("of the policy");
        let what = match objective.indicator {
            Indicator::Latency => "latency",
            Indicator::Errors => "errors",
            _ => "cpu",
        };
        let limits = objective.ratio.expect("compared");
        let mut case = |side: &str, ratio: f64, risk: f64, seconds: Option<u64>| {
            cases.push(json!({
                "what": what, "side": side, "ratio": ratio, "seconds": seconds,
                "assume": match policy.risk.assume {
                    None => "auto",
                    Some(policy::Assume::Alike) => "alike",
                    Some(policy::Assume::Vary) => "vary",
                },
                "limits": {
                    "above": limits.rollback_above, "below": limits.approve_below, "risk": risk,
                    "quantile": objective.quantile, "strict": objective.strict,
                    "negligible": objective.negligible,
                },
                "traffic": traffic_as_json(&traffic),
            }));
        };
        let risk = policy.risk;
        case(
            "approve",
            1.0,
            risk.false_approval,
            expected.approve_seconds,
        );
        for (ratio, seconds) in expected.rollback_seconds {
            case("rollback", ratio, risk.false_rollback, seconds);
        }
    }
    cases
}
