//! Scenarios in which the canary is at a limit or beyond it.

use davy_gate_core::judge::{Assume, Objective};

use super::table::{
    ALL_THREE, BUSIER, FAILING, NOISY, SLOWER, STALLS, USUAL, bad, cpu, differ, errors, latency,
    new, own,
};
use super::{Right, Scenario};
use crate::traffic::{Change, SAME, Traffic};

/// Exactly at a limit, then worse than allowed.
pub(super) const WORSE: &[Scenario] = &[
    new(
        "harm-latency",
        "latency is exactly 1.10 times",
        Right::HarmEdge(Objective::Latency),
        USUAL.canary(latency(1.10)),
    ),
    new(
        "harm-latency-stalls",
        "latency is exactly 1.10 times, beside stalls",
        Right::HarmEdge(Objective::Latency),
        own(STALLS).canary(latency(1.10)),
    ),
    new(
        "harm-latency-noisy",
        "latency is exactly 1.10 times, beside noisy nodes",
        Right::HarmEdge(Objective::Latency),
        own(NOISY).canary(latency(1.10)),
    ),
    new(
        "harm-errors",
        "errors are exactly 1.25 times",
        Right::HarmEdge(Objective::Errors),
        USUAL.canary(errors(1.25)),
    ),
    new(
        "harm-cpu",
        "CPU a request is exactly 1.10 times",
        Right::HarmEdge(Objective::Cpu),
        USUAL.canary(cpu(1.10)),
    ),
    new(
        "safety-latency",
        "latency is exactly 1.25 times",
        Right::SafetyEdge(Objective::Latency),
        USUAL.canary(latency(1.25)),
    ),
    new(
        "safety-latency-noisy",
        "latency is exactly 1.25 times, beside noisy nodes",
        Right::SafetyEdge(Objective::Latency),
        own(NOISY).canary(latency(1.25)),
    ),
    new(
        "safety-latency-differ",
        "latency is exactly 1.25 times, and pods differ by 10 %",
        Right::SafetyEdge(Objective::Latency),
        differ(0.10, false).canary(latency(1.25)),
    ),
    new(
        "safety-errors",
        "errors are exactly three times",
        Right::SafetyEdge(Objective::Errors),
        USUAL.canary(errors(3.0)),
    ),
    new(
        "safety-cpu",
        "CPU a request is exactly 1.15 times",
        Right::SafetyEdge(Objective::Cpu),
        USUAL.canary(cpu(1.15)),
    ),
    bad(
        "slower",
        "every request takes 1.35 times as long: a P99 of 310 ms for 230",
        USUAL.canary(SLOWER),
    ),
    bad(
        "slower-8-2",
        "1.35 times as slow, eight pods and two canaries",
        USUAL.pods(8, 2).canary(SLOWER),
    ),
    bad(
        "slower-first-check",
        "1.35 times as slow, one pod each, no history",
        Traffic {
            history: 0,
            ..USUAL.pods(1, 1).canary(SLOWER)
        },
    ),
    Scenario {
        assume: Assume::Alike,
        ..bad(
            "slower-first-check-alike",
            "the same where pods are assumed to be alike",
            Traffic {
                history: 0,
                ..USUAL.pods(1, 1).canary(SLOWER)
            },
        )
    },
    bad(
        "failing",
        "0.45 % of the requests fail for 0.12",
        USUAL.canary(FAILING),
    ),
    bad(
        "failing-8-2",
        "0.45 % fail for 0.12, eight pods and two canaries",
        USUAL.pods(8, 2).canary(FAILING),
    ),
    bad(
        "busier",
        "16 % more CPU a request, limit 1.10",
        USUAL.canary(BUSIER),
    ),
    Scenario {
        cpu_above: 1.05,
        ..bad(
            "busier-1.05",
            "16 % more CPU a request, limit 1.05",
            USUAL.canary(BUSIER),
        )
    },
    Scenario {
        cpu_above: 1.05,
        ..bad(
            "busier-1.05-8-2",
            "16 % more CPU, limit 1.05, eight pods and two canaries",
            USUAL.pods(8, 2).canary(BUSIER),
        )
    },
    bad(
        "all-three",
        "slower, failing and busier at once",
        USUAL.canary(ALL_THREE),
    ),
    bad(
        "one-route",
        "one route of ten takes twice as long",
        Traffic {
            routes: 10,
            ..USUAL.canary(Change {
                first_route: 2.0,
                ..SAME
            })
        },
    ),
    bad(
        "more-stalls",
        "the canary stalls four times as often",
        own(STALLS).canary(Change {
            stalls: 4.0,
            ..SAME
        }),
    ),
    bad(
        "more-clusters",
        "errors come eight at a time, four times as often",
        Traffic {
            error_cluster: 8,
            ..USUAL.canary(errors(4.0))
        },
    ),
    bad(
        "leak",
        "latency and CPU grow by 2 % a minute",
        USUAL.canary(Change { leak: 0.02, ..SAME }),
    ),
    bad(
        "twice-as-slow",
        "every request takes twice as long",
        USUAL.canary(latency(2.0)),
    ),
];
