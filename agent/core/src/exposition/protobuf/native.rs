//! Native histograms, read from the wire when they are asked for.
//!
//! Buckets stand in spans: a span says how many buckets to skip and how many follow; each bucket
//! is its difference to the one before. Neither number is trusted with memory: a bucket is given
//! out only when its difference is there, so there are never more buckets than bytes. Histograms of
//! floats have counts in place of differences ([`FloatBuckets`]).
//! Source: "Native Histograms" of the Prometheus documentation, and `metrics.proto`.

use super::histogram::zigzag;
use super::whole;
use crate::exposition::Reason;
use crate::payload::walk::{Field, Fields, Message, Value, varint};

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
    /// The same of a histogram of floats.
    pub zero_count_float: f64,
    /// Whether its counts are floats: [`Self::positive`] and [`Self::negative`] have none then, and
    /// [`Self::positive_floats`] and [`Self::negative_floats`] have some.
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

    /// Returns the buckets above zero of a histogram of floats.
    pub fn positive_floats(&self) -> FloatBuckets<'a> {
        self.float_buckets(12, 14)
    }

    /// Returns the buckets below zero of a histogram of floats, by absolute value.
    pub fn negative_floats(&self) -> FloatBuckets<'a> {
        self.float_buckets(9, 11)
    }

    fn buckets(&self, spans: u32, deltas: u32) -> Buckets<'a> {
        let fields = self.fields(!self.is_float);
        Buckets {
            indices: Indices::new(fields.clone(), spans),
            deltas: Repeated::new(fields, deltas),
            count: 0,
            done: false,
        }
    }

    fn float_buckets(&self, spans: u32, counts: u32) -> FloatBuckets<'a> {
        let fields = self.fields(self.is_float);
        FloatBuckets {
            indices: Indices::new(fields.clone(), spans),
            counts: Repeated::new(fields, counts),
            done: false,
        }
    }

    /// Returns the histogram's fields, or none: spans of the other kind have no buckets.
    fn fields(&self, wanted: bool) -> Fields<'a> {
        if wanted {
            self.histogram.fields()
        } else {
            Message::request(&[]).fields()
        }
    }
}

/// Iterates over buckets as index and count. A bucket of index i ends at 2^(i / 2^schema),
/// inclusive. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Buckets<'a> {
    indices: Indices<'a>,
    deltas: Repeated<'a>,
    count: i64,
    done: bool,
}

impl Buckets<'_> {
    fn bucket(&mut self) -> Result<Option<(i64, u64)>, Reason> {
        let delta = self.deltas.varint()?.map(zigzag);
        let Some((index, delta)) = paired(self.indices.index()?, delta)? else {
            return Ok(None);
        };
        let sum = self.count.checked_add(delta);
        self.count = sum.ok_or(Reason::NativeMisfit)?;
        let count = u64::try_from(self.count).map_err(|_| Reason::NativeMisfit)?;
        Ok(Some((index, count)))
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

/// Iterates over buckets of a histogram of floats, as [`Buckets`] does.
#[derive(Clone, Debug)]
pub struct FloatBuckets<'a> {
    indices: Indices<'a>,
    counts: Repeated<'a>,
    done: bool,
}

impl FloatBuckets<'_> {
    fn bucket(&mut self) -> Result<Option<(i64, f64)>, Reason> {
        let count = self.counts.double()?;
        match paired(self.indices.index()?, count)? {
            Some((_, count)) if count.is_nan() || count < 0.0 => Err(Reason::NativeMisfit),
            bucket => Ok(bucket),
        }
    }
}

impl Iterator for FloatBuckets<'_> {
    type Item = Result<(i64, f64), Reason>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let bucket = self.bucket();
        self.done = !matches!(bucket, Ok(Some(_)));
        bucket.transpose()
    }
}

/// Returns a bucket's index and number, or `None` behind the last; one without the other misfits.
fn paired<N>(index: Option<i64>, number: Option<N>) -> Result<Option<(i64, N)>, Reason> {
    match (index, number) {
        (Some(index), Some(number)) => Ok(Some((index, number))),
        (None, None) => Ok(None),
        _ => Err(Reason::NativeMisfit),
    }
}

/// Iterates over the indices that spans say there are.
#[derive(Clone, Debug)]
struct Indices<'a> {
    fields: Fields<'a>,
    number: u32,
    next: i64,
    left: u64,
    first: bool,
}

impl<'a> Indices<'a> {
    fn new(fields: Fields<'a>, number: u32) -> Self {
        Self {
            fields,
            number,
            next: 0,
            left: 0,
            first: true,
        }
    }

    fn index(&mut self) -> Result<Option<i64>, Reason> {
        while self.left == 0 {
            let Some((offset, length)) = self.span()? else {
                return Ok(None);
            };
            if offset < 0 && !self.first {
                return Err(Reason::NativeMisfit);
            }
            self.first = false;
            // Offsets have 32 bits and a page has fewer than 2^32 of them.
            self.next = self.next.saturating_add(offset);
            self.left = length;
        }
        let index = self.next;
        self.next = self.next.saturating_add(1);
        self.left -= 1;
        Ok(Some(index))
    }

    fn span(&mut self) -> Result<Option<(i64, u64)>, Reason> {
        for field in self.fields.by_ref() {
            let field = field?;
            if field.number != self.number {
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

/// Iterates over a repeated number, packed or not: a decoder must take both.
#[derive(Clone, Debug)]
struct Repeated<'a> {
    fields: Fields<'a>,
    number: u32,
    packed: &'a [u8],
}

impl<'a> Repeated<'a> {
    fn new(fields: Fields<'a>, number: u32) -> Self {
        Self {
            fields,
            number,
            packed: &[],
        }
    }

    /// Returns the next field of the number that is not packed, with the packed ones laid open.
    fn field(&mut self) -> Result<Option<Field<'a>>, Reason> {
        while self.packed.is_empty() {
            let Some(field) = self.fields.next().transpose()? else {
                return Ok(None);
            };
            match field.value {
                _ if field.number != self.number => {}
                Value::Bytes(packed) => self.packed = packed.bytes,
                _ => return Ok(Some(field)),
            }
        }
        Ok(None)
    }

    fn varint(&mut self) -> Result<Option<u64>, Reason> {
        if let Some(field) = self.field()? {
            return whole(&field).map(Some);
        }
        if self.packed.is_empty() {
            return Ok(None);
        }
        let (value, length) = varint(self.packed).map_err(|_| Reason::NativeMisfit)?;
        self.packed = self.packed.get(length..).unwrap_or_default();
        Ok(Some(value))
    }

    fn double(&mut self) -> Result<Option<f64>, Reason> {
        if let Some(field) = self.field()? {
            return super::double(&field).map(Some);
        }
        match self.packed.split_first_chunk::<8>() {
            Some((bytes, rest)) => {
                self.packed = rest;
                Ok(Some(f64::from_le_bytes(*bytes)))
            }
            None if self.packed.is_empty() => Ok(None),
            None => Err(Reason::NativeMisfit),
        }
    }
}
