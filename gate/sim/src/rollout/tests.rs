//! The runner catches what is gross, approves what is equal, and repeats itself.

use super::*;

fn verdicts(name: &str, runs: u64) -> Vec<Outcome> {
    let runner = Runner::new(Scenario::named(name).expect("known"));
    (0..runs)
        .filter_map(|run| runner.run(11, run).first().copied())
        .collect()
}

#[test]
fn a_canary_twice_as_slow_is_caught_within_a_minute() {
    for outcome in verdicts("twice-as-slow", 6) {
        assert_eq!(outcome.verdict, Verdict::Rollback);
        assert!(outcome.cells <= 12, "{outcome:?}");
    }
}

#[test]
fn equal_arms_are_approved() {
    let outcomes = verdicts("steady", 6);
    let approved = outcomes.iter().filter(|o| o.verdict == Verdict::Approve);
    assert!(approved.count() >= 5, "{outcomes:?}");
    assert!(outcomes.iter().all(|o| o.verdict != Verdict::Rollback));
    assert!(
        outcomes.iter().all(|o| o.cells >= 12),
        "never within a minute"
    );
}

#[test]
fn a_run_is_a_function_of_seed_and_number() {
    let runner = Runner::new(Scenario::named("drift").expect("known"));
    let first = runner.run(1, 5);
    assert_eq!(first.len(), Method::ALL.len());
    assert_eq!(runner.run(1, 5), first);
    assert_ne!(runner.run(1, 6), first);
}

/// The safety test goes on where the canary was rolled back, and time counts from its first warm
/// cell.
#[test]
fn time_begins_with_the_first_warm_cell() {
    let edge = verdicts("safety-latency", 2);
    assert!(
        edge.iter()
            .all(|o| o.verdict == Verdict::Rollback && !o.proved_at_edge)
    );
    let runner = Runner::new(Scenario::named("cold-start").expect("known"));
    let outcome = runner.run(1, 0);
    let minute = outcome.get(1).expect("the fixed threshold");
    assert_eq!(minute.cells % 12, 0, "{minute:?}");
}
