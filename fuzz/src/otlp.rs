//! Export requests of any signal, decoded by prost: the oracle beside the code that walks bytes.

use bytes::Bytes;
use davy_proto::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::{DecodeError, Message as _};

pub(crate) mod sample;

/// An export request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Request {
    Logs(ExportLogsServiceRequest),
    Metrics(ExportMetricsServiceRequest),
    Traces(ExportTraceServiceRequest),
}

impl Request {
    pub(crate) fn decode(signal: Signal, bytes: &[u8]) -> Result<Self, DecodeError> {
        let bytes = Bytes::copy_from_slice(bytes);
        Ok(match signal {
            Signal::Logs => Self::Logs(ExportLogsServiceRequest::decode(bytes)?),
            Signal::Metrics => Self::Metrics(ExportMetricsServiceRequest::decode(bytes)?),
            Signal::Traces => Self::Traces(ExportTraceServiceRequest::decode(bytes)?),
        })
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Logs(request) => request.encode_to_vec(),
            Self::Metrics(request) => request.encode_to_vec(),
            Self::Traces(request) => request.encode_to_vec(),
        }
    }

    /// The resource of each entry.
    pub(crate) fn resources(&mut self) -> Vec<&mut Option<Resource>> {
        macro_rules! resources {
            ($entries:expr) => {
                $entries
                    .iter_mut()
                    .map(|entry| &mut entry.resource)
                    .collect()
            };
        }
        match self {
            Self::Logs(request) => resources!(request.resource_logs),
            Self::Metrics(request) => resources!(request.resource_metrics),
            Self::Traces(request) => resources!(request.resource_spans),
        }
    }

    /// Spans, log records or data points, each printed with its resource and scope.
    pub(crate) fn records(&self) -> Vec<String> {
        let mut records = Vec::new();
        macro_rules! records {
            ($entries:expr, $scopes:ident, $each:expr) => {
                for entry in $entries {
                    for scope in &entry.$scopes {
                        let frame = (&entry.resource, &entry.schema_url);
                        let frame = format!("{frame:?} {:?} {}", scope.scope, scope.schema_url);
                        records.extend($each(scope).map(|record| format!("{frame} {record}")));
                    }
                }
            };
        }
        match self {
            Self::Logs(request) => records!(&request.resource_logs, scope_logs, |scope: &_| {
                let scope: &opentelemetry_proto::tonic::logs::v1::ScopeLogs = scope;
                scope
                    .log_records
                    .clone()
                    .into_iter()
                    .map(|log| format!("{log:?}"))
            }),
            Self::Metrics(request) => {
                records!(&request.resource_metrics, scope_metrics, |scope: &_| {
                    let scope: &opentelemetry_proto::tonic::metrics::v1::ScopeMetrics = scope;
                    let points = scope.metrics.iter().flat_map(points);
                    points.collect::<Vec<_>>().into_iter()
                });
            }
            Self::Traces(request) => records!(&request.resource_spans, scope_spans, |scope: &_| {
                let scope: &opentelemetry_proto::tonic::trace::v1::ScopeSpans = scope;
                scope
                    .spans
                    .clone()
                    .into_iter()
                    .map(|span| format!("{span:?}"))
            }),
        }
        records
    }
}

/// The points of a metric, each printed with the metric around it.
fn points(metric: &Metric) -> Vec<String> {
    let mut frame = metric.clone();
    let mut points = Vec::new();
    macro_rules! take {
        ($data:expr) => {
            points.extend(
                $data
                    .data_points
                    .drain(..)
                    .map(|point| format!("{point:?}")),
            )
        };
    }
    match &mut frame.data {
        Some(Data::Gauge(data)) => take!(data),
        Some(Data::Sum(data)) => take!(data),
        Some(Data::Histogram(data)) => take!(data),
        Some(Data::ExponentialHistogram(data)) => take!(data),
        Some(Data::Summary(data)) => take!(data),
        None => {}
    }
    points
        .iter()
        .map(|point| format!("{frame:?} {point}"))
        .collect()
}

/// An attribute whose value is a text.
pub(crate) fn attribute(key: &str, value: &str) -> KeyValue {
    let value = any_value::Value::StringValue(value.to_owned());
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}
