//! Whole rollouts of drawn shape: pods that come, go and lose windows, several routes and steps.

use std::collections::BTreeMap;
use std::sync::Arc;

use davy_gate_core::cell::{Cell, PodCell, RouteCell};
use davy_gate_core::judge::{
    Assessment, Assume, Bound, CpuLimits, ErrorLimits, Judge, JudgeConfig, LatencyLimits, Limit,
    Objective, Verdict,
};
use davy_gate_core::sketch::Sketch;
use serde_json::{Map, Value, json};

use super::chance::Chance;

/// Buckets of a drawn histogram, and the index of the first.
const BUCKETS: usize = 80;
const FIRST: i32 = -40;
/// Cells that are judged.
const JUDGED: u64 = 24;

/// What a rollout is like.
struct Shape {
    pods: (u64, u64),
    routes: u64,
    scale: i32,
    history: u64,
    /// Requests of a pod in a cell, and how much the canary gets of as many.
    requests: f64,
    weight: f64,
    errors: f64,
    /// Of the canary: buckets that it is slower by, factors of errors and CPU.
    slower: f64,
    failing: f64,
    busier: f64,
    /// CPU limit of a pod.
    cores: Option<f64>,
}

/// A rollout, with absolute limits or without, and what the judge says after each cell.
pub(super) fn rollout(chance: &mut Chance, limited: bool) -> Value {
    let shape = Shape {
        pods: (1 + chance.up_to(3), 1 + chance.up_to(2)),
        routes: 1 + chance.up_to(2),
        scale: chance.one(&[3, 4]),
        history: chance.one(&[0, 14, 125]),
        requests: chance.between(20.0, 120.0),
        weight: chance.one(&[0.3, 1.0, 1.0, 2.5]),
        errors: chance.one(&[0.0, 0.01, 0.05]),
        slower: chance.one(&[0.0, 0.0, 1.0, 4.0]),
        failing: chance.one(&[1.0, 1.0, 4.0]),
        busier: chance.one(&[1.0, 1.0, 1.3]),
        cores: chance.one(&[None, Some(0.05), Some(0.1)]),
    };
    let mut config = config(chance);
    if limited {
        config.limits = limits(chance, &shape);
    }
    let mut judge = Judge::new(config.clone());
    let mut cells = Vec::new();
    for index in 0..shape.history + JUDGED {
        let first = index == shape.history;
        let cell = cell(chance, &shape, index, first);
        let restart = index == shape.history + JUDGED / 2 && chance.happens(0.5);
        if restart {
            judge.restart_safety();
        }
        let said = if index < shape.history {
            judge.history(&cell);
            Value::Null
        } else {
            said(&judge.step(&cell))
        };
        cells.push(json!({
            "baseline": cell.baseline.iter().map(pod_as_json).collect::<Vec<_>>(),
            "canary": cell.canary.iter().map(pod_as_json).collect::<Vec<_>>(),
            "restart": restart,
            "said": said,
        }));
    }
    json!({"config": config_as_json(&config, &shape), "cells": cells})
}

fn config(chance: &mut Chance) -> JudgeConfig {
    let latency = LatencyLimits {
        rollback_above: chance.between(1.02, 1.2),
        approve_below: chance.between(1.25, 1.6),
        quantile: chance.one(&[0.95, 0.99, 0.99]),
        strict: chance.happens(0.2),
        ..LatencyLimits::DEFAULT
    };
    let errors = ErrorLimits {
        negligible: chance.one(&[None, Some(0.002)]),
        required: chance.happens(0.8),
        ..ErrorLimits::DEFAULT
    };
    let cpu = chance.happens(0.8).then_some(CpuLimits::DEFAULT);
    JudgeConfig {
        latency: Some(latency),
        errors: Some(errors),
        cpu,
        limits: Vec::new(),
        // Not what a few cells of so few pods can say to the bit, as 20 labelings of six do of 1/0.05.
        false_rollback: chance.one(&[0.011, 0.047]),
        false_approval: chance.one(&[0.011, 0.19]),
        assume: chance.one(&[Assume::Auto, Assume::Alike, Assume::Vary]),
        cells_min: chance.up_to(12),
        seed: chance.next(),
    }
}

/// One of each kind, narrowed to a route or not.
fn limits(chance: &mut Chance, shape: &Shape) -> Vec<Limit> {
    let bounds = [
        Bound::Success(chance.one(&[0.9, 0.99, 0.999])),
        Bound::Latency {
            seconds: chance.between(0.1, 1.2),
            quantile: chance.one(&[0.5, 0.9, 0.99]),
        },
        Bound::Utilization(chance.one(&[0.3, 0.8])),
    ];
    let limit = |bound: Bound| {
        let of_requests = !matches!(bound, Bound::Utilization(_));
        let route = chance.up_to(2 * shape.routes);
        let narrowed = of_requests && route < shape.routes;
        let routes = narrowed.then(|| Arc::from(format!("r{route}")));
        Limit {
            bound,
            routes: routes.into_iter().collect(),
        }
    };
    bounds.map(limit).into()
}

fn cell(chance: &mut Chance, shape: &Shape, index: u64, whole: bool) -> Cell {
    let mut arm = |name: &str, pods: u64, canary: bool| {
        let mut found = Vec::new();
        for i in 0..pods {
            let drawn = pod(chance, shape, format!("{name}{i}"), (canary, whole, index));
            if whole || !chance.happens(0.04) {
                found.push(drawn);
            }
        }
        found
    };
    Cell {
        index,
        baseline: arm("b", shape.pods.0, false),
        canary: arm("c", shape.pods.1, true),
    }
}

fn pod(
    chance: &mut Chance,
    shape: &Shape,
    name: String,
    (canary, whole, index): (bool, bool, u64),
) -> PodCell {
    let factor = |of_canary: f64| if canary { of_canary } else { 1.0 };
    let (mut routes, mut all) = (BTreeMap::new(), 0);
    let lost = if whole { 0.0 } else { 0.05 };
    for route in 0..shape.routes {
        let mean = shape.requests * factor(shape.weight) / (route + 1) as f64;
        let mean = if chance.happens(lost) {
            mean / 4.0
        } else {
            mean
        };
        let requests = 1 + chance.up_to((2.0 * mean) as u64);
        let errors = chance.binomial(requests, (shape.errors * factor(shape.failing)).min(1.0));
        let mut counts = vec![0; BUCKETS];
        let center = 30.0 + 4.0 * route as f64 + if canary { shape.slower } else { 0.0 };
        for _ in errors..requests {
            let bucket = (center + 5.0 * chance.normal()).clamp(0.0, BUCKETS as f64 - 1.0);
            counts[bucket as usize] += 1;
        }
        all += requests;
        let latency = Sketch::exponential(shape.scale, 0, FIRST, counts).expect("fits");
        let found = RouteCell {
            requests,
            errors,
            latency,
        };
        routes.insert(Arc::from(format!("r{route}")), found);
    }
    let cpu = all as f64 * 0.002 * factor(shape.busier) * (0.05 * chance.normal()).exp();
    PodCell {
        pod: name.into(),
        warm: !canary || index >= shape.history + 3,
        coverage: if chance.happens(lost) { 0.3 } else { 1.0 },
        routes,
        cpu_seconds: (!chance.happens(0.03)).then_some(cpu),
        cpu_limit_cores: shape.cores,
    }
}

fn pod_as_json(pod: &PodCell) -> Value {
    let routes = pod.routes.values().map(|route| {
        let Sketch::Exponential(sketch) = &route.latency else {
            return json!({"n": route.requests, "err": route.errors, "hist": []});
        };
        let first = (sketch.offset() - FIRST) as usize;
        let counts = sketch.counts().iter().enumerate();
        let some = counts.filter(|(_, count)| **count > 0);
        let hist: Vec<Value> = some.map(|(i, count)| json!([first + i, count])).collect();
        json!({"n": route.requests, "err": route.errors, "hist": hist})
    });
    json!({
        "name": &*pod.pod, "warm": pod.warm, "coverage": pod.coverage, "cpu": pod.cpu_seconds,
        "cores": pod.cpu_limit_cores, "routes": routes.collect::<Vec<_>>(),
    })
}

fn limit_as_json(limit: &Limit) -> Value {
    let (what, bound, quantile) = match limit.bound {
        Bound::Latency { seconds, quantile } => ("latency", seconds, quantile),
        Bound::Success(least) => ("success", least, 0.0),
        Bound::Utilization(most) => ("utilization", most, 0.0),
    };
    let number = |route: &Arc<str>| route.trim_start_matches('r').parse::<u64>().expect("rN");
    let routes: Vec<u64> = limit.routes.iter().map(number).collect();
    json!({"what": what, "bound": bound, "quantile": quantile, "routes": routes})
}

fn config_as_json(config: &JudgeConfig, shape: &Shape) -> Value {
    json!({
        "latency": config.latency.as_ref().map(|l| json!({
            "above": l.rollback_above, "below": l.approve_below, "quantile": l.quantile,
            "strict": l.strict, "required": l.required,
        })),
        "errors": config.errors.as_ref().map(|e| json!({
            "above": e.rollback_above, "below": e.approve_below, "negligible": e.negligible,
            "required": e.required,
        })),
        "cpu": config.cpu.as_ref().map(|c| json!({
            "above": c.rollback_above, "below": c.approve_below, "required": c.required,
        })),
        "alpha": config.false_rollback,
        "beta": config.false_approval,
        "assume": match config.assume {
            Assume::Alike => "alike",
            Assume::Auto => "auto",
            Assume::Vary => "vary",
            Assume::Watched => "watched",
        },
        "cells_min": config.cells_min,
        "seed": config.seed,
        "routes": shape.routes,
        "scale": shape.scale,
        "buckets": BUCKETS,
        "first": FIRST,
        "limits": config.limits.iter().map(limit_as_json).collect::<Vec<_>>(),
    })
}

fn said(last: &Assessment) -> Value {
    let mut objectives = Map::new();
    for found in &last.objectives {
        let name = match found.objective {
            Objective::Latency => "latency",
            Objective::Errors => "errors",
            Objective::Cpu => "cpu",
        };
        objectives.insert(
            name.to_owned(),
            json!({
                "harm": found.harm_log_e, "safe": found.safe_log_e, "low": found.low,
                "high": found.high, "harm_proved": found.harm_proved,
                "safe_proved": found.safe_proved,
            }),
        );
    }
    let verdict = match last.verdict {
        Verdict::Approve => "approve",
        Verdict::Rollback => "rollback",
        Verdict::Undecided => "undecided",
    };
    let limits = last
        .limits
        .iter()
        .map(|limit| json!({"harm": limit.harm_log_e, "proved": limit.harm_proved}));
    json!({
        "verdict": verdict, "harm": last.log_e_harm, "objectives": objectives,
        "limits": limits.collect::<Vec<_>>(),
    })
}
