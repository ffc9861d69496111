//! Senders that count what they have produced: spans over OTLP, and lines in a log file.
//!
//! Every span and line has a number, so a test can say which one is missing.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use davy_proto::Signal;
use davy_transport::{
    Body, Client, ClientConfig, ClientTls, Compression, Endpoint, Outcome, Protocol,
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tokio::time::Instant;

/// How often a sender sends what is due.
const TICK: Duration = Duration::from_millis(50);
/// Most spans in a request, as in an SDK's batch.
const BATCH_MAX: u64 = 512;

/// Sends numbered spans to an OTLP receiver.
#[derive(Debug)]
pub struct Spans {
    client: Client,
    /// Spans that were taken: their numbers are in the request's order.
    pub accepted: u64,
    /// Spans that the receiver said to have no room for; they are not sent again.
    pub refused: u64,
    /// Bytes of text in each span.
    pub padding: usize,
    next: u64,
}

/// Writes numbered lines of JSON to a file, as `log/slog` does.
#[derive(Debug)]
pub struct Lines {
    file: File,
    /// Lines written.
    pub written: u64,
}

/// How much is produced, in items a second.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Spans a second.
    pub spans: u64,
    /// Log lines a second.
    pub lines: u64,
}

impl Spans {
    /// A sender to `authority` (`host:port`) over HTTP.
    ///
    /// # Errors
    ///
    /// When that is no address.
    pub fn to(authority: &str) -> anyhow::Result<Self> {
        let endpoint = Endpoint::base(&format!("http://{authority}"))
            .with_context(|| format!("endpoint {authority}"))?;
        let config = ClientConfig {
            endpoint,
            protocol: Protocol::HttpProtobuf,
            compression: Compression::None,
            headers: Vec::new(),
            timeout: Duration::from_secs(10),
            tls: ClientTls::default(),
            bearer: None,
        };
        Ok(Self {
            client: Client::new(config, SystemTime::now)?,
            accepted: 0,
            refused: 0,
            padding: 0,
            next: 0,
        })
    }

    /// Sends the next `count` spans in one request.
    ///
    /// # Errors
    ///
    /// When the receiver neither takes them nor says that it has no room.
    pub async fn send(&mut self, count: u64) -> anyhow::Result<()> {
        let first = self.next;
        self.next += count;
        let text = "x".repeat(self.padding);
        let spans = (first..self.next).map(|n| span(n, &text)).collect();
        let body = Body::Protobuf(request(spans).encode_to_vec().into());
        match self.client.send(Signal::Traces, body).await {
            Outcome::Accepted => self.accepted += count,
            Outcome::Retry { .. } => self.refused += count,
            other => bail!("spans {first} to {}: {other:?}", self.next),
        }
        Ok(())
    }
}

/// The number of a span that [`Spans`] sent; none of another's.
pub fn number(span: &Span) -> Option<u64> {
    let id: [u8; 8] = span.span_id.as_slice().try_into().ok()?;
    u64::from_be_bytes(id).checked_sub(1)
}

fn span(n: u64, text: &str) -> Span {
    // An id of zeros is no id.
    let id = (n + 1).to_be_bytes();
    Span {
        trace_id: [id, id].concat(),
        span_id: id.to_vec(),
        name: format!("span {n}"),
        start_time_unix_nano: 1_795_500_000_000_000_000,
        end_time_unix_nano: 1_795_500_000_010_000_000,
        attributes: vec![attribute("text", text)],
        ..Span::default()
    }
}

fn request(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let resource = Resource {
        attributes: vec![attribute("service.name", "sender")],
        ..Resource::default()
    };
    let scope_spans = vec![ScopeSpans {
        spans,
        ..ScopeSpans::default()
    }];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource),
            scope_spans,
            ..ResourceSpans::default()
        }],
    }
}

fn attribute(key: &str, text: &str) -> KeyValue {
    let value = Some(AnyValue {
        value: Some(Value::StringValue(text.to_owned())),
    });
    KeyValue {
        key: key.to_owned(),
        value,
        ..KeyValue::default()
    }
}

impl Lines {
    /// Creates the file, or appends to it.
    ///
    /// # Errors
    ///
    /// When it can't be opened.
    pub fn to(path: &Path) -> anyhow::Result<Self> {
        let file = File::options().create(true).append(true).open(path);
        Ok(Self {
            file: file.with_context(|| format!("open {}", path.display()))?,
            written: 0,
        })
    }

    /// Writes the next `count` lines.
    ///
    /// # Errors
    ///
    /// When the file can't be written.
    pub fn write(&mut self, count: u64) -> anyhow::Result<()> {
        let line = |n| {
            format!(
                "{{\"time\":\"2026-11-24T10:00:00Z\",\"level\":\"INFO\",\"msg\":\"line {n}\"}}\n"
            )
        };
        let text: String = (self.written..self.written + count).map(line).collect();
        self.file.write_all(text.as_bytes())?;
        self.written += count;
        Ok(())
    }
}

/// Produces at these rates for so long; what was due while it waited is caught up with.
///
/// # Errors
///
/// When a sender fails.
pub async fn produce(
    spans: &mut Spans,
    lines: &mut Lines,
    rates: Rates,
    duration: Duration,
) -> anyhow::Result<()> {
    let began = Instant::now();
    let (mut n_spans, mut n_lines) = (0, 0);
    let due = |rate: u64, elapsed: Duration| rate * elapsed.as_millis() as u64 / 1000;
    loop {
        let elapsed = began.elapsed().min(duration);
        while n_spans < due(rates.spans, elapsed) {
            let count = (due(rates.spans, elapsed) - n_spans).min(BATCH_MAX);
            spans.send(count).await?;
            n_spans += count;
        }
        let count = due(rates.lines, elapsed) - n_lines;
        lines.write(count)?;
        n_lines += count;
        if elapsed == duration {
            return Ok(());
        }
        tokio::time::sleep(TICK).await;
    }
}
