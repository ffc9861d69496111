use super::*;

/// The documented example.
const EXAMPLE: &str = r#"
version: 1
service: shop
mode: enforce
objectives:
  - {name: latency, indicator: latency, quantile: 0.99, rollback_above: 1.10, approve_below: 1.25}
  - {name: errors,  indicator: errors,  rollback_above: 1.25, approve_below: 3.0, negligible: 0.001}
  - {name: cpu,     indicator: cpu_per_request, rollback_above: 1.10, approve_below: 1.15}
  - {name: order-success, indicator: errors, routes: ["POST /orders"],
     min_success: 0.9995, gate: veto}
  - {name: stability, indicator: restarts, max_per_pod: 0, gate: veto}
risk: {false_rollback: 0.01, false_approval: 0.01, assume: vary}
timing: {warm_up: 30s, min_duration: 60s, max_duration: 30m, bake: 0s}
on_deadline: pause
on_alert: hold
"#;

#[track_caller]
fn mistakes(text: &str, expected: &[&str]) {
    let found = Policy::read("p.yaml", text)
        .expect_err("mistakes")
        .to_string();
    for line in expected {
        assert!(found.contains(line), "{line}\nnot in\n{found}");
    }
    assert_eq!(found.lines().count(), expected.len(), "{found}");
}

#[test]
fn the_documented_policy_is_the_default_one() {
    let policy = Policy::read("p.yaml", EXAMPLE).unwrap();
    let standard = Policy::standard();
    assert_eq!(policy.service.as_deref(), Some("shop"));
    assert_eq!(policy.objectives[..3], standard.objectives[..3]);
    assert_eq!(policy.objectives[4], standard.objectives[3]);
    assert_eq!(policy.timing, standard.timing);
    let order = &policy.objectives[3];
    assert_eq!((order.gate, order.ratio), (Gate::Veto, None));
    assert_eq!(order.absolute, [Absolute::MinSuccess(0.9995)]);
    let short = Policy::read("p.yaml", "version: 1\n").unwrap();
    assert_eq!(short, standard);
}

#[test]
fn all_mistakes_at_once() {
    let text = r"
version: 1
servise: shop
objectives:
  - {indicator: latency, quantile: 0.4, rollback_above: 1.3}
  - {name: a, indicator: throughput}
  - {name: cpu, indicator: cpu_per_request, min_success: 0.9}
  - {name: cpu, indicator: restarts, max_per_pod: 1, gate: require}
risk: {false_rollback: 0, false_approval: 0.5}
timing: {warm_up: 5, min_duration: 1h, max_duration: 30m}
";
    mistakes(
        text,
        &[
            "p.yaml:3: servise: unknown key; did you mean service?",
            "p.yaml:5: objectives[0].quantile: ",
            "p.yaml:5: objectives[0].rollback_above: between",
            "p.yaml:6: objectives[1].indicator: ",
            "p.yaml:7: objectives[2].min_success: is no key of indicator cpu_per_request",
            "p.yaml:8: objectives[3].name: \"cpu\" is the name of another",
            "p.yaml:8: objectives[3].gate: an absolute limit alone can't be proved safe",
            "p.yaml:9: risk.false_rollback: ",
            "p.yaml:9: risk.false_approval: ",
            "p.yaml:10: timing.warm_up: ",
            "p.yaml:10: timing.min_duration: min_duration is longer than max_duration",
        ],
    );
}

#[test]
fn limits_leave_a_zone() {
    let with = |limits: &str| format!("version: 1\nobjectives: [{{indicator: errors, {limits}}}]");
    let zone = &["between rollback_above"][..];
    mistakes(&with("rollback_above: 2, approve_below: 2"), zone);
    mistakes(&with("rollback_above: 3"), zone);
    mistakes(&with("approve_below: 1.25"), zone);
    assert!(Policy::read("p", &with("approve_below: 1.26")).is_ok());
}

#[test]
fn deadlines() {
    let read = |rule: &str| Policy::read("p", &format!("version: 1\non_deadline: {rule}"));
    assert_eq!(read("rollback").unwrap().on_deadline, OnDeadline::Rollback);
    let loose = read("{approve_if_below: {latency: 1.5, errors: 5, cpu: 1.3}}").unwrap();
    let OnDeadline::ApproveIfBelow(bounds) = loose.on_deadline else {
        panic!("a rule")
    };
    assert_eq!(bounds["errors"], 5.0);
    let rule = "version: 1\non_deadline: {approve_if_below: {latency: 0.5, errors: 5, gpu: 2}}";
    mistakes(
        rule,
        &[
            "latency: expected a ratio from 1 to 100",
            "\"gpu\" is no objective with a ratio",
            "required objective \"latency\" has no bound",
            "required objective \"cpu\" has no bound",
        ],
    );
    mistakes("version: 1\non_deadline: stop", &["on_deadline"]);
}

#[test]
fn identity_is_of_what_matters() {
    let standard = Policy::standard();
    let same = "version: 1 # as it is\ntiming: {warm_up: 30s}\non_alert: hold\n";
    assert_eq!(
        Policy::read("p", same).unwrap().identity(),
        standard.identity()
    );
    for changed in [
        "mode: observe",
        "timing: {warm_up: 31s}",
        "risk: {assume: alike}",
        "on_deadline: rollback",
        "on_alert: rollback",
        "service: x",
        "objectives: [{indicator: errors}]",
    ] {
        let policy = Policy::read("p", &format!("version: 1\n{changed}")).unwrap();
        assert_ne!(policy.identity(), standard.identity(), "{changed}");
    }
}

#[test]
fn a_service_has_its_own_policy_or_the_default() {
    let of = |service: Option<&str>| Policy {
        service: service.map(str::to_owned),
        ..Policy::standard()
    };
    let policies = [of(None), of(Some("shop"))];
    let found = |name| Policy::for_service(&policies, name).map(|p| p.service.clone());
    assert_eq!(found("shop"), Some(Some("shop".to_owned())));
    assert_eq!(found("cart"), Some(None));
    assert_eq!(Policy::for_service(&policies[1..], "cart"), None);
}

#[test]
fn comparisons_are_made_once_and_over_all_routes() {
    let text = "version: 1\nobjectives:\n- {indicator: errors, routes: [/a], approve_below: 4}\n\
                - {name: again, indicator: errors}\n\
                - {name: third, indicator: errors, routes: [/a], min_success: 0.9}\n";
    mistakes(
        text,
        &[
            "p.yaml:3: objectives[0].routes: narrows",
            "p.yaml:4: objectives[1].indicator: is compared",
        ],
    );
}
