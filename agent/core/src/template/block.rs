//! Blocks: the encoded metrics of one part of a page, read back where a page changed its shape.
//!
//! What vanished and what is new is told by the bytes of names and attributes: they were written
//! by one encoder from sorted labels, so equal bytes are equal series.

use crate::payload::walk::{Field, Message, Value};
use crate::series::{Before, start_after};

use super::wire::{self, FIRST, SECOND, TIME};

/// `FLAG_NO_RECORDED_VALUE` of OTLP as a varint.
const NO_RECORDED_VALUE: u8 = 1;
/// Fields of `Metric` whose points are several series to some backends.
const HISTOGRAM: u32 = 9;
const SUMMARY: u32 = 11;

/// A metric of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Metric<'b> {
    name: &'b [u8],
    /// The field of `Metric` that holds its data: 5 gauge, 7 sum, 9 histogram, 10 exponential
    /// histogram, 11 summary.
    number: u32,
    /// What stands before the data, after the points within it, and after the data.
    before: &'b [u8],
    within: &'b [u8],
    after: &'b [u8],
    data: Message<'b>,
}

/// A point of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point<'b> {
    pub(super) attributes: &'b [u8],
    /// Where its start time stands in the block, when it has one.
    start: Option<u32>,
    /// What a reset is seen by: a sum's value, or a count.
    value: f64,
    message: Message<'b>,
}

/// What tells a series from all others of one resource and scope.
type Identity<'b> = (&'b [u8], u32, &'b [u8], &'b [u8]);

/// What changed between blocks.
#[derive(Debug, Default)]
pub(super) struct Difference {
    /// Points that were not there before.
    pub(super) added: usize,
    /// Start times that are not those on the page: fresh block, slot and time.
    pub(super) starts: Vec<(usize, u32, u64)>,
    /// Encoded markers of what is gone: its block, the metrics, the number of points.
    pub(super) markers: Vec<(usize, Vec<u8>, usize)>,
}

impl<'b> Metric<'b> {
    /// Reads a metric whose points end at `points_end`, or wherever they do.
    fn of(field: &Field<'b>, block: &'b [u8], points_end: Option<u32>) -> Option<Self> {
        let message = field.message().ok()?;
        let end = message.offset + message.bytes.len();
        let mut name: &[u8] = &[];
        for field in message.fields() {
            let field = field.ok()?;
            match (field.number, field.value) {
                (1, Value::Bytes(text)) => name = text.bytes,
                (number @ (5 | 7 | 9 | 10 | 11), Value::Bytes(data)) => {
                    let data_end = field.offset + field.raw.len();
                    let within = match points_end {
                        Some(points_end) => block.get(points_end as usize..data_end)?,
                        None => rest_of(data, block)?,
                    };
                    return Some(Self {
                        name,
                        number,
                        before: block.get(message.offset..field.offset)?,
                        within,
                        after: block.get(data_end..end)?,
                        data,
                    });
                }
                _ => {}
            }
        }
        None
    }

    /// Returns the metric's points.
    pub(super) fn points(self) -> impl Iterator<Item = Point<'b>> {
        let fields = self.data.fields().map_while(Result::ok);
        let points = fields.take_while(|field| field.number == 1);
        points.filter_map(move |field| Point::of(field.message().ok()?, self.number))
    }

    /// Returns whether the metric has this name.
    pub(super) fn is_named(&self, name: &str) -> bool {
        self.name == name.as_bytes()
    }

    /// Returns whether another metric differs in its points alone.
    pub(super) fn is_like(&self, other: &Metric<'_>) -> bool {
        let own = (self.number, self.before, self.within, self.after);
        own == (other.number, other.before, other.within, other.after)
    }

    /// Returns the attributes of the point that stands at this byte of the block.
    pub(super) fn attributes_at(&self, block: &'b [u8], at: u32) -> Option<&'b [u8]> {
        let bytes = block.get(at as usize..)?;
        let field = Message::request(bytes).fields().next()?.ok()?;
        Some(Point::of(field.message().ok()?, self.number)?.attributes)
    }

    /// Returns the metric's bytes up to its points, which take `length` bytes, and the two pieces
    /// that follow them.
    pub(super) fn opened(&self, length: usize) -> (Vec<u8>, (&'b [u8], &'b [u8])) {
        let data = length + self.within.len();
        let whole = self.before.len() + wire::field_length(data) + self.after.len();
        let mut out = Vec::with_capacity(wire::field_length(whole));
        wire::put_header(&mut out, SECOND, whole);
        out.extend_from_slice(self.before);
        wire::put_header(&mut out, (self.number << 3) as u8 | 2, data);
        (out, (self.within, self.after))
    }

    fn identity(&self, point: &Point<'b>) -> Identity<'b> {
        (self.name, self.number, self.within, point.attributes)
    }

    /// Returns the field of a point's exemplars and of its flags.
    fn exemplars_and_flags(&self) -> (u32, u8) {
        match self.number {
            9 => (8, 10),
            10 => (11, 10),
            _ => (5, 8),
        }
    }
}

/// Returns the field of the attributes in a point of such data.
const fn attributes_field(number: u32) -> u32 {
    match number {
        9 => 9,
        10 => 1,
        _ => 7,
    }
}

/// Returns what follows the points in a metric's data.
fn rest_of<'b>(data: Message<'b>, block: &'b [u8]) -> Option<&'b [u8]> {
    let mut fields = data.fields().map_while(Result::ok);
    let end = data.offset + data.bytes.len();
    let from = fields.find(|field| field.number != 1);
    block.get(from.map_or(end, |field| field.offset)..end)
}

impl<'b> Point<'b> {
    fn of(message: Message<'b>, number: u32) -> Option<Self> {
        let (mut start, mut value) = (None, 0.0);
        let (mut from, mut to) = (None, 0);
        for field in message.fields() {
            let field = field.ok()?;
            let inner = field.offset - message.offset;
            if field.number == attributes_field(number) {
                from = from.or(Some(inner));
                to = inner + field.raw.len();
            } else if let (2 | 4, Value::Fixed64) = (field.number, field.value) {
                let bits = wire::fixed(message.bytes, inner as u32 + 1)?;
                match (field.number, number) {
                    (2, _) => start = Some(field.offset as u32 + 1),
                    (_, 5) => {}
                    (_, 7) => value = f64::from_bits(bits),
                    _ => value = bits as f64,
                }
            }
        }
        Some(Self {
            attributes: message.bytes.get(from.unwrap_or(to)..to)?,
            start,
            value,
            message,
        })
    }
}

/// Returns the metrics of a block.
pub(super) fn metrics(block: &[u8]) -> impl Iterator<Item = Metric<'_>> {
    let fields = Message::request(block).fields().map_while(Result::ok);
    fields.filter_map(move |field| Metric::of(&field, block, None))
}

/// Returns the one metric of a block, whose points are known to end at `points_end`.
pub(super) fn metric(block: &[u8], points_end: u32) -> Option<Metric<'_>> {
    let field = Message::request(block).fields().next()?.ok()?;
    Metric::of(&field, block, Some(points_end))
}

/// Returns where the times of points and exemplars stand that are `time`.
pub(super) fn times(block: &[u8], time: u64) -> Vec<u32> {
    let mut slots = Vec::new();
    let mut note = |field: Field<'_>| {
        let slot = field.offset as u32 + 1;
        if wire::fixed(block, slot) == Some(time) {
            slots.push(slot);
        }
    };
    for metric in metrics(block) {
        let (exemplars, _) = metric.exemplars_and_flags();
        for point in metric.points() {
            for field in point.message.fields().map_while(Result::ok) {
                match (field.number, field.value) {
                    (3, Value::Fixed64) => note(field),
                    (number, Value::Bytes(exemplar)) if number == exemplars => {
                        let fields = exemplar.fields().map_while(Result::ok);
                        fields.filter(|field| field.number == 2).for_each(&mut note);
                    }
                    _ => {}
                }
            }
        }
    }
    slots
}

/// Returns whether two points of a block are of one series.
pub(super) fn has_duplicates(block: &[u8]) -> bool {
    let mut all: Vec<Identity<'_>> = metrics(block)
        .flat_map(|metric| metric.points().map(move |point| metric.identity(&point)))
        .collect();
    all.sort_unstable();
    all.windows(2).any(|pair| matches!(pair, [a, b] if a == b))
}

/// Returns the markers of the points that `is_gone` names, metric by metric, and their number.
pub(super) fn markers<'b>(
    block: &'b [u8],
    at: u64,
    mut is_gone: impl FnMut(&Metric<'b>, &Point<'b>) -> bool,
) -> (Vec<u8>, usize) {
    let (mut out, mut count) = (Vec::new(), 0);
    for metric in metrics(block) {
        let gone = metric.points().filter(|point| is_gone(&metric, point));
        let gone: Vec<&[u8]> = gone.map(|point| point.attributes).collect();
        count += gone.len();
        put_markers(&mut out, &metric, &gone, at);
    }
    (out, count)
}

/// Writes a metric whose points say that their series have no value any more.
pub(super) fn put_markers(out: &mut Vec<u8>, metric: &Metric<'_>, gone: &[&[u8]], at: u64) {
    if gone.is_empty() {
        return;
    }
    let gone = with_kept(metric, gone);
    // A time of nine bytes, and flags of two.
    let point_length =
        |(attributes, kept): &(&[u8], Vec<u8>)| 9 + attributes.len() + kept.len() + 2;
    let lengths = gone
        .iter()
        .map(|point| wire::field_length(point_length(point)));
    let (opened, (within, after)) = metric.opened(lengths.sum());
    out.extend_from_slice(&opened);
    let (_, flags) = metric.exemplars_and_flags();
    for point in &gone {
        wire::put_header(out, FIRST, point_length(point));
        wire::put_fixed(out, TIME, at);
        out.extend_from_slice(point.0);
        out.extend_from_slice(&point.1);
        out.extend_from_slice(&[flags << 3, NO_RECORDED_VALUE]);
    }
    out.extend_from_slice(within);
    out.extend_from_slice(after);
}

/// Returns points, by their attributes, each with what its marker keeps.
fn with_kept<'a>(metric: &Metric<'a>, gone: &[&'a [u8]]) -> Vec<(&'a [u8], Vec<u8>)> {
    if !matches!(metric.number, HISTOGRAM | SUMMARY) {
        return gone.iter().map(|point| (*point, Vec::new())).collect();
    }
    let mut sorted = gone.to_vec();
    sorted.sort_unstable();
    let is_gone = |point: &Point<'_>| sorted.binary_search(&point.attributes).is_ok();
    let points = metric.points().filter(is_gone);
    points
        .map(|point| (point.attributes, kept(metric.number, point.message)))
        .collect()
}

/// Returns the bounds and quantiles of a point, encoded, without what they held: a backend that
/// makes a series of each can end only those that a marker names.
fn kept(number: u32, point: Message<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    for field in point.fields().map_while(Result::ok) {
        match (number, field.number, field.value) {
            (HISTOGRAM, 5, Value::Fixed64) => {
                wire::put_fixed(&mut out, wire::SUM, 0);
            }
            (HISTOGRAM, 6, Value::Bytes(counts)) => {
                wire::put_bytes(&mut out, wire::SIXTH, &vec![0; counts.bytes.len()]);
            }
            (HISTOGRAM, 7, Value::Bytes(_)) => out.extend_from_slice(field.raw),
            (SUMMARY, 6, Value::Bytes(quantile)) => {
                let mut fields = quantile.fields().map_while(Result::ok);
                let which = fields.find(|field| field.number == 1);
                let which = which.map_or(&[][..], |field| field.raw);
                wire::put_bytes(&mut out, wire::SIXTH, which);
            }
            _ => {}
        }
    }
    out
}

/// Returns where the start time of each point stands, point by point.
pub(super) fn starts(block: &[u8]) -> Vec<Option<u32>> {
    let points = metrics(block).flat_map(Metric::points);
    points.map(|point| point.start).collect()
}

/// Returns the field of a message that has a length.
fn part(message: Message<'_>, number: u32) -> Option<Message<'_>> {
    let mut fields = message.fields().map_while(Result::ok);
    fields.find(|field| field.number == number)?.message().ok()
}

/// Returns whether the labels of `b` come behind those of `a`, as a page sorts them.
pub(super) fn in_order(a: &[u8], b: &[u8]) -> bool {
    labels(a).lt(labels(b))
}

/// Returns keys and values of encoded attributes.
fn labels(attributes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let fields = Message::request(attributes).fields().map_while(Result::ok);
    fields.filter_map(move |field| {
        let pair = field.message().ok()?;
        let key = part(pair, 1)?;
        let value = part(pair, 2)?;
        let value = part(value, 1)?;
        Some((key.bytes, value.bytes))
    })
}

/// Compares what is gone with what came in its place.
pub(super) fn compare(gone: &[&[u8]], fresh: &[&[u8]], at: u64) -> Difference {
    let before = identities(gone);
    let now = identities(fresh);
    let mut difference = Difference::default();
    for (identity, (index, point)) in &now {
        let Some((_, old)) = find(&before, identity) else {
            difference.added += 1;
            continue;
        };
        let Some(slot) = point.start else { continue };
        let reported = start(fresh, *index, slot);
        let known = Before {
            value: old.value,
            start: find(&before, identity)
                .and_then(|(index, old)| Some(start(gone, *index, old.start?)))
                .unwrap_or(0),
        };
        let moved = start_after(known, point.value, reported, at);
        if moved != reported {
            difference.starts.push((*index, slot, moved));
        }
    }
    for (index, block) in gone.iter().enumerate() {
        let is_gone =
            |metric: &Metric<'_>, point: &Point<'_>| find(&now, &metric.identity(point)).is_none();
        let (bytes, count) = markers(block, at, is_gone);
        if count > 0 {
            difference.markers.push((index, bytes, count));
        }
    }
    difference
}

fn start(blocks: &[&[u8]], index: usize, slot: u32) -> u64 {
    let block = blocks.get(index).copied().unwrap_or_default();
    wire::fixed(block, slot).unwrap_or(0)
}

/// Points with the block they stand in, sorted by identity.
type Sorted<'b> = Vec<(Identity<'b>, (usize, Point<'b>))>;

fn identities<'b>(blocks: &[&'b [u8]]) -> Sorted<'b> {
    let mut all = Sorted::new();
    for (index, block) in blocks.iter().copied().enumerate() {
        for metric in metrics(block) {
            let points = metric.points();
            all.extend(points.map(|point| (metric.identity(&point), (index, point))));
        }
    }
    all.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    all
}

fn find<'s, 'b>(sorted: &'s Sorted<'b>, identity: &Identity<'_>) -> Option<&'s (usize, Point<'b>)> {
    let found = sorted.binary_search_by(|(known, _)| known.cmp(identity));
    sorted.get(found.ok()?).map(|(_, place)| place)
}
