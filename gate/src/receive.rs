//! Evidence comes in: OTLP metrics over gRPC and HTTP, decoded here and handed to the engine.

use std::sync::Arc;

use davy_agent_core::json;
use davy_proto::Signal;
use davy_transport::{Answer, Body, Export, Handler, handler};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use prost::Message;

use crate::engine::Engine;
use crate::telemetry::Telemetry;

/// What a server does with each export.
pub fn evidence(engine: Engine, telemetry: Arc<Telemetry>) -> Handler {
    handler(move |export: Export| {
        let (engine, telemetry) = (engine.clone(), Arc::clone(&telemetry));
        async move {
            let answer = take(&engine, export).await;
            let reason = match &answer {
                Answer::Unimplemented { .. } => "signal",
                Answer::Invalid { .. } => "invalid",
                Answer::Overloaded { .. } => "overloaded",
                _ => return answer,
            };
            telemetry.refused_request(reason);
            answer
        }
    })
}

async fn take(engine: &Engine, export: Export) -> Answer {
    if export.signal != Signal::Metrics {
        let message = format!("the gate takes metrics, not {}", export.signal.as_str());
        return Answer::Unimplemented { message };
    }
    let request = match decode(&export.body) {
        Ok(request) => request,
        Err(message) => return Answer::Invalid { message },
    };
    let Some(report) = engine.observe(request).await else {
        return Answer::Overloaded {
            retry_after: std::time::Duration::from_secs(1),
        };
    };
    // Duplicates and first points of cumulative series are in the nature of the thing.
    let rejected = report.faults();
    if rejected == 0 {
        return Answer::Accepted;
    }
    let examples = report
        .examples
        .iter()
        .map(|refused| format!("{}: {}", refused.place, refused.reason.as_str()));
    Answer::Partial {
        rejected,
        message: examples.collect::<Vec<_>>().join("; "),
    }
}

fn decode(body: &Body) -> Result<ExportMetricsServiceRequest, String> {
    match body {
        Body::Protobuf(bytes) => {
            ExportMetricsServiceRequest::decode(bytes.clone()).map_err(|error| error.to_string())
        }
        Body::Json(bytes) => json::read_metrics(bytes).map_err(|error| error.to_string()),
    }
}
