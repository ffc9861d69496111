//! One lane's courier: takes a batch, sends it until it is settled, takes the next.

use std::sync::Arc;

use davy_agent_core::Payload;
use davy_agent_core::json;
use davy_agent_core::payload::split;
use davy_agent_core::retry::Backoff;
use davy_transport::{Body, Cause, Client, Encoded, GrpcCode, Media, Outcome, SendError};
use tokio::sync::watch;

use super::{BATCH_BYTES_MAX, Health};
use crate::clock;
use crate::pipeline::Lane;
use crate::telemetry::{DropReason, Telemetry};

/// A request that is too large for its backend is cut in half, but not below this many bytes.
const REQUEST_BYTES_MIN: usize = 64 << 10;

/// Delivers one lane.
pub(super) struct Courier {
    pub(super) lane: Arc<Lane>,
    pub(super) client: Arc<Client>,
    pub(super) telemetry: Telemetry,
    pub(super) health: Health,
    /// True once the agent is stopping.
    pub(super) ending: watch::Receiver<bool>,
    /// Largest request, in bytes; it shrinks when the backend says it is too large.
    pub(super) request_bytes_max: usize,
}

/// What became of the items of a batch that were not simply taken.
#[derive(Debug, Default)]
struct Losses {
    rejected: u64,
    oversized: u64,
    refused: u64,
    malformed: u64,
}

/// What became of one request in the end.
enum Settled {
    Taken { rejected: u64 },
    Refused,
    TooLarge,
}

impl Courier {
    /// Delivers until the lane is closed and empty.
    pub(super) async fn run(mut self) {
        while let Some(batch) = self.lane.batch(BATCH_BYTES_MAX).await {
            // Dropping this future leaves the batch in the queue, to be abandoned and counted.
            let losses = self.deliver(batch.payload).await;
            let dropped = [
                (DropReason::Malformed, losses.malformed),
                (DropReason::Oversized, losses.oversized),
                (DropReason::Permanent, losses.refused),
            ];
            let dropped = dropped.into_iter().filter(|(_, items)| *items > 0);
            let dropped: Vec<_> = dropped.collect();
            self.lane.ack_but(losses.rejected, &dropped);
        }
    }

    /// Sends a batch, in parts if it must be, until all of it is settled.
    async fn deliver(&mut self, payload: Payload) -> Losses {
        let mut losses = Losses::default();
        let mut left = vec![payload];
        while let Some(next) = left.pop() {
            if next.bytes.len() > self.request_bytes_max {
                self.cut(&next, &mut left, &mut losses);
                continue;
            }
            match self.send(&next).await {
                Settled::Taken { rejected } => losses.rejected += rejected.min(next.items),
                Settled::Refused => losses.refused += next.items,
                Settled::TooLarge => {
                    let limit = self.request_bytes_max.min(next.bytes.len()) / 2;
                    if limit < REQUEST_BYTES_MIN {
                        losses.oversized += next.items;
                        continue;
                    }
                    self.request_bytes_max = limit;
                    left.push(next);
                }
            }
        }
        losses
    }

    /// Puts the parts of a payload in front of what is left, the first of them last.
    fn cut(&self, payload: &Payload, left: &mut Vec<Payload>, losses: &mut Losses) {
        match split(payload, self.request_bytes_max) {
            Ok(cut) => {
                losses.oversized += cut.oversized_items;
                left.extend(cut.parts.into_iter().rev());
            }
            Err(error) => {
                // What is queued was checked when it came in.
                let destination = self.lane.destination();
                tracing::error!(destination, %error, "queued payload can't be cut");
                losses.malformed += payload.items;
            }
        }
    }

    /// Sends a request until the backend has taken it or refused it for good.
    async fn send(&mut self, payload: &Payload) -> Settled {
        let encoded = match self.encode(payload) {
            Ok(encoded) => encoded,
            Err(error) => {
                self.failed(&error);
                return Settled::Refused;
            }
        };
        let mut backoff = Backoff::new();
        loop {
            let outcome = self.client.send_encoded(payload.signal, &encoded).await;
            self.count(&outcome);
            match outcome {
                Outcome::Accepted => {
                    self.succeeded(None);
                    return Settled::Taken { rejected: 0 };
                }
                Outcome::Warning { message } => {
                    self.succeeded(Some(message));
                    return Settled::Taken { rejected: 0 };
                }
                Outcome::Partial { rejected, message } => {
                    self.succeeded(Some(message));
                    return Settled::Taken { rejected };
                }
                Outcome::Permanent { error } if is_too_large(&error) => {
                    self.failed(&error);
                    return Settled::TooLarge;
                }
                Outcome::Permanent { error } => {
                    self.failed(&error);
                    return Settled::Refused;
                }
                Outcome::Retry { after, error } => {
                    self.failed(&error);
                    self.pause(backoff.next(clock::draw(), after)).await;
                }
            }
        }
    }

    /// Waits before the next try; the agent's end cuts one wait short, and no later one.
    async fn pause(&mut self, delay: std::time::Duration) {
        let was_ending = *self.ending.borrow_and_update();
        let ended = async {
            if was_ending || self.ending.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = ended => {}
        }
    }

    fn encode(&self, payload: &Payload) -> Result<Encoded, SendError> {
        let body = match self.client.config().protocol.media() {
            Media::Protobuf => Body::Protobuf(payload.bytes.clone()),
            Media::Json => match json::from_protobuf(payload.signal, &payload.bytes) {
                Ok(text) => Body::Json(text.into()),
                Err(error) => return Err(SendError::unfit(error.to_string())),
            },
        };
        self.client.encode(body)
    }

    fn count(&self, outcome: &Outcome) {
        let name = match outcome {
            Outcome::Accepted | Outcome::Warning { .. } => "accepted",
            Outcome::Partial { .. } => "partial",
            Outcome::Permanent { .. } => "permanent",
            Outcome::Retry { .. } => "retry",
        };
        self.telemetry.export_request(self.lane.destination(), name);
    }

    /// Notes a success; says so when it ends a failure, or when the backend says something new.
    fn succeeded(&self, warning: Option<String>) {
        let destination = self.lane.destination();
        let (recovered, told) = self.health.update(|health| {
            health.last_success = Some(clock::now());
            let told = warning.filter(|warning| health.warning.as_ref() != Some(warning));
            if told.is_some() {
                health.warning.clone_from(&told);
            }
            (health.error.take().is_some(), told)
        });
        if recovered {
            tracing::info!(destination, "destination takes data again");
        }
        if let Some(message) = told {
            let signal = self.lane.signal().as_str();
            tracing::warn!(
                destination,
                signal,
                message,
                "destination warns or rejects items"
            );
        }
    }

    /// Notes a failure; says so when it is the first, or a new one.
    fn failed(&self, error: &SendError) {
        let text = error.to_string();
        let is_new = self.health.update(|health| {
            health.last_failure = Some(clock::now());
            health.error.replace(text.clone()).as_ref() != Some(&text)
        });
        if is_new {
            let destination = self.lane.destination();
            let signal = self.lane.signal().as_str();
            tracing::warn!(
                destination,
                signal,
                error = text,
                retry = error.retry,
                "delivery failed"
            );
        }
    }
}

/// Whether the backend would take less at a time.
fn is_too_large(error: &SendError) -> bool {
    match &error.cause {
        Cause::Http { status, .. } => *status == http::StatusCode::PAYLOAD_TOO_LARGE,
        Cause::Grpc { code, .. } => *code == GrpcCode::ResourceExhausted,
        _ => false,
    }
}
