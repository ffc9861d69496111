//! The tree to a [`Config`].

use std::net::SocketAddr;

use davy_agent_core::queue::WhenFull;
use davy_agent_core::record::{FileSettings, Format, LogResource, Zone};
use davy_config::{Collector, Node, Reader};
use davy_proto::semconv;

use super::{
    Config, DEFAULT_ADMIN, DEFAULT_CONTROL, DEFAULT_LINE_BYTES, DEFAULT_OTLP_GRPC,
    DEFAULT_OTLP_HTTP, DEFAULT_REQUEST_BYTES, DEFAULT_SPOOL_BYTES, DestinationConfig, GateConfig,
    LogConfig, ReceiveConfig, Resource, SpoolConfig, VERSION, destination, evidence, scrape,
};
use crate::scrape::Target;
use crate::tail::{StartAt, TailSettings};

const WHEN_FULL: &[(&str, WhenFull)] = &[
    ("drop_oldest", WhenFull::DropOldest),
    ("refuse", WhenFull::Refuse),
];
const START_AT: &[(&str, StartAt)] = &[("beginning", StartAt::Beginning), ("end", StartAt::End)];
const LOG_FORMATS: &[(&str, bool)] = &[("text", false), ("json", true)];

/// Reads everything; mistakes are the collector's, the result is warnings too.
pub(super) fn config(root: &Node, collector: &Collector) -> (Config, Vec<String>) {
    let mut warnings = Vec::new();
    let mut top = collector.reader(root);
    top.version(VERSION);
    let resource = Resource::new(top.texts("resource", false));
    let scrape = each(&mut top, "scrape", collector, |item| {
        scrape::read(item, &resource)
    });
    let logs = each(&mut top, "logs", collector, |item| {
        Some(tail(item, &resource))
    });
    let receive = receive(top.nested("receive"));
    let mut export = each(&mut top, "export", collector, |item| {
        destination::read(item, None, &receive)
    });
    name_apart(&mut export);
    let spool = spool(top.nested("spool"), &mut warnings);
    let gate = top.optional_nested("gate");
    let gate = gate.and_then(|gate| destination::read(gate, Some("gate"), &receive));
    let evidence = evidence::read(top.nested("evidence"), &instance(&resource, &scrape));
    let config = Config {
        admin: address(&mut top, "admin", DEFAULT_ADMIN),
        control: control(&mut top),
        log: log(top.nested("log")),
        gate: gate.map(|destination| GateConfig {
            destination,
            evidence,
        }),
        resource,
        scrape,
        logs,
        receive,
        export,
        spool,
    };
    // A destination that is there with a mistake is told of by that one.
    let is_mistaken = ["export", "gate"].map(|key| collector.is_mistaken(key));
    if config.export.is_empty() && config.gate.is_none() && is_mistaken == [false, false] {
        top.mistake(
            "export",
            "no destination is named; set OTEL_EXPORTER_OTLP_ENDPOINT, or `export` in the file \
             (a gate alone, DAVY_GATE_ENDPOINT, is enough too)",
        );
    }
    warnings.extend(warn(&config));
    top.finish();
    (config, warnings)
}

/// What is left when the components with mistakes are taken out; lists have lost theirs already.
pub(super) fn valid_part(mut config: Config, collector: &Collector) -> Config {
    if collector.is_mistaken("gate") || collector.is_mistaken("evidence") {
        config.gate = None;
    }
    for (key, address) in [
        ("receive.otlp_grpc", &mut config.receive.otlp_grpc),
        ("receive.otlp_http", &mut config.receive.otlp_http),
        ("control", &mut config.control),
    ] {
        if collector.is_mistaken(key) {
            *address = None;
        }
    }
    config
}

/// Reads each item of a list that has no mistake.
fn each<T>(
    top: &mut Reader<'_>,
    key: &'static str,
    collector: &Collector,
    mut read: impl FnMut(Reader<'_>) -> Option<T>,
) -> Vec<T> {
    let mut items = Vec::new();
    for reader in top.each(key) {
        let path = reader.path().to_owned();
        items.extend(read(reader).filter(|_| !collector.is_mistaken(&path)));
    }
    items
}

fn tail(mut reader: Reader<'_>, resource: &Resource) -> TailSettings {
    let paths = reader.strings("paths", &[]);
    if paths.is_empty() {
        let what = if reader.has("paths") {
            "names no file"
        } else {
            "is required"
        };
        let message = format!("{what}: the files to follow, such as /var/log/app/*.log");
        reader.mistake("paths", message);
    }
    let format = reader.choice_or_first("format", &Format::ALL);
    let zone = reader.optional("timezone", |text| {
        Zone::parse(text).map_err(|e| e.to_string())
    });
    let line_bytes = reader.size("max_line_bytes", 1024..=1 << 20, DEFAULT_LINE_BYTES);
    let start_at = reader.choice_or_first("start_at", START_AT);
    reader.finish();
    let file = FileSettings {
        format: format.unwrap_or_default(),
        zone: zone.unwrap_or_default(),
        line_bytes_max: usize::try_from(line_bytes).unwrap_or(usize::MAX),
    };
    let resource = LogResource::new(resource.attributes(), crate::VERSION);
    TailSettings {
        paths,
        file,
        start_at: start_at.unwrap_or_default(),
        resource,
    }
}

fn receive(mut reader: Reader<'_>) -> ReceiveConfig {
    let insecure = reader.bool("insecure", false);
    let otlp_grpc = address(&mut reader, "otlp_grpc", DEFAULT_OTLP_GRPC);
    let otlp_http = address(&mut reader, "otlp_http", DEFAULT_OTLP_HTTP);
    for (key, address) in [("otlp_grpc", otlp_grpc), ("otlp_http", otlp_http)] {
        if address.is_some_and(|address| !address.ip().is_loopback()) && !insecure {
            let message = "is not a loopback address: anyone could send; say `insecure: true` in \
                           `receive` if that is meant";
            reader.mistake(key, message);
        }
    }
    let range = 1024..=64 << 20;
    let request_bytes = reader.size("max_request_bytes", range, DEFAULT_REQUEST_BYTES);
    reader.finish();
    let request_bytes_max = usize::try_from(request_bytes).unwrap_or(usize::MAX);
    ReceiveConfig {
        otlp_grpc,
        otlp_http,
        request_bytes_max,
    }
}

/// Destinations that share a name are told apart by a number.
fn name_apart(export: &mut [DestinationConfig]) {
    let mut names = vec!["gate".to_owned()];
    for destination in export {
        let base = destination.name.clone();
        let mut candidates =
            std::iter::once(base.clone()).chain((2..).map(|n| format!("{base}-{n}")));
        if let Some(free) = candidates.find(|name| !names.contains(name)) {
            destination.name = free;
        }
        names.push(destination.name.clone());
    }
}

fn spool(mut reader: Reader<'_>, warnings: &mut Vec<String>) -> SpoolConfig {
    let bytes_max = reader.size("max_bytes", 64 << 10..=64 << 30, DEFAULT_SPOOL_BYTES);
    let when_full = reader.choice_or_first("when_full", WHEN_FULL);
    if reader.string("dir").is_some() {
        warnings.push(
            "spool.dir is not used yet: the queue is in memory, and a restart loses it".to_owned(),
        );
    }
    reader.finish();
    SpoolConfig {
        bytes_max,
        when_full: when_full.unwrap_or(WhenFull::DropOldest),
    }
}

fn control(top: &mut Reader<'_>) -> Option<SocketAddr> {
    let control = address(top, "control", DEFAULT_CONTROL);
    if control.is_some_and(|address| !address.ip().is_loopback()) {
        top.mistake(
            "control",
            "must be a loopback address: whoever reaches it may stop the agent",
        );
    }
    control
}

fn log(mut reader: Reader<'_>) -> LogConfig {
    let filter = reader.or("level", level, "info".to_owned());
    let is_json = reader
        .choice_or_first("format", LOG_FORMATS)
        .unwrap_or(false);
    reader.finish();
    LogConfig { filter, is_json }
}

fn level(text: &str) -> Result<String, String> {
    match text.parse::<tracing_subscriber::filter::Targets>() {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(format!(
            "{text:?} is no level; expected error, warn, info, debug or trace"
        )),
    }
}

/// A listener's address, its default, or none for `off`.
fn address(
    reader: &mut Reader<'_>,
    key: &'static str,
    default: &'static str,
) -> Option<SocketAddr> {
    let parse = |text: &str| match text {
        "off" | "false" => Ok(None),
        _ => text.parse().map(Some).map_err(|_| {
            format!("expected an IP address and port such as {default}, or off; found {text:?}")
        }),
    };
    let fallback = || default.parse().ok();
    reader
        .or_shown(key, parse, default)
        .unwrap_or_else(fallback)
}

/// The resource of the evidence: the gate tells pods apart by these.
fn instance(resource: &Resource, scrape: &[Target]) -> Resource {
    let resource = resource.clone();
    if resource.value(semconv::K8S_POD_NAME).is_some() {
        return resource;
    }
    match scrape.first() {
        Some(target) => resource.or(semconv::SERVICE_INSTANCE_ID, &target.name),
        None => resource,
    }
}

fn warn(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    let is_bare = |target: &&Target| {
        target.access.has_secrets() && !target.url.is_tls() && !target.is_local()
    };
    for target in config.scrape.iter().filter(is_bare) {
        let name = &target.name;
        warnings.push(format!(
            "credentials for {name} are sent in the clear; use https"
        ));
    }
    if let Some(gate) = &config.gate {
        let window = gate.evidence.window;
        for target in config
            .scrape
            .iter()
            .filter(|target| target.interval > window)
        {
            warnings.push(format!(
                "{} is scraped every {:?}, longer than the evidence window of {window:?}: the \
                 gate sees gaps",
                target.name, target.interval
            ));
        }
        if config.resource.value(semconv::SERVICE_NAME).is_none() {
            warnings.push(
                "service.name is not set: the gate can't tell whose evidence it is; set \
                           OTEL_SERVICE_NAME"
                    .to_owned(),
            );
        }
    }
    warnings
}
