//! Tokens: what they close, and how a browser gets in.

use davy_tests::kit::agent::sum;
use davy_tests::kit::gate::{Gate, evaluation};
use davy_tests::kit::http::{self, Response};

use super::{QUESTION, folder, start};

/// A gate with two tokens.
pub(super) const TOKENS: &str = "listen: {tokens: [first-token, second-token]}\n";

const EVALUATE: &str = "/v1/evaluate";
const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// Sum of the gate's own series, asked for with its first token.
pub(super) fn metric(gate: &Gate, name: &str, labels: &[(&str, &str)]) -> f64 {
    let response = ask(
        gate,
        "GET",
        "/metrics",
        &[("authorization", "Bearer first-token")],
    );
    assert_eq!(response.status, 200, "{}", response.text());
    sum(&response.text(), name, labels)
}

fn ask(gate: &Gate, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
    let body = if path == EVALUATE { QUESTION } else { "" };
    http::send(&gate.http, method, path, headers, body.as_bytes()).expect("an answer")
}

/// The value of a header, by its name in lower case.
fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    let mut lines = response
        .head
        .lines()
        .filter_map(|line| line.split_once(": "));
    let found = lines.find(|(found, _)| found.eq_ignore_ascii_case(name));
    found.map_or("", |(_, value)| value)
}

/// Scenario: a gate with tokens is asked without one, with a wrong one, and with each of its own.
/// Guarantees: everything but the probes is closed; 401 says which scheme opens it.
#[test]
fn the_api_of_a_gate_with_tokens_is_closed() {
    let folder = folder();
    let gate = start(folder.path(), TOKENS);
    let wrong: [&[(&str, &str)]; 5] = [
        &[],
        &[("authorization", "Bearer wrong-token")],
        &[("authorization", "Basic first-token")],
        &[("authorization", "first-token")],
        &[("cookie", "davy_gate=first-token")],
    ];
    for headers in wrong {
        for (method, path) in [
            ("POST", EVALUATE),
            ("GET", "/v1/evaluate?service=shop&baseline=v1&canary=v2"),
            ("GET", "/v1/rollouts"),
            ("GET", "/v1/rollouts/none/timeline"),
            ("POST", "/v1/rollouts/none/reset"),
            ("GET", "/"),
            ("GET", "/rollouts/none"),
            ("GET", "/metrics"),
            ("GET", "/version"),
        ] {
            let response = ask(&gate, method, path, headers);
            assert_eq!(response.status, 401, "{path} {headers:?}");
            evaluation(&response).expect("a problem");
            assert_eq!(header(&response, "www-authenticate"), "Bearer");
        }
        for path in ["/livez", "/readyz"] {
            assert_eq!(ask(&gate, "GET", path, headers).status, 200, "{path}");
        }
    }
    for value in ["Bearer first-token", "bearer second-token"] {
        let headers = [("authorization", value)];
        let response = ask(&gate, "POST", EVALUATE, &headers);
        assert_eq!(response.status, 200, "{}", response.text());
        evaluation(&response).expect("an evaluation");
        for path in ["/", "/version", "/metrics"] {
            assert_eq!(ask(&gate, "GET", path, &headers).status, 200, "{path}");
        }
    }
}

/// Scenario: a browser opens a rollout's page, is asked for a token, gives a wrong and a right one.
/// Guarantees: the form leads back to the page; the cookie opens pages and nothing else, and is not
/// the token.
#[test]
fn a_browser_gets_in_by_a_form() {
    let folder = folder();
    let gate = start(folder.path(), TOKENS);
    let token = ("authorization", "Bearer first-token");
    let answer = evaluation(&ask(&gate, "POST", EVALUATE, &[token])).expect("an evaluation");
    let id = answer
        .pointer("/data/rollout/id")
        .and_then(|id| id.as_str());
    let page = format!("/rollouts/{}", id.expect("an id"));
    let asked = ask(&gate, "GET", &page, &[HTML]);
    assert_eq!(asked.status, 401);
    assert!(header(&asked, "content-type").starts_with("text/html"));
    let hidden = format!("name=to value=\"{page}\"");
    assert!(asked.text().contains(&hidden), "{}", asked.text());
    let policy = header(&asked, "content-security-policy");
    assert!(policy.contains("form-action 'self'"), "{policy}");

    let submit = |body: &str| {
        let sent = http::send(&gate.http, "POST", "/login", &[FORM, HTML], body.as_bytes());
        sent.expect("an answer")
    };
    let wrong = submit("token=wrong-token&to=%2F");
    assert_eq!((wrong.status, header(&wrong, "set-cookie")), (401, ""));
    assert!(wrong.text().contains("not known"), "{}", wrong.text());
    let elsewhere = submit("token=first-token&to=%2F%2Fevil.example");
    assert_eq!(header(&elsewhere, "location"), "/");
    let right = submit(&format!(
        "token=second-token&to={}",
        page.replace('/', "%2F")
    ));
    assert_eq!(right.status, 303, "{}", right.text());
    assert_eq!(header(&right, "location"), page);
    let cookie = header(&right, "set-cookie");
    assert!(cookie.contains("; HttpOnly; SameSite=Strict"), "{cookie}");
    assert!(!cookie.contains("second-token"), "{cookie}");

    let cookie = cookie.split(';').next().expect("a cookie");
    let cookie = [("cookie", cookie), HTML];
    for path in ["/", &page] {
        let opened = ask(&gate, "GET", path, &cookie);
        assert_eq!(opened.status, 200, "{path}: {}", opened.text());
    }
    for (method, path) in [
        ("POST", EVALUATE),
        ("GET", "/v1/evaluate?service=shop&baseline=v1&canary=v2"),
        ("POST", "/v1/rollouts/none/reset"),
        ("GET", "/v1/rollouts"),
        ("GET", "/metrics"),
    ] {
        assert_eq!(ask(&gate, method, path, &cookie).status, 401, "{path}");
    }
    let refused = metric(
        &gate,
        "davy_gate_problems_total",
        &[("reason", "unauthorized")],
    );
    assert_eq!(refused, 7.0);
}

/// Scenario: a gate without tokens is opened by a browser.
/// Guarantees: nothing is asked for.
#[test]
fn a_gate_without_tokens_asks_for_none() {
    let folder = folder();
    let gate = start(folder.path(), "");
    let page = ask(&gate, "GET", "/", &[HTML]);
    assert_eq!(page.status, 200, "{}", page.text());
    assert!(!page.text().contains("<form"), "{}", page.text());
}
