//! Checks a request down to its last field and counts what is in it.

use davy_proto::Signal;

use super::schema::{self, Kind, Shape};
use super::walk::{Field, Malformed, Message, Reason, Value, varint};

/// Deepest nesting of messages: prost's and Python's limit.
const DEPTH_MAX: usize = 100;

/// Checks that `bytes` are an export request of `signal` and counts its spans, log records or
/// metric data points.
///
/// # Errors
///
/// Where a decoder would refuse it: wire types, lengths, UTF-8, nesting, length of identifiers.
///
/// # Complexity
///
/// One pass, no allocation.
pub fn count(signal: Signal, bytes: &[u8]) -> Result<u64, Malformed> {
    items(schema::request(signal), Message::request(bytes), DEPTH_MAX)
}

/// Items of one entry of a scope, checked: of a metric its points, else 1.
pub(super) fn record_items(signal: Signal, record: Message<'_>) -> Result<u64, Malformed> {
    match signal {
        Signal::Metrics => items(schema::record(signal), record, DEPTH_MAX),
        Signal::Logs | Signal::Traces => Ok(1),
    }
}

fn items(shape: &Shape, message: Message<'_>, depth: usize) -> Result<u64, Malformed> {
    let mut total = 0;
    for field in message.fields() {
        let field = field?;
        if let Some(kind) = shape.kind(field.number) {
            total += field_items(kind, &field, depth)?;
        }
    }
    Ok(total)
}

fn field_items(kind: &Kind, field: &Field<'_>, depth: usize) -> Result<u64, Malformed> {
    match (kind, field.value) {
        (Kind::Item(shape), Value::Bytes(inner)) => {
            deeper(shape, inner, field, depth).map(|below| below + 1)
        }
        (Kind::Nested(shape), Value::Bytes(inner)) => deeper(shape, inner, field, depth),
        (Kind::Text, Value::Bytes(inner)) => match std::str::from_utf8(inner.bytes) {
            Ok(_) => Ok(0),
            Err(_) => Err(field.malformed(Reason::NotUtf8)),
        },
        (Kind::Id(expected), Value::Bytes(inner)) => match inner.bytes.len() {
            found if found == 0 || found == *expected => Ok(0),
            found => Err(field.malformed(Reason::IdLength {
                found,
                expected: *expected,
            })),
        },
        (Kind::Packed64, Value::Bytes(inner)) => match inner.bytes.len() % 8 {
            0 => Ok(0),
            _ => Err(field.malformed(Reason::Truncated)),
        },
        (Kind::PackedVarint, Value::Bytes(inner)) => packed_varints(inner).map(|()| 0),
        (Kind::Binary, Value::Bytes(_))
        | (Kind::Fixed32, Value::Fixed32)
        | (Kind::Fixed64 | Kind::Packed64, Value::Fixed64)
        | (Kind::Varint | Kind::PackedVarint, Value::Varint(_)) => Ok(0),
        _ => Err(field.wrong_wire_type()),
    }
}

fn deeper(
    shape: &Shape,
    inner: Message<'_>,
    field: &Field<'_>,
    depth: usize,
) -> Result<u64, Malformed> {
    match depth.checked_sub(1) {
        Some(depth) => items(shape, inner, depth),
        None => Err(field.malformed(Reason::TooDeep)),
    }
}

fn packed_varints(message: Message<'_>) -> Result<(), Malformed> {
    let mut at = 0;
    while let Some(rest) = message.bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let (_, length) = varint(rest).map_err(|reason| Malformed {
            offset: message.offset + at,
            reason,
        })?;
        at += length;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
