//! Which parts of a request are read and written one at a time.
//!
//! A document of 16 MiB as a tree of JSON values, or as decoded messages, takes gigabytes: each
//! `{}` of two bytes becomes hundreds. So lists that a request may hold thousands of are streamed,
//! and a tree is only ever made of what is left of one object.

use davy_proto::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint,
    Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::{DecodeError, Message};
use serde_json::Value;

use super::field::{Fault, Field};

/// A message, of which some fields are streamed.
pub(super) struct Shape {
    /// The other fields: from an object to protobuf.
    pub(super) read: fn(&Value) -> Result<Vec<u8>, Fault>,
    /// The other fields: from protobuf to an object.
    pub(super) write: fn(&[u8]) -> Result<Value, DecodeError>,
    /// The streamed ones, ascending by number.
    pub(super) children: &'static [Child],
}

/// A streamed field.
pub(super) struct Child {
    pub(super) name: &'static str,
    /// Its number in protobuf.
    pub(super) number: u32,
    /// A list, or else one of a oneof.
    pub(super) repeated: bool,
    pub(super) shape: &'static Shape,
}

/// The export request of a signal.
pub(super) const fn request(signal: Signal) -> &'static Shape {
    match signal {
        Signal::Logs => &LOGS_REQUEST,
        Signal::Metrics => &METRICS_REQUEST,
        Signal::Traces => &TRACE_REQUEST,
    }
}

const fn of<T: Field + Message + Default>(children: &'static [Child]) -> Shape {
    Shape {
        read: |value| Ok(T::from_json(value)?.encode_to_vec()),
        write: |bytes| Ok(T::decode(bytes)?.to_json()),
        children,
    }
}

const fn list(name: &'static str, number: u32, shape: &'static Shape) -> Child {
    Child {
        name,
        number,
        repeated: true,
        shape,
    }
}

const fn one(name: &'static str, number: u32, shape: &'static Shape) -> Child {
    Child {
        name,
        number,
        repeated: false,
        shape,
    }
}

static TRACE_REQUEST: Shape =
    of::<ExportTraceServiceRequest>(&[list("resourceSpans", 1, &RESOURCE_SPANS)]);
static RESOURCE_SPANS: Shape = of::<ResourceSpans>(&[list("scopeSpans", 2, &SCOPE_SPANS)]);
static SCOPE_SPANS: Shape = of::<ScopeSpans>(&[list("spans", 2, &SPAN)]);
static SPAN: Shape = of::<Span>(&[]);

static LOGS_REQUEST: Shape =
    of::<ExportLogsServiceRequest>(&[list("resourceLogs", 1, &RESOURCE_LOGS)]);
static RESOURCE_LOGS: Shape = of::<ResourceLogs>(&[list("scopeLogs", 2, &SCOPE_LOGS)]);
static SCOPE_LOGS: Shape = of::<ScopeLogs>(&[list("logRecords", 2, &LOG_RECORD)]);
static LOG_RECORD: Shape = of::<LogRecord>(&[]);

static METRICS_REQUEST: Shape =
    of::<ExportMetricsServiceRequest>(&[list("resourceMetrics", 1, &RESOURCE_METRICS)]);
static RESOURCE_METRICS: Shape = of::<ResourceMetrics>(&[list("scopeMetrics", 2, &SCOPE_METRICS)]);
static SCOPE_METRICS: Shape = of::<ScopeMetrics>(&[list("metrics", 2, &METRIC)]);
static METRIC: Shape = of::<Metric>(&[
    one("gauge", 5, &GAUGE),
    one("sum", 7, &SUM),
    one("histogram", 9, &HISTOGRAM),
    one("exponentialHistogram", 10, &EXPONENTIAL_HISTOGRAM),
    one("summary", 11, &SUMMARY),
]);
static GAUGE: Shape = of::<Gauge>(&[list("dataPoints", 1, &NUMBER_POINT)]);
static SUM: Shape = of::<Sum>(&[list("dataPoints", 1, &NUMBER_POINT)]);
static HISTOGRAM: Shape = of::<Histogram>(&[list("dataPoints", 1, &HISTOGRAM_POINT)]);
static EXPONENTIAL_HISTOGRAM: Shape =
    of::<ExponentialHistogram>(&[list("dataPoints", 1, &EXPONENTIAL_HISTOGRAM_POINT)]);
static SUMMARY: Shape = of::<Summary>(&[list("dataPoints", 1, &SUMMARY_POINT)]);
static NUMBER_POINT: Shape = of::<NumberDataPoint>(&[]);
static HISTOGRAM_POINT: Shape = of::<HistogramDataPoint>(&[]);
static EXPONENTIAL_HISTOGRAM_POINT: Shape = of::<ExponentialHistogramDataPoint>(&[]);
static SUMMARY_POINT: Shape = of::<SummaryDataPoint>(&[]);
