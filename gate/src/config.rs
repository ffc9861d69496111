//! Configuration of `serve`: one file, one type.
//!
//! A value comes from the environment (`DAVY_GATE_*`), else from the file, else from a default.
//! `davy-config` collects all mistakes with their places.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use davy_config::{Collector, Mistakes, Node, Origin, Reader, Value, parse};

use crate::actuate::{Actuators, CommandTemplate, DEFAULT_TIMEOUT};

/// Where evidence is received unless configured.
pub const DEFAULT_OTLP: &str = "127.0.0.1:4319";
/// Where the API and the page are served unless configured.
pub const DEFAULT_HTTP: &str = "127.0.0.1:9467";

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
    /// Certificate chain and key, PEM files, of both listeners.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Bearer tokens, any of which opens both listeners; empty: none is asked for.
    pub tokens: Vec<String>,
}

/// Environment variables, and the key that each stands for.
const VARIABLES: &[(&str, &[&str])] = &[
    ("DAVY_GATE_OTLP", &["listen", "otlp"]),
    ("DAVY_GATE_HTTP", &["listen", "http"]),
    ("DAVY_GATE_INSECURE", &["listen", "insecure"]),
    ("DAVY_GATE_TOKENS", &["listen", "tokens"]),
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
            if let Some(value) = environment(name) {
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
    let tls = reader.optional_nested("tls").and_then(|mut tls| {
        let pair = (
            tls.required_string("certificate"),
            tls.required_string("key"),
        );
        tls.finish();
        Some((PathBuf::from(pair.0?), PathBuf::from(pair.1?)))
    });
    let mut address = |key, default: &str| {
        let found = reader.or(key, socket, socket(default).unwrap_or_else(|_| loopback()));
        if !found.ip().is_loopback() && tls.is_none() && tokens.is_empty() && !insecure {
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
        tokens,
    }
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
    let mut tokens = Vec::new();
    for item in items {
        match &item.value {
            Value::Scalar(text) if text.len() >= 8 => tokens.push(text.clone()),
            Value::Scalar(_) => reader.mistake("tokens", "a token has at least 8 characters"),
            _ => reader.mistake("tokens", "expected a list of texts"),
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
    fn what_is_not_done_yet_is_said() {
        let config = read("version: 1\nstore: {sqlite: /x}\n").expect("accepted");
        assert_eq!(config.not_yet.len(), 1);
        assert!(config.not_yet[0].contains("in memory"));
    }
}
