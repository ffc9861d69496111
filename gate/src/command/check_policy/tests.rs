//! What `check-policy` prints, whole.

use expect_test::{Expect, expect};

use super::*;

const DEMO: &str = "\
version: 1
service: shop
objectives:
  - {name: latency, indicator: latency, quantile: 0.99, rollback_above: 1.10, approve_below: 1.25}
  - {name: errors, indicator: errors, rollback_above: 1.25, approve_below: 3.0, negligible: 0.001}
  - {name: cpu, indicator: cpu_per_request, rollback_above: 1.05, approve_below: 1.15}
  - {name: order-success, indicator: errors, routes: [\"POST /orders\"], min_success: 0.9995}
risk: {assume: alike}
timing: {warm_up: 10s, max_duration: 10m}
";

fn options(rate: Option<f64>) -> CheckPolicy {
    CheckPolicy {
        file: "shop.yaml".into(),
        rate,
        weight: 0.2,
        errors: 0.0012,
    }
}

#[track_caller]
fn check(text: &str, options: &CheckPolicy, expected: &Expect) {
    let printed = report("shop.yaml", text, options).unwrap_or_else(|usage| usage.0);
    expected.assert_eq(&printed);
}

#[test]
fn what_was_read_is_said() {
    check(
        DEMO,
        &options(None),
        &expect![[r#"
        shop.yaml: ok

          service     shop
          mode        enforce
          objectives  latency        require  latency P90 to P99: rollback above ×1.10, approve below ×1.25
                      errors         require  error rate: rollback above ×1.25, approve below ×3.00, below 0.1 % negligible
                      cpu            require  CPU seconds a request: rollback above ×1.05, approve below ×1.15
                      order-success  veto     error rate: success at least 99.95 %, of POST /orders
          risk        false rollback 1 %, false approval 1 %; pods of a version are alike
          timing      warm-up 10s, no approval before 1m, deadline 10m: undecided
          alert       holds an approval
          by default  mode, risk.false_rollback, risk.false_approval, timing.min_duration, timing.bake, on_deadline, on_alert
    "#]],
    );
    check(
        "version: 1\n",
        &options(None),
        &expect![[r#"
        shop.yaml: ok

          service     every one without a policy of its own
          mode        enforce
          objectives  latency    require  latency P90 to P99: rollback above ×1.10, approve below ×1.25
                      errors     require  error rate: rollback above ×1.25, approve below ×3.00, below 0.1 % negligible
                      cpu        require  CPU seconds a request: rollback above ×1.10, approve below ×1.15
                      stability  veto     restarts of a pod: at most 0
          risk        false rollback 1 %, false approval 1 %; pods may differ, until 10 minutes of history show that they don't
          timing      warm-up 30s, no approval before 1m, deadline 30m: undecided
          alert       holds an approval
          by default  mode, objectives, risk, timing, on_deadline, on_alert
    "#]],
    );
}

#[test]
fn times_are_a_table() {
    check(
        DEMO,
        &options(Some(600.0)),
        &expect![[r#"
            shop.yaml: ok

              service     shop
              mode        enforce
              objectives  latency        require  latency P90 to P99: rollback above ×1.10, approve below ×1.25
                          errors         require  error rate: rollback above ×1.25, approve below ×3.00, below 0.1 % negligible
                          cpu            require  CPU seconds a request: rollback above ×1.05, approve below ×1.15
                          order-success  veto     error rate: success at least 99.95 %, of POST /orders
              risk        false rollback 1 %, false approval 1 %; pods of a version are alike
              timing      warm-up 10s, no approval before 1m, deadline 10m: undecided
              alert       holds an approval
              by default  mode, risk.false_rollback, risk.false_approval, timing.min_duration, timing.bake, on_deadline, on_alert

            expected at 600 requests/s, 20 % of them the canary's, errors 0.12 %:

                                                     2m of history   no history
              latency        no different: approve           1m10s        1m25s
                             ×1.20  worse: rollback            50s           1m
                             ×1.35  worse: rollback            35s          45s
                             ×2.00  worse: rollback            35s          45s
              errors         no different: approve           1m40s        1m55s
                             ×2.00  worse: rollback         10m20s*      10m25s*
                             ×3.75  worse: rollback          1m25s        1m30s
                             ×10.00 worse: rollback            35s          40s
              cpu            no different: approve           1m15s        1m35s
                             ×1.16  worse: rollback          1m25s        1m55s
                             ×1.50  worse: rollback          1m25s        1m55s
              order-success  0.1 % fail: rollback             8m5s        8m25s
                             0.25 % fail: rollback             50s           1m
              all            approve                         1m40s        1m55s

              * after the deadline of 10m

              assumed: latency log-normal (σ 0.7), CPU a request ±5 % a cell, 4 baseline pods to a canary's one, traffic steady,
                       all of it on the routes of order-success
        "#]],
    );
}

#[test]
fn what_can_not_be_decided_comes_with_remedies() {
    check(
        "version: 1\n",
        &options(Some(20.0)),
        &expect![[r#"
            shop.yaml: ok

              service     every one without a policy of its own
              mode        enforce
              objectives  latency    require  latency P90 to P99: rollback above ×1.10, approve below ×1.25
                          errors     require  error rate: rollback above ×1.25, approve below ×3.00, below 0.1 % negligible
                          cpu        require  CPU seconds a request: rollback above ×1.10, approve below ×1.15
                          stability  veto     restarts of a pod: at most 0
              risk        false rollback 1 %, false approval 1 %; pods may differ, until 10 minutes of history show that they don't
              timing      warm-up 30s, no approval before 1m, deadline 30m: undecided
              alert       holds an approval
              by default  mode, objectives, risk, timing, on_deadline, on_alert

            expected at 20 requests/s, 20 % of them the canary's, errors 0.12 %:

                                               2m of history   no history
              latency  no different: approve          21m20s       22m15s
                       ×1.20  worse: rollback       2h22m50s*    2h24m35s*
                       ×1.35  worse: rollback         20m20s       21m50s
                       ×2.00  worse: rollback           2m5s        2m20s
              errors   no different: approve          43m15s*      43m30s*
                       ×2.00  worse: rollback       4h53m10s*    4h53m15s*
                       ×3.75  worse: rollback         36m35s*      36m40s*
                       ×10.00 worse: rollback          5m50s        6m10s
              cpu      no different: approve           1m15s        1m35s
                       ×1.16  worse: rollback          3m50s        4m30s
                       ×1.50  worse: rollback          1m20s        1m55s
              all      approve                        43m15s*      43m30s*

              * after the deadline of 30m

              assumed: latency log-normal (σ 0.7), CPU a request ±5 % a cell, 4 baseline pods to a canary's one, traffic steady

              errors takes 43m30s without history, the deadline is 30m. Any of these would do:
                - timing.max_duration: 55m
                - 30 requests/s instead of 20
                - negligible: 0.005 on errors
                - gate: veto on errors, so that it must only not be proved bad
        "#]],
    );
}

#[test]
fn all_mistakes_are_said_at_once() {
    let text = "version: 1\nmod: observe\nobjectives:\n  - {indicator: latency, quantile: 2}\n\
                timing: {max_duration: 10}\n";
    let wrong = CheckPolicy {
        rate: Some(f64::NAN),
        weight: 1.0,
        errors: -0.1,
        ..options(None)
    };
    check(
        text,
        &wrong,
        &expect![[r#"
        --rate: NaN is not above 0
        --weight: 1 is not in (0, 1)
        --errors: -0.1 is not in [0, 1)
        shop.yaml:2: mod: unknown key; did you mean mode?
        shop.yaml:4: objectives[0].quantile: 2 is out of range; expected 0.5 to 0.9999
        shop.yaml:5: timing.max_duration: expected a duration such as 5s: the unit must be one of h, m, s, ms, us, ns"#]],
    );
}
