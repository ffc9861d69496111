//! Native histograms, read from the wire when they are asked for.
//!
//! Buckets stand in spans: a span says how many buckets to skip and how many follow; each bucket
//! is its difference to the one before. Neither number is trusted with memory: a bucket is given
//! out only when its difference is there, so there are never more buckets than bytes.
//! Source: "Native Histograms" of the Prometheus documentation, and `metrics.proto`.

use super::histogram::zigzag;
use super::whole;
use crate::exposition::Reason;
use crate::payload::walk::{Fields, Message, Value, varint};

/// A native histogram.
#[derive(Clone, Debug, PartialEq)]
pub struct Native<'a> {
    /// Index into [`Page::families`](crate::exposition::Page::families).
    pub family: u32,
    /// The message it stands in, from 1.
    pub message: u32,
    /// An explicit timestamp, Unix nanoseconds.
    pub time_unix_nano: Option<u64>,
    /// When the series began, Unix nanoseconds; 0 when not told.
    pub start_unix_nano: u64,
    /// Resolution: 2^schema buckets for each doubling; −53 for custom bounds.
    pub schema: i32,
    /// Sum of the observations.
    pub sum: f64,
    /// Observations whose absolute value is at most the threshold.
    pub zero_count: u64,
    /// Width of the zero bucket.
    pub zero_threshold: f64,
    /// Whether its counts are floats: [`Self::positive`] and [`Self::negative`] have none then.
    pub is_float: bool,
    /// Whether there are classic buckets with finite bounds beside it.
    pub has_classic: bool,
    pub(crate) histogram: Message<'a>,
    pub(crate) first_label: u32,
    pub(crate) end_label: u32,
    pub(crate) first_exemplar: u32,
    pub(crate) end_exemplar: u32,
}

impl<'a> Native<'a> {
    /// Returns the buckets above zero.
    pub fn positive(&self) -> Buckets<'a> {
        self.buckets(12, 13)
    }

    /// Returns the buckets below zero, by absolute value.
    pub fn negative(&self) -> Buckets<'a> {
        self.buckets(9, 10)
    }

    fn buckets(&self, spans: u32, deltas: u32) -> Buckets<'a> {
        // Spans without differences are a histogram of floats.
        let fields = if self.is_float {
            Message::request(&[]).fields()
        } else {
            self.histogram.fields()
        };
        Buckets {
            spans: (fields.clone(), spans),
            deltas: Deltas {
                fields,
                number: deltas,
                packed: &[],
            },
            index: 0,
            left: 0,
            count: 0,
            first: true,
            done: false,
        }
    }
}

/// Iterates over buckets as index and count. A bucket of index i ends at 2^(i / 2^schema),
/// inclusive. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Buckets<'a> {
    spans: (Fields<'a>, u32),
    deltas: Deltas<'a>,
    index: i64,
    left: u64,
    count: i64,
    first: bool,
    done: bool,
}

impl Buckets<'_> {
    fn bucket(&mut self) -> Result<Option<(i64, u64)>, Reason> {
        while self.left == 0 {
            let Some((offset, length)) = self.span()? else {
                return match self.deltas.delta()? {
                    Some(_) => Err(Reason::NativeMisfit),
                    None => Ok(None),
                };
            };
            if offset < 0 && !self.first {
                return Err(Reason::NativeMisfit);
            }
            self.first = false;
            // Offsets have 32 bits and a page has fewer than 2^32 of them.
            self.index = self.index.saturating_add(offset);
            self.left = length;
        }
        let delta = self.deltas.delta()?.ok_or(Reason::NativeMisfit)?;
        let sum = self.count.checked_add(delta);
        self.count = sum.ok_or(Reason::NativeMisfit)?;
        let count = u64::try_from(self.count).map_err(|_| Reason::NativeMisfit)?;
        let index = self.index;
        self.index = self.index.saturating_add(1);
        self.left -= 1;
        Ok(Some((index, count)))
    }

    fn span(&mut self) -> Result<Option<(i64, u64)>, Reason> {
        for field in self.spans.0.by_ref() {
            let field = field?;
            if field.number != self.spans.1 {
                continue;
            }
            let (mut offset, mut length) = (0, 0);
            for field in field.message()?.fields() {
                let field = field?;
                match field.number {
                    // Both have 32 bits; decoders drop those above.
                    1 => offset = i64::from(zigzag(whole(&field)?) as i32),
                    2 => length = u64::from(whole(&field)? as u32),
                    _ => {}
                }
            }
            return Ok(Some((offset, length)));
        }
        Ok(None)
    }
}

impl Iterator for Buckets<'_> {
    type Item = Result<(i64, u64), Reason>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let bucket = self.bucket();
        self.done = !matches!(bucket, Ok(Some(_)));
        bucket.transpose()
    }
}

/// Iterates over a repeated `sint64`, packed or not: a decoder must take both.
#[derive(Clone, Debug)]
struct Deltas<'a> {
    fields: Fields<'a>,
    number: u32,
    packed: &'a [u8],
}

impl Deltas<'_> {
    fn delta(&mut self) -> Result<Option<i64>, Reason> {
        loop {
            if !self.packed.is_empty() {
                let (value, length) = varint(self.packed).map_err(|_| Reason::NativeMisfit)?;
                self.packed = self.packed.get(length..).unwrap_or_default();
                return Ok(Some(zigzag(value)));
            }
            let Some(field) = self.fields.next().transpose()? else {
                return Ok(None);
            };
            match field.value {
                _ if field.number != self.number => {}
                Value::Varint(value) => return Ok(Some(zigzag(value))),
                Value::Bytes(packed) => self.packed = packed.bytes,
                _ => return Err(field.wrong_wire_type().into()),
            }
        }
    }
}
