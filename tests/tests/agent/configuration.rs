//! The command line and the configuration, as a user meets them.

use std::path::Path;

use davy_tests::kit::agent::Agent;
use davy_tests::kit::http;
use davy_tests::kit::receiver::Receiver;
use expect_test::expect_file;

use super::{AGENT, PATIENCE, folder};

/// Runs the agent until it ends by itself: exit code, standard output and standard error.
fn run(
    folder: &Path,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> (Option<i32>, String, String) {
    let mut command = Agent::command(AGENT, variables);
    let output = command.args(arguments).current_dir(folder).output();
    let output = output.expect("the agent runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

const MISTAKEN: &str = r#"version: 1
scrape:
  - {url: "ftp://127.0.0.1/metrics", interval: 5}
  - {url: "http://127.0.0.1:8080/metrics", timeout: 9s}
logs: [{paths: [], format: xml}]
receive: {otlp_grpc: "0.0.0.0:4317", otlp_http: "127.0.0.1:4318"}
export:
  - {endpoint: "http://localhost:4318"}
  - {endpoint: "http://collector:4318", protocol: thrift, compression: lzma}
spool: {max_bytes: 1}
gate: {endpont: "http://davy-gate:4319"}
control: "0.0.0.0:9466"
"#;

/// Guarantees: all mistakes at once, each with its key and line, and exit 64; by `run` as by
/// `check-config`, and before anything is bound.
#[test]
fn all_mistakes_are_told_at_once() {
    let folder = folder();
    std::fs::write(folder.path().join("davy.yaml"), MISTAKEN).expect("write the configuration");
    // The listeners are the file's here.
    let variables = [
        ("DAVY_RECEIVE_GRPC", ""),
        ("DAVY_RECEIVE_HTTP", ""),
        ("DAVY_CONTROL", ""),
    ];
    let by_run = run(folder.path(), &["run", "--config", "davy.yaml"], &variables);
    assert_eq!(
        (by_run.0, by_run.1.as_str()),
        (Some(64), ""),
        "{}",
        by_run.2
    );
    expect_file!["golden/mistakes.txt"].assert_eq(&by_run.2);
    let by_check = run(
        folder.path(),
        &["check-config", "--config", "davy.yaml"],
        &variables,
    );
    assert_eq!(by_check, by_run);
}

#[track_caller]
fn check_refused(variables: &[(&str, &str)], expected: &str) {
    let folder = folder();
    let (code, out, err) = run(folder.path(), &[], variables);
    assert_eq!((code, out.as_str()), (Some(64), ""), "{err}");
    assert_eq!(err, expected);
}

/// Guarantees: there is no default endpoint; one must be named.
#[test]
fn an_endpoint_must_be_named() {
    let expected = "export: no destination is named; set OTEL_EXPORTER_OTLP_ENDPOINT, or `export` \
                    in the file (a gate alone, DAVY_GATE_ENDPOINT, is enough too)\n";
    check_refused(&[], expected);
}

/// Guarantees: the agent does not send to itself, by whatever name.
#[test]
fn its_own_receiver_is_no_endpoint() {
    let expected = "OTEL_EXPORTER_OTLP_ENDPOINT: export[0].endpoint: is the agent's own receiver: \
                    it would send to itself for ever\n";
    for host in ["127.0.0.1", "localhost", "0.0.0.0"] {
        let endpoint = format!("http://{host}:14318");
        let variables = [
            ("DAVY_RECEIVE_HTTP", "127.0.0.1:14318"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ];
        check_refused(&variables, expected);
    }
}

/// Guarantees: a typo on the command line is exit 64, and says what was meant.
#[test]
fn bad_usage_is_64() {
    let folder = folder();
    for arguments in [
        &["rnu"][..],
        &["--confg", "a"],
        &["scrape"],
        &["convert", "--output", "xml"],
    ] {
        let (code, out, err) = run(folder.path(), arguments, &[]);
        assert_eq!((code, out.as_str()), (Some(64), ""), "{arguments:?}: {err}");
        assert!(err.starts_with("error: "), "{arguments:?}: {err}");
    }
    let (code, _, err) = run(folder.path(), &["run", "--config", "nowhere.yaml"], &[]);
    assert_eq!(code, Some(64), "{err}");
    assert!(err.contains("nowhere.yaml"), "{err}");
}

/// Guarantees: `--help` goes to standard output, as the golden file has it.
#[test]
fn help_is_golden() {
    let folder = folder();
    let (code, out, err) = run(folder.path(), &["--help"], &[("COLUMNS", "100")]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let lines: Vec<_> = out.lines().map(str::trim_end).collect();
    expect_file!["golden/help.txt"].assert_eq(&format!("{}\n", lines.join("\n")));
}

/// Guarantees: `check-config` prints what holds and where each value comes from; no secret of
/// any kind is in it.
#[test]
fn origins_are_shown_and_secrets_are_not() {
    let folder = folder();
    let file = r#"version: 1
resource: {service.name: shop}
export: [{endpoint: "http://collector:4318", headers: {authorization: "Bearer hush-1"}}]
gate: {endpoint: "http://davy-gate:4319", token: "${env:GATE_TOKEN}"}
"#;
    std::fs::write(folder.path().join("davy.yaml"), file).expect("write the configuration");
    let variables = [
        ("GATE_TOKEN", "hush-2"),
        ("DAVY_ARM", "6c5d8b9f7"),
        ("DAVY_SCRAPE_URL", "http://127.0.0.1:8080/metrics"),
    ];
    let arguments = ["check-config", "--config", "davy.yaml"];
    let (code, out, err) = run(folder.path(), &arguments, &variables);
    assert_eq!(code, Some(0), "{err}");
    assert!(
        !out.contains("hush") && !err.contains("hush"),
        "{out}\n{err}"
    );
    let wanted = [
        ("resource.service.name", "shop", "davy.yaml:2"),
        ("resource.davy.arm", "6c5d8b9f7", "DAVY_ARM"),
        ("export[0].endpoint", "http://collector:4318", "davy.yaml:3"),
        ("export[0].headers.authorization", "", "davy.yaml:3"),
        ("gate.token", "", "davy.yaml:4"),
        (
            "scrape[0].url",
            "http://127.0.0.1:8080/metrics",
            "DAVY_SCRAPE_URL",
        ),
        ("scrape[0].interval", "5s", "default"),
    ];
    for (path, value, origin) in wanted {
        let line = out
            .lines()
            .find(|line| line.split(' ').next() == Some(path));
        let line = line.unwrap_or_else(|| panic!("{path}:\n{out}"));
        assert!(line.contains(value) && line.contains(origin), "{line}");
    }
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-scope-orgid=hush-3"),
    ];
    let (code, out, err) = run(folder.path(), &["check-config"], &variables);
    assert_eq!(code, Some(0), "{err}");
    assert!(!out.contains("hush"), "{out}");
    let masked = |line: &str| line.contains(".x-scope-orgid ") && line.contains(" **** ");
    assert!(out.lines().any(masked), "{out}");
}

/// Scenario: a configuration with mistakes, and `--on-config-error degrade`.
/// Guarantees: what is valid works: it is alive, ready, forwards, and says what is wrong.
#[tokio::test(flavor = "multi_thread")]
async fn degraded_it_keeps_what_is_valid() {
    let folder = folder();
    let receiver = Receiver::start().await.expect("a receiver");
    let file = folder.path().join("davy.yaml");
    let text = format!(
        "version: 1\nscrape: [{{url: nonsense}}]\nexport: [{{endpoint: \"http://{}\"}}]\nspol: 1\n",
        receiver.address()
    );
    std::fs::write(&file, text).expect("write the configuration");
    let arguments = [
        "--config".as_ref(),
        file.as_os_str(),
        "--on-config-error".as_ref(),
        "degrade".as_ref(),
    ];
    let agent = Agent::start_with(AGENT, folder.path(), &[], &arguments).expect("it starts");
    let authority = agent.listener("otlp_http").expect("a listener");
    let mut spans = davy_tests::kit::sender::Spans::to(authority).expect("a sender");
    spans.send(7).await.expect("the agent takes them");
    let arrived = receiver
        .wait_for(PATIENCE, |counts| counts.traces == 7)
        .await;
    arrived.expect("the spans");
    let admin = agent.listener("admin").expect("admin");
    http::page(admin, "/livez").expect("alive");
    http::page(admin, "/readyz").expect("ready");
    let status = http::page(admin, "/status").expect("the status");
    assert!(
        status.contains("spol") && status.contains("scrape[0].url"),
        "{status}"
    );
    agent.stop().expect("the agent ends well");
}
