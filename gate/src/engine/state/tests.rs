//! Whole rollouts through the engine's state, with evidence as an agent sends it.

use std::time::Duration;

use davy_gate_core::policy::Policy;
use davy_proto::Arm;
use davy_proto::verdict::Verdict;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, ExponentialHistogram, ExponentialHistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, exponential_histogram_data_point::Buckets,
    metric::Data, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::*;
use crate::actuate::{Actuators, CommandTemplate};
use crate::policies::Policies;

const CELL: u64 = 5;
const BEGIN: u64 = 1_800_000_000;
/// Cells of the baseline alone.
const HISTORY_CELLS: u64 = 24;
const REQUESTS: u64 = 600;

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue {
        value: Some(Value::StringValue(value.to_owned())),
    });
    KeyValue {
        key: key.to_owned(),
        value,
        ..KeyValue::default()
    }
}

/// A seeded draw in [0, 1) (SplitMix64).
fn draw(seed: u64) -> f64 {
    let mut z = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Evidence of one pod in the cell that ends at `end`: latency `factor` times as slow.
fn evidence(arm: &str, pod: &str, end: u64, factor: f64) -> ExportMetricsServiceRequest {
    let (start, end_nanos) = ((end - CELL) * 1_000_000_000, end * 1_000_000_000);
    let seed = end * 131 + pod.bytes().map(u64::from).sum::<u64>();
    let mut counts = vec![0_u64; 200];
    for n in 0..REQUESTS {
        // Four draws added are near enough to normal; scale 5 has 32 buckets an octave.
        let normal: f64 = (0..4).map(|k| draw(seed * 7919 + n * 4 + k) - 0.5).sum();
        let at = 100.0 + 32.0 * (1.75 * normal + factor.log2());
        counts[at.clamp(0.0, 199.0) as usize] += 1;
    }
    let point = ExponentialHistogramDataPoint {
        attributes: vec![
            attribute("http.request.method", "GET"),
            attribute("http.route", "/buy"),
            attribute("http.response.status_code", "200"),
        ],
        start_time_unix_nano: start,
        time_unix_nano: end_nanos,
        count: REQUESTS,
        scale: 5,
        positive: Some(Buckets {
            offset: -200,
            bucket_counts: counts,
        }),
        ..ExponentialHistogramDataPoint::default()
    };
    let histogram = ExponentialHistogram {
        data_points: vec![point],
        aggregation_temporality: AggregationTemporality::Delta.into(),
    };
    let cpu = NumberDataPoint {
        start_time_unix_nano: start,
        time_unix_nano: end_nanos,
        value: Some(number_data_point::Value::AsDouble(0.3 + 0.02 * draw(seed))),
        ..NumberDataPoint::default()
    };
    let cpu = Sum {
        data_points: vec![cpu],
        aggregation_temporality: AggregationTemporality::Delta.into(),
        is_monotonic: true,
    };
    let metric = |name: &str, data| Metric {
        name: name.to_owned(),
        unit: "s".to_owned(),
        data: Some(data),
        ..Metric::default()
    };
    let metrics = vec![
        metric(
            "http.server.request.duration",
            Data::ExponentialHistogram(histogram),
        ),
        metric("process.cpu.time", Data::Sum(cpu)),
    ];
    let attributes = vec![
        attribute("service.name", "shop"),
        attribute("k8s.pod.name", pod),
        attribute("davy.arm", arm),
    ];
    let resource = Resource {
        attributes,
        ..Resource::default()
    };
    let scope_metrics = vec![ScopeMetrics {
        metrics,
        ..ScopeMetrics::default()
    }];
    let resource_metrics = ResourceMetrics {
        resource: Some(resource),
        scope_metrics,
        ..ResourceMetrics::default()
    };
    ExportMetricsServiceRequest {
        resource_metrics: vec![resource_metrics],
    }
}

fn state() -> State {
    baking(Duration::ZERO)
}

fn baking(bake: Duration) -> State {
    let command = |name: &str| {
        CommandTemplate::new(
            &[name.to_owned(), "{canary}".to_owned()],
            Duration::from_secs(1),
        )
        .ok()
    };
    let actuators = Actuators {
        on_approve: command("approve"),
        on_rollback: command("rollback"),
    };
    let mut policy = Policy::standard();
    policy.timing.warm_up = Duration::ZERO;
    policy.timing.bake = bake;
    State::new(Parts {
        policies: Policies::one(policy),
        actuator: crate::actuate::Actuator::new(actuators),
        recorder: None,
        telemetry: std::sync::Arc::new(Telemetry::new()),
        page_url: "http://gate".to_owned(),
    })
}

fn question(step: impl Into<Option<u64>>) -> Question {
    Question {
        namespace: String::new(),
        service: "shop".to_owned(),
        uid: String::new(),
        baseline: Arm::new("v1").expect("a name"),
        canary: Arm::new("v2").expect("a name"),
        step: step.into(),
        weight: None,
    }
}

/// Plays a rollout whose canary is `factor` times as slow, each request delivered `copies` times,
/// for at most ten minutes; gives the final evaluation and the actuators that were to be run.
fn play(factor: f64, copies: usize) -> (Evaluation, Vec<&'static str>) {
    play_on(state(), |_| factor, copies)
}

/// The same of a canary that is so many times as slow in each cell.
fn play_on(
    mut state: State,
    factor: impl Fn(u64) -> f64,
    copies: usize,
) -> (Evaluation, Vec<&'static str>) {
    let mut due = Vec::new();
    for cell in 0..144 {
        let end = BEGIN + (cell + 1) * CELL;
        let now = UnixNanos::from_seconds(end).plus(Duration::from_millis(200));
        let mut pods: Vec<_> = ["a", "b", "c", "d"].map(|pod| ("v1", pod, 1.0)).to_vec();
        if cell >= HISTORY_CELLS {
            pods.push(("v2", "e", factor(cell)));
        }
        for (arm, pod, factor) in pods {
            for _ in 0..copies {
                state.observe(&evidence(arm, pod, end, factor), now);
            }
        }
        if cell == HISTORY_CELLS + 2 {
            state.evaluate(&question(0), now).expect("an answer");
        }
        due.extend(state.tick(now).into_iter().map(|(name, _)| name));
    }
    let end = UnixNanos::from_seconds(BEGIN + 145 * CELL);
    (state.evaluate(&question(0), end).expect("an answer"), due)
}

#[test]
fn a_slower_canary_is_rolled_back_and_the_actuator_runs_once() {
    let (evaluation, due) = play(1.5, 1);
    assert_eq!(
        evaluation.verdict,
        Verdict::Rollback,
        "{}",
        evaluation.reason
    );
    assert!(evaluation.is_final && evaluation.reason.starts_with("latency"));
    assert!(
        evaluation.elapsed_seconds <= 120,
        "after {} s",
        evaluation.elapsed_seconds
    );
    assert_eq!(due, ["on_rollback"]);
}

/// Invariant 8: a window counts once, however often it is delivered.
#[test]
fn delivering_everything_thrice_changes_nothing() {
    assert_eq!(play(1.5, 1), play(1.5, 3));
}

/// A service that makes no errors at all must not wait for some.
#[test]
fn an_equal_canary_without_errors_is_approved() {
    let (evaluation, due) = play(1.0, 1);
    assert_eq!(
        evaluation.verdict,
        Verdict::Approve,
        "{}",
        evaluation.reason
    );
    assert_eq!(due, ["on_approve"]);
}

/// An approval acts when its bake is over, and not at all when harm is proved before.
#[test]
fn what_is_run_waits_for_the_end_of_the_bake() {
    let bake = Duration::from_secs(200);
    let (good, due) = play_on(baking(bake), |_| 1.0, 1);
    assert_eq!(
        (good.verdict, good.is_final),
        (Verdict::Approve, true),
        "{}",
        good.reason
    );
    assert_eq!(due, ["on_approve"]);
    let turns = |cell| if cell < 90 { 1.0 } else { 2.0 };
    let (bad, due) = play_on(baking(Duration::from_secs(600)), turns, 1);
    assert_eq!(
        (bad.verdict, bad.is_final),
        (Verdict::Rollback, true),
        "{}",
        bad.reason
    );
    assert_eq!(due, ["on_rollback"]);
}

/// What the caller knows of the traffic is held beside what came: here half of it.
#[test]
fn a_weight_that_isn_t_kept_is_said() {
    let mut state = state();
    let mut said = Vec::new();
    for cell in 0..60 {
        let end = BEGIN + (cell + 1) * CELL;
        let now = UnixNanos::from_seconds(end).plus(Duration::from_millis(200));
        for (arm, pod) in [("v1", "a"), ("v2", "e")] {
            state.observe(&evidence(arm, pod, end, 1.0), now);
        }
        let question = Question {
            weight: Some(5.0),
            ..question(0)
        };
        state.tick(now);
        said.push(state.evaluate(&question, now).expect("an answer").reason);
    }
    let told = "; the canary gets 50 % of the requests, its weight is 5 %";
    assert!(
        said.last().is_some_and(|reason| reason.ends_with(told)),
        "{said:?}"
    );
    assert!(!said[2].contains(told), "{}", said[2]);
}

/// Invariant 6: absence of evidence is never approval.
#[test]
fn a_rollout_without_evidence_stays_undecided() {
    let mut state = state();
    for second in 0..3600 {
        let now = UnixNanos::from_seconds(BEGIN + second);
        let evaluation = state.evaluate(&question(0), now).expect("an answer");
        assert_eq!(evaluation.verdict, Verdict::Undecided);
        assert!(state.tick(now).is_empty());
    }
}

#[test]
fn the_same_arm_is_refused() {
    let mut state = state();
    let same = Question {
        canary: Arm::new("v1").expect("a name"),
        ..question(0)
    };
    let now = UnixNanos::from_seconds(BEGIN);
    assert_eq!(state.evaluate(&same, now), Err(Refusal::SameArm));
}

/// A caller that doesn't say the step, such as a background analysis beside the steps' own, begins
/// no new attempt.
#[test]
fn a_question_without_a_step_is_about_the_present_one() {
    let mut state = state();
    let now = UnixNanos::from_seconds(BEGIN);
    let mut step = |step: Option<u64>| {
        let evaluation = state.evaluate(&question(step), now).expect("an answer");
        (evaluation.attempt, evaluation.step)
    };
    assert_eq!(step(Some(3)), (1, 3));
    assert_eq!(step(None), (1, 3));
    assert_eq!(step(Some(3)), (1, 3));
    assert_eq!(step(Some(0)), (2, 0));
}

/// The metrics of a service show the rollout that was asked about last, and nothing of others.
#[test]
fn an_older_rollout_does_not_speak_for_its_service() {
    let mut state = state();
    let mut ask = |canary: &str, second: u64| {
        let question = Question {
            canary: Arm::new(canary).expect("a name"),
            ..question(0)
        };
        let now = UnixNanos::from_seconds(BEGIN + second);
        state.evaluate(&question, now).expect("an answer")
    };
    let (newer, older) = (ask("a", 10).rollout, ask("z", 0).rollout);
    let [newer, older] = [newer, older].map(|rollout| rollout.canary.to_string());
    assert_eq!((newer.as_str(), older.as_str()), ("a", "z"));
    let shown: Vec<_> = state
        .shown
        .values()
        .map(|key| key.canary.as_str())
        .collect();
    assert_eq!(shown, ["a"]);
}

#[test]
fn a_rollout_without_evidence_can_be_reset() {
    let mut state = state();
    let now = UnixNanos::from_seconds(BEGIN);
    let id = state
        .evaluate(&question(0), now)
        .expect("an answer")
        .rollout
        .id;
    assert!(state.reset(&id, now));
    assert_eq!(
        state
            .evaluate(&question(0), now)
            .expect("an answer")
            .attempt,
        2
    );
    assert!(!state.reset("none", now));
}

/// Questions about rollouts that don't exist must not push out one that is being judged.
#[test]
fn rollouts_without_evidence_are_forgotten_first() {
    let mut state = state();
    let now = UnixNanos::from_seconds(BEGIN + CELL);
    for (arm, pod) in [("v1", "a"), ("v2", "b")] {
        state.observe(&evidence(arm, pod, BEGIN + CELL, 1.0), now);
    }
    state.evaluate(&question(0), now).expect("an answer");
    state.tick(now);
    let later = now.plus(Duration::from_secs(60));
    for n in 0..ROLLOUTS_MAX + 10 {
        let other = Question {
            uid: n.to_string(),
            canary: Arm::new("v9").expect("a name"),
            ..question(0)
        };
        state.evaluate(&other, later).expect("an answer");
    }
    assert_eq!(state.rollouts.len(), ROLLOUTS_MAX);
    let kept = state
        .rollouts
        .keys()
        .filter(|key| key.canary.as_str() == "v2");
    assert_eq!(kept.count(), 1);
}

#[test]
fn services_without_pods_make_room() {
    let mut state = state();
    for n in 0..SERVICES_MAX {
        let key = (String::new(), format!("gone-{n}"));
        state.services.insert(key, Service::new(0));
    }
    let now = UnixNanos::from_seconds(BEGIN + CELL);
    state.observe(&evidence("v1", "a", BEGIN + CELL, 1.0), now);
    assert_eq!(
        state.services.keys().map(|key| &*key.1).collect::<Vec<_>>(),
        ["shop"]
    );
}

/// A rollout keeps its namespace when another one of the same service shows up.
#[test]
fn a_second_namespace_does_not_take_a_rollout_away() {
    let mut state = state();
    let now = UnixNanos::from_seconds(BEGIN);
    for namespace in ["prod", "staging"] {
        let key = (namespace.to_owned(), "shop".to_owned());
        state.services.insert(key, Service::new(0));
        let evaluation = state.evaluate(&question(0), now).expect("an answer");
        assert_eq!(
            (evaluation.rollout.namespace.as_str(), evaluation.attempt),
            ("prod", 1)
        );
    }
}
