//! Requests of every kind of OTLP, drawn from a seed.
//!
//! Messages that a decoder may hold as a value rather than a pointer (scope, status, buckets) are
//! always set, since absent and empty are one to it.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary,
    SummaryDataPoint, exemplar, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

/// Keys of resources, Davy's own and twice the same among them.
const KEYS: &[&str] = &[
    "service.name",
    "service.name",
    "service.version",
    "davy.arm",
    "k8s.pod.name",
    "k8s.namespace.name",
    "host.name",
    "process.pid",
];
const TEXTS: &[&str] = &[
    "",
    "shop",
    "unknown_service",
    "unknown_service:main",
    "käse \u{1f9c0}",
];

pub(super) fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// A source of requests.
pub(super) struct Draw(pub(super) u64);

impl Draw {
    /// SplitMix64.
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.bits() % bound as u64) as usize
    }

    fn some<T>(&mut self, most: usize, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = self.below(most + 1);
        (0..count).map(|_| one(self)).collect()
    }

    fn number(&mut self) -> f64 {
        self.bits() as f64 / 1e6
    }

    fn id(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| (self.bits() | 1) as u8).collect()
    }

    fn word(&mut self) -> String {
        TEXTS[self.below(TEXTS.len())].to_owned()
    }

    fn value(&mut self, depth: usize) -> Value {
        match self.below(if depth == 0 { 5 } else { 7 }) {
            0 => Value::StringValue(self.word()),
            1 => Value::BoolValue(self.below(2) == 1),
            2 => Value::IntValue(self.bits() as i64),
            3 => Value::DoubleValue(self.number()),
            4 => Value::BytesValue(self.id(3)),
            5 => {
                let any = |draw: &mut Self| AnyValue {
                    value: Some(draw.value(depth - 1)),
                };
                Value::ArrayValue(ArrayValue {
                    values: self.some(3, any),
                })
            }
            _ => Value::KvlistValue(KeyValueList {
                values: self.some(3, |draw| attribute("k", draw.value(depth - 1))),
            }),
        }
    }

    fn attributes(&mut self) -> Vec<KeyValue> {
        self.some(5, |draw| {
            let key = KEYS[draw.below(KEYS.len())];
            match draw.below(2) {
                0 => text(key, &draw.word()),
                _ => attribute(key, draw.value(2)),
            }
        })
    }

    fn resource(&mut self) -> Option<Resource> {
        let present = self.below(4) > 0;
        present.then(|| Resource {
            attributes: self.attributes(),
            dropped_attributes_count: self.below(3) as u32,
            ..Resource::default()
        })
    }

    fn scope(&mut self) -> Option<InstrumentationScope> {
        Some(InstrumentationScope {
            name: self.word(),
            version: self.word(),
            attributes: self.attributes(),
            dropped_attributes_count: 0,
        })
    }

    fn span(&mut self) -> Span {
        let event = |draw: &mut Self| Event {
            time_unix_nano: draw.bits(),
            name: draw.word(),
            attributes: draw.attributes(),
            dropped_attributes_count: 1,
        };
        let link = |draw: &mut Self| Link {
            trace_id: draw.id(16),
            span_id: draw.id(8),
            attributes: draw.attributes(),
            flags: 0x301,
            ..Link::default()
        };
        Span {
            trace_id: self.id(16),
            span_id: self.id(8),
            parent_span_id: self.id(8),
            trace_state: "ot=th:8".to_owned(),
            flags: 0x101,
            name: self.word(),
            kind: self.below(6) as i32,
            start_time_unix_nano: self.bits(),
            end_time_unix_nano: self.bits(),
            attributes: self.attributes(),
            events: self.some(2, event),
            links: self.some(2, link),
            status: Some(Status {
                message: self.word(),
                code: self.below(3) as i32,
            }),
            ..Span::default()
        }
    }

    pub(super) fn traces(&mut self) -> ExportTraceServiceRequest {
        let scope = |draw: &mut Self| ScopeSpans {
            scope: draw.scope(),
            spans: draw.some(3, Self::span),
            schema_url: draw.word(),
        };
        let resource_spans = self.some(3, |draw| ResourceSpans {
            resource: draw.resource(),
            scope_spans: draw.some(2, scope),
            schema_url: draw.word(),
        });
        ExportTraceServiceRequest { resource_spans }
    }

    fn log_record(&mut self) -> LogRecord {
        LogRecord {
            time_unix_nano: self.bits(),
            observed_time_unix_nano: self.bits(),
            severity_number: self.below(25) as i32,
            severity_text: self.word(),
            body: Some(AnyValue {
                value: Some(self.value(3)),
            }),
            attributes: self.attributes(),
            flags: 1,
            trace_id: self.id(16),
            span_id: self.id(8),
            event_name: self.word(),
            ..LogRecord::default()
        }
    }

    pub(super) fn logs(&mut self) -> ExportLogsServiceRequest {
        let scope = |draw: &mut Self| ScopeLogs {
            scope: draw.scope(),
            log_records: draw.some(3, Self::log_record),
            schema_url: draw.word(),
        };
        let resource_logs = self.some(3, |draw| ResourceLogs {
            resource: draw.resource(),
            scope_logs: draw.some(2, scope),
            schema_url: draw.word(),
        });
        ExportLogsServiceRequest { resource_logs }
    }

    fn exemplar(&mut self) -> Exemplar {
        Exemplar {
            filtered_attributes: self.attributes(),
            time_unix_nano: self.bits(),
            span_id: self.id(8),
            trace_id: self.id(16),
            value: Some(exemplar::Value::AsDouble(self.number())),
        }
    }

    fn number_point(&mut self) -> NumberDataPoint {
        NumberDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.bits(),
            time_unix_nano: self.bits(),
            exemplars: self.some(1, Self::exemplar),
            flags: self.below(2) as u32,
            value: Some(match self.below(2) {
                0 => number_data_point::Value::AsDouble(self.number()),
                _ => number_data_point::Value::AsInt(self.bits() as i64),
            }),
        }
    }

    fn histogram_point(&mut self) -> HistogramDataPoint {
        HistogramDataPoint {
            attributes: self.attributes(),
            time_unix_nano: self.bits(),
            count: self.bits(),
            sum: (self.below(2) == 0).then(|| self.number()),
            bucket_counts: self.some(5, Self::bits),
            explicit_bounds: self.some(5, Self::number),
            exemplars: self.some(1, Self::exemplar),
            max: (self.below(2) == 0).then_some(0.0),
            ..HistogramDataPoint::default()
        }
    }

    fn exponential_point(&mut self) -> ExponentialHistogramDataPoint {
        let mut buckets = || {
            Some(Buckets {
                offset: self.below(100) as i32 - 50,
                bucket_counts: self.some(5, Self::bits),
            })
        };
        ExponentialHistogramDataPoint {
            positive: buckets(),
            negative: buckets(),
            attributes: self.attributes(),
            time_unix_nano: self.bits(),
            count: self.bits(),
            scale: self.below(20) as i32 - 10,
            zero_count: self.bits(),
            zero_threshold: self.number(),
            ..ExponentialHistogramDataPoint::default()
        }
    }

    fn summary_point(&mut self) -> SummaryDataPoint {
        let quantile = |draw: &mut Self| ValueAtQuantile {
            quantile: 0.99,
            value: draw.number(),
        };
        SummaryDataPoint {
            attributes: self.attributes(),
            time_unix_nano: self.bits(),
            count: self.bits(),
            sum: self.number(),
            quantile_values: self.some(3, quantile),
            ..SummaryDataPoint::default()
        }
    }

    fn metric(&mut self) -> Metric {
        let aggregation_temporality = 1 + self.below(2) as i32;
        let data = match self.below(5) {
            0 => Data::Gauge(Gauge {
                data_points: self.some(3, Self::number_point),
            }),
            1 => Data::Sum(Sum {
                data_points: self.some(3, Self::number_point),
                aggregation_temporality,
                is_monotonic: true,
            }),
            2 => Data::Histogram(Histogram {
                data_points: self.some(3, Self::histogram_point),
                aggregation_temporality,
            }),
            3 => Data::ExponentialHistogram(ExponentialHistogram {
                data_points: self.some(3, Self::exponential_point),
                aggregation_temporality,
            }),
            _ => Data::Summary(Summary {
                data_points: self.some(3, Self::summary_point),
            }),
        };
        Metric {
            name: self.word(),
            description: self.word(),
            unit: "s".to_owned(),
            metadata: self.attributes(),
            data: Some(data),
        }
    }

    pub(super) fn metrics(&mut self) -> ExportMetricsServiceRequest {
        let scope = |draw: &mut Self| ScopeMetrics {
            scope: draw.scope(),
            metrics: draw.some(3, Self::metric),
            schema_url: draw.word(),
        };
        let resource_metrics = self.some(3, |draw| ResourceMetrics {
            resource: draw.resource(),
            scope_metrics: draw.some(2, scope),
            schema_url: draw.word(),
        });
        ExportMetricsServiceRequest { resource_metrics }
    }
}
