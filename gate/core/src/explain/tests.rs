use super::*;
use crate::eta::Eta;
use crate::judge::Component;

fn assessment(one_pod_each: bool) -> Assessment {
    let latency = ObjectiveAssessment {
        objective: judge::Objective::Latency,
        harm_log_e: 6.0,
        safe_log_e: 0.0,
        harm_proved: true,
        safe_proved: false,
        low: Some(1.21),
        ratio: Some(1.3478),
        high: Some(1.49),
        baseline: Some(0.23),
        canary: Some(0.31),
        unit: "s",
        unavailable: None,
        eta: Eta::Cells(36),
    };
    Assessment {
        verdict: judge::Verdict::Rollback,
        cells: 10,
        cells_of_step: 10,
        log_e_harm: 6.0,
        confidence: 0.99,
        objectives: vec![latency],
        success: Vec::new(),
        leading: Some(Component {
            objective: judge::Objective::Latency,
            level: Some(0.99),
            route: None,
            log_e: 6.0,
        }),
        eta: Eta::Cells(36),
        one_pod_each,
    }
}

#[test]
fn a_rollback_names_what_how_much_and_the_limit() {
    let reason = rollback(&Policy::standard(), &assessment(false));
    let expected = "latency p99 310 ms vs 230 ms: ratio 1.35 [1.21, 1.49] is above 1.10";
    assert_eq!(reason, expected);
    let alike = rollback(&Policy::standard(), &assessment(true));
    assert!(alike.ends_with(
        "if the two pods are alike: with one each, version and node can't be told apart"
    ));
}

#[test]
fn undecided_says_how_long_and_for_what() {
    let last = assessment(false);
    let policy = Policy::standard();
    let says = |eta, silent| undecided(&policy, &last, eta, silent);
    assert_eq!(
        says(Some(Duration::from_secs(180)), 0),
        "undecided: 3 more minutes expected: latency p99 310 ms vs 230 ms: ratio 1.35 \
         [1.21, 1.49] is not proved below 1.25 yet"
    );
    assert!(says(None, 0).ends_with("not expected before the deadline at this traffic"));
    assert_eq!(
        says(None, 2),
        "undecided: the canary has been silent for 10 s"
    );
}

#[test]
fn numbers_are_short() {
    for (number, expected) in [
        (0.123_456, 0.1235),
        (1234.56, 1235.0),
        (0.0, 0.0),
        (1e-9, 1e-9),
    ] {
        assert_eq!(rounded(number), expected);
    }
    assert!(rounded(f64::NAN).is_nan());
}
