//! Absolute limits as a policy writes them and an evaluation tells them.

use super::*;

fn policy(objectives: &str) -> Policy {
    let text = format!("version: 1\nobjectives:\n{objectives}");
    Policy::read("p", &text).expect("a policy")
}

#[test]
fn a_limit_beside_ratios_is_said_with_value_and_limit() {
    // The bench's requests take at least 50 ms, one in a hundred more than 158 ms.
    let slow = "- {name: latency, indicator: latency}\n\
                - {name: checkout, indicator: latency, routes: [GET /buy], max: 60ms}\n";
    let mut bench = Bench::new(policy(slow));
    let bad = bench.cells(12, Some(0), Some(0));
    assert_eq!(
        (bad.verdict, bad.is_final),
        (Verdict::Rollback, true),
        "{}",
        bad.reason
    );
    let (start, end) = bad
        .reason
        .split_once(" ms is above 60 ms: ")
        .expect(&bad.reason);
    assert!(start.starts_with("checkout p99 1"), "{start}");
    assert!(
        end.ends_with("requests took longer than 61.16 ms, allowed is 1 %"),
        "{end}"
    );
    let found = &bad.objectives[1];
    assert_eq!(
        (found.limit, found.verdict),
        (Some(0.06), ObjectiveVerdict::Rollback)
    );
    assert_eq!(bad.objectives[0].verdict, ObjectiveVerdict::Undecided);
}

#[test]
fn failures_beyond_a_limit_are_counted_in_the_reason() {
    let text = "- {name: errors, indicator: errors, rollback_above: 2, approve_below: 5, \
                min_success: 0.99}\n";
    let mut bench = Bench::new(policy(text));
    let bad = bench.cells(20, Some(10), Some(10));
    assert_eq!(bad.verdict, Verdict::Rollback, "{}", bad.reason);
    let counts = bad
        .reason
        .strip_prefix("errors: success 95 % is below 99 %: ");
    let counts = counts.and_then(|text| text.strip_suffix(" requests failed"));
    let (events, requests) = counts
        .and_then(|c| c.split_once(" of "))
        .expect(&bad.reason);
    let [events, requests]: [u64; 2] = [events, requests].map(|n| n.parse().expect("a count"));
    assert_eq!(events * 20, requests);
    let good = Bench::new(policy(text)).cells(200, Some(0), Some(0));
    assert_eq!(good.verdict, Verdict::Approve, "{}", good.reason);
}

/// Guarantees: absolute limits hold while the baseline is silent, where ratios can't.
#[test]
fn a_canary_without_a_baseline_is_judged_by_its_limits() {
    let text = "- {name: errors, indicator: errors}\n\
                - {name: success, indicator: errors, min_success: 0.99}\n";
    let bad = Bench::new(policy(text)).cells(30, None, Some(10));
    assert_eq!(bad.verdict, Verdict::Rollback, "{}", bad.reason);
    assert!(
        bad.reason
            .starts_with("success: success 95 % is below 99 %"),
        "{}",
        bad.reason
    );
    let good = Bench::new(policy(text)).cells(100, None, Some(0));
    assert_eq!(good.verdict, Verdict::Undecided);
    assert_eq!(
        good.reason,
        "undecided: no evidence of the baseline beside the canary's yet"
    );
}

#[test]
fn cpu_beyond_its_limit_is_said() {
    let text = "- {name: cpu, indicator: cpu_utilization, max_utilization: 0.5}\n";
    let run = |cores: f64| {
        let mut bench = Bench::new(policy(text));
        for _ in 0..200 {
            let mut arms = arms(bench.index, Some(0), Some(0));
            let pods = arms.values_mut().flat_map(|arm| &mut arm.pods);
            pods.for_each(|pod| pod.cpu_limit_cores = Some(cores));
            bench.rollout.cell(bench.index, &arms, &bench.lives);
            bench.index += 1;
        }
        bench.rollout.evaluate(bench.now())
    };
    // A pod of the bench uses 1 to 1.05 s of each 5.
    let busy = run(0.25);
    assert_eq!(busy.verdict, Verdict::Rollback, "{}", busy.reason);
    assert!(busy.reason.starts_with("cpu: 8"), "{}", busy.reason);
    assert!(
        busy.reason
            .ends_with(" % of the CPU limit is used, above 50 %"),
        "{}",
        busy.reason
    );
    let idle = run(1.0);
    assert_eq!(idle.verdict, Verdict::Undecided);
    assert_eq!(idle.objectives[0].verdict, ObjectiveVerdict::Approve);
    assert!(
        idle.objectives[0]
            .canary
            .is_some_and(|share| (0.2..0.22).contains(&share))
    );
}
