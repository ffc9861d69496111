//! The `evidence:` block.

use std::time::Duration;

use davy_agent_core::evidence::{EvidenceSettings, Names, SourceMode};
use davy_config::Reader;
use davy_proto::indicator::{DEFAULT_HTTP_ERRORS, DEFAULT_RPC_ERRORS, ErrorRules};

use super::Resource;

const SOURCES: &[(&str, SourceMode)] = &[
    ("auto", SourceMode::Auto),
    ("histogram", SourceMode::Histogram),
    ("spans", SourceMode::Spans),
];

const WINDOW_MIN: Duration = Duration::from_secs(1);
const WINDOW_MAX: Duration = Duration::from_secs(60);

/// Reads how evidence is made, for this resource.
pub(super) fn read(mut reader: Reader<'_>, resource: &Resource) -> EvidenceSettings {
    let mut settings = EvidenceSettings::with_resource(resource.attributes());
    if let Some(source) = reader.choice_or_first("source", SOURCES) {
        settings.source = source;
    }
    settings.window = reader.duration("window", WINDOW_MIN..=WINDOW_MAX, settings.window);
    names(reader.nested("http"), &mut settings.http, "route", "method");
    names(reader.nested("rpc"), &mut settings.rpc, "method", "service");
    if let Some(errors) = errors(reader.nested("errors")) {
        settings.errors = errors;
    }
    let excluded: Vec<&str> = settings.exclude_routes.iter().map(String::as_str).collect();
    settings.exclude_routes = reader.strings("exclude_routes", &excluded);
    let max_routes = reader.integer("max_routes", 1..=200, settings.max_routes as u64);
    settings.max_routes = usize::try_from(max_routes).unwrap_or(settings.max_routes);
    settings.cpu_limit_cores = reader.float("cpu_limit", 0.001..=1024.0);
    reader.finish();
    settings
}

/// The lists of one protocol: what the route and what stands before it are called differs.
fn names(mut reader: Reader<'_>, names: &mut Names, route: &'static str, qualifier: &'static str) {
    for (key, list) in [
        ("duration", &mut names.duration),
        ("requests", &mut names.requests),
        (route, &mut names.route),
        (qualifier, &mut names.qualifier),
        ("status", &mut names.status),
    ] {
        let default: Vec<&str> = list.iter().map(String::as_str).collect();
        *list = reader.strings(key, &default);
    }
    reader.finish();
}

fn errors(mut reader: Reader<'_>) -> Option<ErrorRules> {
    let http = reader.strings("http", &DEFAULT_HTTP_ERRORS);
    let rpc = reader.strings("rpc", &DEFAULT_RPC_ERRORS);
    let none: [String; 0] = [];
    let (http_only, rpc_only) = (ErrorRules::new(&http, &none), ErrorRules::new(&none, &rpc));
    for (key, rules) in [("http", http_only), ("rpc", rpc_only)] {
        if let Err(error) = rules {
            reader.mistake(key, error.to_string());
        }
    }
    reader.finish();
    ErrorRules::new(&http, &rpc).ok()
}
