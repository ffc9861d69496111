//! From OTLP metrics, of the agent or of any collector, to [`Window`]s.
//!
//! * **Delta points** are taken as they are, each interval of a series once: the same start and
//!   end again is a duplicate, an interval that cuts an earlier one is refused. Both are
//!   counted.
//! * **Cumulative points** are differenced. A new start time or a fall of any count is a reset,
//!   after which the value counts from zero. The first point of an unknown series counts only
//!   when it can't hold anything older: its start time says that it began within one window, or
//!   an earlier snapshot of the same metric and the same start did not have the series (the
//!   first 503 of an hour).
//! * **Which metric** is the latency, which counter stands beside it and which is the CPU is
//!   chosen by the tables of [`davy_proto::indicator`], one name a pod, so that nothing is
//!   counted twice. An exponential histogram goes before an explicit one.
//! * **Errors**: the agent marks them by `error.type`, by its own configured list. Of others the
//!   status decides, by [`Settings::errors`], and `error.type` only where there is no status.
//!
//! Points with the same start and end make one window of the pod. What is refused is counted with
//! a reason and named with its place; nothing a peer sends fails the rest of its request. State is
//! bounded by pods and by series; the pod that was silent for longest is forgotten first, counted.

mod builder;
mod choice;
mod hdr;
mod identity;
mod latency;
mod point;
mod refusal;
mod series;

use std::collections::BTreeMap;
use std::time::Duration;

use davy_proto::UnixNanos;
use davy_proto::indicator::{EXCLUDED_ROUTES, ErrorRules};
use davy_proto::window::Window;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::ResourceMetrics;

use builder::Builder;
use identity::{Identity, PodKey};
use point::Point;
use series::PodState;

pub use latency::{LatencyError, latency_of, sketch_of};
pub use refusal::{Refusal, Refused, Report};

/// How OTLP is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Length of a window where a pod's own cadence isn't known yet.
    pub window: Duration,
    /// Which statuses count as errors where the sender doesn't mark them.
    pub errors: ErrorRules,
    /// Routes that are nobody's request; a `*` at the end matches the rest.
    pub exclude_routes: Vec<String>,
    /// Most pods remembered.
    pub pods_max: usize,
    /// Most series remembered, all pods together.
    pub series_max: usize,
    /// Most series of one pod; more are refused.
    pub pod_series_max: usize,
    /// How far in the future a window may end: clocks differ.
    pub ahead_max: Duration,
}

impl Settings {
    /// What holds unless configured: 5 s, 5xx, 2,000 pods, 100,000 series of which 5,000 a pod.
    pub fn standard() -> Self {
        Self {
            window: Duration::from_secs(5),
            errors: ErrorRules::default(),
            exclude_routes: EXCLUDED_ROUTES
                .iter()
                .map(|&route| route.to_owned())
                .collect(),
            pods_max: 2_000,
            series_max: 100_000,
            pod_series_max: 5_000,
            ahead_max: Duration::from_secs(60),
        }
    }
}

/// Turns OTLP metrics into windows, each counted once.
#[derive(Debug)]
pub struct Normalizer {
    settings: Settings,
    pods: BTreeMap<PodKey, PodState>,
    evicted: u64,
}

impl Normalizer {
    /// A normalizer that has seen nothing.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            pods: BTreeMap::new(),
            evicted: 0,
        }
    }

    /// The windows of one request that arrived at `received`, and what was refused of it.
    pub fn take(
        &mut self,
        request: &ExportMetricsServiceRequest,
        received: UnixNanos,
    ) -> (Vec<Window>, Report) {
        let mut report = Report::default();
        let mut windows = Vec::new();
        for resource_metrics in &request.resource_metrics {
            self.resource(resource_metrics, received, &mut windows, &mut report);
        }
        (windows, report)
    }

    /// Pods forgotten because there were too many pods or series.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Series remembered, all pods together.
    pub fn series(&self) -> usize {
        self.pods.values().map(PodState::len).sum()
    }

    fn resource(
        &mut self,
        metrics: &ResourceMetrics,
        received: UnixNanos,
        windows: &mut Vec<Window>,
        report: &mut Report,
    ) {
        let identity = match Identity::of_resource(metrics.resource.as_ref()) {
            Ok(identity) => identity,
            Err(reason) => return report.refuse(reason, "resource"),
        };
        self.make_room(&identity.key);
        let place = identity.key.to_string();
        let settings = &self.settings;
        let state = self.pods.entry(identity.key.clone()).or_default();
        state.last_seen = state.last_seen.max(received);
        let chosen = choice::choose(metrics, state, settings, received);
        let mut builder = Builder::new(&identity, settings, &chosen);
        let latest = received.plus(settings.ahead_max);
        let mut times = BTreeMap::new();
        for (role, scope, metric) in chosen.metrics(metrics) {
            let where_ = || format!("{place}: {}", metric.name);
            for point in point::points(metric, role) {
                let counted = point.and_then(|point| {
                    if point.end > latest {
                        return Err(Refusal::Future);
                    }
                    times.insert(metric.name.as_str(), (point.start, point.end));
                    state.count(state_key(scope, &point, &metric.name), point, settings)
                });
                match counted {
                    Ok(point) => builder.add(role, &point, report, &where_),
                    Err(Refusal::NoRecordedValue) => {}
                    Err(reason) => report.refuse(reason, &where_()),
                }
            }
        }
        state.collected(&times);
        state.status_seen.extend(builder.status_seen());
        builder.finish(windows, report, &place);
    }

    /// Forgets the pods silent for longest until a pod fits.
    fn make_room(&mut self, key: &PodKey) {
        while !self.pods.is_empty()
            && (self.series() >= self.settings.series_max
                || (self.pods.len() >= self.settings.pods_max && !self.pods.contains_key(key)))
        {
            let stalest = self.pods.iter().filter(|(pod, _)| *pod != key);
            let stalest = stalest.min_by_key(|(_, state)| state.last_seen);
            let Some(stalest) = stalest.map(|(pod, _)| pod.clone()) else {
                return;
            };
            self.pods.remove(&stalest);
            self.evicted += 1;
        }
    }
}

/// Identity of a series within its pod: scope, metric and attributes, whatever their order.
fn state_key(scope: &str, point: &Point<'_>, metric: &str) -> String {
    let mut attributes: Vec<(&str, String)> = point
        .attributes
        .iter()
        .map(|kv| (kv.key.as_str(), identity::text(kv)))
        .collect();
    attributes.sort();
    let mut key = format!("{scope}\u{1f}{metric}\u{1f}{}", point.kind());
    for (name, value) in attributes {
        key.push('\u{1f}');
        key.push_str(name);
        key.push('\u{1e}');
        key.push_str(&value);
    }
    key
}

#[cfg(test)]
mod tests;
