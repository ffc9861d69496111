//! Saved and restored after any cell, the judge goes on bit for bit.

use super::*;

fn everything() -> JudgeConfig {
    JudgeConfig {
        errors: Some(ErrorLimits {
            negligible: Some(0.001),
            ..ErrorLimits::DEFAULT
        }),
        limits: vec![
            Limit {
                bound: Bound::Success(0.99),
                routes: vec!["a".into()],
            },
            Limit {
                bound: Bound::Latency {
                    seconds: 0.1,
                    quantile: 0.9,
                },
                routes: Vec::new(),
            },
            Limit {
                bound: Bound::Utilization(0.5),
                routes: Vec::new(),
            },
        ],
        ..config()
    }
}

/// Through JSON and back.
fn restarted(judge: &Judge, config: &JudgeConfig) -> Judge {
    let text = serde_json::to_string(&judge.save()).expect("it can be saved");
    let saved: Saved = serde_json::from_str(&text).expect("it can be read");
    let again = serde_json::to_string(&saved).expect("it can be saved");
    assert_eq!(text, again, "JSON keeps all bits");
    Judge::restore(config.clone(), saved).expect("it fits")
}

/// Judges all cells with a restart before cell `at`, of which the first are history.
fn judged_with_restart(
    config: &JudgeConfig,
    (history, cells): (&[Cell], &[Cell]),
    at: usize,
) -> Vec<Assessment> {
    let mut judge = Judge::new(config.clone());
    let mut all = Vec::new();
    for (index, cell) in history.iter().chain(cells).enumerate() {
        if index == at {
            judge = restarted(&judge, config);
        }
        if index < history.len() {
            judge.history(cell);
        } else {
            all.push(judge.step(cell));
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_restart_changes_nothing(
        history in any_cells(), cells in any_cells(), at in 0usize..60, all in any::<bool>(),
    ) {
        let config = if all { everything() } else { config() };
        let both = (history.as_slice(), cells.as_slice());
        let through = judged_with_restart(&config, both, usize::MAX);
        let restarted = judged_with_restart(&config, both, at);
        prop_assert_eq!(bits(&through), bits(&restarted));
        prop_assert_eq!(through, restarted);
    }
}

#[test]
fn a_long_rollout_goes_on_from_every_tenth_cell() {
    for kind in [
        GOOD,
        Kind {
            explicit: true,
            ..GOOD
        },
    ] {
        let config = everything();
        let mut chance = Chance(12);
        let mut judge = Judge::new(config.clone());
        for index in 0..130 {
            judge.history(&cell(index, kind, &mut chance));
        }
        let mut other = restarted(&judge, &config);
        for index in 130..400 {
            let cell = cell(index, kind, &mut chance);
            assert_eq!(judge.step(&cell), other.step(&cell), "cell {index}");
            if index % 10 == 0 {
                other = restarted(&other, &config);
            }
            if index == 250 {
                judge.restart_safety();
                other.restart_safety();
            }
        }
        let text = serde_json::to_string(&judge.save()).expect("it can be saved");
        assert!(text.len() < 100_000, "{} bytes", text.len());
    }
}

#[test]
fn one_pod_each_goes_on_too() {
    let mut chance = Chance(13);
    let mut judge = Judge::new(config());
    for index in 0..60 {
        let mut cell = cell(index, GOOD, &mut chance);
        cell.baseline.truncate(1);
        let mut other = restarted(&judge, &config());
        let said = judge.step(&cell);
        assert_eq!(said, other.step(&cell), "cell {index}");
        assert!(said.one_pod_each);
    }
}

#[test]
fn another_version_or_configuration_is_refused() {
    let mut judge = Judge::new(config());
    judge.step(&cell(0, GOOD, &mut Chance(1)));
    let text = serde_json::to_string(&judge.save()).expect("it can be saved");
    assert!(
        text.starts_with(&format!("{{\"version\":{VERSION},")),
        "{text}"
    );
    let newer = text.replacen(
        &format!("\"version\":{VERSION}"),
        &format!("\"version\":{}", VERSION + 1),
        1,
    );
    let refused = serde_json::from_str::<Saved>(&newer).expect_err("a newer one");
    let said = refused.to_string();
    let expected = "the saved judge is of version 5, this one goes on from version 4 only";
    assert!(said.starts_with(expected), "{said}");
    let strict = JudgeConfig {
        latency: Some(LatencyLimits {
            strict: true,
            ..LatencyLimits::DEFAULT
        }),
        ..config()
    };
    let without = JudgeConfig {
        cpu: None,
        ..config()
    };
    for other in [strict, without, everything()] {
        let found = Judge::restore(other, judge.save());
        assert_eq!(found, Err(RestoreError::OtherConfiguration));
    }
}
