//! The runner catches what is gross, approves what is equal, and repeats itself.

use super::*;
use crate::chance::Chance;
use crate::traffic::Traffic;

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

/// What the judge alone says of a scenario whose latency is `factor` times as long in both arms.
fn scaled(scenario: &'static Scenario, run: u64, factor: f64) -> Verdict {
    let traffic = Traffic {
        latency: factor,
        ..scenario.traffic
    };
    let mut stream = Source::new(&traffic).stream(3, run);
    let mut judge = Judge::new(scenario.judge(run));
    for _ in 0..traffic.history {
        judge.history(&stream.next_cell());
    }
    let said = (0..CELLS_MAX).map(|_| judge.step(&stream.next_cell()).verdict);
    let mut decided = said.filter(|verdict| *verdict != Verdict::Undecided);
    decided.next().unwrap_or(Verdict::Undecided)
}

/// Guarantees: a service ten times as fast or as slow is judged alike, wherever its latency lies
/// between the edges of buckets.
#[test]
fn the_scale_of_latency_changes_no_verdict() {
    let mut chance = Chance::new(5, 0);
    let mut other = 0;
    for run in 0..500 {
        for name in ["drift", "slower"] {
            let scenario = Scenario::named(name).expect("known");
            let factor = libm::pow(10.0, 2.0 * chance.uniform() - 1.0);
            let verdicts = [1.0, factor].map(|factor| scaled(scenario, run, factor));
            other += u64::from(verdicts[0] != verdicts[1]);
        }
    }
    assert!(other <= 10, "{other} of 1,000 verdicts are others");
}
