use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use davy_proto::Signal;
use davy_transport::{
    Answer, Body, ClientConfig, ClientTls, Compression, Endpoint, Export, Protocol, ServerOptions,
};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Histogram, HistogramDataPoint, Metric, ResourceMetrics, ScopeMetrics,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use tokio::net::TcpListener;

use super::*;
use crate::clock;

fn page(target: &str, at: UnixNanos, count: u64) -> Observation {
    let text = |key: &str, value: &str| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    };
    let point = HistogramDataPoint {
        attributes: vec![text("route", "/a"), text("code", "200")],
        time_unix_nano: at.nanos(),
        count,
        bucket_counts: vec![count, 0],
        explicit_bounds: vec![0.1],
        ..HistogramDataPoint::default()
    };
    let histogram = Histogram {
        data_points: vec![point],
        aggregation_temporality: 2,
    };
    let metric = Metric {
        name: "http_request_duration_seconds".to_owned(),
        data: Some(Data::Histogram(histogram)),
        ..Metric::default()
    };
    let attributes = vec![text("service.instance.id", target)];
    let metrics = ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource {
                attributes,
                ..Resource::default()
            }),
            scope_metrics: vec![ScopeMetrics {
                metrics: vec![metric],
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    };
    Observation::Scraped {
        at,
        bytes: metrics.encode_to_vec().into(),
    }
}

fn failed(at: UnixNanos) -> Observation {
    Observation::Scraped {
        at,
        bytes: Bytes::new(),
    }
}

fn outbox() -> (Outbox, EvidenceState, Telemetry) {
    let (telemetry, state) = (Telemetry::new(), EvidenceState::default());
    (
        Outbox::new(telemetry.clone(), state.clone()),
        state,
        telemetry,
    )
}

fn client(address: std::net::SocketAddr, protocol: Protocol) -> Client {
    let config = ClientConfig {
        endpoint: Endpoint::base(&format!("http://{address}")).expect("an endpoint"),
        protocol,
        compression: Compression::None,
        headers: Vec::new(),
        timeout: Duration::from_secs(2),
        tls: ClientTls::default(),
        bearer: None,
    };
    Client::new(config, SystemTime::now).expect("a client")
}

#[tokio::test]
async fn a_window_is_complete_when_every_living_target_was_scraped_at_its_end() {
    let settings = EvidenceSettings::with_resource(Vec::new());
    let start = clock::now();
    let mut keeper = Keeper::new(settings, Telemetry::new(), start);
    let window = Duration::from_secs(5);
    let end = start.floor(window).plus(window);
    assert!(!keeper.is_complete(), "nothing was scraped yet");
    keeper.observe(page("a", end.minus(window), 1), start);
    keeper.observe(page("b", end.minus(window), 1), start);
    assert!(!keeper.is_complete());
    keeper.observe(page("a", end, 2), start);
    keeper.observe(failed(end), start);
    assert!(!keeper.is_complete(), "b is alive and was not scraped");
    keeper.observe(page("b", end, 2), start);
    assert!(keeper.is_complete());
    let (outbox, state, _) = outbox();
    keeper.close(&outbox);
    assert!(!keeper.is_complete(), "the next window is open");
    assert_eq!(state.snapshot().waiting, 1);
    assert!(state.snapshot().report.is_some());
}

#[tokio::test]
async fn the_oldest_window_goes_when_the_gate_is_away_too_long() {
    let (outbox, state, telemetry) = outbox();
    let settings = EvidenceSettings::with_resource(Vec::new());
    let mut keeper = Keeper::new(settings, Telemetry::new(), clock::now());
    let start = clock::now().floor(Duration::from_secs(5));
    for window in 0..OUTBOX_WINDOWS as u64 + 3 {
        let at = start.plus(Duration::from_secs(5 * window));
        keeper.observe(page("a", at, 10 * window), at);
        keeper.close(&outbox);
    }
    assert_eq!(state.snapshot().waiting, OUTBOX_WINDOWS);
    let dropped = r#"davy_agent_evidence_windows_total{outcome="dropped"} 3"#;
    assert!(
        telemetry.encode().contains(dropped),
        "{}",
        telemetry.encode()
    );
}

/// Runs the whole task against a gate that answers in turn with `answers`, then accepts.
async fn check_delivery(protocol: Protocol, answers: Vec<Answer>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (arrived, mut arrivals) = mpsc::channel(64);
    let answers = Arc::new(Mutex::new(answers));
    let handler = davy_transport::handler(move |export: Export| {
        let (arrived, answers) = (arrived.clone(), Arc::clone(&answers));
        async move {
            let mut answers = answers.lock().expect("a lock").split_off(0).into_iter();
            match answers.next() {
                Some(answer) => answer,
                None => {
                    arrived
                        .send(export.body)
                        .await
                        .expect("a test that listens");
                    Answer::Accepted
                }
            }
        }
    });
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let ended = async { drop(stopped.await) };
    let gate = tokio::spawn(davy_transport::serve(
        listener,
        ServerOptions::default(),
        handler,
        ended,
    ));
    let state = EvidenceState::default();
    let task = EvidenceTask {
        settings: EvidenceSettings::with_resource(Vec::new()),
        client: client(address, protocol),
        telemetry: Telemetry::new(),
        state: state.clone(),
    };
    let (observe, observations) = mpsc::channel(OBSERVATIONS_MAX);
    let running = tokio::spawn(task.run(observations, std::future::pending()));
    // Pages of the window that is open now close it at once.
    let window = Duration::from_secs(5);
    let end = clock::now().floor(window).plus(window);
    observe
        .send(page("a", end.minus(window), 3))
        .await
        .expect("a running task");
    observe
        .send(page("a", end, 7))
        .await
        .expect("a running task");
    let body = arrivals.recv().await.expect("a window");
    let request = match body {
        Body::Json(text) => davy_agent_core::json::read_metrics(&text).expect("OTLP/JSON"),
        Body::Protobuf(bytes) => ExportMetricsServiceRequest::decode(bytes).expect("OTLP"),
    };
    let metric = &request.resource_metrics[0].scope_metrics[0].metrics[0];
    let Some(Data::Histogram(histogram)) = &metric.data else {
        panic!("a histogram")
    };
    let counts: Vec<_> = histogram
        .data_points
        .iter()
        .map(|point| point.count)
        .collect();
    assert_eq!(
        (metric.name.as_str(), counts),
        ("http.server.request.duration", vec![4])
    );
    drop(observe);
    running.await.expect("no panic");
    assert!(state.snapshot().last_sent.is_some());
    assert_eq!(
        (state.snapshot().waiting, state.snapshot().error),
        (0, None)
    );
    drop(stop);
    gate.await.expect("no panic");
}

#[tokio::test]
async fn windows_arrive_in_every_protocol() {
    for protocol in Protocol::ALL {
        check_delivery(protocol, Vec::new()).await;
    }
}

#[tokio::test]
async fn a_window_that_was_not_taken_is_sent_again() {
    let retry_after = Duration::from_millis(1);
    check_delivery(Protocol::Grpc, vec![Answer::Overloaded { retry_after }]).await;
}

#[tokio::test]
async fn what_the_sdk_sends_is_observed() {
    let settings = EvidenceSettings::with_resource(Vec::new());
    let start = clock::now();
    let mut keeper = Keeper::new(settings, Telemetry::new(), start);
    let Observation::Scraped { bytes, .. } = page("a", start, 5) else {
        panic!("a page")
    };
    for signal in Signal::ALL {
        keeper.observe(
            Observation::Received {
                signal,
                bytes: bytes.clone(),
            },
            start,
        );
    }
    keeper.observe(
        Observation::Received {
            signal: Signal::Metrics,
            bytes: Bytes::from_static(b"\xff"),
        },
        start,
    );
    let (outbox, state, _) = outbox();
    keeper.close(&outbox);
    let report = state.snapshot().report.expect("a report");
    assert_eq!(report.latency.len(), 1);
}
