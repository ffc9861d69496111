//! The windows that wait for the gate, and their sender.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use davy_agent_core::evidence::Closed;
use davy_agent_core::json;
use davy_proto::{Signal, UnixNanos};
use davy_transport::{Body, Client, Media, Outcome};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use prost::Message;
use tokio::sync::Notify;

use super::{EvidenceState, OUTBOX_WINDOWS};
use crate::clock;
use crate::telemetry::Telemetry;

/// First pause after a failed send; doubles up to [`PAUSE_MAX`].
const PAUSE_FIRST: Duration = Duration::from_millis(500);
/// Longest pause: one window, so that a gate that is back sees evidence in the next one.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// A window that waits.
#[derive(Clone, Debug)]
struct Window {
    end: UnixNanos,
    request: ExportMetricsServiceRequest,
}

/// The windows that wait for the gate, oldest first.
#[derive(Debug)]
pub(super) struct Outbox {
    windows: Mutex<VecDeque<Window>>,
    filled: Notify,
    telemetry: Telemetry,
    state: EvidenceState,
}

/// What became of an attempt to send the oldest window.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Sent {
    /// There was none.
    Nothing,
    /// The gate took it, or refused it for good.
    Done,
    /// It waits for another attempt, at least so long.
    Again(Duration),
}

impl Outbox {
    pub(super) fn new(telemetry: Telemetry, state: EvidenceState) -> Self {
        let windows = Mutex::new(VecDeque::new());
        Self {
            windows,
            filled: Notify::new(),
            telemetry,
            state,
        }
    }

    /// Takes a closed window; the oldest goes when there is no room.
    pub(super) fn closed(&self, end: UnixNanos, closed: Closed) {
        self.state
            .update(|state| state.report = Some(closed.report));
        let Some(request) = closed.request else {
            self.telemetry.evidence_window("empty");
            return;
        };
        let mut windows = self.lock();
        if windows.len() >= OUTBOX_WINDOWS {
            windows.pop_front();
            self.telemetry.evidence_window("dropped");
        }
        windows.push_back(Window { end, request });
        let waiting = windows.len();
        drop(windows);
        self.state.update(|state| state.waiting = waiting);
        self.filled.notify_one();
    }

    /// Sends for ever; with pauses while the gate doesn't take anything.
    pub(super) async fn send(&self, client: &Client) {
        let mut pause = PAUSE_FIRST;
        loop {
            match self.send_oldest(client).await {
                Sent::Nothing => self.filled.notified().await,
                Sent::Done => pause = PAUSE_FIRST,
                Sent::Again(asked) => {
                    let jitter = clock::draw() % 256;
                    let jittered = pause.mul_f64(0.5 + jitter as f64 / 512.0);
                    tokio::time::sleep(jittered.max(asked)).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }

    /// Sends what waits, each window once, until one is not taken.
    pub(super) async fn flush(&self, client: &Client) {
        while self.send_oldest(client).await == Sent::Done {}
    }

    /// Gives up what waits; says how much that was.
    pub(super) fn abandon(&self) -> usize {
        let lost = std::mem::take(&mut *self.lock()).len();
        for _ in 0..lost {
            self.telemetry.evidence_window("dropped");
        }
        self.state.update(|state| state.waiting = 0);
        lost
    }

    async fn send_oldest(&self, client: &Client) -> Sent {
        let Some(window) = self.lock().front().cloned() else {
            return Sent::Nothing;
        };
        let media = client.config().protocol.media();
        let outcome = client
            .send(Signal::Metrics, body(media, &window.request))
            .await;
        match outcome {
            Outcome::Accepted => self.taken(&window, "sent", None),
            Outcome::Warning { message } => {
                tracing::debug!(message, "the gate took a window with a warning");
                self.taken(&window, "sent", None)
            }
            Outcome::Partial { rejected, message } => {
                tracing::warn!(rejected, message, "the gate rejected part of a window");
                self.taken(&window, "rejected", Some(message))
            }
            Outcome::Permanent { error } => {
                tracing::warn!(%error, "the gate refused a window");
                self.taken(&window, "rejected", Some(error.to_string()))
            }
            Outcome::Retry { after, error } => {
                tracing::debug!(%error, "the gate did not take a window");
                self.state
                    .update(|state| state.error = Some(error.to_string()));
                Sent::Again(after.unwrap_or_default().min(PAUSE_MAX))
            }
        }
    }

    /// The window is done with; it may have been dropped for want of room meanwhile.
    fn taken(&self, window: &Window, outcome: &'static str, error: Option<String>) -> Sent {
        let mut windows = self.lock();
        if windows.front().is_some_and(|front| front.end == window.end) {
            windows.pop_front();
        }
        let waiting = windows.len();
        drop(windows);
        self.telemetry.evidence_window(outcome);
        self.state.update(|state| {
            state.waiting = waiting;
            if error.is_none() {
                state.last_sent = Some(window.end);
            }
            state.error = error;
        });
        Sent::Done
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Window>> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn body(media: Media, request: &ExportMetricsServiceRequest) -> Body {
    match media {
        Media::Json => Body::Json(Bytes::from(json::write_metrics(request))),
        Media::Protobuf => Body::Protobuf(Bytes::from(request.encode_to_vec())),
    }
}
