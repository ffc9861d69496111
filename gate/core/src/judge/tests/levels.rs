//! Which quantiles are judged: from P90 up to the objective's, or that one alone.

use super::*;

fn latency(quantile: f64, strict: bool) -> JudgeConfig {
    JudgeConfig {
        latency: Some(LatencyLimits {
            quantile,
            strict,
            ..LatencyLimits::DEFAULT
        }),
        errors: None,
        cpu: None,
        ..config()
    }
}

fn level(assessment: &Assessment) -> Option<f64> {
    assessment.leading.as_ref().and_then(|part| part.level)
}

#[test]
fn strict_judges_the_quantile_alone() {
    // P90 and P95 are half as much again, P99 is the same.
    let bulge = Kind {
        bulge: true,
        ..GOOD
    };
    let (verdict, last) = rollout(&latency(0.99, false), bulge, 1, 240);
    assert_eq!(verdict, Verdict::Rollback, "{last:?}");
    assert!(level(&last).is_some_and(|level| level < 0.99), "{last:?}");
    let (verdict, last) = rollout(&latency(0.99, true), bulge, 1, 240);
    assert_eq!(verdict, Verdict::Approve, "{last:?}");
}

#[test]
fn strict_catches_a_slower_canary_later_and_is_not_fooled() {
    let slower = Kind {
        slower: 1.35,
        ..GOOD
    };
    let (mut caught, mut false_alarms) = (0, 0);
    for seed in 0..20 {
        let (verdict, last) = rollout(&latency(0.99, true), slower, seed, 240);
        if verdict == Verdict::Rollback {
            caught += 1;
            assert_eq!(level(&last), Some(0.99));
        }
        let (verdict, _) = rollout(&latency(0.99, true), GOOD, 100 + seed, 120);
        false_alarms += u32::from(verdict == Verdict::Rollback);
    }
    assert!(caught >= 18, "{caught} of 20");
    assert_eq!(false_alarms, 0, "of 20");
}

#[test]
fn nothing_beyond_the_quantile_is_judged() {
    // What is slower than P97.6 is three times slower.
    let tail = Kind { tail: 3.0, ..GOOD };
    let (verdict, last) = rollout(&latency(0.99, false), tail, 2, 240);
    assert_eq!((verdict, level(&last)), (Verdict::Rollback, Some(0.99)));
    let (verdict, last) = rollout(&latency(0.95, false), tail, 2, 240);
    assert_eq!(verdict, Verdict::Approve, "{last:?}");
}

#[test]
fn any_quantile_can_be_the_objective() {
    let check = |quantile: f64, seconds: f64| {
        let (verdict, last) = rollout(&latency(quantile, false), GOOD, 3, 360);
        assert_ne!(verdict, Verdict::Rollback, "{quantile}");
        let judged = objective(&last, Objective::Latency);
        let baseline = judged.baseline.expect("there is latency");
        assert!((baseline / seconds - 1.0).abs() < 0.1, "{judged:?}");
        let slower = Kind {
            slower: 1.6,
            ..GOOD
        };
        let (verdict, last) = rollout(&latency(quantile, false), slower, 3, 360);
        assert_eq!(verdict, Verdict::Rollback, "{quantile}: {last:?}");
        assert!(level(&last).is_some_and(|level| level <= quantile));
    };
    // exp(0.7 z) times the median, 0.03 s.
    check(0.5, 0.03);
    check(0.9, 0.0736);
    check(0.95, 0.0949);
    check(0.999, 0.261);
}
