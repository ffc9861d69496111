//! Evidence comes in: OTLP metrics over gRPC and HTTP, decoded here and handed to the engine.

use std::sync::Arc;

use bytes::Bytes;
use davy_agent_core::{json, payload};
use davy_proto::Signal;
use davy_transport::{Answer, Body, Export, Handler, handler};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use prost::Message;

use crate::engine::Engine;
use crate::telemetry::Telemetry;

/// Most messages in one request: decoded they take up to some 200 MB. A Collector's batch of 8,192
/// points with ten attributes each has a sixth of it.
const MESSAGES_MAX: u64 = 1 << 20;

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

/// Decodes what is certain not to become many times as large.
fn decode(body: &Body) -> Result<ExportMetricsServiceRequest, String> {
    let bytes = match body {
        Body::Protobuf(bytes) => bytes.clone(),
        Body::Json(text) => {
            let bytes = json::to_protobuf(Signal::Metrics, text);
            Bytes::from(bytes.map_err(|error| error.to_string())?)
        }
    };
    let census = payload::census(Signal::Metrics, &bytes).map_err(|error| error.to_string())?;
    if census.messages > MESSAGES_MAX {
        return Err(format!(
            "{} messages (points, attributes, values) in one request, more than {MESSAGES_MAX}: \
             send smaller batches",
            census.messages
        ));
    }
    ExportMetricsServiceRequest::decode(bytes).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guarantees: a small body that would be a huge request is refused before it is decoded.
    #[test]
    fn what_would_grow_is_refused() {
        // Metrics of two bytes in one scope of one resource.
        let metrics = [0x12, 0].repeat(MESSAGES_MAX as usize);
        let nest = |tag: u8, inner: &[u8]| {
            let mut outer = vec![tag];
            prost::encode_length_delimiter(inner.len(), &mut outer).expect("a Vec grows");
            [outer, inner.to_vec()].concat()
        };
        let request = nest(0x0a, &nest(0x12, &metrics));
        let error = decode(&Body::Protobuf(request.into())).expect_err("too many");
        assert!(error.ends_with("send smaller batches"), "{error}");
        let few = nest(0x0a, &nest(0x12, &[0x12, 0].repeat(1000)));
        let few = decode(&Body::Protobuf(few.into())).expect("few enough");
        assert_eq!(few.resource_metrics[0].scope_metrics[0].metrics.len(), 1000);
    }
}
