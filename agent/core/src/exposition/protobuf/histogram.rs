//! Histograms: classic buckets become samples, native ones stay on the wire.

use super::native::Native;
use super::{created_sample, double, exemplar, timestamp, whole};
use crate::exposition::page::{Builder, Point};
use crate::exposition::{Reason, Role};
use crate::payload::walk::Message;

/// What was seen of a histogram beside its buckets.
#[derive(Debug, Default)]
struct Seen {
    count: f64,
    sum: f64,
    created: Option<u64>,
    schema: i32,
    zero_threshold: f64,
    zero_count: u64,
    zero_count_float: f64,
    has_spans: bool,
    is_float: bool,
    has_infinite: bool,
    has_finite: bool,
    /// Exemplars of field 16, by their ids.
    own_exemplars: Option<(u32, u32)>,
    bucket_exemplars: Option<(u32, u32)>,
}

impl Seen {
    /// Prometheus's test: client_golang gives a native histogram without observations an empty
    /// span, so that it can be told from a classic one.
    fn is_native(&self) -> bool {
        self.has_spans || self.zero_threshold > 0.0 || self.zero_count > 0
    }
}

/// Reads a histogram of a point.
pub(super) fn histogram<'a>(
    builder: &mut Builder<'a>,
    point: &Point,
    message: Message<'a>,
) -> Result<(), Reason> {
    let mut seen = Seen::default();
    for field in message.fields() {
        let field = field?;
        match field.number {
            1 if seen.count == 0.0 => seen.count = whole(&field)? as f64,
            2 => seen.sum = double(&field)?,
            3 => bucket(builder, point, &mut seen, field.message()?)?,
            4 => {
                let count = double(&field)?;
                if count > 0.0 {
                    (seen.count, seen.is_float) = (count, true);
                }
            }
            5 => seen.schema = zigzag(whole(&field)?) as i32,
            6 => seen.zero_threshold = double(&field)?,
            7 => seen.zero_count = whole(&field)?,
            8 => seen.zero_count_float = double(&field)?,
            9 | 12 => {
                field.message()?;
                seen.has_spans = true;
            }
            11 | 14 => seen.is_float = true,
            15 => seen.created = timestamp(field.message()?)?,
            16 => {
                let id = exemplar(builder, field.message()?)?;
                extend(&mut seen.own_exemplars, id);
            }
            _ => {}
        }
    }
    finish(builder, point, &seen, message)
}

fn finish<'a>(
    builder: &mut Builder<'a>,
    point: &Point,
    seen: &Seen,
    message: Message<'a>,
) -> Result<(), Reason> {
    if !seen.has_infinite {
        // The text form has it always, and a native histogram alone has no other sample of it.
        builder.wire_sample(point, Role::Bucket, (f64::INFINITY, seen.count), None)?;
    }
    builder.wire_sample(point, Role::Sum, (0.0, seen.sum), None)?;
    builder.wire_sample(point, Role::Count, (0.0, seen.count), None)?;
    created_sample(builder, point, seen.created)?;
    if !seen.is_native() {
        return Ok(());
    }
    // Prometheus takes those of the buckets where the histogram has none of its own.
    let exemplars = seen.own_exemplars.or(seen.bucket_exemplars);
    let (first_exemplar, end_exemplar) = exemplars.unwrap_or_default();
    builder.wire_native(Native {
        family: point.family,
        message: point.message,
        time_unix_nano: point.time_unix_nano,
        start_unix_nano: seen.created.unwrap_or_default(),
        schema: seen.schema,
        sum: seen.sum,
        zero_count: seen.zero_count,
        zero_threshold: seen.zero_threshold,
        zero_count_float: seen.zero_count_float,
        is_float: seen.is_float || seen.zero_count_float > 0.0,
        has_classic: seen.has_finite,
        histogram: message,
        first_label: point.first_label,
        end_label: point.end_label,
        first_exemplar,
        end_exemplar,
    });
    Ok(())
}

fn bucket<'a>(
    builder: &mut Builder<'a>,
    point: &Point,
    seen: &mut Seen,
    message: Message<'a>,
) -> Result<(), Reason> {
    let (mut count, mut bound, mut exemplar) = (0.0, 0.0, None);
    for field in message.fields() {
        let field = field?;
        match field.number {
            1 if count == 0.0 => count = whole(&field)? as f64,
            2 => bound = double(&field)?,
            3 => {
                let id = super::exemplar(builder, field.message()?)?;
                extend(&mut seen.bucket_exemplars, id);
                exemplar = Some(id);
            }
            4 => {
                let float = double(&field)?;
                count = if float > 0.0 { float } else { count };
            }
            _ => {}
        }
    }
    let infinite = bound == f64::INFINITY;
    seen.has_infinite |= infinite;
    seen.has_finite |= !infinite;
    builder.wire_sample(point, Role::Bucket, (bound, count), exemplar)
}

/// Extends a range of ids by the next one; ids of the other kind between them are taken too.
fn extend(range: &mut Option<(u32, u32)>, id: u32) {
    let first = range.map_or(id, |(first, _)| first);
    *range = Some((first, id + 1));
}

/// A number of the type `sint32` or `sint64`.
pub(super) const fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}
