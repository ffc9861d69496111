//! OTLP from the app's SDK: checked, counted, marked with Davy's attributes, offered.
//!
//! An answer is given only when the request is queued for every destination of its signal, or for
//! none: a full queue is said as such (503 or `UNAVAILABLE`, with a delay), and the SDK keeps what
//! it has; what no queue will ever hold is refused for good (413 or `RESOURCE_EXHAUSTED`). Bytes
//! are relayed as they came; JSON becomes protobuf first.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use davy_agent_core::Payload;
use davy_agent_core::json;
use davy_agent_core::payload::Enrichment;
use davy_proto::Signal;
use davy_transport::{Answer, Body, Export, Refusals, ServerOptions};
use tokio::net::TcpListener;

use crate::pipeline::{Intake, Observation, Offer};
use crate::telemetry::{LARGER_THAN_QUEUE, Telemetry};

/// A source of OTLP; each of the agent's listeners takes gRPC and HTTP alike.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// The listener's name, as in configuration: `otlp_grpc` or `otlp_http`.
    pub source: &'static str,
    /// What Davy adds to the resources it receives.
    pub enrichment: Arc<Enrichment>,
    /// Where requests go.
    pub intake: Intake,
}

/// Counts what is refused before [`Receiver`] sees it.
#[derive(Debug)]
struct Counted {
    source: &'static str,
    telemetry: Telemetry,
}

impl Refusals for Counted {
    fn refused(&self, reason: &'static str) {
        self.telemetry.refused(self.source, reason);
    }
}

impl Receiver {
    /// Serves `listener` until `shutdown`; requests under way are then answered, within
    /// `options.shutdown_grace`.
    pub async fn run(
        self,
        listener: TcpListener,
        mut options: ServerOptions,
        shutdown: impl Future<Output = ()>,
    ) {
        let telemetry = self.intake.telemetry().clone();
        options.refusals = Some(Arc::new(Counted {
            source: self.source,
            telemetry,
        }));
        let handler = davy_transport::handler(move |export| {
            let answer = self.take(&export);
            async move { answer }
        });
        davy_transport::serve(listener, options, handler, shutdown).await;
    }

    /// Takes a request, or says why not.
    fn take(&self, export: &Export) -> Answer {
        let signal = export.signal;
        let telemetry = self.intake.telemetry();
        let payload = match self.read(signal, &export.body) {
            Ok(payload) => payload,
            Err(message) => {
                telemetry.refused(self.source, "malformed");
                return Answer::Invalid { message };
            }
        };
        let Payload { items, .. } = payload;
        if items == 0 {
            return Answer::Accepted;
        }
        let bytes = payload.bytes.clone();
        match self.intake.offer(payload) {
            Offer::Accepted => {
                telemetry.received(signal, self.source, items);
                self.observe(signal, bytes);
                Answer::Accepted
            }
            Offer::Full { retry_after } => {
                telemetry.refused(self.source, "full");
                Answer::Overloaded { retry_after }
            }
            Offer::TooLarge { limit } => {
                telemetry.refused(self.source, LARGER_THAN_QUEUE);
                let message = format!(
                    "request is larger than {limit} bytes, the most that the queues \
                     (spool.max_bytes) have room for"
                );
                Answer::TooLarge { message }
            }
        }
    }

    fn read(&self, signal: Signal, body: &Body) -> Result<Payload, String> {
        let protobuf = match body {
            Body::Json(text) => json::to_protobuf(signal, text)
                .map_err(|error| error.to_string())?
                .into(),
            Body::Protobuf(bytes) => bytes.clone(),
        };
        Payload::received(signal, &protobuf, &self.enrichment).map_err(|error| error.to_string())
    }

    /// Metrics and traces are what evidence is made from.
    fn observe(&self, signal: Signal, bytes: Bytes) {
        if signal != Signal::Logs && self.intake.is_observed() {
            self.intake.observe(Observation::Received { signal, bytes });
        }
    }
}

#[cfg(test)]
mod tests;
