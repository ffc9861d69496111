use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime};

use davy_agent_core::queue::WhenFull;
use davy_transport::{Client, ClientConfig, ClientTls, Compression, Endpoint, Outcome, Protocol};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use tokio::sync::mpsc;

use super::*;
use crate::pipeline::{Feed, Lane};
use crate::telemetry::Telemetry;

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = any_value::Value::StringValue(value.to_owned());
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn spans(count: u8) -> ExportTraceServiceRequest {
    let span = |id| Span {
        trace_id: vec![1; 16],
        span_id: vec![id; 8],
        ..Span::default()
    };
    let spans = (1..=count).map(span).collect();
    let scope_spans = vec![ScopeSpans {
        spans,
        ..ScopeSpans::default()
    }];
    let resource_spans = vec![ResourceSpans {
        scope_spans,
        ..ResourceSpans::default()
    }];
    ExportTraceServiceRequest { resource_spans }
}

/// A receiver on loopback with one destination of traces.
async fn start(bytes_max: u64) -> (SocketAddr, Intake, Arc<Lane>) {
    let intake = Intake::new(bytes_max, WhenFull::Refuse, Telemetry::new());
    let lane = intake.add_lane("backend", Signal::Traces, Feed::Stream);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("port");
    let address = listener.local_addr().expect("address");
    let receiver = Receiver {
        source: "otlp_http",
        enrichment: Arc::new(Enrichment::new([attribute("davy.arm", "abc")])),
        intake: intake.clone(),
    };
    let options = ServerOptions::default();
    tokio::spawn(receiver.run(listener, options, std::future::pending()));
    (address, intake, lane)
}

fn client(address: SocketAddr, protocol: Protocol) -> Client {
    let config = ClientConfig {
        endpoint: Endpoint::base(&format!("http://{address}")).expect("endpoint"),
        protocol,
        compression: Compression::Gzip,
        headers: Vec::new(),
        timeout: Duration::from_secs(5),
        tls: ClientTls::default(),
        bearer: None,
    };
    Client::new(config, || SystemTime::UNIX_EPOCH).expect("client")
}

fn body(protocol: Protocol, request: &ExportTraceServiceRequest) -> Body {
    let bytes = request.encode_to_vec();
    match protocol {
        Protocol::HttpJson => {
            let text = json::from_protobuf(Signal::Traces, &bytes).expect("a request");
            Body::Json(text.into())
        }
        Protocol::Grpc | Protocol::HttpProtobuf => Body::Protobuf(bytes.into()),
    }
}

#[tokio::test]
async fn what_is_sent_in_any_words_is_queued_with_davys_attributes() {
    let (address, intake, lane) = start(1 << 20).await;
    let mut expected = spans(3);
    let resource = expected.resource_spans[0].resource.get_or_insert_default();
    resource.attributes.push(attribute("davy.arm", "abc"));
    for protocol in Protocol::ALL {
        let sent = body(protocol, &spans(3));
        let outcome = client(address, protocol).send(Signal::Traces, sent).await;
        assert_eq!(outcome, Outcome::Accepted, "{protocol:?}");
        let batch = lane.batch(1).await.expect("a batch");
        assert_eq!(batch.payload.items, 3);
        let queued = ExportTraceServiceRequest::decode(batch.payload.bytes);
        assert_eq!(queued.as_ref(), Ok(&expected), "{protocol:?}");
        lane.ack(0);
    }
    let received = "davy_agent_received_items_total{signal=\"traces\",source=\"otlp_http\"} 9";
    assert!(intake.telemetry().encode().contains(received));
}

#[tokio::test]
async fn empty_requests_are_taken_and_leave_no_trace() {
    let (address, intake, lane) = start(1 << 20).await;
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        for body in [Bytes::new(), spans(0).encode_to_vec().into()] {
            let body = Body::Protobuf(body);
            let outcome = client(address, protocol).send(Signal::Traces, body).await;
            assert_eq!(outcome, Outcome::Accepted);
        }
    }
    let body = Body::Json("{}".into());
    let outcome = client(address, Protocol::HttpJson)
        .send(Signal::Traces, body)
        .await;
    assert_eq!(outcome, Outcome::Accepted);
    assert_eq!(lane.counts().pushed, 0);
    assert_eq!(intake.lanes().len(), 1);
}

#[tokio::test]
async fn malformed_requests_are_refused_for_good() {
    let (address, intake, lane) = start(1 << 20).await;
    for (protocol, body) in [
        (Protocol::Grpc, Body::Protobuf("\u{a}\u{ff}".into())),
        (Protocol::HttpProtobuf, Body::Protobuf("nonsense".into())),
        (Protocol::HttpJson, Body::Json("{".into())),
        (Protocol::HttpJson, Body::Json("".into())),
    ] {
        match client(address, protocol).send(Signal::Traces, body).await {
            Outcome::Permanent { error } => assert!(!error.to_string().is_empty()),
            other => panic!("{protocol:?}: {other:?}"),
        }
    }
    assert_eq!(lane.counts().pushed, 0);
    let refused = "source=\"otlp_http\",reason=\"malformed\"} 4";
    assert!(intake.telemetry().encode().contains(refused));
}

#[tokio::test]
async fn a_full_queue_is_said_and_nothing_is_half_taken() {
    let (address, _, lane) = start(250).await;
    let mut taken = 0;
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf, Protocol::Grpc] {
        let sent = body(protocol, &spans(2));
        match client(address, protocol).send(Signal::Traces, sent).await {
            Outcome::Accepted => taken += 2,
            Outcome::Retry { after, error } => {
                assert_eq!(after, Some(Duration::from_secs(1)), "{error}");
            }
            other => panic!("{protocol:?}: {other:?}"),
        }
    }
    assert!(taken > 0 && taken < 6, "{taken}");
    assert_eq!(lane.counts().pushed, taken);
}

/// Guarantees: what no queue will ever hold is refused for good, so no sender repeats it for ever,
/// and counted by a reason of its own.
#[tokio::test]
async fn what_no_queue_will_hold_is_refused_for_good() {
    let (address, intake, lane) = start(250).await;
    for protocol in Protocol::ALL {
        let sent = body(protocol, &spans(10));
        match client(address, protocol).send(Signal::Traces, sent).await {
            Outcome::Permanent { error } => {
                let text = error.to_string();
                assert!(text.contains("larger than 186 bytes"), "{text}");
                let code = match protocol {
                    Protocol::Grpc => "RESOURCE_EXHAUSTED",
                    Protocol::HttpJson | Protocol::HttpProtobuf => "HTTP 413",
                };
                assert!(text.starts_with(code), "{text}");
            }
            other => panic!("{protocol:?}: {other:?}"),
        }
    }
    assert_eq!(lane.counts().pushed, 0);
    let refused = "source=\"otlp_http\",reason=\"larger_than_queue\"} 3";
    assert!(intake.telemetry().encode().contains(refused));
}

#[tokio::test]
async fn evidence_sees_what_is_relayed() {
    let (address, intake, lane) = start(1 << 20).await;
    let (observations, mut observed) = mpsc::channel(4);
    intake.set_evidence(Some(observations));
    let sent = body(Protocol::Grpc, &spans(1));
    client(address, Protocol::Grpc)
        .send(Signal::Traces, sent)
        .await;
    let batch = lane.batch(1).await.expect("a batch");
    match observed.try_recv() {
        Ok(Observation::Received { signal, bytes }) => {
            assert_eq!((signal, bytes), (Signal::Traces, batch.payload.bytes));
        }
        other => panic!("{other:?}"),
    }
}
