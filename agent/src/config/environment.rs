//! Environment variables, laid over the tree of the file.
//!
//! The OpenTelemetry names follow its specification
//! (<https://opentelemetry.io/docs/specs/otel/protocol/exporter/>): a signal's variable wins over
//! the general one, the base endpoint gets `/v1/<signal>` and a signal's own is used as it is. An
//! empty variable counts as unset. Where a variable names an endpoint, the variables are the
//! destinations, and the file's are set aside; where none does, the general ones apply to the
//! file's destination, if it is the only one.

use davy_config::{Environment, Mistake, Node, Origin};
use davy_proto::Signal;

/// Variables that stand for one key, with what they say.
pub const VARIABLES: &[(&str, &[&str])] = &[
    ("DAVY_ADMIN", &["admin"]),
    ("DAVY_ARM", &["resource", "davy.arm"]),
    ("DAVY_CONTROL", &["control"]),
    ("DAVY_CPU_LIMIT", &["evidence", "cpu_limit"]),
    ("DAVY_EVIDENCE_SOURCE", &["evidence", "source"]),
    ("DAVY_EVIDENCE_WINDOW", &["evidence", "window"]),
    ("DAVY_GATE_ENDPOINT", &["gate", "endpoint"]),
    ("DAVY_GATE_PROTOCOL", &["gate", "protocol"]),
    ("DAVY_GATE_TOKEN", &["gate", "token"]),
    ("DAVY_GATE_TOKEN_FILE", &["gate", "token_file"]),
    ("DAVY_LOG_FORMAT", &["log", "format"]),
    ("DAVY_LOG_LEVEL", &["log", "level"]),
    ("DAVY_RECEIVE_GRPC", &["receive", "otlp_grpc"]),
    ("DAVY_RECEIVE_HTTP", &["receive", "otlp_http"]),
    ("DAVY_RECEIVE_INSECURE", &["receive", "insecure"]),
    ("DAVY_SPOOL_DIR", &["spool", "dir"]),
    ("DAVY_SPOOL_MAX_BYTES", &["spool", "max_bytes"]),
    ("DAVY_SPOOL_WHEN_FULL", &["spool", "when_full"]),
];

/// Variables that set a key in each item of a list.
const ITEM_VARIABLES: &[(&str, &str, &[&str])] = &[
    ("DAVY_SCRAPE_CA_FILE", "scrape", &["tls", "ca_file"]),
    ("DAVY_SCRAPE_INTERVAL", "scrape", &["interval"]),
    ("DAVY_SCRAPE_SOCKET", "scrape", &["socket"]),
    ("DAVY_SCRAPE_TIMEOUT", "scrape", &["timeout"]),
    (
        "DAVY_SCRAPE_TOKEN_FILE",
        "scrape",
        &["authorization", "credentials_file"],
    ),
    ("DAVY_LOG_PATHS_FORMAT", "logs", &["format"]),
    ("DAVY_LOG_PATHS_TIMEZONE", "logs", &["timezone"]),
    ("DAVY_LOG_PATHS_START_AT", "logs", &["start_at"]),
];

/// Ends of `OTEL_EXPORTER_OTLP_*` and `OTEL_EXPORTER_OTLP_<SIGNAL>_*`, with their keys.
pub const OTLP_VARIABLES: &[(&str, &[&str])] = &[
    ("CERTIFICATE", &["tls", "ca"]),
    ("CLIENT_CERTIFICATE", &["tls", "cert"]),
    ("CLIENT_KEY", &["tls", "key"]),
    ("COMPRESSION", &["compression"]),
    ("ENDPOINT", &["endpoint"]),
    ("HEADERS", &["headers"]),
    ("INSECURE", &["insecure"]),
    ("PROTOCOL", &["protocol"]),
    ("TIMEOUT", &["timeout"]),
];

/// What the environment adds to mistakes and warnings.
struct Layer<'a> {
    environment: &'a Environment<'a>,
    mistakes: Vec<Mistake>,
    warnings: Vec<String>,
}

/// Lays the environment over the tree; returns mistakes and warnings.
pub(super) fn overlay(
    root: &mut Node,
    environment: &Environment<'_>,
) -> (Vec<Mistake>, Vec<String>) {
    let mut layer = Layer {
        environment,
        mistakes: Vec::new(),
        warnings: Vec::new(),
    };
    layer.resource(root);
    layer.sources(root);
    for (name, path) in VARIABLES {
        if let Some(value) = layer.variable(name) {
            root.put(path, Node::scalar(value, from(name)));
        }
    }
    for (name, list, path) in ITEM_VARIABLES {
        if let Some(value) = layer.variable(name) {
            for item in root.items_mut(list) {
                item.put(path, Node::scalar(value.clone(), from(name)));
            }
        }
    }
    layer.destinations(root);
    (layer.mistakes, layer.warnings)
}

impl Layer<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        (self.environment)(name).filter(|value| !value.trim().is_empty())
    }

    fn resource(&mut self, root: &mut Node) {
        let name = "OTEL_RESOURCE_ATTRIBUTES";
        if let Some(list) = self.variable(name) {
            for (key, value) in self.pairs(name, &list) {
                root.put(&["resource", &key], Node::scalar(value, from(name)));
            }
        }
        let name = "OTEL_SERVICE_NAME";
        if let Some(value) = self.variable(name) {
            root.put(
                &["resource", "service.name"],
                Node::scalar(value, from(name)),
            );
        }
    }

    fn sources(&self, root: &mut Node) {
        let name = "DAVY_SCRAPE_URL";
        if let Some(urls) = self.variable(name) {
            let target = |url: &str| {
                let mut target = Node::map(from(name));
                target.put(&["url"], Node::scalar(url, from(name)));
                target
            };
            root.put(
                &["scrape"],
                Node::list(items(&urls).map(target).collect(), from(name)),
            );
        }
        let name = "DAVY_LOG_PATHS";
        if let Some(paths) = self.variable(name) {
            let paths = items(&paths)
                .map(|path| Node::scalar(path, from(name)))
                .collect();
            let mut logs = Node::map(from(name));
            logs.put(&["paths"], Node::list(paths, from(name)));
            root.put(&["logs"], Node::list(vec![logs], from(name)));
        }
    }

    fn destinations(&mut self, root: &mut Node) {
        let general = self.otlp("");
        let own = Signal::ALL.map(|signal| {
            (
                signal,
                self.otlp(&format!("{}_", signal.as_str().to_ascii_uppercase())),
            )
        });
        let is_base = has_endpoint(&general);
        if !is_base && !own.iter().any(|(_, variables)| has_endpoint(variables)) {
            self.apply_to_the_only_one(root, &general);
            return;
        }
        if root.child("export").is_some() {
            let warning =
                "an OTEL_EXPORTER_OTLP_*ENDPOINT is set: `export` of the file is not used";
            self.warnings.push(warning.to_owned());
        }
        let mut export = Vec::new();
        let mut shared = Vec::new();
        for (signal, variables) in &own {
            if !variables.is_empty() && (is_base || has_endpoint(variables)) {
                export.push(destination(
                    &format!("otlp-{signal}"),
                    &general,
                    variables,
                    &[*signal],
                ));
            } else if is_base {
                shared.push(*signal);
            } else {
                self.warnings.push(format!(
                    "no endpoint is named for {signal}: they are dropped"
                ));
            }
        }
        if !shared.is_empty() {
            export.insert(0, destination("otlp", &general, &[], &shared));
        }
        root.put(
            &["export"],
            Node::list(export, from("OTEL_EXPORTER_OTLP_ENDPOINT")),
        );
    }

    /// Lays variables over the file's only destination.
    fn apply_to_the_only_one(
        &mut self,
        root: &mut Node,
        variables: &[(&'static [&'static str], Node)],
    ) {
        match root.items_mut("export") {
            [only] => variables
                .iter()
                .for_each(|(path, node)| only.put(path, node.clone())),
            [] => {}
            _ if variables.is_empty() => {}
            _ => {
                let warning = "OTEL_EXPORTER_OTLP_* without an endpoint apply to a single \
                               destination; `export` has several, so they are not used";
                self.warnings.push(warning.to_owned());
            }
        }
    }

    /// The OTLP variables that are set, as keys of a destination.
    fn otlp(&mut self, signal: &str) -> Vec<(&'static [&'static str], Node)> {
        let mut found = Vec::new();
        for (end, path) in OTLP_VARIABLES {
            let name = format!("OTEL_EXPORTER_OTLP_{signal}{end}");
            let Some(value) = self.variable(&name) else {
                continue;
            };
            let node = match *end {
                "HEADERS" => {
                    let mut headers = Node::map(from(&name));
                    for (key, value) in self.pairs(&name, &value) {
                        headers.put(
                            &[&key.to_ascii_lowercase()],
                            Node::scalar(value, from(&name)),
                        );
                    }
                    headers
                }
                // Milliseconds, by the specification.
                "TIMEOUT" => Node::scalar(format!("{}ms", value.trim()), from(&name)),
                "INSECURE" => Node::scalar(value.to_ascii_lowercase(), from(&name)),
                _ => Node::scalar(value.trim(), from(&name)),
            };
            found.push((*path, node));
        }
        found
    }

    /// `key=value,key=value`, values percent-decoded; one that is malformed is a mistake, and the
    /// whole variable is not used, as the specification has it.
    fn pairs(&mut self, name: &str, list: &str) -> Vec<(String, String)> {
        let pair = |item: &str| {
            let (key, value) = item.split_once('=')?;
            let key = percent_decode(key.trim())?;
            (!key.is_empty()).then_some((key, percent_decode(value.trim())?))
        };
        let pairs: Option<Vec<_>> = items(list).map(pair).collect();
        pairs.unwrap_or_else(|| {
            let message = "expected key=value,key=value with percent-encoded values".to_owned();
            self.mistakes.push(Mistake {
                origin: from(name),
                path: String::new(),
                message,
            });
            Vec::new()
        })
    }
}

fn from(name: &str) -> Origin {
    Origin::Environment(name.to_owned())
}

fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

fn has_endpoint(variables: &[(&'static [&'static str], Node)]) -> bool {
    variables.iter().any(|(path, _)| *path == ["endpoint"])
}

fn destination(
    name: &str,
    general: &[(&'static [&'static str], Node)],
    own: &[(&'static [&'static str], Node)],
    signals: &[Signal],
) -> Node {
    let origin = own
        .first()
        .or(general.first())
        .map(|(_, node)| node.origin.clone());
    let origin = origin.unwrap_or_default();
    let mut node = Node::map(origin.clone());
    for (path, value) in general.iter().chain(own) {
        node.put(path, value.clone());
    }
    let text = |text: &str| Node::scalar(text, origin.clone());
    node.put(&["name"], text(name));
    if has_endpoint(own) {
        node.put(&["append_path"], text("false"));
    }
    let signals = signals.iter().map(|signal| text(signal.as_str())).collect();
    node.put(&["signals"], Node::list(signals, origin.clone()));
    node
}

/// Undoes `%XX`; none when that is malformed or no UTF-8.
fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            let value = digit()? * 16 + digit()?;
            bytes.push(u8::try_from(value).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// Names of all variables that are read.
#[cfg(test)]
pub(super) fn all_variables() -> Vec<String> {
    let mut names: Vec<String> = VARIABLES
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    names.extend(ITEM_VARIABLES.iter().map(|(name, ..)| (*name).to_owned()));
    let special = [
        "DAVY_SCRAPE_URL",
        "DAVY_LOG_PATHS",
        "OTEL_SERVICE_NAME",
        "OTEL_RESOURCE_ATTRIBUTES",
    ];
    names.extend(special.map(str::to_owned));
    names.extend(
        OTLP_VARIABLES
            .iter()
            .map(|(end, _)| format!("OTEL_EXPORTER_OTLP_{end}")),
    );
    names
}
