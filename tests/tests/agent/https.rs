//! Pages over TLS, with credentials: a real TLS server of another make (Python's, on OpenSSL), with
//! certificates made by openssl.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use davy_tests::kit::agent::Agent;
use davy_tests::kit::peers;
use davy_tests::kit::process::{Process, address};
use davy_tests::kit::receiver::Receiver;

use super::{AGENT, GATE, PATIENCE, folder, metrics};

/// `shop:open sesame`, as RFC 7617 writes it.
const BASIC: &str = "Basic c2hvcDpvcGVuIHNlc2FtZQ==";

/// Makes an authority and a certificate of it for 127.0.0.1.
const CERTIFICATES: &str = "\
set -eu
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=authority \
    -keyout authority.key -out authority.pem
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=shop \
    -keyout shop.key -out shop.csr
echo subjectAltName=IP:127.0.0.1 > shop.ext
openssl x509 -req -in shop.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 2 \
    -extfile shop.ext -out shop.pem
";

/// A page over TLS that asks for a name and a password.
struct Page {
    _server: Process,
    url: String,
    authority: PathBuf,
}

impl Page {
    fn start(folder: &Path) -> Self {
        let mut openssl = Command::new("sh");
        let made = openssl.arg("-c").arg(CERTIFICATES).current_dir(folder);
        let made = made.output().expect("sh runs");
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "{said}");
        let file = folder.join("page.addr");
        let mut python = Command::new("python3");
        python
            .arg(peers::sources().join("https/serve.py"))
            .args(["shop.pem", "shop.key"])
            .arg(&file)
            .arg(BASIC)
            .current_dir(folder);
        let server = Process::start("serve.py", &mut python, &folder.join("page.out"));
        let server = server.expect("Python runs");
        let at = address(&file, PATIENCE).unwrap_or_else(|e| panic!("{e}: {}", server.log()));
        Self {
            _server: server,
            url: format!("https://{at}/metrics"),
            authority: folder.join("authority.pem"),
        }
    }
}

fn scrape(url: &str, arguments: &[&str]) -> Output {
    let mut command = Agent::command(AGENT, &[]);
    let command = command.args(["scrape", url]).args(arguments);
    command.output().expect("the agent runs")
}

/// Scenario: the page of a TLS server with a private authority and basic authentication, scraped by
/// `davy-agent scrape`.
/// Guarantees: with authority and header it is printed; without either the reason is told; a file
/// or header that is of no use is a mistake of the command line.
#[test]
fn a_page_is_scraped_over_https() {
    let folder = folder();
    let page = Page::start(folder.path());
    let authority = page.authority.to_str().expect("UTF-8");
    let header = format!("Authorization: {BASIC}");
    let trusted = scrape(&page.url, &["--ca-file", authority, "--header", &header]);
    let text = String::from_utf8_lossy(&trusted.stdout);
    assert_eq!(trusted.status.code(), Some(0));
    assert!(text.contains("http_request_duration_seconds"), "{text}");
    assert!(text.contains("url.scheme=\"https\""), "{text}");
    for (arguments, code, expected) in [
        (&["--header", &header][..], 1, "UnknownIssuer"),
        (&["--ca-file", authority], 1, "answered 401"),
        (
            &["--ca-file", "/nowhere.pem"],
            64,
            "/nowhere.pem: no certificate",
        ),
        (&["--header", "no colon"], 64, "expected `Name: value`"),
        (&["--header", "Host: other"], 64, "the client's own"),
    ] {
        let refused = scrape(&page.url, arguments);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(code), "{said}");
        assert!(said.contains(expected), "{said}");
    }
}

/// Scenario: the same page in the agent's configuration, the password in a file that is wrong at
/// first and mended later.
/// Guarantees: what is scraped arrives once the password is right, without a restart; the password
/// is nowhere to be seen.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_file_is_read_anew() {
    let folder = folder();
    let page = Page::start(folder.path());
    let backend = Receiver::start().await.expect("a receiver");
    backend.keep();
    let password = folder.path().join("password");
    fs::write(&password, "wrong\n").expect("a password");
    let (file, url) = (folder.path().join("davy.yaml"), &page.url);
    let (authority, at) = (page.authority.display(), backend.address());
    let text = format!(
        "version: 1\n\
         scrape:\n  \
           - url: {url}\n    \
             interval: 1s\n    \
             tls: {{ca_file: {authority}}}\n    \
             basic_auth: {{username: shop, password_file: {}}}\n\
         export: [{{endpoint: 'http://{at}'}}]\n",
        password.display()
    );
    fs::write(&file, text).expect("a configuration");
    let arguments = ["--config".as_ref(), file.as_os_str()];
    let agent = Agent::start_with(AGENT, folder.path(), &[], &arguments).expect("it starts");
    let outcome = |outcome| ("davy_agent_scrapes_total", [("outcome", outcome)]);
    let (name, refused) = outcome("status");
    let refused = agent.wait_for_metric(PATIENCE, (name, &refused), |n| n > 0.0);
    refused.await.expect("it is refused at first");
    fs::write(&password, "open sesame\n").expect("a password");
    let (name, ok) = outcome("ok");
    let ok = agent.wait_for_metric(PATIENCE, (name, &ok), |n| n > 1.0);
    ok.await
        .unwrap_or_else(|e| panic!("{e:#}: {}", agent.process.log()));
    let log = agent.process.log();
    agent.stop().expect("it ends well");
    let kept = backend.kept();
    let names = metrics(&kept).into_iter().map(|(_, metric)| &*metric.name);
    assert!(
        names
            .into_iter()
            .any(|name| name == "http_request_duration_seconds")
    );
    assert!(
        log.contains("answered 401") && !log.contains("sesame"),
        "{log}"
    );
}

/// Scenario: `davy-gate check` of two arms behind TLS and a password.
/// Guarantees: it judges them as it judges any other.
#[test]
fn a_check_scrapes_over_https() {
    let folder = folder();
    let page = Page::start(folder.path());
    let canary = page.url.replace("/metrics", "/canary/metrics");
    let mut command = Command::new(GATE);
    command
        .env_clear()
        .args(["check", "--baseline", &page.url, "--canary", &canary])
        .arg("--ca-file")
        .arg(&page.authority)
        .args(["--header", &format!("Authorization: {BASIC}")])
        .args(["--max-duration", "12s", "--summary", "json"]);
    let output = command.output().expect("the check runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    let verdict: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(verdict["verdict"], "undecided", "{verdict}");
}
