//! The HTTP API: what is asked wrongly is answered as a problem, what is asked well with a verdict.

use std::time::{Duration, SystemTime};

use davy_proto::Signal;
use davy_tests::kit::gate::{Gate, evaluation};
use davy_tests::kit::http;
use davy_transport::{
    Bearer, Body, Cause, Client, ClientConfig, ClientTls, Compression, Endpoint, GrpcCode, Outcome,
    Protocol, Token,
};
use prost::Message;

use super::access::{TOKENS, metric};
use super::otlp::{Pod, request};
use super::{QUESTION, folder, last_cell_end, start};

const EVALUATE: &str = "/v1/evaluate";

/// A request, and the status and the words that answer it.
type Case<'a> = (&'a str, &'a str, &'a [u8], u16, &'a [&'a str]);

#[track_caller]
fn check(gate: &Gate, (method, path, body, status, words): Case<'_>) {
    let json = [("content-type", "application/json")];
    let response = http::send(&gate.http, method, path, &json, body).expect("an answer");
    let asked = format!("{method} {path} {}", String::from_utf8_lossy(body));
    let asked: String = asked.chars().take(200).collect();
    let text = response.text();
    assert_eq!(response.status, status, "{asked}: {text}");
    let answer = evaluation(&response).expect(&asked);
    for word in words {
        assert!(text.contains(word), "{asked}: {word:?} in {text}");
    }
    if status == 200 {
        let verdict = answer.pointer("/data/verdict");
        assert_eq!(
            verdict.and_then(|v| v.as_str()),
            Some("undecided"),
            "{asked}"
        );
    } else {
        let named = answer.get("status").and_then(serde_json::Value::as_u64);
        assert_eq!(named, Some(u64::from(status)), "{asked}: {text}");
        assert!(
            answer.get("title").is_some_and(|title| title.is_string()),
            "{text}"
        );
        assert!(
            answer
                .get("detail")
                .is_some_and(|detail| detail.is_string()),
            "{text}"
        );
    }
}

/// Scenario: questions of every kind of wrongness, and good ones of a rollout nobody knows.
/// Guarantees: a wrong one is a small problem+json of its 4xx that names every mistake; a good one
/// is 200 and undecided, never an empty answer.
#[test]
fn every_question_is_answered_with_a_verdict_or_a_problem() {
    let folder = folder();
    let gate = start(folder.path(), "");
    let long = "a".repeat(2_000);
    let long_name = format!(r#"{{"service":"{long}","baseline":"v1","canary":"v2"}}"#);
    let list = format!(
        r#"{{"service":"shop","baseline":"v1","canary":[{}1]}}"#,
        "1,".repeat(4_000)
    );
    let large = format!(r#"{{"service":"shop","note":"{}"}}"#, "a".repeat(65 << 10));
    let huge = "a".repeat(3 << 20);
    let missing = [
        "baseline is required",
        "canary is required",
        "service (or rollout) is required",
    ];
    let texts = br#"{"rollout":"shop","baseline":"v1","canary":"v2","step":"1","weight":"20"}"#;
    let numbers = br#"{"service":"shop","baseline":"v1","canary":"v2","step":1,"weight":20}"#;
    let query = "/v1/evaluate?service=shop&baseline=v1&canary=v2&step=1";
    let cases: &[Case<'_>] = &[
        ("POST", EVALUATE, b"", 400, &["not JSON"]),
        (
            "POST",
            EVALUATE,
            b"{\"service\":",
            400,
            &["not JSON", "line 1"],
        ),
        ("POST", EVALUATE, b"\xff\xfe", 400, &["not JSON"]),
        ("POST", EVALUATE, b"[1]", 400, &["not a JSON object"]),
        ("POST", EVALUATE, b"{}", 400, &missing),
        (
            "POST",
            EVALUATE,
            br#"{"service":"shop","canary":"v2"}"#,
            400,
            &["baseline is required"],
        ),
        (
            "POST",
            EVALUATE,
            br#"{"service":7,"baseline":"v1","canary":"v2"}"#,
            400,
            &["service: expected a text"],
        ),
        (
            "POST",
            EVALUATE,
            br#"{"service":"shop","baseline":"v1","canary":"v1"}"#,
            400,
            &["same arm"],
        ),
        (
            "POST",
            EVALUATE,
            br#"{"service":"shop","baseline":"v1","canary":"v2","step":"x"}"#,
            400,
            &["step: expected a number"],
        ),
        (
            "POST",
            EVALUATE,
            br#"{"service":"shop","baseline":"v1","canary":"v2","step":-1}"#,
            400,
            &["step"],
        ),
        (
            "POST",
            EVALUATE,
            br#"{"service":"shop","baseline":"v1","canary":"v2","step":"NaN"}"#,
            400,
            &["step"],
        ),
        (
            "POST",
            EVALUATE,
            long_name.as_bytes(),
            400,
            &["service is longer"],
        ),
        (
            "POST",
            EVALUATE,
            list.as_bytes(),
            400,
            &["canary: expected a text"],
        ),
        ("POST", EVALUATE, large.as_bytes(), 413, &["65536 bytes"]),
        ("POST", EVALUATE, huge.as_bytes(), 413, &["65536 bytes"]),
        ("GET", EVALUATE, b"", 400, &missing),
        (
            "GET",
            "/v1/evaluate?service=shop&baseline=v1&canary=v1",
            b"",
            400,
            &["same arm"],
        ),
        ("PUT", EVALUATE, QUESTION.as_bytes(), 405, &["method"]),
        ("DELETE", EVALUATE, b"", 405, &["method"]),
        ("POST", "/v1/rollouts", b"{}", 405, &["method"]),
        ("GET", "/v1/nothing", b"", 404, &["/v1/nothing"]),
        ("GET", "/v1/rollouts/none", b"", 404, &["none"]),
        ("GET", "/v1/rollouts/%ff", b"", 400, &["bad request"]),
        ("GET", "/v1/rollouts?limit=x", b"", 400, &["limit"]),
        ("GET", "/rollouts/none", b"", 404, &["none"]),
        ("POST", "/v1/rollouts/none/reset", b"", 404, &["none"]),
        (
            "POST",
            EVALUATE,
            QUESTION.as_bytes(),
            200,
            &["no evidence of the canary", "\"step\":0"],
        ),
        (
            "POST",
            EVALUATE,
            texts,
            200,
            &["\"step\":1", "\"service\":\"shop\""],
        ),
        ("POST", EVALUATE, numbers, 200, &["\"step\":1"]),
        ("GET", query, b"", 200, &["\"step\":1", "\"canary\":\"v2\""]),
    ];
    cases.iter().for_each(|case| check(&gate, *case));
    let refused = |reason| gate.metric("davy_gate_problems_total", &[("reason", reason)]);
    assert_eq!(refused("too_large").expect("metrics"), 2.0);
    assert_eq!(refused("method_not_allowed").expect("metrics"), 3.0);
    assert_eq!(
        gate.metric("davy_gate_evaluations_total", &[])
            .expect("metrics"),
        4.0
    );
}

/// Scenario: evidence comes to a gate with tokens over HTTP and gRPC, without and with a token.
/// Guarantees: without the right one it is refused as unauthenticated and nothing is counted.
#[tokio::test]
async fn evidence_needs_the_token_too() {
    let folder = folder();
    let gate = start(folder.path(), TOKENS);
    let end = last_cell_end();
    let body = request(vec![Pod::new("v1", "a").window(end - 5, end, 100, 0)]).encode_to_vec();
    for protocol in [Protocol::HttpProtobuf, Protocol::Grpc] {
        for token in [None, Some("wrong-token")] {
            let body = Body::Protobuf(body.clone().into());
            let outcome = client(&gate.otlp, protocol, token)
                .send(Signal::Metrics, body)
                .await;
            let Outcome::Permanent { error } = &outcome else {
                panic!("{protocol:?} {token:?}: {outcome:?}");
            };
            match &error.cause {
                Cause::Http { status, .. } => assert_eq!(status.as_u16(), 401),
                Cause::Grpc { code, .. } => assert_eq!(*code, GrpcCode::Unauthenticated),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(metric(&gate, "davy_gate_windows_total", &[]), 0.0);
    let body = Body::Protobuf(body.into());
    for (protocol, token) in [
        (Protocol::Grpc, "first-token"),
        (Protocol::HttpProtobuf, "second-token"),
    ] {
        let client = client(&gate.otlp, protocol, Some(token));
        let outcome = client.send(Signal::Metrics, body.clone()).await;
        assert_eq!(outcome, Outcome::Accepted, "{protocol:?}");
    }
    assert_eq!(metric(&gate, "davy_gate_windows_total", &[]), 1.0);
}

fn client(authority: &str, protocol: Protocol, token: Option<&str>) -> Client {
    let url = format!("http://{authority}");
    let endpoint = match protocol {
        Protocol::Grpc => Endpoint::grpc(&url, true),
        _ => Endpoint::base(&url),
    };
    let config = ClientConfig {
        endpoint: endpoint.expect("an endpoint"),
        protocol,
        compression: Compression::None,
        headers: Vec::new(),
        timeout: Duration::from_secs(10),
        tls: ClientTls::default(),
        bearer: token.map(|token| Bearer::Text(Token::new(token))),
    };
    Client::new(config, SystemTime::now).expect("a client")
}
