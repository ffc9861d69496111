//! The agent's own metrics: all of them, by name. The doc comment of a field is its HELP text.
//!
//! Labels are few and bounded by the configuration: signals, destinations, targets, reasons.

mod labels;

use std::fmt;
use std::sync::Arc;

use davy_proto::Signal;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Metric, Registry};
use std::sync::atomic::AtomicU64;

use labels::{
    BuildLabels, DestinationLabels, DropLabels, KindLabels, LaneLabels, OutcomeLabels,
    RefusalLabels, SourceLabels, TargetLabels,
};
pub use labels::{DropReason, LARGER_THAN_QUEUE};

type Seconds = Gauge<f64, AtomicU64>;

/// Declares the metrics with their names, once.
macro_rules! metrics {
    ($(#[doc = $help:literal] $field:ident: $type:ty = $name:literal,)+) => {
        #[derive(Debug, Default)]
        struct Metrics { $(#[doc = $help] $field: $type,)+ }

        impl Metrics {
            fn register(&self, registry: &mut Registry) {
                $(add(registry, $name, $help, self.$field.clone());)+
            }
        }

        /// Names of all metrics with their HELP texts, as `/metrics` shows them.
        pub const METRICS: &[(&str, &str)] = &[$(($name, $help),)+];
    };
}

metrics! {
    /// Version, commit and target of the running agent, always 1.
    build_info: Family<BuildLabels, Gauge> = "davy_agent_build_info",
    /// Points, log records and spans taken in.
    received_items: Family<SourceLabels, Counter> = "davy_agent_received_items",
    /// Requests of senders that were refused, by reason.
    refused_requests: Family<RefusalLabels, Counter> = "davy_agent_refused_requests",
    /// Points, log records and spans that a destination acknowledged.
    exported_items: Family<LaneLabels, Counter> = "davy_agent_exported_items",
    /// Points, log records and spans that a destination refused for good (partial success).
    rejected_items: Family<LaneLabels, Counter> = "davy_agent_rejected_items",
    /// Points, log records and spans that were dropped, by reason.
    dropped_items: Family<DropLabels, Counter> = "davy_agent_dropped_items",
    /// Points, log records and spans that wait or are under way.
    queue_items: Family<LaneLabels, Gauge> = "davy_agent_queue_items",
    /// Bytes that wait or are under way.
    queue_bytes: Family<LaneLabels, Gauge> = "davy_agent_queue_bytes",
    /// Bound of all queues together, in bytes.
    queue_bytes_max: Gauge = "davy_agent_queue_bytes_max",
    /// Export requests, by outcome: accepted, partial, retry or permanent.
    export_requests: Family<DestinationLabels, Counter> = "davy_agent_export_requests",
    /// Scrapes, by target and outcome.
    scrapes: Family<TargetLabels, Counter> = "davy_agent_scrapes",
    /// Oddities of the input, by source and kind; the input was used all the same.
    anomalies: Family<KindLabels, Counter> = "davy_agent_anomalies",
    /// Windows of evidence, by outcome.
    evidence_windows: Family<OutcomeLabels, Counter> = "davy_agent_evidence_windows",
    /// Observations that the evidence task had no room for.
    evidence_observations_dropped: Counter = "davy_agent_evidence_observations_dropped",
    /// Configurations that were read, by outcome.
    config_reloads: Family<OutcomeLabels, Counter> = "davy_agent_config_reloads",
    /// Resident memory of the agent, in bytes.
    resident_memory: Gauge = "davy_agent_resident_memory_bytes",
    /// User and system CPU time of the agent, in seconds.
    cpu_seconds: Counter<f64, AtomicU64> = "davy_agent_cpu_seconds",
    /// Start of the agent, in seconds since the epoch.
    start_time: Seconds = "davy_agent_start_time_seconds",
}

/// The agent's own metrics; cheap to clone.
#[derive(Clone)]
pub struct Telemetry(Arc<Inner>);

struct Inner {
    metrics: Metrics,
    registry: Registry,
}

impl Telemetry {
    /// All metrics at zero.
    pub fn new() -> Self {
        let metrics = Metrics::default();
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let build = BuildLabels {
            version: crate::VERSION,
            commit: crate::COMMIT,
            target: crate::TARGET,
        };
        metrics.build_info.get_or_create(&build).set(1);
        metrics.start_time.set(crate::clock::now().seconds() as f64);
        Self(Arc::new(Inner { metrics, registry }))
    }

    /// Items that a source took in; `source` is a target, `otlp_grpc`, `otlp_http` or `tail`.
    pub fn received(&self, signal: Signal, source: &str, items: u64) {
        let labels = SourceLabels {
            signal: signal.as_str(),
            source: source.to_owned(),
        };
        self.0
            .metrics
            .received_items
            .get_or_create(&labels)
            .inc_by(items);
    }

    /// A sender's request that was refused; `reason` is one of a few words.
    pub fn refused(&self, source: &'static str, reason: &'static str) {
        let labels = RefusalLabels { source, reason };
        self.0.metrics.refused_requests.get_or_create(&labels).inc();
    }

    /// Items that a destination acknowledged.
    pub fn exported(&self, signal: Signal, destination: &str, items: u64) {
        self.0
            .metrics
            .exported_items
            .get_or_create(&lane(signal, destination))
            .inc_by(items);
    }

    /// Items that a destination refused for good.
    pub fn rejected(&self, signal: Signal, destination: &str, items: u64) {
        self.0
            .metrics
            .rejected_items
            .get_or_create(&lane(signal, destination))
            .inc_by(items);
    }

    /// Items that were dropped.
    pub fn dropped(&self, signal: Signal, destination: &str, reason: DropReason, items: u64) {
        let destination = destination.to_owned();
        let labels = DropLabels {
            signal: signal.as_str(),
            destination,
            reason: reason.as_str(),
        };
        self.0
            .metrics
            .dropped_items
            .get_or_create(&labels)
            .inc_by(items);
    }

    /// An export request to a destination; `outcome` is accepted, partial, retry or permanent.
    pub fn export_request(&self, destination: &str, outcome: &'static str) {
        let labels = DestinationLabels {
            destination: destination.to_owned(),
            outcome,
        };
        self.0.metrics.export_requests.get_or_create(&labels).inc();
    }

    /// A scrape; `outcome` is ok or a short reason.
    pub fn scrape(&self, target: &str, outcome: &'static str) {
        let labels = TargetLabels {
            target: target.to_owned(),
            outcome,
        };
        self.0.metrics.scrapes.get_or_create(&labels).inc();
    }

    /// Something odd in the input; `kind` is one of a few words.
    pub fn anomaly(&self, source: &'static str, kind: &'static str, count: u64) {
        if count > 0 {
            let labels = KindLabels { source, kind };
            self.0
                .metrics
                .anomalies
                .get_or_create(&labels)
                .inc_by(count);
        }
    }

    /// A window of evidence; `outcome` is sent, empty, dropped or rejected.
    pub fn evidence_window(&self, outcome: &'static str) {
        let labels = OutcomeLabels { outcome };
        self.0.metrics.evidence_windows.get_or_create(&labels).inc();
    }

    /// An observation that the evidence task had no room for.
    pub fn observation_dropped(&self) {
        self.0.metrics.evidence_observations_dropped.inc();
    }

    /// A configuration that was read; `outcome` is applied, unchanged or refused.
    pub fn config_reload(&self, outcome: &'static str) {
        let labels = OutcomeLabels { outcome };
        self.0.metrics.config_reloads.get_or_create(&labels).inc();
    }

    /// Sets what is measured when `/metrics` is asked for: a lane's queue.
    pub fn queue(&self, signal: Signal, destination: &str, items: u64, bytes: u64) {
        let labels = lane(signal, destination);
        self.0
            .metrics
            .queue_items
            .get_or_create(&labels)
            .set(signed(items));
        self.0
            .metrics
            .queue_bytes
            .get_or_create(&labels)
            .set(signed(bytes));
    }

    /// Forgets the queue of a destination that is no more.
    pub fn forget_queue(&self, signal: Signal, destination: &str) {
        let labels = lane(signal, destination);
        self.0.metrics.queue_items.remove(&labels);
        self.0.metrics.queue_bytes.remove(&labels);
    }

    /// Sets the bound of all queues, in bytes.
    pub fn queue_bytes_max(&self, bytes: u64) {
        self.0.metrics.queue_bytes_max.set(signed(bytes));
    }

    /// Sets what the kernel says of the process.
    pub fn process(&self, resident_bytes: u64, cpu_seconds: f64) {
        self.0.metrics.resident_memory.set(signed(resident_bytes));
        let counted = self.0.metrics.cpu_seconds.get();
        self.0
            .metrics
            .cpu_seconds
            .inc_by((cpu_seconds - counted).max(0.0));
    }

    /// Everything, as OpenMetrics text.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a string fails only when out of memory.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.0.registry);
        text
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Telemetry").field(&self.0.metrics).finish()
    }
}

/// Content type of [`Telemetry::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

fn add(registry: &mut Registry, name: &str, help: &str, metric: impl Metric) {
    // The registry ends the sentence itself.
    registry.register(name, help.trim().trim_end_matches('.'), metric);
}

fn lane(signal: Signal, destination: &str) -> LaneLabels {
    LaneLabels {
        signal: signal.as_str(),
        destination: destination.to_owned(),
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
