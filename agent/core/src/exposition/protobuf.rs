//! Delimited protobuf: messages `io.prometheus.client.MetricFamily`, each after its length.
//!
//! Names and labels borrow from the page, and a native histogram stays where it is ([`Native`]):
//! nothing is allocated by a number on the wire. A metric that can't be read costs that metric; a
//! length that leads out of the page fails it, since nothing behind it can be found.
//!
//! Source of the field numbers: `io/prometheus/client/metrics.proto` of prometheus/client_model.
//! Names are those of the text format: a counter's name ends in `_total` when its family's does.

use std::borrow::Cow;

use super::page::{Builder, Point};
use super::reader::refuse;
use super::{Format, Kind, Label, Options, Page, PageError, Reason, Role};
use crate::payload::walk::{Field, Message, Value, varint};
use histogram::histogram;

pub use native::{Buckets, FloatBuckets, Native};

mod histogram;
mod native;

/// Reads a page.
pub(crate) fn read<'a>(bytes: &'a [u8], options: &Options) -> Result<Page<'a>, PageError> {
    let mut builder = Builder::new(Format::Protobuf, options, bytes.len());
    read_messages(&mut builder, bytes)?;
    builder.finish().map_err(PageError::Line)?;
    Ok(builder.page)
}

/// Reads messages.
pub(crate) fn read_messages<'a>(
    builder: &mut Builder<'a>,
    bytes: &'a [u8],
) -> Result<(), PageError> {
    let (mut at, mut number) = (0, 0);
    while at < bytes.len() {
        number += 1;
        if !builder.has_room() {
            let limit = builder.options.limits.samples;
            return Err(PageError::TooManySamples { limit });
        }
        let start = at;
        let error = |reason| Format::Protobuf.error(number, within(reason, start));
        let message = frame(bytes, at).map_err(|reason| PageError::Line(error(reason)))?;
        at = message.offset + message.bytes.len();
        if let Err(reason) = family(builder, message, number) {
            refuse(builder, error(reason))?;
        }
    }
    Ok(())
}

/// Counts the bytes of an error from where its message begins, at its length: how many stand before
/// it changes with the values in them.
fn within(reason: Reason, start: usize) -> Reason {
    match reason {
        Reason::Wire(crate::payload::Malformed { offset, reason }) => {
            let offset = offset.saturating_sub(start);
            Reason::Wire(crate::payload::Malformed { offset, reason })
        }
        other => other,
    }
}

/// Returns the message that a page begins with, and its name, where it is whole and has one.
pub(crate) fn first(page: &[u8]) -> Option<(&[u8], &str)> {
    let message = frame(page, 0).ok()?;
    if message.bytes.first() != Some(&0x0a) {
        return None;
    }
    Some((message.bytes, header(message).ok()?.name))
}

fn frame(bytes: &[u8], at: usize) -> Result<Message<'_>, Reason> {
    let truncated = |offset| {
        let reason = crate::payload::walk::Reason::Truncated;
        Reason::Wire(crate::payload::Malformed { offset, reason })
    };
    let rest = bytes.get(at..).unwrap_or_default();
    let (length, taken) = varint(rest)
        .map_err(|reason| Reason::Wire(crate::payload::Malformed { offset: at, reason }))?;
    let offset = at + taken;
    let body = usize::try_from(length)
        .ok()
        .and_then(|length| bytes.get(offset..offset.checked_add(length)?));
    let bytes = body.ok_or_else(|| truncated(offset))?;
    Ok(Message { bytes, offset })
}

struct Header<'a> {
    name: &'a str,
    help: &'a str,
    unit: &'a str,
    kind: Kind,
}

/// Reads what precedes the metrics; on the wire it may as well follow them.
fn header(message: Message<'_>) -> Result<Header<'_>, Reason> {
    // The default of `type` in proto2 is its first value, COUNTER.
    let mut header = Header {
        name: "",
        help: "",
        unit: "",
        kind: Kind::Counter,
    };
    for field in message.fields() {
        let field = field?;
        match field.number {
            1 => header.name = text(&field)?,
            2 => header.help = text(&field)?,
            3 => header.kind = kind(whole(&field)?)?,
            5 => header.unit = text(&field)?,
            _ => {}
        }
    }
    if header.name.is_empty() {
        return Err(Reason::BadName);
    }
    Ok(header)
}

fn kind(number: u64) -> Result<Kind, Reason> {
    Ok(match number {
        0 => Kind::Counter,
        1 => Kind::Gauge,
        2 => Kind::Summary,
        3 => Kind::Unknown,
        4 => Kind::Histogram,
        5 => Kind::GaugeHistogram,
        _ => return Err(Reason::BadType),
    })
}

fn family<'a>(builder: &mut Builder<'a>, message: Message<'a>, number: u32) -> Result<(), Reason> {
    let header = header(message)?;
    if header.name.len() > builder.options.limits.name_bytes {
        return Err(Reason::NameTooLong);
    }
    let Header {
        name,
        help,
        unit,
        kind,
    } = header;
    let family = builder.wire_family(name, kind, help, unit)?;
    let mut refused: Option<Reason> = None;
    for field in message.fields() {
        let field = field?;
        if field.number != 4 {
            continue;
        }
        let mark = builder.mark();
        let read = field
            .message()
            .map_err(Reason::from)
            .and_then(|metric| self::metric(builder, (family, kind), metric, number));
        if let Err(reason) = read {
            builder.back_to(mark);
            if builder.options.strict || reason.is_limit() {
                return Err(reason);
            }
            if reason == Reason::TimestampUnholdable {
                builder.page.tally.unholdable_timestamps += 1;
            } else if refused.is_some() {
                builder.page.tally.bad_lines += 1;
            } else {
                refused = Some(reason);
            }
        }
    }
    refused.map_or(Ok(()), Err)
}

fn metric<'a>(
    builder: &mut Builder<'a>,
    (family, kind): (u32, Kind),
    message: Message<'a>,
    number: u32,
) -> Result<(), Reason> {
    let wanted = match kind {
        Kind::Gauge => 2,
        Kind::Counter => 3,
        Kind::Summary => 4,
        Kind::Histogram | Kind::GaugeHistogram => 7,
        Kind::Info | Kind::StateSet | Kind::Unknown => 5,
    };
    let first_label = builder.labels().len();
    let (mut value, mut milliseconds) = (None, 0i64);
    for field in message.fields() {
        let field = field?;
        match field.number {
            1 => label(builder, first_label, field.message()?)?,
            6 => milliseconds = whole(&field)? as i64,
            of if of == wanted => value = Some(field.message()?),
            // The value of another type is skipped; strictly, it must be a message all the same.
            2..=5 | 7 if builder.options.strict => {
                let mut fields = field.message()?.fields();
                fields.try_for_each(|field| field.map(drop))?;
            }
            _ => {}
        }
    }
    let value = value.ok_or(Reason::ValueMissing)?;
    let (first_label, end_label) = builder.wire_labels_end(first_label)?;
    let point = Point {
        family,
        message: number,
        time_unix_nano: time(milliseconds)?,
        first_label,
        end_label,
    };
    match kind {
        Kind::Histogram | Kind::GaugeHistogram => histogram(builder, &point, value),
        Kind::Summary => summary(builder, &point, value),
        _ => single(builder, &point, kind, value),
    }
}

/// 0 is unset, as in Prometheus, which can't tell the two apart.
fn time(milliseconds: i64) -> Result<Option<u64>, Reason> {
    if milliseconds == 0 {
        return Ok(None);
    }
    u64::try_from(milliseconds)
        .ok()
        .and_then(|milliseconds| milliseconds.checked_mul(1_000_000))
        .map(Some)
        .ok_or(Reason::TimestampUnholdable)
}

fn label<'a>(builder: &mut Builder<'a>, first: usize, message: Message<'a>) -> Result<(), Reason> {
    let (name, value) = match pair_of_texts(message.bytes) {
        Some(pair) => pair,
        None => {
            let (mut name, mut value) = ("", "");
            for field in message.fields() {
                let field = field?;
                match field.number {
                    1 => name = text(&field)?,
                    2 => value = text(&field)?,
                    _ => {}
                }
            }
            (name, value)
        }
    };
    // An empty value is no label; left out here, so that it takes no memory.
    if value.is_empty() {
        return Ok(());
    }
    let (name, value) = (Cow::Borrowed(name), Cow::Borrowed(value));
    builder.wire_label(first, Label { name, value })
}

/// Returns the fields 1 and 2 of a message of two short texts, as every client library writes it.
fn pair_of_texts(message: &[u8]) -> Option<(&str, &str)> {
    // Tags and short lengths are ASCII: the message as a whole is a text when both are.
    let text = std::str::from_utf8(message).ok()?;
    let [0x0a, name_length, ..] = *message else {
        return None;
    };
    let name_end = 2 + usize::from(name_length);
    let [0x12, value_length, ..] = *message.get(name_end..)? else {
        return None;
    };
    let value_end = name_end + 2 + usize::from(value_length);
    let is_whole = name_length.max(value_length) < 0x80 && value_end == message.len();
    let (name, value) = (text.get(2..name_end)?, text.get(name_end + 2..)?);
    is_whole.then_some((name, value))
}

fn single<'a>(
    builder: &mut Builder<'a>,
    point: &Point,
    kind: Kind,
    message: Message<'a>,
) -> Result<(), Reason> {
    let (mut value, mut exemplar, mut created) = (0.0, None, None);
    for field in message.fields() {
        let field = field?;
        match (kind, field.number) {
            (_, 1) => value = double(&field)?,
            (Kind::Counter, 2) => exemplar = Some(self::exemplar(builder, field.message()?)?),
            (Kind::Counter, 3) => created = timestamp(field.message()?)?,
            _ => {}
        }
    }
    builder.wire_sample(point, Role::Value, (0.0, value), exemplar)?;
    created_sample(builder, point, created)
}

fn created_sample(
    builder: &mut Builder<'_>,
    point: &Point,
    created: Option<u64>,
) -> Result<(), Reason> {
    match created {
        Some(nanos) => {
            let seconds = nanos as f64 / 1e9;
            builder.wire_sample(point, Role::Created, (0.0, seconds), None)
        }
        None => Ok(()),
    }
}

fn summary<'a>(
    builder: &mut Builder<'a>,
    point: &Point,
    message: Message<'a>,
) -> Result<(), Reason> {
    let (mut count, mut sum, mut created) = (0, 0.0, None);
    for field in message.fields() {
        let field = field?;
        match field.number {
            1 => count = whole(&field)?,
            2 => sum = double(&field)?,
            3 => {
                let quantile = pair(field.message()?)?;
                builder.wire_sample(point, Role::Quantile, quantile, None)?;
            }
            4 => created = timestamp(field.message()?)?,
            _ => {}
        }
    }
    builder.wire_sample(point, Role::Sum, (0.0, sum), None)?;
    builder.wire_sample(point, Role::Count, (0.0, count as f64), None)?;
    created_sample(builder, point, created)
}

/// Reads a message of two doubles.
fn pair(message: Message<'_>) -> Result<(f64, f64), Reason> {
    let mut pair = (0.0, 0.0);
    for field in message.fields() {
        let field = field?;
        match field.number {
            1 => pair.0 = double(&field)?,
            2 => pair.1 = double(&field)?,
            _ => {}
        }
    }
    Ok(pair)
}

fn exemplar<'a>(builder: &mut Builder<'a>, message: Message<'a>) -> Result<u32, Reason> {
    let first_label = builder.labels().len();
    let (mut value, mut time) = (0.0, None);
    for field in message.fields() {
        let field = field?;
        match field.number {
            1 => label(builder, first_label, field.message()?)?,
            2 => value = double(&field)?,
            3 => time = timestamp(field.message()?)?,
            _ => {}
        }
    }
    builder.wire_exemplar(value, time, first_label)
}

/// Reads a `google.protobuf.Timestamp` as Unix nanoseconds; `None` outside of what OTLP holds.
fn timestamp(message: Message<'_>) -> Result<Option<u64>, Reason> {
    let (mut seconds, mut nanos) = (0, 0);
    for field in message.fields() {
        let field = field?;
        match field.number {
            1 => seconds = whole(&field)? as i64,
            2 => nanos = whole(&field)? as i64,
            _ => {}
        }
    }
    let total = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    Ok(u64::try_from(total).ok().filter(|nanos| *nanos > 0))
}

fn text<'a>(field: &Field<'a>) -> Result<&'a str, Reason> {
    std::str::from_utf8(field.message()?.bytes).map_err(|_| Reason::BadUtf8)
}

fn whole(field: &Field<'_>) -> Result<u64, Reason> {
    match field.value {
        Value::Varint(value) => Ok(value),
        _ => Err(field.wrong_wire_type().into()),
    }
}

fn double(field: &Field<'_>) -> Result<f64, Reason> {
    match (field.value, field.raw.last_chunk::<8>()) {
        (Value::Fixed64, Some(bytes)) => Ok(f64::from_le_bytes(*bytes)),
        _ => Err(field.wrong_wire_type().into()),
    }
}
