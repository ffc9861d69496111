//! Configuration of `serve`: one file, one type.
//!
//! A value comes from the environment (`DAVY_GATE_*`), else from the file, else from a default.
//! `davy-config` collects all mistakes with their places.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use davy_config::{Collector, Mistakes, Node, Origin, Reader, Value, parse};
use davy_transport::ServerTls;

use crate::actuate::{Actuators, CommandTemplate, DEFAULT_TIMEOUT};

/// Where evidence is received unless configured.
pub const DEFAULT_OTLP: &str = "127.0.0.1:4319";
/// Where the API and the page are served unless configured.
pub const DEFAULT_HTTP: &str = "127.0.0.1:9467";

/// Shortest token, in bytes.
const TOKEN_BYTES_MIN: usize = 8;

/// What `serve` runs by.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The listeners.
    pub listen: Listen,
    /// Policy files, `*` in a file name allowed.
    pub policy_files: Vec<String>,
    /// What to run at a final verdict.
    pub actuators: Actuators,
    /// Accepted parts of the contract that this version does not act on yet; said at start.
    pub not_yet: Vec<String>,
}

/// Addresses, and who may come.
#[derive(Clone, Debug, PartialEq)]
pub struct Listen {
    /// OTLP over gRPC and HTTP, on one port.
    pub otlp: SocketAddr,
    /// API and page.
    pub http: SocketAddr,
    /// Certificate, key and authorities of clients, for both listeners; they could be used when the
    /// configuration was read.
    pub tls: Option<ServerTls>,
    /// What people call the API by, where that is not its address; without the slash at its end.
    pub url: Option<String>,
    /// Bearer tokens, any of which opens both listeners; empty: none is asked for.
    pub tokens: Vec<String>,
}

/// Environment variables, and the key that each stands for.
const VARIABLES: &[(&str, &[&str])] = &[
    ("DAVY_GATE_OTLP", &["listen", "otlp"]),
    ("DAVY_GATE_HTTP", &["listen", "http"]),
    ("DAVY_GATE_INSECURE", &["listen", "insecure"]),
    (
        "DAVY_GATE_TLS_CERTIFICATE",
        &["listen", "tls", "certificate"],
    ),
    ("DAVY_GATE_TLS_KEY", &["listen", "tls", "key"]),
    ("DAVY_GATE_TLS_CLIENT_CA", &["listen", "tls", "client_ca"]),
    ("DAVY_GATE_TOKENS", &["listen", "tokens"]),
    ("DAVY_GATE_URL", &["listen", "url"]),
    ("DAVY_GATE_POLICIES", &["policies", "files"]),
];

impl Config {
    /// Reads a configuration; an empty text gives the defaults.
    ///
    /// # Errors
    ///
    /// All [`Mistakes`], each with key and line.
    pub fn read(
        file: &str,
        text: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Mistakes> {
        let text = if text.trim().is_empty() {
            "version: 1\n"
        } else {
            text
        };
        let mut root = parse(file, text, &environment)?.root;
        for (name, path) in VARIABLES {
            // An empty variable counts as not set.
            if let Some(value) = environment(name).filter(|value| !value.is_empty()) {
                root.put(path, laid_over(name, &value));
            }
        }
        let collector = Collector::default();
        let mut top = collector.reader(&root);
        top.version(1);
        let mut not_yet = Vec::new();
        let config = Self {
            listen: listen(&mut top),
            policy_files: policy_files(&mut top),
            actuators: actuators(&mut top),
            not_yet: Vec::new(),
        };
        for (key, what) in [
            (
                "store",
                "state is kept in memory: a restart begins every attempt anew",
            ),
            ("alerts", "alerts are not received"),
        ] {
            if top.raw(key).is_some() {
                not_yet.push(format!("{key}: {what} in this version"));
            }
        }
        top.finish();
        collector
            .finish(())
            .map(|((), _)| Self { not_yet, ..config })
    }
}

fn laid_over(name: &str, value: &str) -> Node {
    let origin = Origin::Environment(name.to_owned());
    if matches!(name, "DAVY_GATE_TOKENS" | "DAVY_GATE_POLICIES") {
        let items = value
            .split(',')
            .map(|item| Node::scalar(item.trim(), origin.clone()));
        return Node::list(items.collect(), origin.clone());
    }
    Node::scalar(value, origin)
}

fn listen(top: &mut Reader<'_>) -> Listen {
    let mut reader = top.nested("listen");
    let insecure = reader.bool("insecure", false);
    let tokens = secrets(&mut reader);
    let url = reader.url("url");
    let has_tls = reader.has("tls");
    let tls = reader.optional_nested("tls").and_then(tls);
    let has_tokens = reader.has("tokens");
    let mut address = |key, default: &str| {
        let found = reader.or(key, socket, socket(default).unwrap_or_else(|_| loopback()));
        if !found.ip().is_loopback() && !has_tls && !has_tokens && !insecure {
            reader.mistake(
                key,
                "is reachable from other machines: configure listen.tokens or listen.tls, or \
                 allow it with listen.insecure: true",
            );
        }
        found
    };
    let (otlp, http) = (address("otlp", DEFAULT_OTLP), address("http", DEFAULT_HTTP));
    reader.finish();
    Listen {
        otlp,
        http,
        tls,
        url,
        tokens,
    }
}

/// The files of TLS; they are looked at now, so that an unfit one is a mistake with its line.
fn tls(mut reader: Reader<'_>) -> Option<ServerTls> {
    let certificate = reader.required_string("certificate").map(PathBuf::from);
    let key = reader.required_string("key").map(PathBuf::from);
    let client_ca = reader.string("client_ca").map(PathBuf::from);
    let files = certificate.zip(key).map(|(cert, key)| ServerTls {
        cert,
        key,
        client_ca,
    });
    for mistake in files.iter().flat_map(ServerTls::mistakes) {
        let path = mistake.path();
        let is = |file: Option<&PathBuf>| file.map(PathBuf::as_path) == path;
        let of = files.as_ref();
        let key = match of {
            Some(files) if is(Some(&files.key)) => "key",
            Some(files) if is(files.client_ca.as_ref()) => "client_ca",
            _ => "certificate",
        };
        reader.mistake(key, mistake.to_string());
    }
    reader.finish();
    files
}

/// Tokens, without showing them.
fn secrets(reader: &mut Reader<'_>) -> Vec<String> {
    let Some(node) = reader.raw("tokens") else {
        return Vec::new();
    };
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    if items.is_empty() {
        reader.mistake("tokens", "names no token");
    }
    let mut tokens = Vec::new();
    for item in items {
        // A variable made of a file may end with a new line.
        let text = match &item.value {
            Value::Scalar(text) => text.trim(),
            _ => {
                reader.mistake("tokens", "expected a list of texts");
                continue;
            }
        };
        if text.len() < TOKEN_BYTES_MIN {
            reader.mistake("tokens", "a token has at least 8 characters");
        } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let message = "a token is of ASCII letters, digits and signs: no header carries more";
            reader.mistake("tokens", message);
        } else {
            tokens.push(text.to_owned());
        }
    }
    tokens
}

fn policy_files(top: &mut Reader<'_>) -> Vec<String> {
    let mut reader = top.nested("policies");
    let files = reader.strings("files", &[]);
    reader.finish();
    files
}

fn actuators(top: &mut Reader<'_>) -> Actuators {
    let mut reader = top.nested("actuators");
    let actuators = Actuators {
        on_approve: command(&mut reader, "on_approve"),
        on_rollback: command(&mut reader, "on_rollback"),
    };
    reader.finish();
    actuators
}

fn command(reader: &mut Reader<'_>, key: &'static str) -> Option<CommandTemplate> {
    let mut action = reader.optional_nested(key)?;
    let argv = action.list("command", |text| Ok(text.to_owned()));
    let timeout = action.duration(
        "timeout",
        Duration::from_secs(1)..=Duration::from_secs(3600),
        DEFAULT_TIMEOUT,
    );
    let Some(argv) = argv else {
        action.mistake(
            "command",
            "is required: a list of a program and its arguments",
        );
        return None;
    };
    let template = match CommandTemplate::new(&argv, timeout) {
        Ok(template) => Some(template),
        Err(error) => {
            action.mistake("command", error.to_string());
            None
        }
    };
    action.finish();
    template
}

fn socket(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| format!("expected an address such as {DEFAULT_HTTP}, found {text:?}"))
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        Config::read("gate.yaml", text, &|_| None).map_err(|mistakes| mistakes.to_string())
    }

    #[test]
    fn an_empty_file_gives_loopback_defaults() {
        let config = read("").expect("defaults");
        assert_eq!(config.listen.otlp.to_string(), DEFAULT_OTLP);
        assert_eq!(config.listen.http.to_string(), DEFAULT_HTTP);
        assert_eq!(config.actuators, Actuators::default());
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let text = "version: 1\nlisten: {http: \"127.0.0.1:1\"}\n";
        let environment = |name: &str| (name == "DAVY_GATE_HTTP").then(|| "127.0.0.1:2".into());
        let config = Config::read("gate.yaml", text, &environment).expect("a good file");
        assert_eq!(config.listen.http.port(), 2);
    }

    #[test]
    fn all_mistakes_are_reported_at_once_with_their_lines() {
        let text = "version: 1\n\
                    listen: {otlp: \"0.0.0.0:4319\", http: nowhere}\n\
                    actuators:\n  on_approve: {command: [\"/bin/x\", \"{cannary}\"]}\n\
                    polices: {}\n";
        let expected = "\
gate.yaml:2: listen.otlp: is reachable from other machines: configure listen.tokens or listen.tls, \
or allow it with listen.insecure: true
gate.yaml:2: listen.http: expected an address such as 127.0.0.1:9467, found \"nowhere\"
gate.yaml:4: actuators.on_approve.command: unknown placeholder {cannary}
gate.yaml:5: polices: unknown key; did you mean policies?";
        assert_eq!(read(text).expect_err("mistakes"), expected);
    }

    #[test]
    fn the_guide_lists_every_variable_and_its_key() {
        let guide = include_str!("../../docs/configuration.md");
        for (name, path) in VARIABLES {
            let row = format!("| `{}` | `{name}` |", path.join("."));
            assert!(guide.contains(&row), "docs/configuration.md lacks {row}");
        }
    }

    #[test]
    fn unfit_certificates_are_mistakes_of_their_keys() {
        let text = "version: 1\nlisten:\n  http: \"0.0.0.0:9467\"\n  tls:\n    \
                    certificate: /none/a.pem\n    key: /none/a.key\n    client_ca: /none/ca.pem\n";
        let expected = "\
gate.yaml:5: listen.tls.certificate: /none/a.pem: no certificate: \
I/O error: No such file or directory (os error 2)
gate.yaml:6: listen.tls.key: /none/a.key: no private key: \
I/O error: No such file or directory (os error 2)
gate.yaml:7: listen.tls.client_ca: /none/ca.pem: no certificate: \
I/O error: No such file or directory (os error 2)";
        assert_eq!(read(text).expect_err("mistakes"), expected);
        let half = "version: 1\nlisten:\n  tls: {certificate: /none/a.pem}\n";
        let expected = "gate.yaml:3: listen.tls.key: is required";
        assert_eq!(read(half).expect_err("a mistake"), expected);
    }

    #[test]
    fn addresses_of_other_machines_need_a_guard() {
        let anywhere = |guard: &str| {
            let text =
                format!("version: 1\nlisten: {{http: \"0.0.0.0:1\", otlp: \"[::]:1\"{guard}}}\n");
            read(&text)
        };
        for (guard, mistakes) in [
            ("", 2),
            (", insecure: false", 2),
            (", insecure: true", 0),
            (", tokens: [long-enough]", 0),
            // What is wrong with the guard is enough to say.
            (", tokens: [short]", 1),
            (", tokens: []", 1),
            (", tokens: [\"two words\"]", 1),
            (", tls: {certificate: /none}", 1),
        ] {
            let found = anywhere(guard).err().map_or(0, |text| text.lines().count());
            assert_eq!(found, mistakes, "{guard}: {:?}", anywhere(guard));
        }
    }

    #[test]
    fn tokens_lose_the_white_space_of_files_and_are_never_empty() {
        let environment = |name: &str| match name {
            "DAVY_GATE_TOKENS" => Some("first-token\n, second-token".to_owned()),
            "DAVY_GATE_URL" => Some("https://gate.example/davy/".to_owned()),
            "DAVY_GATE_HTTP" => Some(String::new()),
            _ => None,
        };
        let config = Config::read("gate.yaml", "", &environment).expect("no mistake");
        assert_eq!(config.listen.tokens, ["first-token", "second-token"]);
        let url = config.listen.url.as_deref();
        assert_eq!(url, Some("https://gate.example/davy"));
        assert_eq!(config.listen.http.to_string(), DEFAULT_HTTP);
        let blank = read("version: 1\nlisten: {tokens: [\"          \"]}\n");
        assert!(blank.is_err(), "an empty token would open nothing");
    }

    #[test]
    fn what_is_not_done_yet_is_said() {
        let config = read("version: 1\nstore: {sqlite: /x}\n").expect("accepted");
        assert_eq!(config.not_yet.len(), 1);
        assert!(config.not_yet[0].contains("in memory"));
    }
}
