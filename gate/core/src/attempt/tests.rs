mod bake;
mod limits;
mod lives;
mod single_out;

use std::time::Duration;

use davy_proto::verdict::{Evaluation, ObjectiveVerdict};

use super::*;
use crate::cell::RouteCell;
use crate::history::History;
use crate::judge::{ErrorLimits, JudgeConfig};
use crate::policy::{Mode, OnAlert, OnDeadline};
use crate::sketch::Sketch;

const BASE: u64 = 1_000_000;

fn key() -> Key {
    Key {
        namespace: "prod".to_owned(),
        service: "shop".to_owned(),
        uid: "u".to_owned(),
        baseline: Arm::new("v1").unwrap(),
        canary: Arm::new("v2").unwrap(),
    }
}

fn call(step: u64) -> Call {
    Call { key: key(), step }
}

/// Guarantees: what simulations and benches are made with is what the gate judges by where nothing
/// is configured, but for the floor of errors.
#[test]
fn the_standard_policy_has_the_default_limits() {
    let default = JudgeConfig::DEFAULT;
    let errors = default.errors.map(|errors| ErrorLimits {
        negligible: Some(0.001),
        ..errors
    });
    let config = config::judge_config(&Policy::standard(), default.seed);
    assert_eq!(config, JudgeConfig { errors, ..default });
}

/// A rollout under test and its clock.
struct Bench {
    rollout: Rollout,
    policy: Policy,
    history: History,
    lives: Lives,
    index: u64,
}

impl Bench {
    /// A rollout whose baseline has ten minutes of history.
    fn new(policy: Policy) -> Self {
        let mut history = History::new(720, usize::MAX);
        (0..120).for_each(|cell| history.push(BASE + cell, arms(cell, Some(0), None)));
        let index = BASE + 120;
        let now = UnixNanos::from_seconds(index * CELL_SECONDS);
        let lives = Lives::default();
        let rollout = Rollout::new(&call(0), &policy, "p1", &history, &lives, now);
        Self {
            rollout,
            policy,
            history,
            lives,
            index,
        }
    }

    fn now(&self) -> UnixNanos {
        UnixNanos::from_seconds(self.index * CELL_SECONDS)
    }

    /// One cell, with so many errors of the baseline and of the canary.
    fn cell(&mut self, baseline: Option<u64>, canary: Option<u64>) -> Evaluation {
        let arms = arms(self.index, baseline, canary);
        self.rollout.cell(self.index, &arms, &self.lives);
        self.history.push(self.index, arms);
        self.index += 1;
        self.rollout.evaluate(self.now())
    }

    fn cells(&mut self, count: u64, baseline: Option<u64>, canary: Option<u64>) -> Evaluation {
        let mut last = self.rollout.evaluate(self.now());
        for _ in 0..count {
            last = self.cell(baseline, canary);
        }
        last
    }

    fn call(&mut self, step: u64) -> bool {
        let now = self.now();
        self.rollout.call(
            &call(step),
            &self.policy,
            "p1",
            &self.history,
            &self.lives,
            now,
        )
    }
}

/// Four baseline pods and one canary pod of 200 requests a cell.
fn arms(index: u64, baseline: Option<u64>, canary: Option<u64>) -> Arms {
    let mut arms = Arms::new();
    let mut add = |arm: &str, pods: u64, errors: Option<u64>| {
        let Some(errors) = errors else { return };
        let pods = (0..pods)
            .map(|pod| pod_cell(arm, pod, index, errors))
            .collect::<Vec<_>>();
        let expected = pods.len();
        arms.insert(Arm::new(arm).unwrap(), ArmCell { pods, expected });
    };
    add("v1", 4, baseline);
    add("v2", 1, canary);
    arms
}

/// The life of a pod: the second of its start where told, and when restarts were told.
fn life(pod: &str, started: Option<u64>, restarts: &[UnixNanos]) -> PodLife {
    PodLife {
        pod: pod.into(),
        first_seen: UnixNanos::from_seconds(BASE),
        last_seen: UnixNanos::from_seconds(BASE),
        started: started.map(UnixNanos::from_seconds),
        restarts: restarts.to_vec(),
    }
}

fn pod_cell(arm: &str, pod: u64, index: u64, errors: u64) -> PodCell {
    let mut state = index * 8 + pod + u64::from(arm == "v2") * 5;
    let mut draw = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut latency = Sketch::Empty;
    (errors..200).for_each(|_| latency.add(0.05 / (1.0 - draw()).sqrt().sqrt(), 5));
    let route = RouteCell {
        requests: 200,
        errors,
        latency,
    };
    PodCell {
        pod: format!("{arm}-{pod}").into(),
        warm: true,
        coverage: 1.0,
        routes: [("GET /buy".into(), route)].into(),
        cpu_seconds: Some(1.0 + 0.05 * draw()),
        cpu_limit_cores: None,
    }
}

#[test]
fn a_good_canary_is_approved_once_all_is_proved_and_not_before_min_duration() {
    let mut bench = Bench::new(Policy::standard());
    let early = bench.cells(11, Some(0), Some(0));
    assert_eq!(early.verdict, Verdict::Undecided, "{}", early.reason);
    assert_eq!(early.elapsed_seconds, 55);
    let late = bench.cells(200, Some(0), Some(0));
    assert_eq!(
        (late.verdict, late.is_final),
        (Verdict::Approve, true),
        "{}",
        late.reason
    );
    assert!(
        late.reason.starts_with("proved safe: latency ratio"),
        "{}",
        late.reason
    );
    assert_eq!(late.coverage, Some(1.0));
}

#[test]
fn a_failing_canary_is_rolled_back_for_good() {
    let mut bench = Bench::new(Policy::standard());
    let bad = bench.cells(24, Some(0), Some(20));
    assert_eq!(
        (bad.verdict, bad.is_final),
        (Verdict::Rollback, true),
        "{}",
        bad.reason
    );
    assert!(
        bad.reason.starts_with("errors 10 % vs 0 %"),
        "{}",
        bad.reason
    );
    let later = bench.cells(100, Some(0), Some(0));
    assert_eq!(
        (later.verdict, &later.reason),
        (Verdict::Rollback, &bad.reason)
    );
    assert!(!bench.call(1), "a later step is the same attempt");
    assert_eq!(bench.cell(Some(0), Some(0)).verdict, Verdict::Rollback);
    let verdicts: Vec<_> = bench
        .rollout
        .attempt()
        .timeline()
        .map(|e| (e.step, e.verdict))
        .collect();
    let expected = [
        (0, Verdict::Undecided),
        (0, Verdict::Rollback),
        (1, Verdict::Rollback),
    ];
    assert_eq!(verdicts, expected);
}

/// Guarantees: absence of evidence is never approval.
#[test]
fn without_evidence_nothing_is_approved() {
    let mut bench = Bench::new(Policy::standard());
    let none = bench.cells(100, Some(0), None);
    assert_eq!(none.verdict, Verdict::Undecided);
    assert_eq!(none.reason, "undecided: no evidence of the canary yet");
    let mut bench = Bench::new(Policy::standard());
    let alone = bench.cells(100, None, Some(0));
    assert_eq!(alone.verdict, Verdict::Undecided);
    assert_eq!(
        alone.reason,
        "undecided: no evidence of the baseline beside the canary's yet"
    );
}

#[test]
fn a_canary_that_restarts_or_falls_silent_is_rolled_back() {
    let mut bench = Bench::new(Policy::standard());
    bench.cells(3, Some(0), Some(0));
    let now = bench.now();
    bench.lives.canary = vec![life("v2-0", Some(BASE), &[now, now])];
    let crashed = bench.cell(Some(0), Some(0));
    assert_eq!(crashed.verdict, Verdict::Rollback);
    let reason = "pod v2-0 was started again several times (2), allowed are 0";
    assert_eq!(crashed.reason, reason);
    bench.rollout.reset(&bench.history, &bench.lives, now);
    assert_eq!(
        bench.cell(Some(0), Some(0)).verdict,
        Verdict::Undecided,
        "those were before"
    );

    let mut bench = Bench::new(Policy::standard());
    bench.cells(3, Some(0), Some(0));
    let silent = bench.cells(23, Some(0), None);
    assert_eq!(silent.verdict, Verdict::Undecided);
    assert_eq!(
        silent.reason,
        "undecided: the canary has been silent for 115 s"
    );
    let gone = bench.cell(Some(0), None);
    assert_eq!(gone.verdict, Verdict::Rollback);
}

#[test]
fn observing_approves_and_says_what_it_would_have_been() {
    let mut bench = Bench::new(Policy {
        mode: Mode::Observe,
        ..Policy::standard()
    });
    let bad = bench.cells(24, Some(0), Some(20));
    assert_eq!(
        (bad.verdict, bad.observed),
        (Verdict::Approve, Some(Verdict::Rollback))
    );
    assert!(
        bad.reason
            .starts_with("observing only; it would be rollback: errors")
    );
    assert_eq!(crate::plan::plan(&bad), None);
}

#[test]
fn deadlines_pause_or_roll_back() {
    let run = |on_deadline| {
        let mut policy = Policy {
            on_deadline,
            ..Policy::standard()
        };
        policy.timing.max_duration = Duration::from_secs(60);
        policy.objectives[0].ratio.as_mut().unwrap().approve_below = 1.101;
        let mut bench = Bench::new(policy);
        bench.cells(13, Some(0), Some(0))
    };
    let paused = run(OnDeadline::Pause);
    assert_eq!(paused.verdict, Verdict::Undecided);
    assert!(
        paused
            .reason
            .starts_with("deadline of 1m passed: undecided:"),
        "{}",
        paused.reason
    );
    assert_eq!(paused.eta_seconds, None);
    assert_eq!(run(OnDeadline::Rollback).verdict, Verdict::Rollback);
}

#[test]
fn alerts_hold_or_roll_back() {
    let mut bench = Bench::new(Policy::standard());
    bench
        .rollout
        .attempt_mut()
        .alert(Some("HighLatency".to_owned()));
    let held = bench.cells(200, Some(0), Some(0));
    assert_eq!(held.reason, "undecided: held while alert HighLatency fires");
    bench.rollout.attempt_mut().alert(None);
    assert_eq!(bench.cell(Some(0), Some(0)).verdict, Verdict::Approve);
    let mut bench = Bench::new(Policy {
        on_alert: OnAlert::Rollback,
        ..Policy::standard()
    });
    bench
        .rollout
        .attempt_mut()
        .alert(Some("HighLatency".to_owned()));
    assert_eq!(bench.cell(Some(0), Some(0)).verdict, Verdict::Rollback);
}

#[test]
fn steps_prove_safety_again_and_lower_ones_begin_anew() {
    let mut bench = Bench::new(Policy::standard());
    assert_eq!(bench.cells(200, Some(0), Some(0)).verdict, Verdict::Approve);
    assert!(!bench.call(1));
    assert_eq!(bench.cell(Some(0), Some(0)).verdict, Verdict::Undecided);
    assert_eq!(bench.cells(200, Some(0), Some(0)).verdict, Verdict::Approve);
    assert!(bench.call(0), "a lower step is a new attempt");
    let fresh = bench.cell(Some(0), Some(0));
    assert_eq!(
        (fresh.attempt, fresh.verdict, fresh.elapsed_seconds),
        (2, Verdict::Undecided, 5)
    );
    let now = bench.now();
    let (other, none) = (bench.policy.clone(), Lives::default());
    assert!(
        bench
            .rollout
            .call(&call(0), &other, "p2", &bench.history, &none, now),
        "policy"
    );
    let mut moved = call(0);
    moved.key.baseline = Arm::new("v0").unwrap();
    assert!(
        bench
            .rollout
            .call(&moved, &other, "p2", &bench.history, &none, now),
        "baseline"
    );
    assert_eq!(bench.rollout.attempt().number(), 4);
}

#[test]
fn an_objective_without_a_source_is_said_at_once() {
    let mut bench = Bench::new(Policy::standard());
    let without_cpu = |index, canary| {
        let mut arms = arms(index, Some(0), canary);
        arms.values_mut()
            .flat_map(|arm| &mut arm.pods)
            .for_each(|pod| pod.cpu_seconds = None);
        arms
    };
    for _ in 0..100 {
        let arms = without_cpu(bench.index, Some(0));
        bench.rollout.cell(bench.index, &arms, &Lives::default());
        bench.index += 1;
    }
    let evaluation = bench.rollout.evaluate(bench.now());
    assert_eq!(evaluation.verdict, Verdict::Undecided);
    assert!(
        evaluation
            .reason
            .starts_with("undecided: cpu can't be judged"),
        "{evaluation:?}"
    );
    assert_eq!(
        evaluation.objectives[2].verdict,
        ObjectiveVerdict::Unavailable
    );
}

#[test]
fn the_same_cells_give_the_same_answer_to_the_bit() {
    let run = || {
        let mut bench = Bench::new(Policy::standard());
        bench.cells(30, Some(0), Some(1)).to_body()
    };
    assert_eq!(run(), run());
}

/// Guarantees: a limit that can't be judged is said, and never approved when required.
#[test]
fn a_required_objective_with_a_limit_that_can_not_be_judged_is_undecided() {
    let text = "version: 1\nobjectives:\n- {name: cpu, indicator: cpu_per_request, \
                max_utilization: 0.8, rollback_above: 1.1, approve_below: 1.25}\n\
                timing: {max_duration: 10m}\non_deadline: {approve_if_below: {cpu: 1.5}}\n";
    let mut bench = Bench::new(Policy::read("p", text).expect("a policy"));
    let why = "undecided: cpu is required, and its limit max_utilization can't be judged: the \
               canary's pods report no CPU limit";
    let early = bench.cells(3, Some(0), Some(0));
    assert_eq!((early.verdict, &*early.reason), (Verdict::Undecided, why));
    assert_eq!(early.objectives[1].verdict, ObjectiveVerdict::Unavailable);
    let long = bench.cells(150, Some(0), Some(0));
    assert_eq!(long.verdict, Verdict::Undecided, "{}", long.reason);
    assert!(long.reason.ends_with(why), "{}", long.reason);
}

#[test]
fn an_expectation_counts_what_the_step_must_be_judged_for() {
    let mut bench = Bench::new(Policy::standard());
    assert_eq!(bench.cells(200, Some(0), Some(0)).verdict, Verdict::Approve);
    assert!(!bench.call(1));
    for judged in 1..6_u64 {
        let evaluation = bench.cell(Some(0), Some(0));
        assert_eq!(evaluation.verdict, Verdict::Undecided);
        if let Some(eta) = evaluation.eta_seconds {
            assert!(eta >= 60 - 5 * judged, "{eta} s after {judged} cells");
        }
    }
}
