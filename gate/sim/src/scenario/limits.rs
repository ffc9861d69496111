//! Scenarios with an absolute limit, which the canary meets exactly or breaks; and with a bake.
//!
//! The canary is no different from its baseline, which tells nothing of such a limit. Where load
//! and latency wander the limit is met on average over many rollouts, not in each: so the edges are
//! without shared effects. Ratios approve such a canary within minutes, so all are judged on for
//! the whole half hour.

use davy_gate_core::judge::Bound;

use super::table::{USUAL, bad, new};
use super::{Right, Scenario};
use crate::rollout::CELLS_MAX;
use crate::traffic::{Change, QUIET, SAME, Traffic};

/// 99.88 % of the requests of the quiet service succeed, and its P99 is 230 ms.
const SUCCESS: f64 = 0.9988;
const P99: f64 = 0.230;

const fn limited(scenario: Scenario, bound: Bound) -> Scenario {
    Scenario {
        limit: Some(bound),
        bake: CELLS_MAX,
        ..scenario
    }
}

const fn at(name: &'static str, models: &'static str, traffic: Traffic, bound: Bound) -> Scenario {
    limited(new(name, models, Right::LimitEdge, traffic), bound)
}

const fn beyond(
    name: &'static str,
    models: &'static str,
    traffic: Traffic,
    bound: Bound,
) -> Scenario {
    limited(bad(name, models, traffic), bound)
}

const fn p99(seconds: f64) -> Bound {
    Bound::Latency {
        seconds,
        quantile: 0.99,
    }
}

/// Exactly at a limit, beyond one, and a leak that is looked at for longer.
pub(super) const LIMITS: &[Scenario] = &[
    at(
        "limit-success",
        "0.12 % of the requests fail, which `min_success` permits exactly",
        QUIET,
        Bound::Success(SUCCESS),
    ),
    at(
        "limit-success-clusters",
        "the same, and errors come eight at a time",
        Traffic {
            error_cluster: 8,
            ..QUIET
        },
        Bound::Success(SUCCESS),
    ),
    at("limit-latency", "the P99 is exactly `max`", QUIET, p99(P99)),
    at(
        "limit-cpu",
        "80 % of the CPU limit are used, which `max_utilization` permits exactly",
        QUIET,
        Bound::Utilization(0.8),
    ),
    beyond(
        "beyond-success",
        "0.24 % of the requests fail in both arms, 0.12 % are permitted",
        Traffic {
            errors: 0.0024,
            ..USUAL
        },
        Bound::Success(SUCCESS),
    ),
    beyond(
        "beyond-latency",
        "2 % of the requests of both arms take longer than `max`, 1 % is permitted",
        USUAL,
        p99(0.191),
    ),
    beyond(
        "beyond-cpu",
        "95 % of the CPU limit are used in both arms, 80 % are permitted",
        Traffic {
            cpu_seconds: 0.00475,
            ..USUAL
        },
        Bound::Utilization(0.8),
    ),
    Scenario {
        bake: 240,
        ..bad(
            "leak-bake",
            "latency and CPU grow by 2 % a minute, and an approval is judged for 20 more minutes",
            USUAL.canary(Change { leak: 0.02, ..SAME }),
        )
    },
];
