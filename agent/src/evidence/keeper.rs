//! Observes what is forwarded and closes windows on the clock.

use std::collections::BTreeMap;
use std::time::Duration;

use davy_agent_core::evidence::{Evidence, EvidenceSettings, Origin};
use davy_proto::{Signal, UnixNanos};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message;
use tokio::sync::mpsc;

use super::GRACE;
use super::outbox::Outbox;
use crate::clock;
use crate::pipeline::Observation;

/// Most targets that are told apart: what `scrape` may list.
const TARGETS_MAX: usize = 64;
/// Windows after which a target that was not scraped is not waited for.
const SILENT_WINDOWS: u32 = 3;

/// Keeps the open window.
#[derive(Debug)]
pub(super) struct Keeper {
    evidence: Evidence,
    window: Duration,
    /// End of the open window.
    end: UnixNanos,
    /// Targets in the order they were first seen, with the time of their last scrape.
    targets: BTreeMap<String, (u16, UnixNanos)>,
}

impl Keeper {
    pub(super) fn new(settings: EvidenceSettings, now: UnixNanos) -> Self {
        let window = settings.window.max(Duration::from_millis(1));
        let end = now.floor(window).plus(window);
        let targets = BTreeMap::new();
        Self {
            evidence: Evidence::new(settings),
            window,
            end,
            targets,
        }
    }

    /// Observes and closes windows until nobody can observe any more.
    pub(super) async fn keep(
        &mut self,
        observations: &mut mpsc::Receiver<Observation>,
        outbox: &Outbox,
    ) {
        loop {
            let deadline = self.end.plus(GRACE);
            let observed = tokio::select! {
                // Cancel-safe: a message not received stays in the channel.
                observed = observations.recv() => observed,
                () = tokio::time::sleep(deadline.since(clock::now())) => {
                    self.close(outbox);
                    continue;
                }
            };
            let Some(observation) = observed else { return };
            self.observe(observation, clock::now());
            if self.is_complete() {
                self.close(outbox);
            }
        }
    }

    pub(super) fn observe(&mut self, observation: Observation, now: UnixNanos) {
        match observation {
            Observation::Scraped { at, metrics } => {
                if let Some(target) = self.target(&metrics, at) {
                    let origin = Origin::Scrape { target };
                    self.evidence
                        .observe_metrics(&metrics.resource_metrics, origin, at);
                }
            }
            // What can't be decoded was refused by the receiver already.
            Observation::Received {
                signal: Signal::Metrics,
                bytes,
            } => {
                if let Ok(request) = ExportMetricsServiceRequest::decode(bytes) {
                    self.evidence
                        .observe_metrics(&request.resource_metrics, Origin::Otlp, now);
                }
            }
            Observation::Received {
                signal: Signal::Traces,
                bytes,
            } => {
                if self.evidence.wants_spans()
                    && let Ok(request) = ExportTraceServiceRequest::decode(bytes)
                {
                    self.evidence.observe_spans(&request);
                }
            }
            Observation::Received {
                signal: Signal::Logs,
                ..
            } => {}
        }
    }

    /// Whether every target that is alive has been scraped at the end of the window.
    pub(super) fn is_complete(&self) -> bool {
        let alive_since = self.end.minus(self.window.saturating_mul(SILENT_WINDOWS));
        let mut alive = self
            .targets
            .values()
            .filter(|(_, at)| *at > alive_since)
            .peekable();
        alive.peek().is_some() && alive.all(|(_, at)| *at >= self.end)
    }

    pub(super) fn close(&mut self, outbox: &Outbox) {
        let closed = self.evidence.close(self.end);
        outbox.closed(self.end, closed);
        self.end = self.end.plus(self.window);
        let now = clock::now();
        let (ahead, behind) = (self.end.since(now), now.since(self.end));
        if ahead.max(behind) > self.window.saturating_mul(2) {
            tracing::warn!(?ahead, ?behind, "the clock was set, windows start anew");
            self.end = now.floor(self.window).plus(self.window);
        }
    }

    /// The number of the target that a page is of; none for an empty page: a failed scrape.
    fn target(&mut self, metrics: &ExportMetricsServiceRequest, at: UnixNanos) -> Option<u16> {
        let resource = metrics.resource_metrics.first()?.resource.as_ref();
        let name = |key: &str| {
            let mut attributes = resource
                .into_iter()
                .flat_map(|resource| &resource.attributes);
            let value = attributes
                .find(|attribute| attribute.key == key)?
                .value
                .as_ref()?;
            match value.value.as_ref()? {
                Value::StringValue(text) => Some(text.clone()),
                Value::IntValue(number) => Some(number.to_string()),
                _ => None,
            }
        };
        let keys = ["service.instance.id", "server.address", "server.port"];
        let identity = keys.map(|key| name(key).unwrap_or_default()).join(" ");
        let known = self.targets.len();
        if known >= TARGETS_MAX && !self.targets.contains_key(&identity) {
            return None;
        }
        let next = u16::try_from(known).ok()?;
        let entry = self.targets.entry(identity).or_insert((next, at));
        entry.1 = at;
        Some(entry.0)
    }
}
