//! TLS of both listeners, asked by curl, by Python's ssl and by the agent, with certificates that
//! openssl makes in the test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use davy_tests::kit::agent::{Agent, sum};
use davy_tests::kit::gate::Gate;
use davy_tests::kit::http;
use davy_tests::kit::process::wait_until;
use davy_tests::kit::shop::Shop;
use serde_json::Value;

use super::{AGENT, GATE, QUESTION, folder, start};

/// Twice as long as it may take until a certificate's files are looked at.
const RENEWED_WITHIN: Duration = Duration::from_secs(20);

/// An authority with its files in a folder.
struct Authority(PathBuf);

impl Authority {
    fn new(folder: &Path, name: &str) -> Self {
        let (certificate, key) = (pem(folder, name), folder.join(format!("{name}.key")));
        let mut command = openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes");
        command.args(["-days", "2", "-subj", "/CN=authority"]);
        command.args(["-addext", "keyUsage=critical,keyCertSign"]);
        command
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate);
        run(&mut command);
        Self(certificate)
    }

    fn certificate(&self) -> String {
        self.0.display().to_string()
    }

    /// Certifies a new key as this host or client: `name.pem` and `name.key`.
    fn certify(&self, folder: &Path, name: &str) {
        let key = folder.join(format!("{name}.key"));
        let request = folder.join(format!("{name}.csr"));
        let extensions = folder.join(format!("{name}.ext"));
        let text = "subjectAltName=DNS:localhost,IP:127.0.0.1\n\
                    extendedKeyUsage=serverAuth,clientAuth\nbasicConstraints=CA:FALSE\n";
        fs::write(&extensions, text).expect("extensions");
        let mut command = openssl("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes");
        command.args(["-subj", "/CN=davy", "-keyout"]).arg(&key);
        run(command.arg("-out").arg(&request));
        let mut command = openssl("x509 -req -days 2");
        command.arg("-in").arg(&request);
        command.arg("-CA").arg(&self.0);
        command.arg("-CAkey").arg(self.0.with_extension("key"));
        command.arg("-extfile").arg(&extensions);
        run(command.arg("-out").arg(pem(folder, name)));
    }
}

fn pem(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.pem"))
}

fn openssl(arguments: &str) -> Command {
    let mut command = Command::new("openssl");
    command.args(arguments.split(' '));
    command
}

#[track_caller]
fn run(command: &mut Command) -> Output {
    let output = command.output().expect("it starts");
    let problem = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {problem}");
    output
}

/// What curl got: the body, or nothing where it did not come to an answer.
fn curl(arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("curl");
    command.args(["--silent", "--max-time", "10"]);
    let output = command.args(arguments).output().expect("curl starts");
    let body = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(body)
}

/// A gate that speaks TLS, and the authority that certified it.
struct Secured {
    gate: Gate,
    authority: Authority,
    folder: tempfile::TempDir,
}

impl Secured {
    fn start(more: &str) -> Self {
        let folder = folder();
        let authority = Authority::new(folder.path(), "authority");
        authority.certify(folder.path(), "server");
        let tls = format!(
            "certificate: {at}/server.pem, key: {at}/server.key{more}",
            at = folder.path().display()
        );
        let gate = start(folder.path(), &format!("listen: {{tls: {{{tls}}}}}\n"));
        Self {
            gate,
            authority,
            folder,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.gate.http)
    }

    fn get(&self, path: &str) -> Option<String> {
        curl(&["--cacert", &self.authority.certificate(), &self.url(path)])
    }

    fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        sum(&self.get("/metrics").expect("metrics"), name, labels)
    }
}

/// Scenario: the API and OTLP are asked by curl over HTTP/1.1 and HTTP/2, by strangers to the
/// authority, in the clear, and with a handshake that stops half way.
/// Guarantees: who trusts the authority is answered in both protocols and gets links with https;
/// nothing is ever said in the clear; failed handshakes are counted.
#[test]
fn both_listeners_speak_tls_and_nothing_else() {
    let secured = Secured::start("");
    let ca = secured.authority.certificate();
    for version in ["--http1.1", "--http2"] {
        let shown = ["--cacert", &ca, version, "--write-out", " %{http_version}"];
        let ask = |more: &[&str]| curl(&[&shown[..], more].concat()).expect("an answer");
        let spoken = if version == "--http2" { " 2" } else { " 1.1" };
        assert_eq!(ask(&[&secured.url("/livez")]), format!("ok\n{spoken}"));
        let answer = ask(&["--data", QUESTION, &secured.url("/v1/evaluate")]);
        let answer = answer.strip_suffix(spoken).expect(&answer);
        let answer: Value = serde_json::from_str(answer).expect("JSON");
        let link = answer.pointer("/data/url").and_then(Value::as_str);
        let link = link.expect("a link");
        assert!(link.starts_with(&secured.url("/rollouts/")), "{link}");
        assert!(ask(&[link]).contains("<h2>"), "{link}");
        let otlp = format!("https://{}/v1/metrics", secured.gate.otlp);
        let json = ["--header", "content-type: application/json", "--data", "{}"];
        assert_eq!(
            ask(&[&json[..], &[&otlp]].concat()),
            format!("{{}}{spoken}")
        );
    }
    let stranger = Authority::new(secured.folder.path(), "stranger");
    for authority in [&secured.gate.http, &secured.gate.otlp] {
        let url = format!("https://{authority}/livez");
        assert_eq!(curl(&["--cacert", &stranger.certificate(), &url]), None);
        assert_eq!(curl(&[&format!("http://{authority}/livez")]), None);
        assert!(http::get(authority, "/livez").is_err(), "in the clear");
    }
    for listener in ["http", "otlp"] {
        let labels = [("listener", listener), ("reason", "handshake")];
        let failed = secured.metric("davy_gate_cut_connections_total", &labels);
        assert_eq!(failed, 3.0, "{listener}");
    }
}

/// Scenario: Python's ssl offers protocols on both listeners.
/// Guarantees: ALPN chooses HTTP/2 where it is offered, HTTP/1.1 else, and TLS is 1.2 or 1.3.
#[test]
fn protocols_are_chosen_by_alpn() {
    let secured = Secured::start("");
    let script = "
import socket, ssl, sys
ca, *ports = sys.argv[1:]
for port in ports:
    for offered in (['h2', 'http/1.1'], ['http/1.1'], ['h2']):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = ssl.create_default_context(cafile=ca)
            context.minimum_version = context.maximum_version = version
            context.set_alpn_protocols(offered)
            with socket.create_connection(('127.0.0.1', int(port)), 10) as plain:
                with context.wrap_socket(plain, server_hostname='localhost') as tls:
                    print(tls.version(), tls.selected_alpn_protocol())
";
    let mut command = Command::new("python3");
    command.args(["-c", script, &secured.authority.certificate()]);
    for authority in [&secured.gate.http, &secured.gate.otlp] {
        command.arg(authority.rsplit(':').next().expect("a port"));
    }
    let chosen = run(&mut command).stdout;
    let each = "TLSv1.2 h2\nTLSv1.3 h2\nTLSv1.2 http/1.1\nTLSv1.3 http/1.1\n\
                TLSv1.2 h2\nTLSv1.3 h2\n";
    assert_eq!(String::from_utf8_lossy(&chosen), each.repeat(2));
}

/// Scenario: agents beside a real app send evidence over TLS, by gRPC and by HTTP; one does not
/// know the authority.
/// Guarantees: evidence of the first two is counted, of the last nothing.
#[test]
fn agents_send_evidence_over_tls() {
    let secured = Secured::start("");
    let authority = format!("tls: {{ca: {}}}", secured.authority.certificate());
    let beside = |name: &str, gate: &str| {
        let folder = secured.folder.path().join(name);
        fs::create_dir(&folder).expect("a folder");
        let shop = Shop::start(&folder, &[]).expect("the shop starts");
        let config = format!(
            "version: 1\nresource: {{service.name: shop, davy.arm: {name}}}\n\
             scrape: [{{url: \"http://{}/metrics\", interval: 1s}}]\n\
             evidence: {{window: 1s}}\n\
             gate: {{endpoint: \"https://{}\", {gate}}}\n",
            shop.authority, secured.gate.otlp
        );
        let file = folder.join("davy.yaml");
        fs::write(&file, config).expect("a configuration");
        let arguments = ["--config".into(), file.into_os_string()];
        let agent = Agent::start_with(AGENT, &folder, &[], &arguments);
        (shop, agent.expect("the agent starts"))
    };
    let windows = || secured.metric("davy_gate_windows_total", &[]);
    let (_shop, stranger) = beside("stranger", "protocol: grpc");
    for protocol in ["grpc", "http/protobuf"] {
        let name = protocol.replace('/', "-");
        let (shop, agent) = beside(&name, &format!("protocol: {protocol}, {authority}"));
        let before = windows();
        let more = || {
            shop.visit(2).expect("the shop answers");
            (windows() > before + 1.0).then_some(())
        };
        let counted = wait_until("windows", Duration::from_secs(30), more);
        assert!(counted.is_ok(), "{protocol}: {}", agent.process.log());
        agent.stop().expect("it ends");
    }
    let labels = [("listener", "otlp"), ("reason", "handshake")];
    assert!(secured.metric("davy_gate_cut_connections_total", &labels) >= 1.0);
    drop(stranger);
}

/// Scenario: the certificate is replaced by an unfit pair, then by one of another authority.
/// Guarantees: without a restart, the unfit one changes nothing and is said once, the other one is
/// what new connections get; a connection that was open before goes on.
#[test]
fn a_certificate_is_renewed_without_a_restart() {
    let secured = Secured::start("");
    let at = secured.folder.path();
    let renewals = |result| {
        let labels = [("result", result)];
        secured.metric("davy_gate_certificate_renewals_total", &labels)
    };
    assert_eq!(renewals("ok"), 0.0);
    fs::write(pem(at, "server"), "no certificate").expect("a file");
    let said = || (renewals("failed") == 1.0).then_some(());
    wait_until("the unfit one to be seen", RENEWED_WITHIN, said).expect("it is said");
    let next = Authority::new(at, "next");
    next.certify(at, "new");
    fs::rename(pem(at, "new"), pem(at, "server")).expect("renamed");
    fs::rename(at.join("new.key"), at.join("server.key")).expect("renamed");
    let ca = next.certificate();
    let answers = || curl(&["--cacert", &ca, &secured.url("/livez")]);
    wait_until("the new one", RENEWED_WITHIN, answers).expect("it is served");
    assert_eq!(
        secured.get("/livez"),
        None,
        "the old authority is of no use"
    );
    let page = curl(&["--cacert", &ca, &secured.url("/metrics")]).expect("metrics");
    let labels = [("result", "ok")];
    assert_eq!(
        sum(&page, "davy_gate_certificate_renewals_total", &labels),
        1.0
    );
    let log = secured.gate.process.log();
    assert_eq!(log.matches("can't be used").count(), 1, "{log}");
}

/// Scenario: clients must be certified; curl comes without a certificate, with one of a stranger,
/// and with a good one.
/// Guarantees: only the last is answered, on both listeners.
#[test]
fn clients_can_be_asked_for_a_certificate() {
    let folder = folder();
    let clients = Authority::new(folder.path(), "clients");
    let strangers = Authority::new(folder.path(), "strangers");
    clients.certify(folder.path(), "client");
    strangers.certify(folder.path(), "stranger");
    let secured = Secured::start(&format!(", client_ca: {}", clients.certificate()));
    let ca = secured.authority.certificate();
    let otlp = format!("https://{}/v1/metrics", secured.gate.otlp);
    let json = ["--header", "content-type: application/json", "--data", "{}"];
    for (name, expected) in [
        (None, false),
        (Some("stranger"), false),
        (Some("client"), true),
    ] {
        let files = name.map(|name| {
            let file = |end: &str| folder.path().join(format!("{name}.{end}"));
            [file("pem"), file("key")].map(|path| path.display().to_string())
        });
        let mut arguments = vec!["--cacert", &ca];
        if let Some([certificate, key]) = &files {
            arguments.extend(["--cert", certificate, "--key", key]);
        }
        let url = secured.url("/livez");
        let asked = curl(&[&arguments[..], &[&url]].concat());
        assert_eq!(asked.is_some(), expected, "{name:?}: {asked:?}");
        let sent = curl(&[&arguments[..], &json, &[&otlp]].concat());
        assert_eq!(sent.as_deref(), expected.then_some("{}"), "{name:?}");
    }
}

/// Scenario: the health command asks a gate that speaks TLS.
/// Guarantees: alive by https, and not alive in the clear.
#[test]
fn health_is_asked_over_tls() {
    let secured = Secured::start("");
    let health = |address: &str| {
        let mut command = Command::new(GATE);
        command.env_clear().args(["health", "--address", address]);
        command.output().expect("it starts").status.code()
    };
    assert_eq!(health(&format!("https://{}", secured.gate.http)), Some(0));
    assert_eq!(health(&secured.gate.http), Some(1));
}

/// Scenario: the certificate can't be read.
/// Guarantees: the gate does not start in the clear instead: exit 64, with file, line and key.
#[test]
fn a_gate_that_should_speak_tls_never_speaks_in_the_clear() {
    let folder = folder();
    let config = "version: 1\nlisten:\n  tls: {certificate: /none/c.pem, key: /none/k.pem}\n";
    let path = folder.path().join("gate.yaml");
    fs::write(&path, config).expect("a configuration");
    let mut command = Command::new(GATE);
    let output = command
        .env_clear()
        .arg("serve")
        .arg("--config")
        .arg(&path)
        .output();
    let output = output.expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{said}");
    for key in ["certificate", "key"] {
        let place = format!("{}:3: listen.tls.{key}: /none/", path.display());
        assert!(said.contains(&place), "{said}");
    }
}
