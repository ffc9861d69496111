//! What the `evidence:` block of the configuration says; defaults are `davy_proto::indicator`'s.

use std::time::Duration;

use davy_proto::indicator::{self, ErrorRules, Protocol};
use opentelemetry_proto::tonic::common::v1::KeyValue;

/// Where latencies come from.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SourceMode {
    /// Native or exponential histogram, else classic, else spans.
    #[default]
    Auto,
    /// Histograms only.
    Histogram,
    /// Spans only.
    Spans,
}

/// Names of metrics and attributes for one protocol; each list is tried in order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Names {
    /// Duration histograms.
    pub duration: Vec<String>,
    /// Counters of requests, for the status where the histogram has none.
    pub requests: Vec<String>,
    /// Attributes that hold the route (rpc: the method).
    pub route: Vec<String>,
    /// Attributes that hold what stands before the route: HTTP method or RPC service.
    pub qualifier: Vec<String>,
    /// Attributes that hold the status.
    pub status: Vec<String>,
}

/// Settings of [`super::Evidence`].
#[derive(Clone, Debug, PartialEq)]
pub struct EvidenceSettings {
    /// Where latencies come from.
    pub source: SourceMode,
    /// Length of a window, above zero; windows end on multiples of it.
    pub window: Duration,
    /// Names of HTTP servers' metrics.
    pub http: Names,
    /// Names of RPC servers' metrics.
    pub rpc: Names,
    /// Which statuses are errors.
    pub errors: ErrorRules,
    /// Routes that are no evidence; a trailing `*` stands for anything.
    pub exclude_routes: Vec<String>,
    /// Most routes (with their methods); the rest is one route, `other`.
    pub max_routes: usize,
    /// Most series that are watched.
    pub max_series: usize,
    /// CPU limit of the app in cores, where known.
    pub cpu_limit_cores: Option<f64>,
    /// Resource of the evidence: `service.*`, `k8s.*`, the arm.
    pub resource: Vec<KeyValue>,
}

/// Default length of a window.
pub const DEFAULT_WINDOW: Duration = Duration::from_secs(5);
/// Default for the most routes of a window.
pub const DEFAULT_MAX_ROUTES: usize = 50;
/// Default for the most series watched: 50 routes × 5 statuses, twenty times over.
pub const DEFAULT_MAX_SERIES: usize = 5_000;

impl EvidenceSettings {
    /// The defaults, for this resource.
    pub fn with_resource(resource: Vec<KeyValue>) -> Self {
        Self {
            source: SourceMode::Auto,
            window: DEFAULT_WINDOW,
            http: Names::of(Protocol::Http),
            rpc: Names::of(Protocol::Rpc),
            errors: ErrorRules::default(),
            exclude_routes: owned(indicator::EXCLUDED_ROUTES),
            max_routes: DEFAULT_MAX_ROUTES,
            max_series: DEFAULT_MAX_SERIES,
            cpu_limit_cores: None,
            resource,
        }
    }

    /// The names of a protocol.
    pub const fn names(&self, protocol: Protocol) -> &Names {
        match protocol {
            Protocol::Http => &self.http,
            Protocol::Rpc => &self.rpc,
        }
    }
}

impl Names {
    /// The default names of a protocol.
    pub fn of(protocol: Protocol) -> Self {
        let names = protocol.names();
        Self {
            duration: owned(names.duration),
            requests: owned(names.requests),
            route: owned(names.route),
            qualifier: owned(names.qualifier),
            status: owned(names.status),
        }
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
