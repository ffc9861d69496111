//! The agent as a real process: between the real shop or a real SDK and a backend.

mod configuration;
mod forwarding;
mod https;
mod independence;
mod malformed;
mod outage;
mod prometheus;
mod replace;
mod sdk;
mod targets;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use davy_tests::kit::agent::Agent;
use davy_tests::kit::process::{Process, addresses};
use davy_tests::kit::receiver::Received;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;

/// The program under test.
const AGENT: &str = env!("CARGO_BIN_EXE_davy-agent-under-test");
/// The gate, for what can't be seen without a real one.
const GATE: &str = env!("CARGO_BIN_EXE_davy-gate-under-test");
/// How long what must happen may take on a machine with much else to do.
const PATIENCE: Duration = Duration::from_secs(40);

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Starts the agent with environment variables alone.
#[track_caller]
fn start(folder: &Path, variables: &[(&str, &str)]) -> Agent {
    Agent::start(AGENT, folder, variables).expect("the agent starts")
}

/// Starts a gate with environment variables alone; returns where its OTLP and its API listen.
#[track_caller]
fn start_gate(folder: &Path) -> (Process, String, String) {
    let file = folder.join("gate.addr");
    let mut command = Command::new(GATE);
    command
        .env_clear()
        .env("DAVY_GATE_OTLP", "127.0.0.1:0")
        .env("DAVY_GATE_HTTP", "127.0.0.1:0")
        .args(["serve", "--addresses-file"])
        .arg(&file);
    let gate = Process::start("davy-gate", &mut command, &folder.join("gate.out"));
    let gate = gate.expect("the gate starts");
    let listeners =
        addresses(&file, PATIENCE).unwrap_or_else(|error| panic!("{error:#}: {}", gate.log()));
    let listener = |name: &str| listeners.get(name).expect("a listener").clone();
    (gate, listener("otlp"), listener("http"))
}

/// The value of a text attribute.
fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let attribute = attributes.iter().find(|attribute| attribute.key == key)?;
    as_text(attribute.value.as_ref()?)
}

fn as_text(value: &AnyValue) -> Option<&str> {
    match value.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

/// Attributes of the resource that an item came with.
fn attributes(resource: Option<&Resource>) -> &[KeyValue] {
    resource.map_or(&[], |resource| &resource.attributes)
}

/// All metrics that arrived, each with its resource's attributes.
fn metrics(kept: &[Received]) -> Vec<(&[KeyValue], &Metric)> {
    let mut found = Vec::new();
    for received in kept {
        let Received::Metrics(request) = received else {
            continue;
        };
        for resource in &request.resource_metrics {
            let scopes = resource.scope_metrics.iter();
            let about = attributes(resource.resource.as_ref());
            found.extend(
                scopes
                    .flat_map(|scope| &scope.metrics)
                    .map(|metric| (about, metric)),
            );
        }
    }
    found
}

/// All log records that arrived, each with its resource's attributes.
fn records(kept: &[Received]) -> Vec<(&[KeyValue], &LogRecord)> {
    let mut found = Vec::new();
    for received in kept {
        let Received::Logs(request) = received else {
            continue;
        };
        for resource in &request.resource_logs {
            let scopes = resource.scope_logs.iter();
            let about = attributes(resource.resource.as_ref());
            found.extend(
                scopes
                    .flat_map(|scope| &scope.log_records)
                    .map(|record| (about, record)),
            );
        }
    }
    found
}

/// All spans that arrived, each with its resource's attributes.
fn spans(kept: &[Received]) -> Vec<(&[KeyValue], &Span)> {
    let mut found = Vec::new();
    for received in kept {
        let Received::Traces(request) = received else {
            continue;
        };
        for resource in &request.resource_spans {
            let scopes = resource.scope_spans.iter();
            let about = attributes(resource.resource.as_ref());
            found.extend(
                scopes
                    .flat_map(|scope| &scope.spans)
                    .map(|span| (about, span)),
            );
        }
    }
    found
}
