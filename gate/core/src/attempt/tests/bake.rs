//! What happens between an approval and its being final.

use super::*;
use crate::plan::plan;

fn policy(bake: u64) -> Policy {
    let mut policy = Policy::standard();
    policy.timing.bake = Duration::from_secs(bake);
    policy
}

/// A bench whose canary has just been approved.
fn approved(policy: Policy) -> (Bench, Evaluation) {
    let mut bench = Bench::new(policy);
    for _ in 0..200 {
        let said = bench.cell(Some(0), Some(0));
        if said.verdict == Verdict::Approve {
            return (bench, said);
        }
    }
    panic!("not approved in 200 cells");
}

/// Guarantees: an approval is not final before its bake is over, and nothing is actuated by it;
/// then it is, once.
#[test]
fn an_approval_becomes_final_when_its_bake_ends() {
    let (mut bench, first) = approved(policy(600));
    assert!(!first.is_final && plan(&first).is_none());
    assert_eq!(first.eta_seconds, Some(600));
    assert!(
        first.reason.ends_with("; judged on for 10m"),
        "{}",
        first.reason
    );
    let late = bench.cells(119, Some(0), Some(0));
    assert_eq!((late.verdict, late.is_final), (Verdict::Approve, false));
    assert_eq!(late.eta_seconds, Some(5));
    assert!(late.elapsed_seconds > first.elapsed_seconds);
    let done = bench.cell(Some(0), Some(0));
    assert_eq!((done.verdict, done.is_final), (Verdict::Approve, true));
    assert!(
        done.reason.ends_with("; nothing spoke against it for 10m"),
        "{}",
        done.reason
    );
    assert!(plan(&done).is_some_and(|plan| plan.key.ends_with("/1/approve/0")));
    let later = bench.cells(40, Some(0), Some(20));
    assert_eq!(
        (later.verdict, &later.reason),
        (Verdict::Approve, &done.reason)
    );
    let timeline = bench.rollout.attempt().timeline();
    let told: Vec<_> = timeline
        .map(|entry| (entry.verdict, entry.is_final))
        .collect();
    let approve = Verdict::Approve;
    assert_eq!(
        told,
        [
            (Verdict::Undecided, false),
            (approve, false),
            (approve, true)
        ]
    );
}

#[test]
fn harm_during_the_bake_is_a_rollback_for_good() {
    let (mut bench, _) = approved(policy(3600));
    let bad = bench.cells(60, Some(0), Some(20));
    assert_eq!((bad.verdict, bad.is_final), (Verdict::Rollback, true));
    assert!(bad.reason.starts_with("errors "), "{}", bad.reason);
    assert!(plan(&bad).is_some_and(|plan| plan.key.ends_with("/1/rollback")));
    let later = bench.cells(1000, Some(0), Some(0));
    assert_eq!(
        (later.verdict, &later.reason),
        (Verdict::Rollback, &bad.reason)
    );
}

/// What has been approved in time isn't rolled back by the deadline.
#[test]
fn the_deadline_is_of_the_approval() {
    let mut policy = policy(3600);
    policy.on_deadline = OnDeadline::Rollback;
    policy.timing.max_duration = Duration::from_secs(1000);
    let (mut bench, _) = approved(policy);
    let late = bench.cells(300, Some(0), Some(0));
    assert_eq!(
        (late.verdict, late.is_final),
        (Verdict::Approve, false),
        "{}",
        late.reason
    );
}

#[test]
fn an_alert_or_silence_holds_the_end_of_the_bake() {
    let (mut bench, _) = approved(policy(60));
    bench.rollout.attempt_mut().alert(Some("Slow".to_owned()));
    let held = bench.cells(30, Some(0), Some(0));
    assert_eq!((held.verdict, held.is_final), (Verdict::Approve, false));
    assert!(
        held.reason.ends_with("; held while alert Slow fires"),
        "{}",
        held.reason
    );
    bench.rollout.attempt_mut().alert(None);
    let silent = bench.cells(3, Some(0), None);
    assert!(silent.is_final, "the bake ended with the alert");

    let (mut bench, _) = approved(policy(60));
    let silent = bench.cells(20, Some(0), None);
    assert_eq!((silent.verdict, silent.is_final), (Verdict::Approve, false));
    assert!(
        silent.reason.ends_with("; held while the canary is silent"),
        "{}",
        silent.reason
    );
    assert!(bench.cell(Some(0), Some(0)).is_final);
}

/// Guarantees: the next step is proved anew, whether the one before was baked or not.
#[test]
fn a_later_step_begins_before_the_bake_ends() {
    let (mut bench, _) = approved(policy(600));
    assert!(!bench.call(1));
    let next = bench.cell(Some(0), Some(0));
    assert_eq!(
        (next.verdict, next.is_final, next.step),
        (Verdict::Undecided, false, 1)
    );
}
