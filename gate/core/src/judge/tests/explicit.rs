//! Explicit bounds: the test of shares, and the interval of the ratio that pairs of bounds give.

use super::*;

const CLASSIC: Kind = Kind {
    explicit: true,
    ..GOOD
};

#[test]
fn explicit_bounds_are_judged_by_their_shares() {
    let only = JudgeConfig {
        errors: None,
        cpu: None,
        ..config()
    };
    assert_eq!(rollout(&only, CLASSIC, 1, 360).0, Verdict::Approve);
    let slower = Kind {
        slower: 1.6,
        ..CLASSIC
    };
    assert_eq!(rollout(&only, slower, 1, 360).0, Verdict::Rollback);
}

/// Latency alone, judged over `cells` cells after 5 minutes of history: what is known of the ratio.
fn judged(canary: Kind, seed: u64, cells: u64) -> ObjectiveAssessment {
    let only = JudgeConfig {
        errors: None,
        cpu: None,
        ..config()
    };
    let mut chance = Chance(seed);
    let mut judge = Judge::new(only);
    for index in 0..60 {
        judge.history(&cell(index, canary, &mut chance));
    }
    let mut last = judge.step(&cell(60, canary, &mut chance));
    for index in 61..60 + cells {
        last = judge.step(&cell(index, canary, &mut chance));
    }
    last.objectives.remove(0)
}

#[test]
fn pairs_of_bounds_bound_the_ratio() {
    // The threshold is 0.15 s, the bound after it 0.2 s: a third more.
    let equal = judged(CLASSIC, 1, 240);
    assert_eq!(equal.high, Some(1.4), "{equal:?}");
    assert!(equal.low.is_none_or(|low| low <= 1.0), "{equal:?}");
    let slower = Kind {
        slower: 2.0,
        ..CLASSIC
    };
    let slower = judged(slower, 1, 240);
    let low = slower.low.expect("the next bounds tell a factor of two");
    assert!(low > 1.0 && low <= 2.0, "{slower:?}");
    let ratio = slower.ratio.expect("both arms have latency");
    assert!(slower.high.is_none_or(|high| high >= 2.0) && ratio > 1.5);
}

#[test]
fn at_the_highest_bound_or_beyond_it_there_is_no_upper_bound() {
    let mut chance = Chance(8);
    let only = JudgeConfig {
        errors: None,
        cpu: None,
        ..config()
    };
    for slower in [33.0, 60.0] {
        let kind = Kind { slower, ..CLASSIC };
        let mut judge = Judge::new(only.clone());
        for index in 0..240 {
            let mut arm = |names: &[&str]| -> Vec<PodCell> {
                names
                    .iter()
                    .map(|name| pod(name, kind, &mut chance))
                    .collect()
            };
            let cell = Cell {
                index,
                baseline: arm(&["a", "b", "c", "d"]),
                canary: arm(&["e"]),
            };
            let said = judge.step(&cell);
            let latency = objective(&said, Objective::Latency);
            assert_eq!(latency.high, None, "{slower}, cell {index}: {latency:?}");
        }
    }
}

#[test]
fn the_interval_covers_the_truth() {
    let (mut runs, mut low_misses, mut high_misses) = (0, 0, 0);
    for (slower, seed) in [0.8, 1.0, 1.25, 4.0 / 3.0, 2.0].into_iter().zip(0..) {
        for run in 0..60 {
            let canary = Kind { slower, ..CLASSIC };
            let found = judged(canary, 1_000 * seed + run, 90);
            runs += 1;
            low_misses += u32::from(found.low.is_some_and(|low| low > slower));
            high_misses += u32::from(found.high.is_some_and(|high| high < slower));
        }
    }
    let most = runs * 15 / 1_000; // Each is promised at 1 %.
    assert!(
        low_misses <= most && high_misses <= most,
        "of {runs}: {low_misses} below, {high_misses} above"
    );
}
