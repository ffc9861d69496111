//! Absolute limits: what breaks them is rolled back, what keeps them is no evidence, and the rest of
//! the judge is what it was.

use super::*;

fn only(bound: Bound) -> JudgeConfig {
    JudgeConfig {
        latency: None,
        errors: None,
        cpu: None,
        ..beside(bound)
    }
}

fn beside(bound: Bound) -> JudgeConfig {
    JudgeConfig {
        limits: vec![Limit {
            bound,
            routes: Vec::new(),
        }],
        ..config()
    }
}

fn p99_below(seconds: f64) -> Bound {
    Bound::Latency {
        seconds,
        quantile: 0.99,
    }
}

#[test]
fn a_failing_route_breaks_its_success_limit() {
    let mut config = only(Bound::Success(0.9995));
    config.limits[0].routes = vec!["GET /buy".into()];
    let run = |config: &JudgeConfig, error_rate| {
        let kind = Kind { error_rate, ..GOOD };
        rollout(config, kind, 1, 60)
    };
    let (verdict, last) = run(&config, 0.01);
    assert_eq!((verdict, last.leading_limit), (Verdict::Rollback, Some(0)));
    assert!(last.limits[0].harm_proved);
    let (verdict, last) = run(&config, 0.0);
    assert_eq!(verdict, Verdict::Undecided, "nothing is required");
    assert_eq!(last.limits[0].value, Some(1.0));
    config.limits[0].routes = vec!["GET /other".into()];
    let (verdict, last) = run(&config, 0.5);
    assert_eq!(verdict, Verdict::Undecided);
    assert_eq!(last.limits[0].unavailable, Some(Unavailable::NoCanary));
}

/// The simulator's P99 is 153 ms, of explicit bounds too.
#[test]
fn latency_is_counted_above_the_limit_in_both_kinds_of_histograms() {
    for explicit in [false, true] {
        let check = |seconds: f64, expected: Verdict| {
            let kind = Kind { explicit, ..GOOD };
            let (verdict, last) = rollout(&only(p99_below(seconds)), kind, 3, 120);
            assert_eq!(verdict, expected, "{seconds}: {last:?}");
            let found = &last.limits[0];
            let edge = found.edge_seconds.expect("counted");
            assert!(edge >= seconds * (1.0 - 1e-9), "{found:?}");
            assert!((0.1..0.25).contains(&found.value.expect("a quantile")));
        };
        check(0.1, Verdict::Rollback);
        check(0.2, Verdict::Undecided);
    }
    let explicit = Kind {
        explicit: true,
        ..GOOD
    };
    let (verdict, last) = rollout(&only(p99_below(6.0)), explicit, 3, 20);
    assert_eq!(verdict, Verdict::Undecided);
    let found = last.limits[0].unavailable;
    assert_eq!(found, Some(Unavailable::LimitAboveBounds));
}

/// Guarantees: a canary that is cold is judged by its errors only.
#[test]
fn latency_of_the_warm_up_is_not_judged() {
    let failing = Kind {
        error_rate: 0.02,
        ..GOOD
    };
    let run = |bound| {
        let mut judge = Judge::new(only(bound));
        let mut last = None;
        for index in 0..30 {
            let mut cell = cell(index, failing, &mut Chance(index));
            cell.canary[0].warm = false;
            last = Some(judge.step(&cell));
        }
        last.expect("cells")
    };
    assert_eq!(run(p99_below(0.02)).verdict, Verdict::Undecided);
    assert_eq!(run(Bound::Success(0.999)).verdict, Verdict::Rollback);
}

/// A pod of the simulator uses 0.16 cores.
#[test]
fn cpu_is_judged_by_its_limit() {
    let run = |cores: Option<f64>| {
        let mut chance = Chance(4);
        let mut judge = Judge::new(only(Bound::Utilization(0.8)));
        let mut next = |index| {
            let mut cell = cell(index, GOOD, &mut chance);
            let pods = cell.baseline.iter_mut().chain(&mut cell.canary);
            pods.for_each(|pod| pod.cpu_limit_cores = cores);
            cell
        };
        (0..180).for_each(|index| judge.history(&next(index)));
        let mut last = judge.step(&next(180));
        for index in 181..420 {
            last = judge.step(&next(index));
            if last.verdict == Verdict::Rollback {
                break;
            }
        }
        last
    };
    let busy = run(Some(0.17));
    assert_eq!(busy.verdict, Verdict::Rollback, "{busy:?}");
    assert!((0.9..1.0).contains(&busy.limits[0].value.expect("a share")));
    let idle = run(Some(0.21));
    assert_eq!(idle.verdict, Verdict::Undecided, "{idle:?}");
    assert!(idle.log_e_harm < 0.0, "{idle:?}");
    let unknown = run(None);
    let found = unknown.limits[0].unavailable;
    assert_eq!(found, Some(Unavailable::NoCpuLimit));
}

/// Guarantees: comparisons keep four fifths of the weight, and what proves them proved them before.
#[test]
fn a_limit_takes_a_fifth_of_the_weight() {
    let mut chance = Chance(9);
    let slower = Kind {
        slower: 1.2,
        ..GOOD
    };
    let mut without = Judge::new(config());
    let mut with = Judge::new(beside(Bound::Success(0.999)));
    for index in 0..60 {
        let cell = cell(index, slower, &mut chance);
        let (a, b) = (without.step(&cell), with.step(&cell));
        assert_eq!(a.objectives, b.objectives, "cell {index}");
        assert_eq!(a.leading, b.leading);
        let parts = [(a.log_e_harm, 0.8), (b.limits[0].harm_log_e, 0.2)];
        let expected = log_mixture(parts.into_iter());
        assert!((b.log_e_harm - expected).abs() < 1e-9, "cell {index}");
    }
}

/// Guarantees: an objective may have both; what breaks the absolute limit is rolled back although
/// the baseline is no better.
#[test]
fn both_arms_beyond_a_limit_are_a_rollback_and_within_it_an_approval() {
    let (verdict, last) = rollout(&beside(p99_below(0.1)), GOOD, 2, 240);
    assert_eq!((verdict, last.leading_limit), (Verdict::Rollback, Some(0)));
    assert!(last.objectives.iter().all(|o| !o.harm_proved));
    let (verdict, last) = rollout(&beside(p99_below(0.3)), GOOD, 2, 240);
    assert_eq!(verdict, Verdict::Approve, "{last:?}");
}

/// Guarantees: limits are judged where there is no baseline, and that is no begin of comparisons.
#[test]
fn a_canary_alone_is_judged_by_its_limits() {
    let mut chance = Chance(6);
    let failing = Kind {
        error_rate: 0.02,
        ..GOOD
    };
    let mut judge = Judge::new(beside(Bound::Success(0.999)));
    let mut last = None;
    for index in 0..40 {
        let mut cell = cell(index, failing, &mut chance);
        cell.baseline.clear();
        let said = judge.alone(&cell);
        assert_eq!(said.cells, 0);
        let done = said.verdict == Verdict::Rollback;
        last = Some(said);
        if done {
            break;
        }
    }
    let last = last.expect("cells");
    assert_eq!(
        (last.verdict, last.leading_limit),
        (Verdict::Rollback, Some(0))
    );
    let mut judge = Judge::new(beside(Bound::Success(0.999)));
    for index in 0..200 {
        let mut cell = cell(
            index,
            Kind {
                error_rate: 0.0,
                ..GOOD
            },
            &mut chance,
        );
        cell.baseline.clear();
        assert_eq!(judge.alone(&cell).verdict, Verdict::Undecided);
    }
}
