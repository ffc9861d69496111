use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use davy_agent_core::Payload;
use davy_agent_core::payload::count;
use davy_agent_core::queue::WhenFull;
use davy_proto::Signal;
use davy_transport::{
    Answer, ClientConfig, ClientTls, Compression, Endpoint, Export, Protocol, ServerOptions,
    handler, serve,
};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message as _;
use tokio::net::TcpListener;

use super::*;
use crate::pipeline::{Feed, Intake};

/// Stamps of the log records that reached a backend, in order.
type Stamps = Arc<Mutex<Vec<u64>>>;

/// A request of one record a stamp, each with a body of so many bytes.
fn logs(stamps: impl IntoIterator<Item = u64>, body_bytes: usize) -> Payload {
    let record = |stamp| LogRecord {
        time_unix_nano: stamp,
        event_name: "x".repeat(body_bytes),
        ..LogRecord::default()
    };
    let log_records: Vec<_> = stamps.into_iter().map(record).collect();
    let items = log_records.len() as u64;
    let scope_logs = vec![ScopeLogs {
        log_records,
        ..ScopeLogs::default()
    }];
    let resource_logs = vec![ResourceLogs {
        scope_logs,
        ..ResourceLogs::default()
    }];
    let request = ExportLogsServiceRequest { resource_logs };
    Payload {
        signal: Signal::Logs,
        bytes: request.encode_to_vec().into(),
        items,
    }
}

fn stamps(bytes: &Bytes) -> Vec<u64> {
    let request = ExportLogsServiceRequest::decode(bytes.clone()).expect("a request");
    let scopes = request
        .resource_logs
        .into_iter()
        .flat_map(|it| it.scope_logs);
    let records = scopes.flat_map(|it| it.log_records);
    records.map(|it| it.time_unix_nano).collect()
}

/// A backend that answers by `script`, which is told how many requests there were before.
async fn backend<F>(script: F) -> (SocketAddr, Stamps)
where
    F: Fn(usize, &Export) -> Answer + Send + Sync + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("port");
    let address = listener.local_addr().expect("address");
    let (taken, requests) = (Stamps::default(), AtomicUsize::new(0));
    let log = Arc::clone(&taken);
    let handler = handler(move |export| {
        let answer = script(requests.fetch_add(1, Ordering::Relaxed), &export);
        if matches!(answer, Answer::Accepted | Answer::Partial { .. }) {
            log.lock()
                .expect("lock")
                .extend(stamps(export.body.bytes()));
        }
        async move { answer }
    });
    let options = ServerOptions::default();
    tokio::spawn(serve(listener, options, handler, std::future::pending()));
    (address, taken)
}

fn client(address: SocketAddr) -> Arc<Client> {
    let config = ClientConfig {
        endpoint: Endpoint::base(&format!("http://{address}")).expect("endpoint"),
        protocol: Protocol::HttpProtobuf,
        compression: Compression::Zstd,
        headers: Vec::new(),
        timeout: Duration::from_secs(5),
        tls: ClientTls::default(),
        bearer: None,
    };
    Arc::new(Client::new(config, || SystemTime::UNIX_EPOCH).expect("client"))
}

struct Fixture {
    intake: Intake,
    lane: Arc<Lane>,
    destination: Destination,
}

fn start(address: SocketAddr) -> Fixture {
    let intake = Intake::new(64 << 20, WhenFull::DropOldest, Telemetry::new());
    let lane = intake.add_lane("backend", Signal::Logs, Feed::Stream);
    let routes = vec![(Arc::clone(&lane), client(address))];
    let destination = Destination::start("backend", routes, intake.telemetry());
    Fixture {
        intake,
        lane,
        destination,
    }
}

impl Fixture {
    fn offer(&self, payload: Payload) {
        let offer = self.intake.offer(payload);
        assert_eq!(offer, crate::pipeline::Offer::Accepted);
    }

    async fn finish(self, grace: Duration) -> (u64, DestinationState, String) {
        let health = self.destination.health();
        let lost = self.destination.finish(grace, DropReason::Shutdown).await;
        let counts = self.lane.counts();
        assert_eq!(counts.pushed, counts.delivered + counts.dropped);
        (lost, health.snapshot(), self.intake.telemetry().encode())
    }
}

#[track_caller]
fn assert_counted(metrics: &str, expected: &[&str]) {
    for line in expected {
        assert!(
            metrics.lines().any(|it| it == *line),
            "{line} is not in\n{metrics}"
        );
    }
}

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn what_is_offered_arrives_in_order() {
    let (address, taken) = backend(|_, _| Answer::Accepted).await;
    let fixture = start(address);
    for stamp in 0..100 {
        fixture.offer(logs([stamp], 10));
    }
    let (lost, state, metrics) = fixture.finish(LONG).await;
    assert_eq!(lost, 0);
    assert_eq!(*taken.lock().expect("lock"), (0..100).collect::<Vec<_>>());
    assert!(state.last_success.is_some() && state.error.is_none());
    assert_counted(
        &metrics,
        &["davy_agent_exported_items_total{signal=\"logs\",destination=\"backend\"} 100"],
    );
}

#[tokio::test]
async fn what_is_not_taken_now_is_tried_again_and_order_is_kept() {
    let retry_after = Duration::from_millis(1);
    let (address, taken) = backend(move |requests, _| match requests {
        0 => Answer::Overloaded { retry_after },
        _ => Answer::Accepted,
    })
    .await;
    let fixture = start(address);
    for stamp in 0..3 {
        fixture.offer(logs([stamp], 10));
        tokio::task::yield_now().await;
    }
    // The end cuts the wait of a second short.
    let (lost, state, metrics) = fixture.finish(LONG).await;
    assert_eq!((lost, state.error), (0, None));
    assert_eq!(*taken.lock().expect("lock"), [0, 1, 2]);
    let retried = "davy_agent_export_requests_total{destination=\"backend\",outcome=\"retry\"} 1";
    assert_counted(&metrics, &[retried]);
}

#[tokio::test]
async fn rejected_items_are_counted_and_not_sent_again() {
    let message = || "too old".to_owned();
    let (address, taken) = backend(move |_, _| Answer::Partial {
        rejected: 2,
        message: message(),
    })
    .await;
    let fixture = start(address);
    fixture.offer(logs(0..5, 10));
    let (lost, state, metrics) = fixture.finish(LONG).await;
    assert_eq!((lost, state.warning.as_deref()), (0, Some("too old")));
    assert_eq!(taken.lock().expect("lock").len(), 5);
    assert_counted(
        &metrics,
        &[
            "davy_agent_exported_items_total{signal=\"logs\",destination=\"backend\"} 3",
            "davy_agent_rejected_items_total{signal=\"logs\",destination=\"backend\"} 2",
        ],
    );
}

const DROPPED: &str =
    "davy_agent_dropped_items_total{signal=\"logs\",destination=\"backend\",reason=";

#[tokio::test]
async fn what_is_refused_for_good_is_dropped_and_the_rest_goes_on() {
    let (address, taken) = backend(|_, export| match stamps(export.body.bytes()).as_slice() {
        [0, ..] => Answer::Invalid {
            message: "no zeros".to_owned(),
        },
        _ => Answer::Accepted,
    })
    .await;
    let fixture = start(address);
    fixture.offer(logs([0, 0], 10));
    while fixture.lane.counts().queued > 0 {
        tokio::task::yield_now().await;
    }
    fixture.offer(logs([7], 10));
    let (lost, state, metrics) = fixture.finish(LONG).await;
    assert_eq!((lost, state.error), (0, None));
    assert!(state.last_failure.is_some());
    assert_eq!(*taken.lock().expect("lock"), [7]);
    assert_counted(&metrics, &[&format!("{DROPPED}\"permanent\"}} 2")]);
}

#[tokio::test]
async fn requests_too_large_for_the_backend_are_cut() {
    let limit = 300 << 10;
    let (address, taken) = backend(move |_, export| {
        if export.body.bytes().len() > limit {
            let message = "at most 300 KiB".to_owned();
            return Answer::TooLarge { message };
        }
        Answer::Accepted
    })
    .await;
    let fixture = start(address);
    fixture.offer(logs(0..20, 100 << 10));
    // This one is beyond any cut.
    fixture.offer(logs([20], 400 << 10));
    fixture.offer(logs([21], 10));
    let (lost, _, metrics) = fixture.finish(LONG).await;
    assert_eq!(lost, 0);
    let arrived: Vec<_> = (0..20).chain([21]).collect();
    assert_eq!(*taken.lock().expect("lock"), arrived);
    assert_counted(
        &metrics,
        &[
            "davy_agent_exported_items_total{signal=\"logs\",destination=\"backend\"} 21",
            &format!("{DROPPED}\"oversized\"}} 1"),
        ],
    );
}

#[tokio::test]
async fn the_end_comes_in_time_and_what_is_lost_is_counted() {
    let (address, _) = backend(|_, _| Answer::Overloaded {
        retry_after: Duration::from_secs(60),
    })
    .await;
    let fixture = start(address);
    fixture.offer(logs(0..4, 10));
    let (lost, state, metrics) = fixture.finish(Duration::from_millis(200)).await;
    assert_eq!(lost, 4);
    assert!(
        state
            .error
            .is_some_and(|error| error.starts_with("HTTP 503"))
    );
    assert_counted(&metrics, &[&format!("{DROPPED}\"shutdown\"}} 4")]);
}

#[test]
fn fixtures_are_what_they_say() {
    let payload = logs(0..3, 5);
    assert_eq!(count(Signal::Logs, &payload.bytes), Ok(payload.items));
}
