//! The page shows what was decided, and nothing from outside gets into it as markup.

use davy_proto::Arm;
use davy_proto::verdict::Rollout;

use super::*;

fn view(service: &str) -> RolloutView {
    let objective = Objective {
        name: "latency".to_owned(),
        verdict: ObjectiveVerdict::Rollback,
        unit: Some("s".to_owned()),
        baseline: Some(0.230),
        canary: Some(0.310),
        ratio: Some(1.35),
        low: Some(1.21),
        high: Some(1.49),
        rollback_above: Some(1.10),
        approve_below: Some(1.25),
        ..Objective::default()
    };
    let evaluation = Evaluation {
        verdict: Verdict::Rollback,
        is_final: true,
        reason: "latency p99 310 ms vs 230 ms".to_owned(),
        elapsed_seconds: 48,
        eta_seconds: Some(0),
        confidence: Some(0.99),
        coverage: Some(1.0),
        attempt: 1,
        step: 0,
        policy: "sha256:5b1f".to_owned(),
        observed: None,
        url: None,
        objectives: vec![objective],
        objectives_omitted: 0,
        rollout: Rollout {
            id: "r1".to_owned(),
            namespace: "prod".to_owned(),
            service: service.to_owned(),
            baseline: Arm::new("79f").expect("a name"),
            canary: Arm::new("6c5").expect("a name"),
        },
    };
    RolloutView {
        evaluation,
        updated: UnixNanos::from_seconds(1_800_000_000),
        timeline: vec![],
    }
}

#[test]
fn a_rollout_shows_verdict_values_and_interval() {
    let page = rollouts(&[view("shop")]);
    for expected in [
        "rollback, final",
        "310 ms vs 230 ms",
        "×1.35 [1.21, 1.49]",
        "<svg",
        "prod / ",
    ] {
        assert!(page.contains(expected), "{expected} is not in {page}");
    }
}

#[test]
fn what_is_not_known_is_not_shown() {
    let mut early = view("shop");
    let latency = &mut early.evaluation.objectives[0];
    (latency.low, latency.high) = (Some(0.7), None);
    let page = rollout(&early);
    assert!(page.contains("×1.35, at least 0.70"), "{page}");
    assert!(
        page.contains("aria-label=\"ratio 1.35, at least 0.70\""),
        "{page}"
    );
    assert!(page.contains("at 2027-01-15 08:00:00 UTC"), "{page}");
}

#[test]
fn an_absolute_limit_stands_beside_the_canary_alone() {
    let stability = Objective {
        name: "stability".to_owned(),
        verdict: ObjectiveVerdict::Approve,
        unit: Some("restarts".to_owned()),
        canary: Some(0.0),
        limit: Some(0.0),
        ..Objective::default()
    };
    assert_eq!(values(&stability), "0, limit 0");
    assert_eq!(ratio(&stability), "");
}

#[test]
fn names_from_outside_are_escaped() {
    let page = rollouts(&[view("<script>alert('x')</script>")]);
    assert!(!page.contains("<script"), "{page}");
    assert!(page.contains("&lt;script&gt;"));
}

#[test]
fn an_empty_gate_says_how_a_rollout_begins() {
    assert!(rollouts(&[]).contains("POST /v1/evaluate"));
}
