//! An OTLP backend for tests and the demo: counts what arrives, by signal and arm, keeps the
//! requests where asked to, and fails where told to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use davy_agent_core::json;
use davy_proto::{Arm, Signal};
use davy_transport::{Answer, Body, Export, ServerOptions, serve};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::process::POLL;

/// Most requests that are kept.
const KEPT_MAX: usize = 100_000;

/// Items that arrived.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Log records.
    pub logs: u64,
    /// Metric data points.
    pub metrics: u64,
    /// Spans.
    pub traces: u64,
}

/// A decoded request.
#[derive(Clone, Debug, PartialEq)]
pub enum Received {
    /// Log records.
    Logs(ExportLogsServiceRequest),
    /// Metrics.
    Metrics(ExportMetricsServiceRequest),
    /// Spans.
    Traces(ExportTraceServiceRequest),
}

/// A running receiver, gRPC and HTTP on one port of loopback; it ends when dropped.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: Option<Server>,
}

#[derive(Debug)]
struct Server {
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    by_arm: BTreeMap<String, Counts>,
    requests: u64,
    invalid: u64,
    keeps: bool,
    kept: Vec<Received>,
    failing: Option<Answer>,
}

impl Receiver {
    /// Starts a receiver on a free port; it counts, and keeps nothing.
    ///
    /// # Errors
    ///
    /// When no port can be bound.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_at("127.0.0.1:0").await
    }

    /// Starts a receiver at an address, such as that of one that was dropped before.
    ///
    /// # Errors
    ///
    /// When the address can't be bound.
    pub async fn start_at(address: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address)
            .await
            .context("bind the receiver")?;
        let address = listener.local_addr().context("address of the receiver")?;
        let shared = Arc::<Shared>::default();
        let server = Some(Server::start(listener, &shared));
        Ok(Self {
            address,
            shared,
            server,
        })
    }

    /// Closes the port, once the requests under way are answered; the counts stay.
    ///
    /// # Errors
    ///
    /// When the server failed.
    pub async fn go_down(&mut self) -> anyhow::Result<()> {
        if let Some(Server { stop, task }) = self.server.take() {
            drop(stop);
            task.await.context("end the receiver")?;
        }
        Ok(())
    }

    /// Opens the port again, after [`Self::go_down`].
    ///
    /// # Errors
    ///
    /// When it can't be bound.
    pub async fn come_back(&mut self) -> anyhow::Result<()> {
        let listener = TcpListener::bind(self.address)
            .await
            .context("bind the receiver again")?;
        self.server = Some(Server::start(listener, &self.shared));
        Ok(())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Keeps decoded requests from now on, for [`Self::kept`]; at most a hundred thousand.
    pub fn keep(&self) {
        self.shared.lock().keeps = true;
    }

    /// What was kept, in order of arrival; it is kept no longer.
    pub fn kept(&self) -> Vec<Received> {
        std::mem::take(&mut self.shared.lock().kept)
    }

    /// Answers every request so from now on, without taking it; takes them again with none.
    pub fn fail(&self, answer: Option<Answer>) {
        self.shared.lock().failing = answer;
    }

    /// Items taken, over all arms.
    pub fn counts(&self) -> Counts {
        let state = self.shared.lock();
        state
            .by_arm
            .values()
            .fold(Counts::default(), |sum, counts| sum.plus(*counts))
    }

    /// Items taken by arm; an empty name for resources without one.
    pub fn counts_by_arm(&self) -> BTreeMap<String, Counts> {
        self.shared.lock().by_arm.clone()
    }

    /// Requests that arrived, taken or not.
    pub fn requests(&self) -> u64 {
        self.shared.lock().requests
    }

    /// Requests that could not be read.
    pub fn invalid(&self) -> u64 {
        self.shared.lock().invalid
    }

    /// Waits until the counts are as wanted.
    ///
    /// # Errors
    ///
    /// When they are not after `limit`; the message has the last counts.
    pub async fn wait_for(
        &self,
        limit: Duration,
        wanted: impl Fn(Counts) -> bool,
    ) -> anyhow::Result<Counts> {
        let end = tokio::time::Instant::now() + limit;
        loop {
            let counts = self.counts();
            if wanted(counts) {
                return Ok(counts);
            }
            if tokio::time::Instant::now() >= end {
                anyhow::bail!("after {limit:?} the receiver has {counts:?}");
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

impl Server {
    fn start(listener: TcpListener, shared: &Arc<Shared>) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let counting = Arc::clone(shared);
        let handler = davy_transport::handler(move |export| {
            let answer = counting.take(export);
            async move { answer }
        });
        let ended = async { drop(stopped.await) };
        let task = tokio::spawn(serve(listener, ServerOptions::default(), handler, ended));
        Self { stop, task }
    }
}

impl Counts {
    fn plus(self, other: Self) -> Self {
        Self {
            logs: self.logs + other.logs,
            metrics: self.metrics + other.metrics,
            traces: self.traces + other.traces,
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, export: Export) -> Answer {
        let mut state = self.lock();
        state.requests += 1;
        if let Some(answer) = &state.failing {
            return answer.clone();
        }
        match Received::read(export.signal, export.body) {
            Ok(received) => {
                for (arm, counts) in received.counts() {
                    let sum = state.by_arm.entry(arm).or_default();
                    *sum = sum.plus(counts);
                }
                if state.keeps && state.kept.len() < KEPT_MAX {
                    state.kept.push(received);
                }
                Answer::Accepted
            }
            Err(error) => {
                state.invalid += 1;
                Answer::Invalid {
                    message: format!("{error:#}"),
                }
            }
        }
    }
}

impl Received {
    fn read(signal: Signal, body: Body) -> anyhow::Result<Self> {
        let bytes = match body {
            Body::Protobuf(bytes) => bytes,
            Body::Json(text) => Bytes::from(json::to_protobuf(signal, &text)?),
        };
        Ok(match signal {
            Signal::Logs => Self::Logs(ExportLogsServiceRequest::decode(bytes)?),
            Signal::Metrics => Self::Metrics(ExportMetricsServiceRequest::decode(bytes)?),
            Signal::Traces => Self::Traces(ExportTraceServiceRequest::decode(bytes)?),
        })
    }

    /// Items by arm, one entry a resource.
    fn counts(&self) -> Vec<(String, Counts)> {
        let of = |resource: &Option<Resource>, counts| (arm(resource.as_ref()), counts);
        match self {
            Self::Logs(request) => {
                let records = request.resource_logs.iter().map(|resource| {
                    let logs = resource
                        .scope_logs
                        .iter()
                        .map(|s| s.log_records.len() as u64)
                        .sum();
                    of(
                        &resource.resource,
                        Counts {
                            logs,
                            ..Counts::default()
                        },
                    )
                });
                records.collect()
            }
            Self::Metrics(request) => {
                let points = request.resource_metrics.iter().map(|resource| {
                    let all = resource
                        .scope_metrics
                        .iter()
                        .flat_map(|scope| &scope.metrics);
                    let metrics = all.map(points).sum();
                    of(
                        &resource.resource,
                        Counts {
                            metrics,
                            ..Counts::default()
                        },
                    )
                });
                points.collect()
            }
            Self::Traces(request) => {
                let spans = request.resource_spans.iter().map(|resource| {
                    let traces = resource
                        .scope_spans
                        .iter()
                        .map(|s| s.spans.len() as u64)
                        .sum();
                    of(
                        &resource.resource,
                        Counts {
                            traces,
                            ..Counts::default()
                        },
                    )
                });
                spans.collect()
            }
        }
    }
}

fn points(metric: &Metric) -> u64 {
    let points = match &metric.data {
        Some(Data::Gauge(data)) => data.data_points.len(),
        Some(Data::Sum(data)) => data.data_points.len(),
        Some(Data::Histogram(data)) => data.data_points.len(),
        Some(Data::ExponentialHistogram(data)) => data.data_points.len(),
        Some(Data::Summary(data)) => data.data_points.len(),
        None => 0,
    };
    points as u64
}

fn arm(resource: Option<&Resource>) -> String {
    let attribute = |name: &str| {
        let attributes = resource.map(|resource| resource.attributes.as_slice())?;
        let found = attributes.iter().find(|attribute| attribute.key == name)?;
        match found.value.as_ref()?.value.as_ref()? {
            Value::StringValue(text) => Some(text.as_str()),
            _ => None,
        }
    };
    Arm::of_resource(attribute)
        .map(String::from)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use davy_transport::{
        Client, ClientConfig, ClientTls, Compression, Endpoint, Outcome, Protocol,
    };
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

    use super::*;

    fn traces(arm: &str, spans: usize) -> ExportTraceServiceRequest {
        let value = Some(AnyValue {
            value: Some(Value::StringValue(arm.to_owned())),
        });
        let attribute = KeyValue {
            key: "davy.arm".into(),
            value,
            ..KeyValue::default()
        };
        let resource = Resource {
            attributes: vec![attribute],
            ..Resource::default()
        };
        let spans = vec![Span::default(); spans];
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(resource),
                scope_spans: vec![ScopeSpans {
                    spans,
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        }
    }

    fn client(address: SocketAddr, protocol: Protocol) -> Client {
        let config = ClientConfig {
            endpoint: Endpoint::base(&format!("http://{address}")).expect("an endpoint"),
            protocol,
            compression: Compression::Gzip,
            headers: Vec::new(),
            timeout: Duration::from_secs(5),
            tls: ClientTls::default(),
            bearer: None,
        };
        Client::new(config, SystemTime::now).expect("a client")
    }

    /// Guarantees: items are counted by arm in every protocol, kept and refused on demand.
    #[tokio::test]
    async fn counts_keeps_and_fails() {
        let receiver = Receiver::start().await.expect("a receiver");
        receiver.keep();
        let request = traces("v1", 3);
        for protocol in Protocol::ALL {
            let body = match protocol {
                Protocol::HttpJson => Body::Json(json::write_traces(&request).into()),
                _ => Body::Protobuf(request.encode_to_vec().into()),
            };
            let outcome = client(receiver.address(), protocol)
                .send(Signal::Traces, body)
                .await;
            assert_eq!(outcome, Outcome::Accepted);
        }
        let client = client(receiver.address(), Protocol::Grpc);
        let body = || Body::Protobuf(traces("v2", 1).encode_to_vec().into());
        receiver.fail(Some(Answer::Overloaded {
            retry_after: Duration::from_secs(1),
        }));
        let refused = client.send(Signal::Traces, body()).await;
        assert!(matches!(refused, Outcome::Retry { .. }), "{refused:?}");
        receiver.fail(None);
        assert_eq!(client.send(Signal::Traces, body()).await, Outcome::Accepted);
        let counts = receiver
            .wait_for(Duration::from_secs(1), |c| c.traces == 10)
            .await;
        assert_eq!(counts.expect("ten spans").traces, 10);
        assert_eq!(
            receiver.counts_by_arm().get("v2").map(|c| c.traces),
            Some(1)
        );
        let kept = receiver.kept();
        assert_eq!(
            (kept.len(), receiver.requests(), receiver.invalid()),
            (4, 5, 0)
        );
        assert_eq!(kept.first(), Some(&Received::Traces(request)));
    }
}
