//! The table holds what it promises: names of their own, limits of the standard policy, canaries
//! exactly at the edges they claim.

use std::collections::BTreeSet;

use davy_gate_core::policy::{Indicator, Policy};

use super::*;

#[test]
fn names_are_unique_and_typable() {
    let names: BTreeSet<&str> = all().map(|s| s.name).collect();
    assert_eq!(names.len(), all().count());
    for scenario in all() {
        let typable = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
        assert!(scenario.name.chars().all(typable), "{}", scenario.name);
        assert!(!scenario.models.is_empty() && !scenario.models.ends_with('.'));
        assert_eq!(Scenario::named(scenario.name), Ok(scenario));
    }
    let unknown = Scenario::named("list").expect_err("no scenario");
    assert_eq!(unknown.to_string(), "no scenario is named \"list\"");
}

/// Guarantees: what is simulated is what a gate without a policy does.
#[test]
fn limits_are_those_of_the_standard_policy() {
    let (config, policy) = (equal::EQUAL[0].judge(0), Policy::standard());
    let ratio = |indicator| {
        let mut each = policy.objectives.iter();
        let found = each.find(|o| o.indicator == indicator).expect("standard");
        (found, found.ratio.expect("compared"))
    };
    let (objective, limits) = ratio(Indicator::Latency);
    let latency = config.latency.expect("judged");
    assert_eq!(
        (
            latency.rollback_above,
            latency.approve_below,
            latency.quantile,
            latency.strict
        ),
        (
            limits.rollback_above,
            limits.approve_below,
            objective.quantile,
            objective.strict
        )
    );
    let (objective, limits) = ratio(Indicator::Errors);
    let errors = config.errors.expect("judged");
    assert_eq!(
        (
            errors.rollback_above,
            errors.approve_below,
            errors.negligible
        ),
        (
            limits.rollback_above,
            limits.approve_below,
            Some(objective.negligible)
        )
    );
    let (_, limits) = ratio(Indicator::CpuPerRequest);
    let cpu = config.cpu.expect("judged");
    assert_eq!(
        (cpu.rollback_above, cpu.approve_below),
        (limits.rollback_above, limits.approve_below)
    );
    assert_eq!(
        (config.false_rollback, config.false_approval),
        (policy.risk.false_rollback, policy.risk.false_approval)
    );
    assert_eq!(config.cells_min * 5, policy.timing.min_duration.as_secs());
}

/// Guarantees: a canary at an edge is at the limit exactly, and one that is equal is no different
/// in what is judged.
#[test]
fn canaries_are_where_they_claim_to_be() {
    for scenario in all() {
        let (change, config) = (scenario.traffic.canary, scenario.judge(0));
        let factor = |objective| match objective {
            Objective::Latency => change.latency,
            Objective::Errors => change.errors,
            Objective::Cpu => change.cpu,
        };
        let (latency, errors, cpu) = (
            config.latency.expect("judged"),
            config.errors.expect("judged"),
            config.cpu.expect("judged"),
        );
        let limits = |objective| match objective {
            Objective::Latency => (latency.rollback_above, latency.approve_below),
            Objective::Errors => (errors.rollback_above, errors.approve_below),
            Objective::Cpu => (cpu.rollback_above, cpu.approve_below),
        };
        let same = (change.latency, change.errors, change.cpu) == (1.0, 1.0, 1.0);
        match scenario.right {
            Right::Equal => assert!(same && change.leak == 0.0, "{}", scenario.name),
            Right::HarmEdge(at) => assert_eq!(factor(at), limits(at).0, "{}", scenario.name),
            Right::SafetyEdge(at) => assert_eq!(factor(at), limits(at).1, "{}", scenario.name),
            Right::LimitEdge => assert!(same, "{}", scenario.name),
            Right::Bad => {
                let worse = change != crate::traffic::SAME || scenario.limit.is_some();
                assert!(worse, "{}", scenario.name);
            }
        }
    }
}

/// Guarantees: a canary at the edge of an absolute limit is exactly there, one beyond it is not.
#[test]
fn canaries_are_at_their_absolute_limits() {
    let limited = all().filter_map(|scenario| Some((scenario, scenario.limit?)));
    let mut seen = 0;
    for (scenario, bound) in limited {
        let traffic = &scenario.traffic;
        let (is, permitted) = match bound {
            Bound::Latency { seconds, quantile } => (traffic.shape.above(seconds), 1.0 - quantile),
            Bound::Success(least) => (traffic.errors, 1.0 - least),
            Bound::Utilization(most) => {
                let pod = traffic.rate * traffic.weight / traffic.canary_pods as f64;
                (pod * traffic.cpu_seconds / traffic.cpu_cores, most)
            }
        };
        let times = is / permitted;
        match scenario.right {
            Right::LimitEdge => assert!((times - 1.0).abs() < 1e-3, "{}: {times}", scenario.name),
            _ => assert!(times > 1.1, "{}: {times}", scenario.name),
        }
        seen += 1;
    }
    assert!(seen >= 6, "{seen} scenarios with a limit");
}
