use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use davy_proto::Signal;
use davy_transport::{Answer, Client, ClientConfig, Compression, Endpoint, Outcome, Protocol};
use davy_transport::{Body, ServerOptions};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use tokio::net::TcpListener;

use super::*;
use crate::config::{self, File};

/// A backend that counts items and notes the arms they came with.
#[derive(Clone, Default)]
struct Backend(Arc<Mutex<BTreeMap<Signal, u64>>>);

impl Backend {
    async fn listen(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let bound = listener.local_addr().expect("bound");
        let counts = Arc::clone(&self.0);
        let handler = davy_transport::handler(move |export| {
            let items = davy_agent_core::payload::count(export.signal, export.body.bytes());
            *counts
                .lock()
                .expect("no panic")
                .entry(export.signal)
                .or_default() += items.expect("a request");
            async { Answer::Accepted }
        });
        let options = ServerOptions::default();
        tokio::spawn(davy_transport::serve(
            listener,
            options,
            handler,
            std::future::pending(),
        ));
        bound
    }

    fn count(&self, signal: Signal) -> u64 {
        self.0
            .lock()
            .expect("no panic")
            .get(&signal)
            .copied()
            .unwrap_or(0)
    }

    async fn has(&self, signal: Signal, items: u64) {
        let wait = async {
            while self.count(signal) < items {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(10), wait).await;
        assert!(waited.is_ok(), "{} of {items} {signal}", self.count(signal));
    }
}

fn loaded(text: &str) -> Loaded {
    let head = "version: 1\n\
                receive: {otlp_grpc: '127.0.0.1:0', otlp_http: off}\n\
                admin: '127.0.0.1:0'\ncontrol: off\n";
    let file = File {
        path: "davy.yaml".into(),
        text: format!("{head}{text}"),
    };
    config::load(Some(&file), &|_| None).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

async fn start(text: &str) -> (Running, mpsc::Receiver<Ask>) {
    let (asks, asked) = mpsc::channel(4);
    (
        Running::start(loaded(text), asks).await.expect("it starts"),
        asked,
    )
}

fn spans(count: usize) -> Bytes {
    let span = Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        ..Span::default()
    };
    let scope = ScopeSpans {
        spans: vec![span; count],
        ..ScopeSpans::default()
    };
    let resource = ResourceSpans {
        scope_spans: vec![scope],
        ..ResourceSpans::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![resource],
    };
    request.encode_to_vec().into()
}

fn sender(running: &Running) -> Client {
    let bound = running.addresses()["otlp_grpc"];
    let config = ClientConfig {
        endpoint: Endpoint::base(&format!("http://{bound}")).expect("an endpoint"),
        protocol: Protocol::Grpc,
        compression: Compression::None,
        headers: Vec::new(),
        timeout: Duration::from_secs(5),
        tls: Default::default(),
        bearer: None,
    };
    Client::new(config, clock::system_time).expect("a client")
}

async fn send(client: &Client, count: usize) {
    // A connection that the agent closes while it is replaced is opened again, as an SDK does.
    for _ in 0..5 {
        let outcome = client
            .send(Signal::Traces, Body::Protobuf(spans(count)))
            .await;
        match outcome {
            Outcome::Accepted => return,
            Outcome::Retry { .. } => tokio::time::sleep(Duration::from_millis(20)).await,
            other => panic!("{other:?}"),
        }
    }
    panic!("not accepted");
}

/// Scenario: under load, the destination gets a header, then another destination comes beside it,
/// then the resource changes, then the first destination goes.
/// Guarantees: nothing that was accepted is lost, and what does not differ is not touched.
#[tokio::test]
async fn components_are_replaced_under_load() {
    let (first, second) = (Backend::default(), Backend::default());
    let (a, b) = (first.listen().await, second.listen().await);
    let one = format!("export: [{{name: a, endpoint: 'http://{a}'}}]\n");
    let (mut running, _asks) = start(&one).await;
    let addresses = running.addresses();
    let client = Arc::new(sender(&running));
    let load = tokio::spawn({
        let client = Arc::clone(&client);
        async move {
            for _ in 0..200 {
                send(&client, 5).await;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    });
    let step = || tokio::time::sleep(Duration::from_millis(40));
    step().await;
    let header = format!("export: [{{name: a, endpoint: 'http://{a}', headers: {{x: y}}}}]\n");
    assert_eq!(
        running.apply(loaded(&header)).await.expect("applied"),
        ["export"]
    );
    step().await;
    let two = format!(
        "export: [{{name: a, endpoint: 'http://{a}', headers: {{x: y}}}}, \
                       {{name: b, endpoint: 'http://{b}', signals: [traces]}}]\n"
    );
    assert_eq!(
        running.apply(loaded(&two)).await.expect("applied"),
        ["export"]
    );
    step().await;
    let arm = format!("{two}resource: {{davy.arm: v2}}\n");
    assert_eq!(
        running.apply(loaded(&arm)).await.expect("applied"),
        ["receive"]
    );
    assert_eq!(running.apply(loaded(&arm)).await.expect("applied"), [""; 0]);
    assert_eq!(running.addresses(), addresses, "the same sockets listen");
    load.await.expect("no panic");
    first.has(Signal::Traces, 1000).await;
    let only_second = format!(
        "export: [{{name: b, endpoint: 'http://{b}', signals: [traces]}}]\n\
                               resource: {{davy.arm: v2}}\n"
    );
    assert_eq!(
        running.apply(loaded(&only_second)).await.expect("applied"),
        ["export"]
    );
    let before = second.count(Signal::Traces);
    send(&client, 7).await;
    second.has(Signal::Traces, before + 7).await;
    assert_eq!(running.stop().await, 0);
    assert_eq!(
        first.count(Signal::Traces),
        1000,
        "it left before the last seven"
    );
}

/// Guarantees: what a destination holds goes on to its successor, and stopping counts what is lost.
#[tokio::test]
async fn a_mended_destination_gets_what_was_queued() {
    let dead = "export: [{name: a, endpoint: 'http://127.0.0.1:1'}]\n";
    let (mut running, _asks) = start(dead).await;
    let client = sender(&running);
    send(&client, 3).await;
    let backend = Backend::default();
    let mended = format!(
        "export: [{{name: a, endpoint: 'http://{}'}}]\n",
        backend.listen().await
    );
    assert_eq!(
        running.apply(loaded(&mended)).await.expect("applied"),
        ["export"]
    );
    backend.has(Signal::Traces, 3).await;
    running.apply(loaded(dead)).await.expect("applied");
    send(&client, 2).await;
    let telemetry = running.intake().telemetry().clone();
    assert_eq!(running.stop().await, 2);
    let line =
        "davy_agent_dropped_items_total{signal=\"traces\",destination=\"a\",reason=\"shutdown\"} 2";
    assert!(telemetry.encode().contains(line), "{}", telemetry.encode());
}

/// Guarantees: an address that is taken keeps nothing else from being applied, and is named.
#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let (mut running, _asks) = start("export: [{name: a, endpoint: 'http://127.0.0.1:1'}]\n").await;
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = taken.local_addr().expect("bound");
    let mut next = loaded("export: [{name: b, endpoint: 'http://127.0.0.1:1'}]\n");
    next.config.control = Some(address);
    let error = running.apply(next).await.expect_err("the address is taken");
    assert_eq!(error.to_string(), format!("binding control to {address}"));
    let status = crate::status::status(&running);
    assert_eq!(status["destinations"][0]["name"], "b");
    assert!(
        status["configuration"]["error"]
            .as_str()
            .is_some_and(|e| e.contains("binding"))
    );
    assert_eq!(running.stop().await, 0);
}
