//! Checks a request down to its last field and counts what is in it.

use davy_proto::Signal;

use super::schema::{self, Kind, Shape};
use super::walk::{Field, Malformed, Message, Reason, Value, varint};

/// Deepest nesting of messages: prost's and Python's limit.
const DEPTH_MAX: usize = 100;

/// Most messages (attributes, values, events) within one item. An empty one takes two bytes and,
/// decoded, a hundred: an item of more could take gigabytes of whoever decodes it.
const MESSAGES_MAX: u64 = 1 << 16;

/// What is in a request.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Census {
    /// Spans, log records or metric data points.
    pub items: u64,
    /// Messages of every kind, items included: what decoding it allocates for.
    pub messages: u64,
}

impl std::ops::AddAssign for Census {
    fn add_assign(&mut self, other: Self) {
        self.items += other.items;
        self.messages += other.messages;
    }
}

/// Checks that `bytes` are an export request of `signal` and counts its spans, log records or
/// metric data points.
///
/// # Errors
///
/// Where a decoder would refuse it: wire types, lengths, UTF-8, nesting, length of identifiers.
/// An item of more than 65,536 messages is refused too.
///
/// # Complexity
///
/// One pass, no allocation.
pub fn count(signal: Signal, bytes: &[u8]) -> Result<u64, Malformed> {
    census(signal, bytes).map(|census| census.items)
}

/// As [`count`], with the messages too.
///
/// # Errors
///
/// As [`count`].
pub fn census(signal: Signal, bytes: &[u8]) -> Result<Census, Malformed> {
    take(schema::request(signal), Message::request(bytes), DEPTH_MAX)
}

/// Items of one entry of a scope, checked: of a metric its points, else 1.
pub(super) fn record_items(signal: Signal, record: Message<'_>) -> Result<u64, Malformed> {
    match signal {
        Signal::Metrics => {
            take(schema::record(signal), record, DEPTH_MAX).map(|census| census.items)
        }
        Signal::Logs | Signal::Traces => Ok(1),
    }
}

fn take(shape: &Shape, message: Message<'_>, depth: usize) -> Result<Census, Malformed> {
    let mut total = Census::default();
    for field in message.fields() {
        let field = field?;
        if let Some(kind) = shape.kind(field.number) {
            total += take_field(kind, &field, depth)?;
        }
    }
    Ok(total)
}

fn take_field(kind: &Kind, field: &Field<'_>, depth: usize) -> Result<Census, Malformed> {
    let none = Census::default();
    match (kind, field.value) {
        (Kind::Item(shape), Value::Bytes(inner)) => {
            let below = deeper(shape, inner, field, depth)?;
            if below.messages > MESSAGES_MAX {
                return Err(field.malformed(Reason::TooManyMessages));
            }
            Ok(Census {
                items: below.items + 1,
                messages: below.messages + 1,
            })
        }
        (Kind::Nested(shape), Value::Bytes(inner)) => {
            let below = deeper(shape, inner, field, depth)?;
            Ok(Census {
                messages: below.messages + 1,
                ..below
            })
        }
        (Kind::Text, Value::Bytes(inner)) => match std::str::from_utf8(inner.bytes) {
            Ok(_) => Ok(none),
            Err(_) => Err(field.malformed(Reason::NotUtf8)),
        },
        (Kind::Id(expected), Value::Bytes(inner)) => match inner.bytes.len() {
            found if found == 0 || found == *expected => Ok(none),
            found => Err(field.malformed(Reason::IdLength {
                found,
                expected: *expected,
            })),
        },
        (Kind::Packed64, Value::Bytes(inner)) => match inner.bytes.len() % 8 {
            0 => Ok(none),
            _ => Err(field.malformed(Reason::Truncated)),
        },
        (Kind::PackedVarint, Value::Bytes(inner)) => packed_varints(inner).map(|()| none),
        (Kind::Binary, Value::Bytes(_))
        | (Kind::Fixed32, Value::Fixed32)
        | (Kind::Fixed64 | Kind::Packed64, Value::Fixed64)
        | (Kind::Varint | Kind::PackedVarint, Value::Varint(_)) => Ok(none),
        _ => Err(field.wrong_wire_type()),
    }
}

fn deeper(
    shape: &Shape,
    inner: Message<'_>,
    field: &Field<'_>,
    depth: usize,
) -> Result<Census, Malformed> {
    match depth.checked_sub(1) {
        Some(depth) => take(shape, inner, depth),
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
