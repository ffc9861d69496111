//! Keys that mean the same in every library: time, level, message and trace ids.
//!
//! They become fields of the record; what can't be read as such stays an attribute.

use std::collections::BTreeSet;

use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;

use super::{Context, severity, timestamp};

const TIME: &[&str] = &["time", "ts", "timestamp", "@timestamp"];
const LEVEL: &[&str] = &["level", "severity", "lvl", "loglevel", "log.level"];
const MESSAGE: &[&str] = &["msg", "message"];
const TRACE_ID: &[&str] = &["trace_id", "traceid", "traceId", "traceID", "trace.id"];
const SPAN_ID: &[&str] = &["span_id", "spanid", "spanId", "spanID", "span.id"];
const TRACE_FLAGS: &[&str] = &["trace_flags", "traceflags", "traceFlags", "trace.flags"];
/// Lists up to this length are searched pair by pair, longer ones with a set.
const SHORT_LIST: usize = 16;

/// The record that these attributes make.
pub(super) fn record(mut attributes: Vec<KeyValue>, context: Context) -> LogRecord {
    let mut record = LogRecord::default();
    let stamp = |value: &Value| timestamp::of_value(value, context.zone);
    if let Some(at) = take(&mut attributes, TIME, stamp) {
        record.time_unix_nano = at.nanos();
    }
    if let Some((number, text)) = take(&mut attributes, LEVEL, severity::of_value) {
        record.severity_number = number;
        record.severity_text = text;
    }
    take_trace(&mut attributes, &mut record);
    let message = MESSAGE.iter().find_map(|key| position(&attributes, key));
    record.body = message.and_then(|at| attributes.remove(at).value);
    record.attributes = attributes;
    record
}

/// Moves trace id, span id and flags, where they are ones, into their fields.
pub(super) fn take_trace(attributes: &mut Vec<KeyValue>, record: &mut LogRecord) {
    if let Some(id) = take(attributes, TRACE_ID, |value| id(value, 16)) {
        record.trace_id = id;
    }
    if let Some(id) = take(attributes, SPAN_ID, |value| id(value, 8)) {
        record.span_id = id;
    }
    if let Some(flags) = take(attributes, TRACE_FLAGS, flags) {
        record.flags = flags;
    }
}

/// Of attributes with one key the last stays, in the place of its own.
pub(super) fn deduplicate(attributes: &mut Vec<KeyValue>) {
    if attributes.len() <= SHORT_LIST {
        let mut at = 0;
        while let Some(attribute) = attributes.get(at) {
            let again = |later: &KeyValue| later.key == attribute.key;
            if attributes.iter().skip(at + 1).any(again) {
                attributes.remove(at);
            } else {
                at += 1;
            }
        }
        return;
    }
    let mut seen = BTreeSet::new();
    attributes.reverse();
    attributes.retain(|attribute| seen.insert(attribute.key.clone()));
    attributes.reverse();
}

/// Removes the first attribute among `keys` that can be read, and returns it read.
fn take<T>(
    attributes: &mut Vec<KeyValue>,
    keys: &[&str],
    read: impl Fn(&Value) -> Option<T>,
) -> Option<T> {
    for key in keys {
        let Some(at) = position(attributes, key) else {
            continue;
        };
        let value = attributes.get(at)?.value.as_ref();
        if let Some(taken) = value.and_then(|any| any.value.as_ref()).and_then(&read) {
            attributes.remove(at);
            return Some(taken);
        }
    }
    None
}

fn position(attributes: &[KeyValue], key: &str) -> Option<usize> {
    attributes.iter().position(|attribute| attribute.key == key)
}

/// An identifier of `length` bytes in hexadecimal; all zeros is none.
fn id(value: &Value, length: usize) -> Option<Vec<u8>> {
    let Value::StringValue(text) = value else {
        return None;
    };
    if text.len() != 2 * length || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let places = (0..length).map(|index| text.get(2 * index..2 * index + 2));
    let id: Option<Vec<u8>> = places
        .map(|two| u8::from_str_radix(two?, 16).ok())
        .collect();
    id.filter(|id| id.iter().any(|byte| *byte != 0))
}

/// Flags of a trace context: a byte, as two hexadecimal digits or a number.
fn flags(value: &Value) -> Option<u32> {
    let flags = match value {
        Value::StringValue(text) if text.len() == 2 => u8::from_str_radix(text, 16).ok(),
        Value::IntValue(flags) => u8::try_from(*flags).ok(),
        _ => None,
    };
    flags.map(u32::from)
}
