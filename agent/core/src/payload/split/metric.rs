//! Cuts one metric that is larger than a request may be, between its points.
//!
//! Each part repeats the metric's name, unit, metadata and temporality, so it is a metric in its
//! own right; a backend sees the same points.

use bytes::{BufMut, Bytes, BytesMut};

use super::super::walk::{Field, Malformed, Message};
use super::super::write::{field_length, put_header};
use super::Frame;

/// Fields of `Metric` that hold points: gauge, sum, histogram, exponential histogram, summary.
const DATA: [u32; 5] = [5, 7, 9, 10, 11];
/// Field of the points in each of these.
const POINT: u32 = 1;

/// Parts of a metric, each an encoded field of its scope.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Cut {
    /// The field with its header, and how many points it has.
    pub(super) parts: Vec<(Bytes, u64)>,
    /// Points that are too large all by themselves, or have no room.
    pub(super) oversized: u64,
}

/// What parts of a metric may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Number of the field that a part is.
    pub(super) number: u32,
    /// Most bytes of a part, header included.
    pub(super) bytes_max: usize,
    /// Most bytes of all parts together.
    pub(super) room: usize,
}

/// Cuts `metric` into parts; none where it is not one kind of points, so that there is nothing to
/// cut between.
pub(super) fn cut(metric: Message<'_>, limits: Limits) -> Result<Option<Cut>, Malformed> {
    let frame = Frame::without(metric, &DATA)?;
    let Some(data) = only_data(metric)? else {
        return Ok(None);
    };
    let mut parts = Parts {
        limits,
        metric: frame,
        data: data.number,
        frame: Frame::without(data.message()?, &[POINT])?,
        points: Vec::new(),
        length: 0,
        cut: Cut::default(),
    };
    for point in data.message()?.fields() {
        let point = point?;
        if point.number == POINT {
            parts.push(point.raw);
        }
    }
    parts.finish();
    Ok(Some(parts.cut))
}

/// The field with the points, where there is one and no other: of several the last would count, and
/// which points those are is not for us to decide.
fn only_data<'a>(metric: Message<'a>) -> Result<Option<Field<'a>>, Malformed> {
    let mut found = None;
    for field in metric.fields() {
        let field = field?;
        if DATA.contains(&field.number) && found.replace(field).is_some() {
            return Ok(None);
        }
    }
    Ok(found)
}

struct Parts<'a> {
    limits: Limits,
    metric: Frame<'a>,
    data: u32,
    frame: Frame<'a>,
    points: Vec<&'a [u8]>,
    /// Of the points together, in bytes.
    length: usize,
    cut: Cut,
}

impl<'a> Parts<'a> {
    fn push(&mut self, point: &'a [u8]) {
        if self.field_length_with(point.len()) > self.limits.bytes_max {
            self.finish();
        }
        if self.field_length_with(point.len()) > self.limits.bytes_max {
            self.cut.oversized += 1;
            return;
        }
        self.points.push(point);
        self.length += point.len();
    }

    const fn metric_length(&self, points: usize) -> usize {
        self.metric.length + field_length(self.data, self.frame.length + points)
    }

    const fn field_length_with(&self, point: usize) -> usize {
        field_length(self.limits.number, self.metric_length(self.length + point))
    }

    fn finish(&mut self) {
        let points = std::mem::take(&mut self.points);
        if points.is_empty() {
            return;
        }
        let number_of_points = points.len() as u64;
        let Some(room) = self.limits.room.checked_sub(self.field_length_with(0)) else {
            self.cut.oversized += number_of_points;
            self.length = 0;
            return;
        };
        self.limits.room = room;
        let mut out = BytesMut::with_capacity(self.field_length_with(0));
        put_header(
            &mut out,
            self.limits.number,
            self.metric_length(self.length),
        );
        for field in &self.metric.fields {
            out.put_slice(field);
        }
        put_header(&mut out, self.data, self.frame.length + self.length);
        for field in self.frame.fields.iter().chain(&points) {
            out.put_slice(field);
        }
        self.length = 0;
        self.cut.parts.push((out.freeze(), number_of_points));
    }
}
