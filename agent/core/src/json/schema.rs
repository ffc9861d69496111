//! The messages of OTLP, each field with its JSON name; read and written by one list.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exemplar::Value as ExemplarValue;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as PointValue;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary,
    SummaryDataPoint,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use serde_json::{Map, Value};

use super::base64;
use super::field::{Element, Fault, Field, fields, put, take};

/// Declares a message: its fields with their JSON names, and a oneof with its variants.
macro_rules! message {
    ($type:ident { $($field:ident: $name:literal),* $(,)? }
     $($one:ident: $oneof:ident { $($variant:ident: $variant_name:literal),* $(,)? })?) => {
        impl Field for $type {
            fn to_json(&self) -> Value {
                let mut object = Map::new();
                $(put(&mut object, $name, &self.$field);)*
                $(match &self.$one {
                    $(Some($oneof::$variant(value)) => {
                        object.insert($variant_name.to_owned(), value.to_json());
                    })*
                    None => {}
                })?
                Value::Object(object)
            }

            fn from_json(value: &Value) -> Result<Self, Fault> {
                let mut message = Self::default();
                for (name, value) in fields(value)? {
                    match name.as_ref() {
                        $($name => message.$field = take($name, value)?,)*
                        $($($variant_name => {
                            message.$one = Some($oneof::$variant(take($variant_name, value)?));
                        })*)?
                        _ => {}
                    }
                }
                Ok(message)
            }

            fn is_default(&self) -> bool {
                false
            }
        }

        impl Element for $type {}
    };
}

message!(ExportTraceServiceRequest {
    resource_spans: "resourceSpans"
});
message!(ExportMetricsServiceRequest {
    resource_metrics: "resourceMetrics"
});
message!(ExportLogsServiceRequest {
    resource_logs: "resourceLogs"
});

message!(Resource {
    attributes: "attributes",
    dropped_attributes_count: "droppedAttributesCount",
    entity_refs: "entityRefs",
});
message!(EntityRef {
    schema_url: "schemaUrl",
    r#type: "type",
    id_keys: "idKeys",
    description_keys: "descriptionKeys",
});
message!(InstrumentationScope {
    name: "name",
    version: "version",
    attributes: "attributes",
    dropped_attributes_count: "droppedAttributesCount",
});
message!(KeyValue {
    key: "key",
    value: "value",
    key_strindex: "keyStrindex",
});
message!(ArrayValue { values: "values" });
message!(KeyValueList { values: "values" });

message!(ResourceSpans {
    resource: "resource",
    scope_spans: "scopeSpans",
    schema_url: "schemaUrl",
});
message!(ScopeSpans {
    scope: "scope",
    spans: "spans",
    schema_url: "schemaUrl",
});
message!(Span {
    trace_id: "traceId",
    span_id: "spanId",
    trace_state: "traceState",
    parent_span_id: "parentSpanId",
    flags: "flags",
    name: "name",
    kind: "kind",
    start_time_unix_nano: "startTimeUnixNano",
    end_time_unix_nano: "endTimeUnixNano",
    attributes: "attributes",
    dropped_attributes_count: "droppedAttributesCount",
    events: "events",
    dropped_events_count: "droppedEventsCount",
    links: "links",
    dropped_links_count: "droppedLinksCount",
    status: "status",
});
message!(Event {
    time_unix_nano: "timeUnixNano",
    name: "name",
    attributes: "attributes",
    dropped_attributes_count: "droppedAttributesCount",
});
message!(Link {
    trace_id: "traceId",
    span_id: "spanId",
    trace_state: "traceState",
    attributes: "attributes",
    dropped_attributes_count: "droppedAttributesCount",
    flags: "flags",
});
message!(Status {
    message: "message",
    code: "code"
});

message!(ResourceLogs {
    resource: "resource",
    scope_logs: "scopeLogs",
    schema_url: "schemaUrl",
});
message!(ScopeLogs {
    scope: "scope",
    log_records: "logRecords",
    schema_url: "schemaUrl",
});
message!(LogRecord {
    time_unix_nano: "timeUnixNano",
    observed_time_unix_nano: "observedTimeUnixNano",
    severity_number: "severityNumber",
    severity_text: "severityText",
    body: "body",
    attributes: "attributes",
    dropped_attributes_count: "droppedAttributesCount",
    flags: "flags",
    trace_id: "traceId",
    span_id: "spanId",
    event_name: "eventName",
});

message!(ResourceMetrics {
    resource: "resource",
    scope_metrics: "scopeMetrics",
    schema_url: "schemaUrl",
});
message!(ScopeMetrics {
    scope: "scope",
    metrics: "metrics",
    schema_url: "schemaUrl",
});
message!(Metric {
    name: "name",
    description: "description",
    unit: "unit",
    metadata: "metadata",
} data: Data {
    Gauge: "gauge",
    Sum: "sum",
    Histogram: "histogram",
    ExponentialHistogram: "exponentialHistogram",
    Summary: "summary",
});
message!(Gauge {
    data_points: "dataPoints"
});
message!(Sum {
    data_points: "dataPoints",
    aggregation_temporality: "aggregationTemporality",
    is_monotonic: "isMonotonic",
});
message!(Histogram {
    data_points: "dataPoints",
    aggregation_temporality: "aggregationTemporality",
});
message!(ExponentialHistogram {
    data_points: "dataPoints",
    aggregation_temporality: "aggregationTemporality",
});
message!(Summary {
    data_points: "dataPoints"
});
message!(NumberDataPoint {
    attributes: "attributes",
    start_time_unix_nano: "startTimeUnixNano",
    time_unix_nano: "timeUnixNano",
    exemplars: "exemplars",
    flags: "flags",
} value: PointValue {
    AsDouble: "asDouble",
    AsInt: "asInt",
});
message!(HistogramDataPoint {
    attributes: "attributes",
    start_time_unix_nano: "startTimeUnixNano",
    time_unix_nano: "timeUnixNano",
    count: "count",
    sum: "sum",
    bucket_counts: "bucketCounts",
    explicit_bounds: "explicitBounds",
    exemplars: "exemplars",
    flags: "flags",
    min: "min",
    max: "max",
});
message!(ExponentialHistogramDataPoint {
    attributes: "attributes",
    start_time_unix_nano: "startTimeUnixNano",
    time_unix_nano: "timeUnixNano",
    count: "count",
    sum: "sum",
    scale: "scale",
    zero_count: "zeroCount",
    positive: "positive",
    negative: "negative",
    flags: "flags",
    exemplars: "exemplars",
    min: "min",
    max: "max",
    zero_threshold: "zeroThreshold",
});
message!(Buckets {
    offset: "offset",
    bucket_counts: "bucketCounts"
});
message!(SummaryDataPoint {
    attributes: "attributes",
    start_time_unix_nano: "startTimeUnixNano",
    time_unix_nano: "timeUnixNano",
    count: "count",
    sum: "sum",
    quantile_values: "quantileValues",
    flags: "flags",
});
message!(ValueAtQuantile {
    quantile: "quantile",
    value: "value"
});
message!(Exemplar {
    filtered_attributes: "filteredAttributes",
    time_unix_nano: "timeUnixNano",
    span_id: "spanId",
    trace_id: "traceId",
} value: ExemplarValue {
    AsDouble: "asDouble",
    AsInt: "asInt",
});

/// A value; the only message with bytes in base64.
impl Field for AnyValue {
    fn to_json(&self) -> Value {
        let (name, value) = match &self.value {
            Some(Any::StringValue(text)) => ("stringValue", text.to_json()),
            Some(Any::BoolValue(truth)) => ("boolValue", truth.to_json()),
            Some(Any::IntValue(number)) => ("intValue", number.to_json()),
            Some(Any::DoubleValue(number)) => ("doubleValue", number.to_json()),
            Some(Any::ArrayValue(list)) => ("arrayValue", list.to_json()),
            Some(Any::KvlistValue(list)) => ("kvlistValue", list.to_json()),
            Some(Any::BytesValue(bytes)) => ("bytesValue", Value::String(base64::encode(bytes))),
            Some(Any::StringValueStrindex(index)) => ("stringValueStrindex", index.to_json()),
            None => return Value::Object(Map::new()),
        };
        Value::Object(Map::from_iter([(name.to_owned(), value)]))
    }

    fn from_json(value: &Value) -> Result<Self, Fault> {
        let mut read = None;
        for (name, value) in fields(value)? {
            read = Some(match name.as_ref() {
                "stringValue" => Any::StringValue(take("stringValue", value)?),
                "boolValue" => Any::BoolValue(take("boolValue", value)?),
                "intValue" => Any::IntValue(take("intValue", value)?),
                "doubleValue" => Any::DoubleValue(take("doubleValue", value)?),
                "arrayValue" => Any::ArrayValue(take("arrayValue", value)?),
                "kvlistValue" => Any::KvlistValue(take("kvlistValue", value)?),
                "bytesValue" => {
                    let bytes = value.as_str().and_then(base64::decode);
                    let fault = || Fault::expected("base64", value).under("bytesValue".to_owned());
                    Any::BytesValue(bytes.ok_or_else(fault)?)
                }
                "stringValueStrindex" => {
                    Any::StringValueStrindex(take("stringValueStrindex", value)?)
                }
                _ => continue,
            });
        }
        Ok(Self { value: read })
    }

    fn is_default(&self) -> bool {
        false
    }
}

impl Element for AnyValue {}
