//! Writing OTLP metrics field by field, so that it is known where each value stands.
//!
//! Numbers that change from scrape to scrape are `fixed64` or `double` and are written even when
//! they are 0: a decoder reads the same, and the next value fits. Source: `metrics.proto` of
//! opentelemetry-proto 1.11.

use crate::exposition::Label;
use crate::payload::write;

/// `start_time_unix_nano`, field 2 of every classic point.
pub(super) const START: u8 = 0x11;
/// `time_unix_nano`, field 3 of every point.
pub(super) const TIME: u8 = 0x19;
/// `NumberDataPoint.as_double`, and `count` of histograms and summaries: field 4.
pub(super) const VALUE: u8 = 0x21;
/// `sum` of histograms and summaries: field 5, a double.
pub(super) const SUM: u8 = 0x29;
/// `HistogramDataPoint.bucket_counts` and `SummaryDataPoint.quantile_values`: field 6.
pub(super) const SIXTH: u8 = 0x32;
/// `HistogramDataPoint.explicit_bounds`: field 7.
pub(super) const BOUNDS: u8 = 0x3a;
/// The first field of a message, when it has a length: points of data, a key, a string.
pub(super) const FIRST: u8 = 0x0a;
/// The second field of a message, when it has a length.
pub(super) const SECOND: u8 = 0x12;
/// `Metric.unit`, field 3.
pub(super) const UNIT: u8 = 0x1a;
/// `Metric.metadata`, field 12.
pub(super) const METADATA: u8 = 0x62;
/// `aggregation_temporality` of sums and histograms, field 2: cumulative.
pub(super) const CUMULATIVE: [u8; 2] = [0x10, 2];
/// `Sum.is_monotonic`, field 3.
pub(super) const MONOTONIC: [u8; 2] = [0x18, 1];

/// Lengths below this take one byte.
const SHORT: usize = 0x80;

/// Returns the bytes of a field with a length, whose tag takes one byte.
pub(super) const fn field_length(length: usize) -> usize {
    match length < SHORT {
        true => 2 + length,
        false => write::field_length(1, length),
    }
}

/// Writes a tag and a length; `length` bytes must follow.
pub(super) fn put_header(out: &mut Vec<u8>, tag: u8, length: usize) {
    if length < SHORT {
        out.extend_from_slice(&[tag, length as u8]);
        return;
    }
    out.push(tag);
    write::put_varint(out, length as u64);
}

/// Writes a field of bytes.
pub(super) fn put_bytes(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    put_header(out, tag, bytes.len());
    out.extend_from_slice(bytes);
}

/// Writes a `fixed64` or `double` field; returns where its eight bytes stand.
pub(super) fn put_fixed(out: &mut Vec<u8>, tag: u8, bits: u64) -> u32 {
    out.push(tag);
    let slot = out.len() as u32;
    out.extend_from_slice(&bits.to_le_bytes());
    slot
}

/// Returns the bytes of a label's `KeyValue`.
fn label_length(label: &Label<'_>) -> usize {
    field_length(label.name.len()) + field_length(field_length(label.value.len()))
}

/// Returns the bytes of a point's attributes.
pub(super) fn attributes_length(labels: &[Label<'_>]) -> usize {
    let lengths = labels.iter().map(|label| field_length(label_length(label)));
    lengths.sum()
}

/// Writes a point's attributes.
pub(super) fn put_attributes(out: &mut Vec<u8>, tag: u8, labels: &[Label<'_>]) {
    for label in labels {
        put_attribute(out, tag, &label.name, &label.value);
    }
}

/// Writes a `KeyValue` of a string.
pub(super) fn put_attribute(out: &mut Vec<u8>, tag: u8, name: &str, value: &str) {
    let inner = field_length(value.len());
    let whole = field_length(name.len()) + field_length(inner);
    if whole < SHORT {
        // So are all lengths within.
        let [name_length, inner, value_length] = [name.len(), inner, value.len()].map(|l| l as u8);
        out.extend_from_slice(&[tag, whole as u8, FIRST, name_length]);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(&[SECOND, inner, FIRST, value_length]);
        out.extend_from_slice(value.as_bytes());
        return;
    }
    put_header(out, tag, whole);
    put_bytes(out, FIRST, name.as_bytes());
    put_header(out, SECOND, inner);
    put_bytes(out, FIRST, value.as_bytes());
}

/// Returns the eight bytes at `slot`.
pub(super) fn fixed(bytes: &[u8], slot: u32) -> Option<u64> {
    let at = slot as usize;
    let found: [u8; 8] = bytes.get(at..at.checked_add(8)?)?.try_into().ok()?;
    Some(u64::from_le_bytes(found))
}

/// Overwrites the eight bytes at `slot`.
#[inline]
pub(super) fn set(bytes: &mut [u8], slot: u32, bits: u64) {
    let at = slot as usize;
    if let Some(place) = bytes.get_mut(at..at.wrapping_add(8)) {
        place.copy_from_slice(&bits.to_le_bytes());
    }
}
