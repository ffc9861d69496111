//! Scenarios in which the canary is no different, in the order in which they are listed and run.

use super::Scenario;
use super::table::{NOISY, STALLS, USUAL, differ, equal, own};
use crate::traffic::{Buckets, Change, LIVELY, Own, QUIET, SAME, Shape, Shared, Traffic};

/// The canary is no different: approve.
pub(super) const EQUAL: &[Scenario] = &[
    equal(
        "steady",
        "nothing moves but chance: 200 requests a second, four pods and one canary",
        QUIET,
    ),
    equal(
        "drift",
        "load and latency of the whole service wander by 10 %, and clients burst",
        USUAL,
    ),
    equal(
        "pods-8-2",
        "drift with eight pods and two canaries",
        USUAL.pods(8, 2),
    ),
    equal(
        "pods-2-1",
        "drift with two pods and one canary",
        USUAL.pods(2, 1),
    ),
    equal("pods-1-1", "drift with one pod each", USUAL.pods(1, 1)),
    equal(
        "no-history",
        "drift, and the baseline was never watched before",
        Traffic {
            history: 0,
            ..USUAL
        },
    ),
    equal(
        "history-10m",
        "drift with 10 minutes of history",
        Traffic {
            history: 120,
            ..USUAL
        },
    ),
    equal(
        "first-check",
        "one pod each and no history: the first run of `davy-gate check`",
        Traffic {
            history: 0,
            ..USUAL.pods(1, 1)
        },
    ),
    equal(
        "lost-windows",
        "one window of twenty never arrives, another arrives by half",
        own(Own {
            lost: 0.05,
            ..QUIET.own
        }),
    ),
    equal(
        "cold-start",
        "the canary starts three times as slow and is warm after half a minute",
        USUAL.canary(Change { cold: true, ..SAME }),
    ),
    equal(
        "rising-load",
        "load triples within the half hour, and latency rises with it",
        Traffic {
            shared: Shared {
                rising: 3.0,
                ..LIVELY
            },
            ..QUIET
        },
    ),
    equal(
        "weight-5",
        "the one canary gets 5 % of the requests, a fifth of what another pod gets",
        Traffic {
            weight: 0.05,
            ..USUAL
        },
    ),
    equal(
        "weight-50",
        "the one canary gets half of the requests, four times what another pod gets",
        Traffic {
            weight: 0.5,
            ..USUAL
        },
    ),
    equal(
        "mix-shift",
        "of four routes the slowest gets 30 % more of the canary's requests",
        Traffic {
            routes: 4,
            ..USUAL.canary(Change { mix: 1.3, ..SAME })
        },
    ),
    equal(
        "stalls",
        "once a minute a pod answers nothing for up to two seconds",
        own(STALLS),
    ),
    equal(
        "stalls-8-2",
        "stalls with eight pods and two canaries",
        own(STALLS).pods(8, 2),
    ),
    equal(
        "stalls-1-1",
        "stalls with one pod each",
        own(STALLS).pods(1, 1),
    ),
    equal(
        "noisy-node",
        "a tenth of the time, for minutes, a pod's node is noisy: 30 % slower",
        own(NOISY),
    ),
    equal(
        "noisy-node-8-2",
        "noisy nodes with eight pods and two canaries",
        own(NOISY).pods(8, 2),
    ),
    equal(
        "noisy-node-first-check",
        "noisy nodes, one pod each, no history",
        Traffic {
            history: 0,
            ..own(NOISY).pods(1, 1)
        },
    ),
    equal(
        "differ-10",
        "pods differ for good by 10 % in latency",
        differ(0.10, false),
    ),
    equal(
        "differ-20",
        "pods differ for good by 20 %",
        differ(0.20, false),
    ),
    equal(
        "differ-10-slow",
        "pods differ by 10 %, which changes within 10 minutes",
        differ(0.10, true),
    ),
    equal(
        "differ-20-slow",
        "pods differ by 20 %, which changes within 10 minutes",
        differ(0.20, true),
    ),
    equal(
        "differ-10-8-2",
        "pods differ for good by 10 %, eight and two of them",
        differ(0.10, false).pods(8, 2),
    ),
    equal(
        "heavy-tail",
        "2 % of the requests have a Pareto tail of exponent 1.5",
        Traffic {
            shape: Shape::HeavyTail,
            ..USUAL
        },
    ),
    equal(
        "cache",
        "four of five requests hit a cache and take 5 ms",
        Traffic {
            shape: Shape::Cache,
            ..USUAL
        },
    ),
    equal(
        "retries",
        "twenty times an hour a storm of retries: 3 % fail, load is half as much again",
        Traffic {
            shared: Shared {
                retries: 20.0,
                ..LIVELY
            },
            ..QUIET
        },
    ),
    equal(
        "error-clusters",
        "errors come eight at a time",
        Traffic {
            error_cluster: 8,
            ..USUAL
        },
    ),
    equal(
        "client-bursts",
        "once a minute a client sends one pod 100 slow requests",
        own(Own {
            clients: 60.0,
            ..QUIET.own
        }),
    ),
    equal(
        "timeouts",
        "now and then 5 % of a pod's requests end in a timeout of one second",
        own(Own {
            timeouts: 20.0,
            ..QUIET.own
        }),
    ),
    equal(
        "rate-5",
        "5 requests a second of both arms",
        Traffic { rate: 5.0, ..USUAL },
    ),
    equal(
        "rate-50",
        "50 requests a second",
        Traffic {
            rate: 50.0,
            ..USUAL
        },
    ),
    equal(
        "rate-100",
        "100 requests a second",
        Traffic {
            rate: 100.0,
            ..USUAL
        },
    ),
    equal(
        "unequal-pods",
        "the balancer is unfair: pods' shares of the requests vary by 30 %",
        own(Own {
            unequal: 0.3,
            ..QUIET.own
        }),
    ),
    equal(
        "errors-5-percent",
        "5 % of the requests fail",
        Traffic {
            errors: 0.05,
            ..USUAL
        },
    ),
    equal(
        "no-errors",
        "nothing ever fails",
        Traffic {
            errors: 0.0,
            ..USUAL
        },
    ),
    equal(
        "cpu-memory",
        "CPU a request wanders slowly: a memory of 0.98 a second",
        Traffic {
            cpu_memory: 0.98,
            ..USUAL
        },
    ),
    equal(
        "native-histogram",
        "latency in a native histogram of factor 1.1 (scale 3)",
        Traffic {
            buckets: Buckets::Exponential(3),
            ..USUAL
        },
    ),
    equal(
        "classic-buckets",
        "latency in the example shop's 18 classic buckets",
        Traffic {
            buckets: Buckets::Classic,
            ..USUAL
        },
    ),
];
