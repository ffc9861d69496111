//! What arrives at the gate: requests one after the other, as protobuf or JSON.
//!
//! * A window that is made is right by itself, and written is read as the same.
//! * A request that is delivered twice counts once.
//! * Pods and series that are remembered stay within their bounds, and so does memory.

use bytes::Bytes;
use davy_agent_core::{json, payload};
use davy_gate_core::normalize::{Normalizer, Settings};
use davy_proto::{Signal, UnixNanos};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use prost::Message as _;

use crate::memory::bounded;
use crate::pieces::split;
use crate::{Target, seeds, window};

/// The target.
pub const TARGET: Target = Target {
    name: "evidence",
    check,
    seeds: seeds::evidence,
    dictionary: Some("otlp.dict"),
    bytes_max: 4096,
    mutations: 15_000,
    code: crate::GATE,
};

/// Most requests of one input.
const REQUESTS_MAX: usize = 8;
/// Series remembered by the small normalizer, and of them one pod's.
const SERIES_MAX: usize = 12;
const POD_SERIES_MAX: usize = 5;
const PODS_MAX: usize = 3;
/// When everything arrives.
const RECEIVED: u64 = 10_000;

/// A message of two bytes, decoded, and the window that a point makes.
const TIMES: usize = 1024;
const BYTES: usize = 256 << 10;

/// Checks requests.
pub fn check(bytes: &[u8]) {
    let mut large = Normalizer::new(Settings::standard());
    let mut small = Normalizer::new(Settings {
        pods_max: PODS_MAX,
        series_max: SERIES_MAX,
        pod_series_max: POD_SERIES_MAX,
        ..Settings::standard()
    });
    let received = UnixNanos::from_seconds(RECEIVED);
    for part in split(bytes).into_iter().take(REQUESTS_MAX) {
        let bound = (part.len(), TIMES, BYTES);
        let Some(request) = bounded(bound, "decode evidence", || decode(part)) else {
            continue;
        };
        let (windows, report) = bounded(bound, "read evidence", || large.take(&request, received));
        for window in &windows {
            window::is_right(window);
            assert!(window.end <= received.plus(Settings::standard().ahead_max));
        }
        assert!(report.examples.len() <= 16, "examples are bounded");
        assert!(report.faults() <= report.counts.values().sum());
        let (again, _) = large.take(&request, received);
        for window in &again {
            let requests: u64 = window.routes.iter().map(|route| route.requests).sum();
            let seconds = window.cpu.map_or(0.0, |cpu| cpu.seconds);
            let nothing = requests == 0 && seconds == 0.0;
            assert!(nothing, "delivered twice, counted twice: {window:?}");
        }
        small.take(&request, received);
        // Room is made for a pod before its series are known.
        assert!(
            small.series() <= SERIES_MAX + POD_SERIES_MAX,
            "{} series",
            small.series()
        );
    }
}

/// Decodes a request as the gate does: only what can't become many times as large.
fn decode(part: &[u8]) -> Option<ExportMetricsServiceRequest> {
    let bytes = match part.first() {
        Some(b'{') => Bytes::from(json::to_protobuf(Signal::Metrics, part).ok()?),
        _ => Bytes::copy_from_slice(part),
    };
    payload::census(Signal::Metrics, &bytes).ok()?;
    ExportMetricsServiceRequest::decode(bytes).ok()
}
