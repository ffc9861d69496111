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
        limits: Vec::new(),
        leading_limit: None,
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
    let says = |eta, silent_cells| {
        let waits = Waits {
            silent_cells,
            is_warming: false,
        };
        undecided(&policy, &last, eta, &waits)
    };
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

#[test]
fn a_warm_up_is_no_want_of_evidence() {
    let mut last = assessment(false);
    last.objectives[0].unavailable = Some(judge::Unavailable::NoCanary);
    let policy = Policy::standard();
    let says = |is_warming| {
        let waits = Waits {
            silent_cells: 0,
            is_warming,
        };
        undecided(&policy, &last, None, &waits)
    };
    assert_eq!(
        says(true),
        "undecided: latency is judged once the canary's warm-up of 30s is over"
    );
    assert_eq!(
        says(false),
        "undecided: latency can't be judged: the canary has not reported it"
    );
}

/// Whatever proved it, the sentence doesn't say that 1.00 is above 1.10.
#[test]
fn a_rollback_by_another_quantile_or_route_does_not_contradict_itself() {
    let mut last = assessment(false);
    (last.objectives[0].canary, last.objectives[0].ratio) = (Some(0.23), Some(1.0));
    (last.objectives[0].low, last.objectives[0].high) = (None, None);
    let leading = last.leading.as_mut().unwrap();
    (leading.level, leading.route) = (Some(0.9), Some("GET /a".into()));
    assert_eq!(
        rollback(&Policy::standard(), &last),
        "latency p99 230 ms vs 230 ms: ratio 1.00, yet proved above 1.10, most of all on GET /a, \
         seen at p90"
    );
}

#[test]
fn an_approval_does_not_contradict_itself() {
    let says = |ratio, baseline, canary| {
        let mut last = assessment(false);
        let found = &mut last.objectives[0];
        found.objective = judge::Objective::Errors;
        (found.ratio, found.baseline, found.canary) = (ratio, baseline, canary);
        approve(&Policy::standard(), &last)
    };
    let by_ratio = says(Some(1.31), Some(0.001), Some(0.001_31));
    assert_eq!(by_ratio, "proved safe: errors ratio 1.31 below 3.00");
    let by_floor = says(Some(5.0), Some(0.0001), Some(0.0005));
    assert_eq!(
        by_floor,
        "proved safe: errors 0.05 % vs 0.01 %: below 3.00 times or 0.1 %"
    );
    let none = says(None, Some(0.0), Some(0.0));
    assert_eq!(
        none,
        "proved safe: errors 0 % vs 0 %: below 3.00 times or 0.1 %"
    );
}

/// A veto on routes that nobody called is not safe, it is not judged.
#[test]
fn success_without_requests_is_unavailable() {
    let text = "version: 1\nobjectives:\n- {name: orders, indicator: errors, min_success: 0.99}\n";
    let policy = Policy::read("p", text).expect("a policy");
    let says = |value: Option<f64>| {
        let mut last = assessment(false);
        last.limits = vec![judge::LimitAssessment {
            value,
            counted: (0, 0),
            edge_seconds: None,
            harm_log_e: 0.0,
            harm_proved: false,
            unavailable: value.is_none().then_some(judge::Unavailable::NoCanary),
        }];
        objectives(&policy, Some(&last), Restarts::Unseen)[0].verdict
    };
    assert_eq!(says(None), ObjectiveVerdict::Unavailable);
    assert_eq!(says(Some(1.0)), ObjectiveVerdict::Approve);
}

#[test]
fn shares_are_rounded_down() {
    let check = |share, expected| assert_eq!(at_least(share), expected);
    check(1.0, 1.0);
    check(0.999_99, 0.9999);
    check(0.57, 0.57);
    check(0.0, 0.0);
}
