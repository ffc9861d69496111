//! Messages of a protobuf page: which bytes of them are values, and the way along the others.
//!
//! A count is a varint, so its length may change, and with it the lengths of the messages around
//! it. These are not compared: they are followed, and each message must end where it says. So a
//! family is walked like a text, its tags, names and labels being the literals.

use crate::exposition::{Kind, Page};
use crate::payload::walk::{Field, Message, Value, varint};

use super::plain::Hole;
use super::segment::{Op, Role};

/// Messages within each other: metric, histogram, bucket.
pub(super) const DEPTH_MAX: usize = 4;

/// Returns the bytes of the first message's length, and those of the message.
pub(super) fn frame(page: &[u8]) -> Option<(usize, &[u8])> {
    let (length, taken) = varint(page).ok()?;
    let message = page.get(taken..)?.get(..usize::try_from(length).ok()?)?;
    Some((taken, message))
}

/// Returns the name of a family whose message begins with it, as client libraries write it.
pub(super) fn name(message: &[u8]) -> Option<&[u8]> {
    let field = Message::request(message).fields().next()?.ok()?;
    let name = field.message().ok()?;
    (field.number == 1).then_some(name.bytes)
}

/// Returns where the value of each sample of the family stands; none for all where the message is
/// not as client libraries write it.
pub(super) fn values(page: &Page<'_>, message: &[u8]) -> Vec<Option<u32>> {
    let found = page.families.first().and_then(|family| {
        let mut places = Places::default();
        let metrics = fields(Message::request(message)).filter(|field| field.number == 4);
        for metric in metrics {
            places.metric(metric.message().ok()?, family.kind)?;
        }
        Some(places.found)
    });
    match found {
        Some(found) if found.len() == page.samples.len() => found,
        _ => vec![None; page.samples.len()],
    }
}

fn fields<'m>(message: Message<'m>) -> impl Iterator<Item = Field<'m>> {
    message.fields().map_while(Result::ok)
}

/// Where values stand, in the order in which a page's samples are read.
#[derive(Default)]
struct Places {
    found: Vec<Option<u32>>,
}

impl Places {
    fn metric(&mut self, metric: Message<'_>, kind: Kind) -> Option<()> {
        let wanted = match kind {
            Kind::Gauge => 2,
            Kind::Counter => 3,
            Kind::Summary => 4,
            Kind::Unknown => 5,
            Kind::Histogram => 7,
            Kind::GaugeHistogram | Kind::Info | Kind::StateSet => return None,
        };
        let mut values = fields(metric).filter(|field| field.number != 1);
        let value = values.next().filter(|field| field.number == wanted)?;
        if values.next().is_some() {
            return None;
        }
        let value = value.message().ok()?;
        match kind {
            Kind::Histogram => self.histogram(value),
            Kind::Summary => self.summary(value),
            _ => self.single(value, kind == Kind::Counter),
        }
    }

    fn single(&mut self, message: Message<'_>, may_be_created: bool) -> Option<()> {
        let [value, created] = each(message, [(1, 1), (3, 2)])?;
        self.found.push(value.map(|field| place(&field)));
        self.created(created.filter(|_| may_be_created), created)
    }

    /// Notes the sample of a creation, which changes with its series only.
    fn created(&mut self, stated: Option<Field<'_>>, found: Option<Field<'_>>) -> Option<()> {
        if stated.is_none() && found.is_some() {
            return None;
        }
        self.found.extend(stated.map(|_| None));
        Some(())
    }

    fn histogram(&mut self, message: Message<'_>) -> Option<()> {
        let (mut count, mut sum, mut created) = (None, None, None);
        for field in fields(message) {
            match (field.number, field.value) {
                (1, Value::Varint(_)) if count.is_none() => count = Some(place(&field)),
                (2, Value::Fixed64) if sum.is_none() => sum = Some(place(&field)),
                (3, Value::Bytes(bucket)) => {
                    let [count, bound] = each(bucket, [(1, 0), (2, 1)])?;
                    let (count, bound) = (count?, bound?);
                    // The largest bucket is that of `sample_count`.
                    if bound.raw.ends_with(&f64::INFINITY.to_le_bytes()) {
                        return None;
                    }
                    self.found.push(Some(place(&count)));
                }
                (15, Value::Bytes(_)) if created.is_none() => created = Some(field),
                _ => return None,
            }
        }
        let end = (message.offset + message.bytes.len()) as u32;
        self.found.extend([Some(end), sum, count]);
        self.created(created, created)
    }

    fn summary(&mut self, message: Message<'_>) -> Option<()> {
        let (mut count, mut sum, mut created) = (None, None, None);
        for field in fields(message) {
            match (field.number, field.value) {
                (1, Value::Varint(_)) if count.is_none() => count = Some(place(&field)),
                (2, Value::Fixed64) if sum.is_none() => sum = Some(place(&field)),
                (3, Value::Bytes(quantile)) => {
                    let [quantile, value] = each(quantile, [(1, 1), (2, 1)])?;
                    self.found
                        .push(value.filter(|_| quantile.is_some()).map(|v| place(&v)));
                }
                (4, Value::Bytes(_)) if created.is_none() => created = Some(field),
                _ => return None,
            }
        }
        self.found.extend([sum, count]);
        self.created(created, created)
    }
}

/// Returns the fields of these numbers and wire types; none where there is another one, or one
/// twice.
fn each<const N: usize>(
    message: Message<'_>,
    of: [(u32, u8); N],
) -> Option<[Option<Field<'_>>; N]> {
    let mut found = [None; N];
    for field in message.fields() {
        let field = field.ok()?;
        let is_it = |(number, wire_type): &(u32, u8)| {
            field.number == *number && field.value.wire_type() == *wire_type
        };
        let place = found.get_mut(of.iter().position(is_it)?)?;
        if place.replace(field).is_some() {
            return None;
        }
    }
    Some(found)
}

/// Returns where a number stands: behind its tag of one byte.
fn place(field: &Field<'_>) -> u32 {
    field.offset as u32 + 1
}

/// Returns a message as literals with values between them; none when it can't be.
pub(super) fn program(message: &[u8], holes: &[Hole]) -> Option<(Vec<Op>, Vec<u8>)> {
    let mut program = Program {
        message,
        holes,
        pending: 0,
        ops: Vec::with_capacity(holes.len() * 3),
        literals: Vec::with_capacity(message.len()),
    };
    program.message(Message::request(message), 0)?;
    program.literal(message.len(), 0, Role::Text)?;
    program
        .holes
        .is_empty()
        .then_some((program.ops, program.literals))
}

struct Program<'m> {
    message: &'m [u8],
    /// Values that are still to come, by their places.
    holes: &'m [Hole],
    /// Where the next literal begins.
    pending: usize,
    ops: Vec<Op>,
    literals: Vec<u8>,
}

impl Program<'_> {
    /// Ends the literal at a byte.
    fn literal(&mut self, to: usize, slot: u32, role: Role) -> Option<()> {
        let literal = self.message.get(self.pending..to)?;
        self.literals.extend_from_slice(literal);
        self.ops.push(Op {
            literal: literal.len() as u32,
            slot,
            role,
        });
        self.pending = to;
        Some(())
    }

    fn message(&mut self, message: Message<'_>, depth: usize) -> Option<()> {
        for field in message.fields() {
            let field = field.ok()?;
            let end = field.offset + field.raw.len();
            match (field.value, self.holes.split_first()) {
                (Value::Bytes(inner), Some((hole, _))) if hole.value as usize <= end => {
                    if depth >= DEPTH_MAX {
                        return None;
                    }
                    self.literal(place(&field) as usize, 0, Role::Enter)?;
                    self.pending = inner.offset;
                    self.message(inner, depth + 1)?;
                    self.literal(end, 0, Role::Leave)?;
                }
                (_, Some((hole, others))) if hole.value == place(&field) => {
                    self.holes = others;
                    self.literal(hole.value as usize, hole.slot, on_the_wire(hole.role)?)?;
                    self.pending = end;
                }
                _ => {}
            }
        }
        let end = message.offset + message.bytes.len();
        if let Some((hole, others)) = self.holes.split_first()
            && hole.value as usize == end
            && depth > 0
        {
            self.holes = others;
            self.literal(end, hole.slot, Role::Rest)?;
        }
        Some(())
    }
}

/// Returns how a value is read from a message.
fn on_the_wire(role: Role) -> Option<Role> {
    Some(match role {
        Role::Bucket => Role::WireBucket,
        Role::Count => Role::WireCount,
        Role::Double => Role::WireDouble,
        Role::Value => Role::WireValue,
        Role::Whole => Role::WireWhole,
        _ => return None,
    })
}
