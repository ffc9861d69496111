//! Intervals against scipy, and what counts as wrong.

use super::*;

/// scipy 1.17.1: `binomtest(k, n).proportion_ci(0.95, "exact")`.
#[test]
fn intervals_are_those_of_clopper_and_pearson() {
    for (k, n, low, high) in [
        (0, 10, 0.0, 0.308_497_108),
        (0, 2_000, 0.0, 0.001_842_739_8),
        (1, 60, 0.000_421_874_5, 0.089_399_05),
        (5, 20, 0.086_571_469, 0.491_045_872),
        (20, 2_000, 0.006_118_657_5, 0.015_402_125_8),
        (10, 10, 0.691_502_892, 1.0),
    ] {
        let share = Share::of(k, n);
        assert!((share.low - low).abs() < 1e-6, "{k} of {n}: {}", share.low);
        assert!(
            (share.high - high).abs() < 1e-6,
            "{k} of {n}: {}",
            share.high
        );
    }
    assert_eq!(Share::of(0, 0).share, 0.0);
}

fn outcome(verdict: Verdict, cells: u64, proved_at_edge: bool) -> Outcome {
    Outcome {
        verdict,
        cells,
        proved_at_edge,
    }
}

#[test]
fn what_is_wrong_depends_on_what_is_right() {
    use davy_gate_core::judge::Objective::Errors;
    let outcomes = [
        outcome(Verdict::Approve, 10, true),
        outcome(Verdict::Rollback, 20, false),
        outcome(Verdict::Rollback, 30, true),
        outcome(Verdict::Undecided, 360, false),
        outcome(Verdict::Approve, 50, false),
    ];
    for (right, wrong, correct) in [
        (Right::Equal, 2, 2),
        (Right::HarmEdge(Errors), 2, 3),
        (Right::SafetyEdge(Errors), 3, 2),
        (Right::Bad, 2, 2),
    ] {
        let tally = Tally::new(Method::Davy, right, &outcomes);
        assert_eq!(
            (tally.wrong.runs, tally.right.runs),
            (wrong, correct),
            "{right:?}"
        );
        assert_eq!(
            (tally.approved, tally.rolled_back, tally.undecided.runs),
            (2, 2, 1)
        );
        // Of 50, 100, 150 and 250 s.
        assert_eq!(
            (tally.median_seconds, tally.p90_seconds),
            (Some(150), Some(250))
        );
    }
    let none = Tally::new(Method::Davy, Right::Bad, &[]);
    assert_eq!((none.runs, none.median_seconds), (0, None));
}
