//! Observes what is forwarded and closes windows on the clock.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use davy_agent_core::evidence::{Evidence, EvidenceSettings, Origin};
use davy_agent_core::payload::{Payload, split};
use davy_proto::{Signal, UnixNanos};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::ResourceMetrics;
use prost::Message;
use tokio::sync::mpsc;

use super::GRACE;
use super::outbox::Outbox;
use crate::clock;
use crate::pipeline::Observation;
use crate::telemetry::Telemetry;

/// Most targets that are told apart: what `scrape` may list.
const TARGETS_MAX: usize = 64;
/// Windows after which a target that was not scraped is not waited for.
const SILENT_WINDOWS: u32 = 3;
/// Encoded bytes that are decoded at a time. An empty span of two bytes takes hundreds when
/// decoded, so a request of the largest size, decoded whole, would take gigabytes.
const DECODED_BYTES_MAX: usize = 64 << 10;

/// Keeps the open window.
#[derive(Debug)]
pub(super) struct Keeper {
    evidence: Evidence,
    telemetry: Telemetry,
    window: Duration,
    /// End of the open window.
    end: UnixNanos,
    /// Targets in the order they were first seen, with the time of their last scrape.
    targets: BTreeMap<String, (u16, UnixNanos)>,
}

impl Keeper {
    pub(super) fn new(settings: EvidenceSettings, telemetry: Telemetry, now: UnixNanos) -> Self {
        let window = settings.window.max(Duration::from_millis(1));
        let end = now.floor(window).plus(window);
        let targets = BTreeMap::new();
        Self {
            evidence: Evidence::new(settings),
            telemetry,
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
            Observation::Scraped { at, bytes } => {
                let metrics = self.evidence.select(&bytes);
                if let Some(target) = self.target(&metrics, at) {
                    let origin = Origin::Scrape { target };
                    self.evidence.observe_metrics(&metrics, origin, at);
                }
            }
            Observation::Received {
                signal: Signal::Metrics,
                bytes,
            } => {
                for part in self.parts(Signal::Metrics, bytes) {
                    if let Ok(request) = ExportMetricsServiceRequest::decode(part) {
                        self.evidence
                            .observe_metrics(&request.resource_metrics, Origin::Otlp, now);
                    }
                }
            }
            Observation::Received {
                signal: Signal::Traces,
                bytes,
            } => {
                if !self.evidence.wants_spans() {
                    return;
                }
                for part in self.parts(Signal::Traces, bytes) {
                    if let Ok(request) = ExportTraceServiceRequest::decode(part) {
                        self.evidence.observe_spans(&request);
                    }
                }
            }
            Observation::Received {
                signal: Signal::Logs,
                ..
            } => {}
        }
    }

    /// A received request in parts that are small when decoded. What can't be cut or decoded was
    /// refused by the receiver already.
    fn parts(&self, signal: Signal, bytes: Bytes) -> impl Iterator<Item = Bytes> + use<> {
        let whole = Payload {
            signal,
            bytes,
            items: 0,
        };
        let split = split(&whole, DECODED_BYTES_MAX).unwrap_or_default();
        if split.oversized_items > 0 {
            self.telemetry.observation_dropped();
        }
        split.parts.into_iter().map(|part| part.bytes)
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
    fn target(&mut self, metrics: &[ResourceMetrics], at: UnixNanos) -> Option<u16> {
        let resource = metrics.first()?.resource.as_ref();
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

#[cfg(test)]
mod tests {
    use davy_agent_core::payload::count;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

    use super::*;

    fn request(spans: Vec<Span>) -> Bytes {
        let scope_spans = vec![ScopeSpans {
            spans,
            ..ScopeSpans::default()
        }];
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                scope_spans,
                ..ResourceSpans::default()
            }],
        };
        request.encode_to_vec().into()
    }

    /// Guarantees: a request is never decoded whole where that would take a thousand times its
    /// bytes, and nothing of it is left out unless it is counted.
    #[test]
    fn large_requests_are_decoded_by_parts() {
        let telemetry = Telemetry::new();
        let settings = EvidenceSettings::with_resource(Vec::new());
        let keeper = Keeper::new(settings, telemetry.clone(), UnixNanos::from_seconds(10));
        let check = |spans: Vec<Span>, left_out: u64, dropped: u32| {
            let all = spans.len() as u64;
            let mut items = 0;
            for part in keeper.parts(Signal::Traces, request(spans)) {
                assert!(part.len() <= DECODED_BYTES_MAX);
                items += count(Signal::Traces, &part).expect("a request");
            }
            assert_eq!(items, all - left_out);
            let counter = format!("davy_agent_evidence_observations_dropped_total {dropped}");
            assert!(telemetry.encode().contains(&counter), "{counter}");
        };
        check(vec![Span::default(); 3], 0, 0);
        check(vec![Span::default(); 200_000], 0, 0);
        let huge = Span {
            name: "n".repeat(DECODED_BYTES_MAX),
            ..Span::default()
        };
        check(vec![Span::default(), huge, Span::default()], 1, 1);
    }
}
