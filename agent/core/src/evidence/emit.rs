//! The window as one OTLP metrics request of increments.

use davy_proto::indicator::Protocol;
use davy_proto::{UnixNanos, semconv};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::attributes::{self, Outcome, Route};
use super::choice::Role;
use super::distribution::Distribution;
use super::runtime::SENT;
use super::{Evidence, Origin};
use crate::buildinfo;

/// Name of the scope of all that Davy measures itself.
const SCOPE: &str = "davy-agent";

/// Start and end of points, nanoseconds since the epoch.
#[derive(Clone, Copy)]
struct Span {
    start: u64,
    end: u64,
}

impl Evidence {
    /// The request of the window that ends at `end`; none when nothing was observed in it.
    pub(super) fn request(&mut self, end: UnixNanos) -> Option<ExportMetricsServiceRequest> {
        let mut metrics = Vec::new();
        for protocol in Protocol::ALL {
            metrics.extend(self.latency(protocol, end));
            metrics.extend(self.requests(protocol, end));
        }
        metrics.extend(self.cpu(end));
        metrics.extend(self.runtime_metrics(end));
        let observed = self.streams.values().any(|stream| stream.observed);
        if metrics.is_empty() && !observed {
            return None;
        }
        metrics.extend(self.cpu_limit(end));
        if metrics.is_empty() {
            return None;
        }
        let scope = InstrumentationScope {
            name: SCOPE.to_owned(),
            version: buildinfo::VERSION.to_owned(),
            ..InstrumentationScope::default()
        };
        let scope_metrics = ScopeMetrics {
            scope: Some(scope),
            metrics,
            ..ScopeMetrics::default()
        };
        let resource = Resource {
            attributes: self.resource(),
            ..Resource::default()
        };
        Some(ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(resource),
                scope_metrics: vec![scope_metrics],
                ..ResourceMetrics::default()
            }],
        })
    }

    fn resource(&self) -> Vec<KeyValue> {
        let learnt = |attribute: &&KeyValue| !self.learnt.contains_key(&attribute.key);
        let configured = self.settings.resource.iter().filter(learnt);
        let mut attributes: Vec<_> = configured.chain(self.learnt.values()).cloned().collect();
        let known = |name: &str| attributes.iter().any(|attribute| attribute.key == name);
        let creation = self
            .creation
            .filter(|_| !known(semconv::PROCESS_CREATION_TIME));
        let source = if self.spans_are_source() {
            "spans"
        } else {
            "histogram"
        };
        if let Some(creation) = creation {
            let text = creation.to_string();
            attributes.push(attributes::string(semconv::PROCESS_CREATION_TIME, &text));
        }
        attributes.push(attributes::string(semconv::DAVY_EVIDENCE_SOURCE, source));
        attributes
    }

    /// What the points of an origin span: since its last observation was closed.
    fn span(&self, origin: Option<Origin>, end: UnixNanos) -> Span {
        let stream = origin.and_then(|origin| self.streams.get(&origin));
        let covered = stream
            .and_then(|stream| stream.covered_to)
            .filter(|covered| *covered < end);
        let start = covered.unwrap_or_else(|| end.minus(self.settings.window));
        Span {
            start: start.nanos(),
            end: end.nanos(),
        }
    }

    fn latency(&self, protocol: Protocol, end: UnixNanos) -> Option<Metric> {
        let routes = self.tally.protocols.get(&protocol);
        let spans = self.spans_are_source();
        let mut found: Vec<(&Route, &Outcome, Distribution)> = Vec::new();
        for (route, tally) in routes.into_iter().flatten() {
            if spans {
                let each = tally
                    .spans
                    .iter()
                    .map(|(outcome, s)| (route, outcome, s.distribution()));
                found.extend(each.filter(|(_, _, distribution)| distribution.count() > 0));
            } else {
                found.extend(tally.latency.iter().map(|(o, d)| (route, o, d.clone())));
            }
        }
        let role = Role::Duration(protocol);
        let origin = self.choices.origin(role).filter(|_| !spans);
        let observed = origin
            .and_then(|origin| self.streams.get(&origin))
            .is_some_and(|s| s.observed);
        if found.is_empty() && observed {
            let idle = self.idle.get(&protocol);
            found.extend(idle.map(|(route, outcome, shape)| (route, outcome, shape.clone())));
        }
        let span = self.span(origin, end);
        let (name, unit) = (duration_name(protocol), "s");
        histogram(found, span, protocol).map(|data| metric(name, unit, data))
    }

    /// Counts by status: where there is no histogram, or it has no status.
    fn requests(&self, protocol: Protocol, end: UnixNanos) -> Option<Metric> {
        let spans = self.spans_are_source();
        let has_status = self
            .choices
            .details(protocol)
            .is_some_and(|d| d.status.is_some());
        if has_status || spans {
            return None;
        }
        let span = self.span(self.choices.origin(Role::Requests(protocol)), end);
        let mut points = Vec::new();
        for (route, tally) in self.tally.protocols.get(&protocol).into_iter().flatten() {
            for (outcome, count) in &tally.requests {
                let attributes = point_attributes(protocol, route, outcome);
                let count = Number::AsInt(count.round() as i64);
                points.push(number(attributes, span, count));
            }
        }
        let name = match protocol {
            Protocol::Http => semconv::HTTP_SERVER_REQUESTS,
            Protocol::Rpc => semconv::RPC_SERVER_REQUESTS,
        };
        (!points.is_empty()).then(|| metric(name, "{request}", delta(points)))
    }

    fn cpu(&self, end: UnixNanos) -> Option<Metric> {
        let seconds = Number::AsDouble(self.tally.cpu_seconds?);
        let span = self.span(self.choices.origin(Role::Cpu), end);
        let points = vec![number(Vec::new(), span, seconds)];
        Some(metric(semconv::PROCESS_CPU_TIME, "s", delta(points)))
    }

    fn cpu_limit(&self, end: UnixNanos) -> Option<Metric> {
        let cores = Number::AsDouble(self.settings.cpu_limit_cores?);
        Some(metric(semconv::DAVY_CPU_LIMIT, "{cpu}", gauge(cores, end)))
    }

    fn runtime_metrics(&mut self, end: UnixNanos) -> Vec<Metric> {
        let values = self.runtime.take();
        let each = values.into_iter().filter_map(|(place, (value, origin))| {
            let sent = SENT.get(place)?;
            let value = Number::AsDouble(value);
            let data = if sent.counter {
                delta(vec![number(
                    Vec::new(),
                    self.span(Some(origin), end),
                    value,
                )])
            } else {
                gauge(value, end)
            };
            Some(metric(sent.name, sent.unit, data))
        });
        each.collect()
    }
}

const fn duration_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Http => semconv::HTTP_SERVER_REQUEST_DURATION,
        Protocol::Rpc => semconv::RPC_SERVER_CALL_DURATION,
    }
}

fn point_attributes(protocol: Protocol, route: &Route, outcome: &Outcome) -> Vec<KeyValue> {
    let (route_key, qualifier_key) = match protocol {
        Protocol::Http => (semconv::HTTP_ROUTE, semconv::HTTP_REQUEST_METHOD),
        Protocol::Rpc => (semconv::RPC_METHOD, semconv::RPC_SERVICE),
    };
    let mut attributes = Vec::with_capacity(4);
    for (key, value) in [(route_key, &route.route), (qualifier_key, &route.qualifier)] {
        if !value.is_empty() {
            attributes.push(attributes::string(key, value));
        }
    }
    if let Some(status) = &outcome.status {
        attributes.push(match (protocol, status.parse::<i64>()) {
            (Protocol::Http, Ok(code)) => {
                attributes::pair(semconv::HTTP_RESPONSE_STATUS_CODE, Value::IntValue(code))
            }
            (Protocol::Http, Err(_)) => {
                attributes::string(semconv::HTTP_RESPONSE_STATUS_CODE, status)
            }
            (Protocol::Rpc, _) => attributes::string(semconv::RPC_RESPONSE_STATUS_CODE, status),
        });
    }
    if let Some(error) = &outcome.error {
        attributes.push(attributes::string(semconv::ERROR_TYPE, error));
    }
    attributes
}

/// The points as one metric's data: all of one shape, since one source was chosen.
fn histogram(
    found: Vec<(&Route, &Outcome, Distribution)>,
    span: Span,
    protocol: Protocol,
) -> Option<Data> {
    let (mut explicit, mut exponential) = (Vec::new(), Vec::new());
    for (route, outcome, distribution) in found {
        let count = distribution.count();
        let attributes = point_attributes(protocol, route, outcome);
        match distribution {
            Distribution::Explicit(of) => explicit.push(HistogramDataPoint {
                attributes,
                start_time_unix_nano: span.start,
                time_unix_nano: span.end,
                count,
                sum: of.sum,
                bucket_counts: of.counts,
                explicit_bounds: of.bounds,
                ..HistogramDataPoint::default()
            }),
            Distribution::Exponential(of) => exponential.push(ExponentialHistogramDataPoint {
                attributes,
                start_time_unix_nano: span.start,
                time_unix_nano: span.end,
                count,
                sum: of.sum,
                scale: of.scale,
                zero_count: of.zero_count,
                zero_threshold: of.zero_threshold,
                positive: Some(Buckets {
                    offset: of.offset,
                    bucket_counts: of.counts,
                }),
                ..ExponentialHistogramDataPoint::default()
            }),
        }
    }
    let aggregation_temporality = AggregationTemporality::Delta as i32;
    if !exponential.is_empty() {
        let data_points = exponential;
        let histogram = ExponentialHistogram {
            data_points,
            aggregation_temporality,
        };
        return Some(Data::ExponentialHistogram(histogram));
    }
    let data_points = explicit;
    let histogram = Histogram {
        data_points,
        aggregation_temporality,
    };
    (!histogram.data_points.is_empty()).then_some(Data::Histogram(histogram))
}

fn number(attributes: Vec<KeyValue>, span: Span, value: Number) -> NumberDataPoint {
    NumberDataPoint {
        attributes,
        start_time_unix_nano: span.start,
        time_unix_nano: span.end,
        value: Some(value),
        ..NumberDataPoint::default()
    }
}

fn delta(data_points: Vec<NumberDataPoint>) -> Data {
    let aggregation_temporality = AggregationTemporality::Delta as i32;
    Data::Sum(Sum {
        data_points,
        aggregation_temporality,
        is_monotonic: true,
    })
}

fn gauge(value: Number, end: UnixNanos) -> Data {
    let point = NumberDataPoint {
        time_unix_nano: end.nanos(),
        value: Some(value),
        ..NumberDataPoint::default()
    };
    Data::Gauge(Gauge {
        data_points: vec![point],
    })
}

fn metric(name: &str, unit: &str, data: Data) -> Metric {
    let (name, unit) = (name.to_owned(), unit.to_owned());
    Metric {
        name,
        unit,
        data: Some(data),
        ..Metric::default()
    }
}
