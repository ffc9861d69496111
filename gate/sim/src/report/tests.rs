//! What a small simulation prints, as a whole.

use expect_test::expect;

use super::*;
use crate::rollout::Runner;
use crate::scenario::Scenario;
use crate::tally::ScenarioTally;

/// The report of a few runs of `names`.
fn report(names: &[&str], runs: u64) -> Report {
    let tallies = names.iter().map(|name| {
        let scenario = Scenario::named(name).expect("known");
        let runner = Runner::new(scenario);
        let runs: Vec<_> = (0..runs).map(|run| runner.run(1, run)).collect();
        ScenarioTally::new(scenario, &runs)
    });
    Report::new(1, runs, tallies.collect())
}

#[test]
fn the_text_is_a_table_for_each_scenario() {
    let text = report(&["twice-as-slow"], 4).text();
    expect![[r#"
        4 rollouts of 30 minutes each, seed 1; shares with 95 % intervals, seconds of those that decided.

        twice-as-slow (bad): every request takes twice as long; Wald's bound for these counts: 2 s
                                       wrong                undecided   right   median    p90
          Davy                         0 [0, 60]                  0 %   100 %     25 s   25 s
          fixed threshold, 1 failure   0 [0, 60]                  0 %   100 %     60 s   60 s
          fixed threshold, 3 failures  0 [0, 60]                  0 %   100 %    180 s  180 s
          repeated z                   0 [0, 60]                  0 %   100 %      5 s    5 s
          Mann-Whitney (Kayenta)       0 [0, 60]                  0 %   100 %     60 s   60 s
          sequential mean (GrowthBook) 0 [0, 60]                  0 %   100 %      5 s    5 s
          uniform CDF band             0 [0, 60]                  0 %   100 %   1025 s 1110 s
    "#]].assert_eq(&text);
}

#[test]
fn the_list_names_every_scenario_once() {
    let list = list();
    for scenario in all() {
        let lines = list.lines().filter(|line| {
            line.strip_prefix("  ")
                .and_then(|line| line.split_whitespace().next())
                == Some(scenario.name)
        });
        assert_eq!(lines.count(), 1, "{}", scenario.name);
    }
    assert!(list.starts_with("Equal arms: approve\n  steady "));
}

#[test]
fn shares_are_short() {
    for (share, expected) in [
        (0.0, "0"),
        (0.0012, "0.1"),
        (0.0994, "9.9"),
        (0.0995, "10"),
        (1.0, "100"),
    ] {
        assert_eq!(percent(share), expected);
    }
}
