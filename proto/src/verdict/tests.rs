use super::*;

fn evaluation() -> Evaluation {
    Evaluation {
        verdict: Verdict::Rollback,
        is_final: true,
        reason: "latency p99 310 ms vs 230 ms".to_owned(),
        elapsed_seconds: 48,
        eta_seconds: Some(0),
        confidence: Some(0.99),
        coverage: Some(1.0),
        attempt: 1,
        step: 0,
        policy: "sha256:5b1f".to_owned(),
        observed: None,
        url: None,
        objectives: vec![Objective {
            name: "latency".to_owned(),
            verdict: ObjectiveVerdict::Rollback,
            unit: Some("s".to_owned()),
            baseline: Some(0.23),
            canary: Some(f64::NAN),
            ..Objective::default()
        }],
        objectives_omitted: 0,
        rollout: Rollout {
            id: "a".to_owned(),
            namespace: "prod".to_owned(),
            service: "shop".to_owned(),
            baseline: Arm::new("79f").unwrap(),
            canary: Arm::new("6c5").unwrap(),
        },
    }
}

#[test]
fn numbers_that_do_not_exist_are_left_out() {
    let expected = concat!(
        r#"{"data":{"verdict":"rollback","final":true,"reason":"latency p99 310 ms vs 230 ms","#,
        r#""elapsed_seconds":48,"eta_seconds":0,"confidence":0.99,"coverage":1.0,"attempt":1,"#,
        r#""step":0,"policy":"sha256:5b1f","objectives":[{"name":"latency","verdict":"rollback","#,
        r#""unit":"s","baseline":0.23}],"rollout":{"id":"a","namespace":"prod","service":"shop","#,
        r#""baseline":"79f","canary":"6c5"}}}"#
    );
    assert_eq!(evaluation().to_body(), expected);
}

#[test]
fn an_eta_that_does_not_exist_is_null() {
    let body = Evaluation {
        eta_seconds: None,
        ..evaluation()
    }
    .to_body();
    assert!(body.contains(r#""eta_seconds":null"#), "{body}");
}

/// Guarantees: the answer stays within 2 KB and keeps the verdict, the reason and the objective
/// that speaks for it.
#[test]
fn the_body_is_at_most_2_kb() {
    let mut large = evaluation();
    large.reason = "é".repeat(1000);
    large.url = Some("http://gate/".repeat(40));
    let quiet = Objective {
        name: "x".repeat(100),
        reason: Some("no source".repeat(50)),
        ..Objective::default()
    };
    large.objectives.extend(std::iter::repeat_n(quiet, 40));
    let body = large.to_body();
    assert!(body.len() <= EVALUATION_BYTES_MAX, "{}", body.len());
    assert!(
        body.contains(r#""verdict":"rollback","final":true,"reason":"éé"#),
        "{body}"
    );
    assert!(body.contains(r#""name":"latency""#), "{body}");
    assert!(body.contains("objectives_omitted"), "{body}");
}

#[test]
fn reads_back_what_it_writes() {
    let mut written = evaluation();
    written.objectives[0].canary = Some(0.31);
    let text = serde_json::to_string(&written).unwrap();
    assert_eq!(serde_json::from_str::<Evaluation>(&text).unwrap(), written);
}

/// Names may have 256 bytes each, and JSON writes a control character in six.
#[test]
fn the_body_is_at_most_2_kb_whatever_the_names_are() {
    for character in ["\u{1}", "\"", "a", "é"] {
        let name = character.repeat(256 / character.len());
        let mut large = evaluation();
        large.reason = name.repeat(4);
        large.rollout = Rollout {
            id: "0123456789abcdef".to_owned(),
            namespace: name.clone(),
            service: name.clone(),
            baseline: Arm::new(&name).unwrap(),
            canary: Arm::new(&name).unwrap(),
        };
        let body = large.to_body();
        assert!(body.len() <= EVALUATION_BYTES_MAX, "{}: {body}", body.len());
        assert!(serde_json::from_str::<serde_json::Value>(&body).is_ok());
    }
}
