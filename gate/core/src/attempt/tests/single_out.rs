//! A rollback that rests on one pod names it, and no other does.

use super::*;

/// One canary pod for each number of errors a cell.
fn with_canaries(index: u64, errors: &[u64]) -> Arms {
    let mut arms = arms(index, Some(1), None);
    let pods = (0..)
        .zip(errors)
        .map(|(pod, &errors)| pod_cell("v2", pod, index, errors));
    let pods: Vec<_> = pods.collect();
    let expected = pods.len();
    arms.insert(Arm::new("v2").unwrap(), ArmCell { pods, expected });
    arms
}

/// The answer that rolls back, and the one after the pods have been looked at.
fn rolled_back(errors: &[u64]) -> (Evaluation, Evaluation) {
    let mut bench = Bench::new(Policy::standard());
    for _ in 0..60 {
        let arms = with_canaries(bench.index, errors);
        bench.rollout.cell(bench.index, &arms, &bench.lives);
        bench.history.push(bench.index, arms);
        bench.index += 1;
        let now = bench.now();
        let said = bench.rollout.evaluate(now);
        if said.verdict == Verdict::Rollback {
            assert!(bench.rollout.is_open());
            bench.rollout.single_out(&bench.history, &bench.lives);
            assert!(!bench.rollout.is_open());
            assert!(
                !bench.rollout.single_out(&bench.history, &bench.lives),
                "once"
            );
            let after = bench.rollout.evaluate(now);
            let told = bench.rollout.attempt().timeline().last().expect("an entry");
            assert_eq!(told.reason, after.reason);
            return (said, after);
        }
    }
    panic!("not rolled back: {errors:?}");
}

#[test]
fn a_pod_that_is_bad_by_itself_is_named() {
    let (said, after) = rolled_back(&[1, 1, 30]);
    let more = after
        .reason
        .strip_prefix(&*said.reason)
        .expect(&after.reason);
    assert!(
        more.starts_with("; in pod v2-2 alone: without it "),
        "{more}"
    );
    assert!(more.ends_with(" speaks against the canary"), "{more}");
    let same = Evaluation {
        reason: said.reason.clone(),
        ..after.clone()
    };
    assert_eq!(same, said, "nothing but the reason changes");
}

#[test]
fn pods_that_are_bad_together_are_not_named() {
    for errors in [&[20, 20][..], &[20, 20, 20], &[20]] {
        let (said, after) = rolled_back(errors);
        assert_eq!(after, said, "{errors:?}");
    }
}

/// What isn't remembered any more is not guessed at.
#[test]
fn a_history_that_has_lost_the_beginning_says_nothing() {
    let mut bench = Bench::new(Policy::standard());
    bench.history = History::new(3, usize::MAX);
    for _ in 0..60 {
        let arms = with_canaries(bench.index, &[1, 30]);
        bench.rollout.cell(bench.index, &arms, &bench.lives);
        bench.history.push(bench.index, arms);
        bench.index += 1;
        if bench.rollout.evaluate(bench.now()).verdict == Verdict::Rollback {
            break;
        }
    }
    assert!(bench.rollout.is_open());
    assert!(!bench.rollout.single_out(&bench.history, &bench.lives));
}
