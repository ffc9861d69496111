//! What the messages of OTLP look like on the wire: enough to refuse what a decoder would refuse.
//!
//! Source: opentelemetry-proto 1.10, `opentelemetry/proto/{common,resource,trace,logs,metrics}/v1`.
//! Fields that are not listed are unknown ones, and kept.

use Kind::{Fixed32, Fixed64, Id, Item, Nested, Packed64, PackedVarint, Text, Varint};
use davy_proto::Signal;

/// A message: its fields in the order of their numbers.
pub(super) struct Shape(&'static [(u32, Kind)]);

impl Shape {
    /// What the field of that number holds; none for an unknown one.
    #[inline]
    pub(super) fn kind(&self, number: u32) -> Option<&'static Kind> {
        // A field is never further from the start than its number, and mostly just there.
        let until = self.0.len().min(number as usize);
        let before = self.0.get(..until).unwrap_or_default();
        let found = before.iter().rev().find(|(known, _)| *known <= number);
        found
            .filter(|(known, _)| *known == number)
            .map(|(_, kind)| kind)
    }
}

/// What a field holds.
pub(super) enum Kind {
    Binary,
    Fixed32,
    Fixed64,
    /// Bytes that are empty or of that many bytes.
    Id(usize),
    /// A message that counts as one item.
    Item(&'static Shape),
    Nested(&'static Shape),
    /// Repeated 64-bit numbers, packed or not.
    Packed64,
    /// Repeated varints, packed or not.
    PackedVarint,
    Text,
    Varint,
}

/// The export request of a signal.
pub(super) const fn request(signal: Signal) -> &'static Shape {
    match signal {
        Signal::Logs => &LOGS_REQUEST,
        Signal::Metrics => &METRICS_REQUEST,
        Signal::Traces => &TRACE_REQUEST,
    }
}

/// One entry of a scope: a metric, a log record or a span.
pub(super) const fn record(signal: Signal) -> &'static Shape {
    match signal {
        Signal::Logs => &LOG_RECORD,
        Signal::Metrics => &METRIC,
        Signal::Traces => &SPAN,
    }
}

static ANY_VALUE: Shape = Shape(&[
    (1, Text),
    (2, Varint),
    (3, Varint),
    (4, Fixed64),
    (5, Nested(&ARRAY_VALUE)),
    (6, Nested(&KEY_VALUE_LIST)),
    (7, Kind::Binary),
    (8, Varint),
]);
static ARRAY_VALUE: Shape = Shape(&[(1, Nested(&ANY_VALUE))]);
static KEY_VALUE_LIST: Shape = Shape(&[(1, Nested(&KEY_VALUE))]);
static KEY_VALUE: Shape = Shape(&[(1, Text), (2, Nested(&ANY_VALUE)), (3, Varint)]);
static SCOPE: Shape = Shape(&[(1, Text), (2, Text), (3, Nested(&KEY_VALUE)), (4, Varint)]);
static ENTITY_REF: Shape = Shape(&[(1, Text), (2, Text), (3, Text), (4, Text)]);
static RESOURCE: Shape = Shape(&[
    (1, Nested(&KEY_VALUE)),
    (2, Varint),
    (3, Nested(&ENTITY_REF)),
]);

static TRACE_REQUEST: Shape = Shape(&[(1, Nested(&RESOURCE_SPANS))]);
static RESOURCE_SPANS: Shape =
    Shape(&[(1, Nested(&RESOURCE)), (2, Nested(&SCOPE_SPANS)), (3, Text)]);
static SCOPE_SPANS: Shape = Shape(&[(1, Nested(&SCOPE)), (2, Item(&SPAN)), (3, Text)]);
static SPAN: Shape = Shape(&[
    (1, Id(16)),
    (2, Id(8)),
    (3, Text),
    (4, Id(8)),
    (5, Text),
    (6, Varint),
    (7, Fixed64),
    (8, Fixed64),
    (9, Nested(&KEY_VALUE)),
    (10, Varint),
    (11, Nested(&SPAN_EVENT)),
    (12, Varint),
    (13, Nested(&SPAN_LINK)),
    (14, Varint),
    (15, Nested(&SPAN_STATUS)),
    (16, Fixed32),
]);
static SPAN_EVENT: Shape = Shape(&[
    (1, Fixed64),
    (2, Text),
    (3, Nested(&KEY_VALUE)),
    (4, Varint),
]);
static SPAN_LINK: Shape = Shape(&[
    (1, Id(16)),
    (2, Id(8)),
    (3, Text),
    (4, Nested(&KEY_VALUE)),
    (5, Varint),
    (6, Fixed32),
]);
static SPAN_STATUS: Shape = Shape(&[(2, Text), (3, Varint)]);

static LOGS_REQUEST: Shape = Shape(&[(1, Nested(&RESOURCE_LOGS))]);
static RESOURCE_LOGS: Shape = Shape(&[(1, Nested(&RESOURCE)), (2, Nested(&SCOPE_LOGS)), (3, Text)]);
static SCOPE_LOGS: Shape = Shape(&[(1, Nested(&SCOPE)), (2, Item(&LOG_RECORD)), (3, Text)]);
static LOG_RECORD: Shape = Shape(&[
    (1, Fixed64),
    (2, Varint),
    (3, Text),
    (5, Nested(&ANY_VALUE)),
    (6, Nested(&KEY_VALUE)),
    (7, Varint),
    (8, Fixed32),
    (9, Id(16)),
    (10, Id(8)),
    (11, Fixed64),
    (12, Text),
]);

static METRICS_REQUEST: Shape = Shape(&[(1, Nested(&RESOURCE_METRICS))]);
static RESOURCE_METRICS: Shape = Shape(&[
    (1, Nested(&RESOURCE)),
    (2, Nested(&SCOPE_METRICS)),
    (3, Text),
]);
static SCOPE_METRICS: Shape = Shape(&[(1, Nested(&SCOPE)), (2, Nested(&METRIC)), (3, Text)]);
static METRIC: Shape = Shape(&[
    (1, Text),
    (2, Text),
    (3, Text),
    (5, Nested(&GAUGE)),
    (7, Nested(&SUM)),
    (9, Nested(&HISTOGRAM)),
    (10, Nested(&EXPONENTIAL)),
    (11, Nested(&SUMMARY)),
    (12, Nested(&KEY_VALUE)),
]);
static GAUGE: Shape = Shape(&[(1, Item(&NUMBER_POINT))]);
static SUM: Shape = Shape(&[(1, Item(&NUMBER_POINT)), (2, Varint), (3, Varint)]);
static HISTOGRAM: Shape = Shape(&[(1, Item(&HISTOGRAM_POINT)), (2, Varint)]);
static EXPONENTIAL: Shape = Shape(&[(1, Item(&EXPONENTIAL_POINT)), (2, Varint)]);
static SUMMARY: Shape = Shape(&[(1, Item(&SUMMARY_POINT))]);
static NUMBER_POINT: Shape = Shape(&[
    (2, Fixed64),
    (3, Fixed64),
    (4, Fixed64),
    (5, Nested(&EXEMPLAR)),
    (6, Fixed64),
    (7, Nested(&KEY_VALUE)),
    (8, Varint),
]);
static HISTOGRAM_POINT: Shape = Shape(&[
    (2, Fixed64),
    (3, Fixed64),
    (4, Fixed64),
    (5, Fixed64),
    (6, Packed64),
    (7, Packed64),
    (8, Nested(&EXEMPLAR)),
    (9, Nested(&KEY_VALUE)),
    (10, Varint),
    (11, Fixed64),
    (12, Fixed64),
]);
static EXPONENTIAL_POINT: Shape = Shape(&[
    (1, Nested(&KEY_VALUE)),
    (2, Fixed64),
    (3, Fixed64),
    (4, Fixed64),
    (5, Fixed64),
    (6, Varint),
    (7, Fixed64),
    (8, Nested(&BUCKETS)),
    (9, Nested(&BUCKETS)),
    (10, Varint),
    (11, Nested(&EXEMPLAR)),
    (12, Fixed64),
    (13, Fixed64),
    (14, Fixed64),
]);
static BUCKETS: Shape = Shape(&[(1, Varint), (2, PackedVarint)]);
static SUMMARY_POINT: Shape = Shape(&[
    (2, Fixed64),
    (3, Fixed64),
    (4, Fixed64),
    (5, Fixed64),
    (6, Nested(&QUANTILE)),
    (7, Nested(&KEY_VALUE)),
    (8, Varint),
]);
static QUANTILE: Shape = Shape(&[(1, Fixed64), (2, Fixed64)]);
static EXEMPLAR: Shape = Shape(&[
    (2, Fixed64),
    (3, Fixed64),
    (4, Id(8)),
    (5, Id(16)),
    (6, Fixed64),
    (7, Nested(&KEY_VALUE)),
]);
