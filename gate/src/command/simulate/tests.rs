//! The same report whatever the number of threads, and mistakes of names all at once.

use super::*;

fn options(scenarios: &[&str], runs: u64) -> Simulate {
    Simulate {
        scenario: scenarios.iter().map(|&name| name.to_owned()).collect(),
        runs,
        seed: 3,
        output: SimulateOutput::Text,
    }
}

#[test]
fn any_number_of_threads_gives_the_same_report() {
    let options = options(&["twice-as-slow", "steady"], 3);
    let one = simulate(&options, 1).expect("runs");
    assert_eq!(simulate(&options, 2).expect("runs"), one);
    assert_eq!(simulate(&options, 5).expect("runs"), one);
    assert_eq!(one.scenarios.len(), 2);
    assert_eq!(one.scenarios[0].methods[0].rolled_back, 3);
}

#[test]
fn unknown_scenarios_are_named_together() {
    let error = simulate(&options(&["steady", "gone", "away"], 1), 1).expect_err("unknown");
    assert!(error.is::<Usage>());
    let message = error.to_string();
    for part in ["\"gone\"", "\"away\"", "--scenario list"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn all_scenarios_are_run_when_none_is_named() {
    let named = chosen(&[]).map(|scenarios| scenarios.len());
    assert!(named.is_ok_and(|n| n == all().count()));
}
