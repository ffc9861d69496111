//! Scopes: `otel_scope_*` labels leave the points and say which scope they belong to.

use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::metrics::v1::{Metric, ScopeMetrics};

use super::{SCOPE_NAME, attributes};
use crate::exposition::Label;

/// What the labels begin with that name a scope.
const PREFIX: &str = "otel_scope_";

/// Returns whether a label names a scope and is therefore not an attribute.
pub(crate) fn is_scope_label(label: &Label<'_>) -> bool {
    label.name.starts_with(PREFIX)
}

/// Returns an empty scope that names the translator.
pub(crate) fn own(agent_version: &str) -> ScopeMetrics {
    let (name, version) = (SCOPE_NAME.to_owned(), agent_version.to_owned());
    let scope = InstrumentationScope {
        name,
        version,
        ..InstrumentationScope::default()
    };
    ScopeMetrics {
        scope: Some(scope),
        ..ScopeMetrics::default()
    }
}

/// Returns an empty scope as the labels name it.
pub(crate) fn of_labels<'l>(labels: impl Iterator<Item = &'l Label<'l>>) -> ScopeMetrics {
    let (mut scope, mut schema_url) = (InstrumentationScope::default(), String::new());
    for label in labels {
        let value = label.value.as_ref();
        match label.name.strip_prefix(PREFIX) {
            Some("name") => value.clone_into(&mut scope.name),
            Some("version") => value.clone_into(&mut scope.version),
            Some("schema_url") => value.clone_into(&mut schema_url),
            Some(key) => scope.attributes.push(attributes::text(key, value)),
            None => {}
        }
    }
    ScopeMetrics {
        scope: Some(scope),
        metrics: Vec::new(),
        schema_url,
    }
}

/// Returns the index of a scope in the list, appended when it is not there.
pub(crate) fn index_of(scopes: &mut Vec<ScopeMetrics>, scope: ScopeMetrics) -> usize {
    let same =
        |known: &ScopeMetrics| known.scope == scope.scope && known.schema_url == scope.schema_url;
    scopes.iter().position(same).unwrap_or_else(|| {
        scopes.push(scope);
        scopes.len() - 1
    })
}

/// Adds the metrics of `more` to the scopes they belong to.
pub(crate) fn merge(scopes: &mut Vec<ScopeMetrics>, more: Vec<ScopeMetrics>) {
    for mut scope in more {
        let metrics: Vec<Metric> = std::mem::take(&mut scope.metrics);
        let index = index_of(scopes, scope);
        if let Some(known) = scopes.get_mut(index) {
            known.metrics.extend(metrics);
        }
    }
}
