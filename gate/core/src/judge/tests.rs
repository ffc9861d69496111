//! What the judge promises: never approve for want of evidence, no dependence on order, the same
//! bits from the same evidence, and a smoke test of calibration on a small simulator.

use proptest::prelude::*;

use super::*;
use crate::cell::{PodCell, RouteCell};
use crate::sketch::Sketch;

mod explicit;
mod levels;
mod limits;
mod state;
mod traffic;

use traffic::{Chance, GOOD, Kind, cell, pod};

fn config() -> JudgeConfig {
    JudgeConfig {
        seed: 7,
        ..JudgeConfig::DEFAULT
    }
}

/// Runs one rollout with 15 minutes of history: the verdict, the judged cells, the last word.
fn rollout(config: &JudgeConfig, canary: Kind, seed: u64, cells: u64) -> (Verdict, Assessment) {
    let mut chance = Chance(seed);
    let mut judge = Judge::new(config.clone());
    for index in 0..180 {
        judge.history(&cell(index, canary, &mut chance));
    }
    let mut last = judge.step(&cell(180, canary, &mut chance));
    for index in 181..180 + cells {
        if last.verdict != Verdict::Undecided {
            break;
        }
        last = judge.step(&cell(index, canary, &mut chance));
    }
    (last.verdict, last)
}

fn objective(assessment: &Assessment, which: Objective) -> &ObjectiveAssessment {
    let mut each = assessment.objectives.iter();
    each.find(|o| o.objective == which).expect("enabled")
}

#[test]
fn equal_arms_are_not_rolled_back_and_a_slower_canary_is() {
    let mut rolled_back = 0;
    let (mut approved, mut took) = (0, 0);
    for seed in 0..60 {
        let (verdict, last) = rollout(&config(), GOOD, seed, 120);
        rolled_back += u32::from(verdict == Verdict::Rollback);
        approved += u32::from(verdict == Verdict::Approve);
        took += last.cells;
    }
    assert_eq!(rolled_back, 0, "of 60 equal arms");
    assert!(
        approved >= 50,
        "{approved} of 60 approved in 10 min, {took} cells"
    );
    let slower = Kind {
        slower: 1.35,
        ..GOOD
    };
    let mut caught = Vec::new();
    for seed in 100..140 {
        let (verdict, last) = rollout(&config(), slower, seed, 120);
        if verdict == Verdict::Rollback {
            let leading = last.leading.expect("a rollback has a reason");
            assert_eq!(leading.objective, Objective::Latency);
            caught.push(last.cells);
        }
    }
    caught.sort_unstable();
    assert!(caught.len() >= 38, "{} of 40 caught", caught.len());
    assert!(caught[caught.len() / 2] <= 12, "median of {caught:?} cells");
}

#[test]
fn errors_and_cpu_are_named_as_reasons() {
    let check = |canary: Kind, expected: Objective| {
        let (verdict, last) = rollout(&config(), canary, 5, 240);
        assert_eq!(verdict, Verdict::Rollback, "{last:?}");
        assert_eq!(last.leading.as_ref().map(|c| c.objective), Some(expected));
        let judged = objective(&last, expected);
        let (low, ratio) = judged.low.zip(judged.ratio).expect("proved");
        assert!(low > 1.0 && low <= ratio, "{judged:?}");
    };
    check(
        Kind {
            error_rate: 0.02,
            ..GOOD
        },
        Objective::Errors,
    );
    check(Kind { cpu: 1.5, ..GOOD }, Objective::Cpu);
}

#[test]
fn bounds_hold_the_truth() {
    let (verdict, last) = rollout(&config(), GOOD, 11, 240);
    assert_eq!(verdict, Verdict::Approve, "{last:?}");
    for judged in &last.objectives {
        let high = judged.high.expect("safety is proved");
        assert!(judged.safe_proved && high >= 1.0, "{judged:?}");
        assert!(judged.low.is_none_or(|low| low <= 1.0), "{judged:?}");
    }
    assert_eq!(last.eta, Eta::Cells(0));
}

#[test]
fn without_errors_the_floor_approves_after_some_6200_canary_requests() {
    let errors = ErrorLimits {
        negligible: Some(0.001),
        ..ErrorLimits::DEFAULT
    };
    let only = JudgeConfig {
        latency: None,
        cpu: None,
        errors: Some(errors),
        ..config()
    };
    let clean = Kind {
        error_rate: 0.0,
        ..GOOD
    };
    let (verdict, last) = rollout(&only, clean, 3, 240);
    assert_eq!(verdict, Verdict::Approve);
    let requests = last.cells * 200;
    // 4,605 for 1 %, and what the floor's share of the weight and of its alternatives costs.
    assert!(
        (4_600..6_600).contains(&requests),
        "approved after {requests} requests"
    );
    let without = JudgeConfig {
        errors: Some(ErrorLimits::DEFAULT),
        ..only
    };
    let (verdict, last) = rollout(&without, clean, 3, 240);
    assert_eq!((verdict, last.eta), (Verdict::Undecided, Eta::NoGrowth));
}

#[test]
fn under_the_floor_many_times_the_baseline_is_no_harm() {
    let errors = ErrorLimits {
        negligible: Some(0.02),
        ..ErrorLimits::DEFAULT
    };
    let only = JudgeConfig {
        latency: None,
        cpu: None,
        errors: Some(errors),
        ..config()
    };
    let canary = Kind {
        error_rate: 0.01,
        ..GOOD
    };
    assert_eq!(rollout(&only, canary, 3, 240).0, Verdict::Approve);
    let beyond = Kind {
        error_rate: 0.06,
        ..GOOD
    };
    assert_eq!(rollout(&only, beyond, 3, 240).0, Verdict::Rollback);
}

#[test]
fn what_can_not_be_judged_says_why() {
    let mut chance = Chance(1);
    let latency = |judge: &mut Judge, cell: &Cell| {
        let last = judge.step(cell);
        assert_eq!(last.verdict, Verdict::Undecided);
        objective(&last, Objective::Latency).unavailable
    };
    let mut mixed = cell(0, GOOD, &mut chance);
    mixed.canary = vec![pod(
        "e",
        Kind {
            explicit: true,
            ..GOOD
        },
        &mut chance,
    )];
    let found = latency(&mut Judge::new(config()), &mixed);
    assert_eq!(found, Some(Unavailable::KindsDiffer));
    let slow = Kind {
        slower: 60.0,
        explicit: true,
        ..GOOD
    };
    let names = ["a", "b"].map(|name| pod(name, slow, &mut chance)).to_vec();
    let open = Cell {
        index: 0,
        baseline: names,
        canary: vec![pod("e", slow, &mut chance)],
    };
    let found = latency(&mut Judge::new(config()), &open);
    assert_eq!(found, Some(Unavailable::OpenBucket));
    let alone = Cell {
        canary: Vec::new(),
        ..cell(0, GOOD, &mut chance)
    };
    let found = latency(&mut Judge::new(config()), &alone);
    assert_eq!(found, Some(Unavailable::NoCanary));
}

#[test]
fn pods_that_come_go_or_lose_windows_are_no_evidence() {
    for seed in 0..10 {
        let mut chance = Chance(seed);
        let mut judge = Judge::new(config());
        for index in 0..180 {
            judge.history(&cell(index, GOOD, &mut chance));
        }
        for index in 180..300 {
            let mut cell = cell(index, GOOD, &mut chance);
            let gone = (index as usize / 9) % 5;
            if gone < 4 {
                cell.baseline.remove(gone);
            }
            if index % 5 == 0 {
                cell.canary[0].coverage = 0.2;
            }
            let names = format!("new-{}", index / 40);
            cell.baseline.push(pod(&names, GOOD, &mut chance));
            let said = judge.step(&cell);
            assert_ne!(
                said.verdict,
                Verdict::Rollback,
                "seed {seed}, cell {index}: {said:?}"
            );
        }
    }
}

#[test]
fn restarting_safety_demands_it_again_and_keeps_harm() {
    let mut chance = Chance(2);
    let mut judge = Judge::new(config());
    let mut last = judge.step(&cell(0, GOOD, &mut chance));
    for index in 1..240 {
        last = judge.step(&cell(index, GOOD, &mut chance));
    }
    assert!(last.objectives.iter().all(|o| o.safe_proved), "{last:?}");
    let harm = last.log_e_harm;
    judge.restart_safety();
    let next = judge.step(&cell(240, GOOD, &mut chance));
    assert!(
        next.objectives
            .iter()
            .all(|o| !o.safe_proved && o.high.is_none())
    );
    assert_eq!((next.cells, next.cells_of_step), (241, 1));
    assert!((next.log_e_harm - harm).abs() < 0.5);
}

fn any_route() -> impl Strategy<Value = RouteCell> {
    let counts = proptest::collection::vec(0u64..30, 0..40);
    (counts, 0u64..20, -40i32..40).prop_map(|(counts, errors, offset)| RouteCell {
        requests: counts.iter().sum::<u64>() + errors,
        errors,
        latency: Sketch::exponential(4, 0, offset, counts).expect("fits"),
    })
}

fn any_pods(most: usize) -> impl Strategy<Value = Vec<PodCell>> {
    let routes = proptest::collection::btree_map("[ab]", any_route(), 0..3);
    let pod = (
        routes,
        any::<bool>(),
        0.0f64..1.5,
        proptest::option::of(0.0f64..9.0),
        proptest::option::of(0.1f64..4.0),
    );
    let pod = pod.prop_map(|(routes, warm, coverage, cpu_seconds, cores)| PodCell {
        pod: "".into(),
        warm,
        coverage: coverage.min(1.0),
        routes: routes
            .into_iter()
            .map(|(name, route)| (name.into(), route))
            .collect(),
        cpu_seconds,
        cpu_limit_cores: cores,
    });
    proptest::collection::vec(pod, 0..most).prop_map(|mut pods| {
        for (i, pod) in pods.iter_mut().enumerate() {
            pod.pod = format!("p{i}").into();
        }
        pods
    })
}

fn any_cells() -> impl Strategy<Value = Vec<Cell>> {
    let arms = (any_pods(5), any_pods(4));
    let cell = arms.prop_map(|(baseline, canary)| Cell {
        index: 0,
        baseline,
        canary,
    });
    proptest::collection::vec(cell, 1..30)
}

fn judged(cells: &[Cell]) -> Vec<Assessment> {
    let mut judge = Judge::new(config());
    cells.iter().map(|cell| judge.step(cell)).collect()
}

fn bits(all: &[Assessment]) -> Vec<u64> {
    let each = all.iter().flat_map(|a| &a.objectives);
    let each = each.flat_map(|o| [o.harm_log_e.to_bits(), o.safe_log_e.to_bits()]);
    all.iter()
        .map(|a| a.log_e_harm.to_bits())
        .chain(each)
        .collect()
}

/// Moves all latency by so many buckets.
fn moved(mut cell: Cell, by: i32) -> Cell {
    let pods = cell.baseline.iter_mut().chain(&mut cell.canary);
    for route in pods.flat_map(|pod| pod.routes.values_mut()) {
        if let Sketch::Exponential(e) = &route.latency {
            let counts = e.counts().to_vec();
            let moved = Sketch::exponential(e.scale(), e.zero_count(), e.offset() + by, counts);
            route.latency = moved.expect("it fits");
        }
    }
    cell
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn order_of_pods_changes_nothing_and_nothing_is_not_a_number(cells in any_cells()) {
        let found = judged(&cells);
        for assessment in &found {
            prop_assert!(!assessment.log_e_harm.is_nan() && !assessment.confidence.is_nan());
        }
        prop_assert_eq!(bits(&found), bits(&judged(&cells)), "the same evidence, the same bits");
        let mut turned = cells;
        for cell in &mut turned {
            cell.baseline.reverse();
            cell.canary.reverse();
        }
        prop_assert_eq!(bits(&found), bits(&judged(&turned)));
    }

    /// Guarantees: latency of both arms scaled by whole buckets changes no test.
    #[test]
    fn scale_of_latency_changes_nothing(cells in any_cells(), by in -60..60_i32) {
        let found = judged(&cells);
        let scaled: Vec<Cell> = cells.into_iter().map(|cell| moved(cell, by)).collect();
        prop_assert_eq!(bits(&found), bits(&judged(&scaled)));
    }

    #[test]
    fn one_sided_evidence_never_approves(cells in any_cells(), canary in any::<bool>()) {
        let mut judge = Judge::new(config());
        for _ in 0..5 {
            for cell in &cells {
                let mut cell = cell.clone();
                if canary { cell.baseline.clear() } else { cell.canary.clear() }
                let said = judge.step(&cell);
                prop_assert_ne!(said.verdict, Verdict::Approve);
            }
        }
    }
}

#[test]
fn the_first_judged_cell_is_the_first_with_both_arms() {
    let mut chance = Chance(4);
    let both = cell(0, GOOD, &mut chance);
    let one_sided = Cell {
        canary: Vec::new(),
        ..both.clone()
    };
    let mut judge = Judge::new(config());
    assert_eq!(judge.step(&one_sided).cells, 0);
    assert_eq!(judge.step(&both).cells, 1);
    assert_eq!(judge.step(&one_sided).cells, 2, "a silent canary is judged");
}

#[test]
fn an_empty_stream_never_decides() {
    let mut judge = Judge::new(config());
    for index in 0..500 {
        let said = judge.step(&Cell {
            index,
            baseline: Vec::new(),
            canary: Vec::new(),
        });
        assert_eq!(said.verdict, Verdict::Undecided);
        assert_eq!(said.eta, Eta::NoGrowth);
    }
}
