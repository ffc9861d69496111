//! What a result looks like.

use expect_test::expect;

use super::*;

fn evaluation() -> Evaluation {
    serde_json::from_str(
        r#"{"verdict":"rollback","final":true,
        "reason":"latency p99 310 ms vs 230 ms: ratio 1.35 [1.21, 1.49] is above 1.10",
        "elapsed_seconds":48,"eta_seconds":0,"confidence":0.993,"coverage":1.0,"attempt":1,"step":0,
        "policy":"sha256:5b1f","objectives":[
        {"name":"latency","verdict":"rollback","unit":"s","baseline":0.230,"canary":0.310,
        "ratio":1.35,"low":1.21,"high":1.49,"rollback_above":1.10,"approve_below":1.25},
        {"name":"errors","verdict":"undecided","unit":"1","baseline":0.0012,"canary":0.0009,
        "ratio":0.75,"high":2.5,"rollback_above":1.25,"approve_below":3.0},
        {"name":"cpu|x","verdict":"unavailable","rollback_above":1.1,"approve_below":1.15,
        "reason":"the baseline has not reported it"},
        {"name":"stability","verdict":"approve","unit":"restarts","canary":0,"limit":0}],
        "rollout":{"id":"1","namespace":"","service":"shop","baseline":"v1","canary":"v2"}}"#,
    )
    .expect("an evaluation")
}

const SEEN: Seen = Seen {
    baseline: 23_040,
    canary: 5_761,
};

#[test]
fn as_text() {
    expect![[r#"
        rollback: latency p99 310 ms vs 230 ms: ratio 1.35 [1.21, 1.49] is above 1.10

          objective  baseline  canary  ratio  interval      limits       verdict
          latency    230 ms    310 ms  1.35   [1.21, 1.49]  1.10 / 1.25  worse
          errors     0.12 %    0.09 %  0.75   [?, 2.50]     1.25 / 3.00  undecided
          cpu|x      -         -       -      -             1.10 / 1.15  can't be judged: the baseline has not reported it
          stability  -         0       -      -             0            safe

          after 48 s; 23,040 baseline and 5,761 canary requests; confidence 99.3 %; coverage 100 %
    "#]].assert_eq(&render(&evaluation(), &SEEN, Summary::Text));
}

#[test]
fn as_markdown() {
    expect![[r#"
        ### rollback

        latency p99 310 ms vs 230 ms: ratio 1.35 [1.21, 1.49] is above 1.10

        | objective | baseline | canary | ratio | interval | limits | verdict |
        |---|--:|--:|--:|---|---|---|
        | latency | 230 ms | 310 ms | 1.35 | [1.21, 1.49] | 1.10 / 1.25 | worse |
        | errors | 0.12 % | 0.09 % | 0.75 | [?, 2.50] | 1.25 / 3.00 | undecided |
        | cpu\|x | - | - | - | - | 1.10 / 1.15 | can't be judged: the baseline has not reported it |
        | stability | - | 0 | - | - | 0 | safe |

        after 48 s; 23,040 baseline and 5,761 canary requests; confidence 99.3 %; coverage 100 %
    "#]]
    .assert_eq(&render(&evaluation(), &SEEN, Summary::Markdown));
}

#[test]
fn as_json_it_is_the_evaluation() {
    let line = render(&evaluation(), &SEEN, Summary::Json);
    assert_eq!(line.lines().count(), 1);
    assert_eq!(
        serde_json::from_str::<Evaluation>(&line).ok(),
        Some(evaluation())
    );
}
