//! One part of a page: what its text was, and where each value of it goes in the encoded block.

use memchr::memchr_iter;

use crate::exposition::{Kind, Label, Tally};
use crate::payload::walk::varint;
use crate::same;
use crate::translate::{Notes, whole};

use super::message::DEPTH_MAX;
use super::{number, wire};

/// What the value at the end of a literal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A histogram's cumulative bucket; sent is the difference to the one below.
    Bucket,
    /// A histogram's `_count`, which must be its last bucket.
    Count,
    /// A histogram's `+Inf` bucket.
    Infinity,
    /// A double as it is: a sum, a quantile.
    Double,
    /// The length of a message, which begins behind it.
    Enter,
    /// There is no value: that message ends here.
    Leave,
    /// There is no value: what a histogram's buckets leave of its count is its last one's.
    Rest,
    /// There is no value: the literal ends with its line.
    Text,
    /// The value of a number point, whose time stands right before it.
    Value,
    /// A summary's `_count`.
    Whole,
    /// As above, in a message: counts are varints, doubles have eight bytes.
    WireBucket,
    WireCount,
    WireDouble,
    WireValue,
    WireWhole,
}

impl Role {
    /// Returns whether a value stands behind the literal.
    pub(super) fn has_value(self) -> bool {
        !matches!(self, Self::Enter | Self::Leave | Self::Rest | Self::Text)
    }
}

/// A literal of the page and the value that follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Op {
    /// Bytes of the literal.
    pub(super) literal: u32,
    /// Where the value's eight bytes stand in the block.
    pub(super) slot: u32,
    pub(super) role: Role,
}

/// Where a point begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    /// Its first operation.
    pub(super) op: u32,
    /// The first byte of that operation's literal.
    pub(super) literal: u32,
    /// Where the point stands in the block.
    pub(super) point: u32,
}

/// A family as it must be known to keep parts apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) name: Box<str>,
    pub(super) kind: Kind,
}

/// What counts of a part.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Counts {
    pub(super) families: usize,
    /// Lines of the part.
    pub(super) lines: u32,
    /// Data points.
    pub(super) points: usize,
    /// Samples, and samples with their duplicates.
    pub(super) samples: usize,
    pub(super) read: usize,
    /// Buckets of native histograms, gaps included.
    pub(super) native_buckets: usize,
    pub(super) notes: Notes,
    pub(super) tally: Tally,
}

/// One part of a page.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// The name that its first line describes, as it is written.
    pub(super) name: Option<Box<[u8]>>,
    pub(super) families: Vec<Named>,
    /// Labels of `target_info`.
    pub(super) target: Vec<Label<'static>>,
    pub(super) literals: Vec<u8>,
    pub(super) ops: Vec<Op>,
    /// The points, where single ones can be put in and taken out: one metric, in strict order of
    /// its labels, without start times, nothing left out. Else empty.
    pub(super) units: Vec<Unit>,
    /// Where the points end in the block.
    pub(super) points_end: u32,
    /// Where times stand that no number stands behind.
    pub(super) times: Vec<u32>,
    /// Whether points have start times, which a value that shrinks moves.
    pub(super) started: bool,
    pub(super) counts: Counts,
    /// Where the block stands in the request.
    pub(super) block: std::ops::Range<usize>,
}

/// How far a page was as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Walked {
    /// To the end of the part, after so many bytes.
    All(usize),
    /// To this operation, whose literal does not stand at this byte.
    Until(usize, usize),
    /// A value is none, or not one that fits the others.
    Value,
}

impl Segment {
    /// Returns whether the part begins as it did.
    pub(super) fn begins(&self, text: &[u8]) -> bool {
        let length = self.ops.first().map_or(0, |op| op.literal as usize);
        let first = self.literals.get(..length);
        let is_empty = self.ops.is_empty() && !text.is_empty();
        !is_empty && first.is_some_and(|first| text.starts_with(first))
    }

    /// Returns where a point begins; the end of all where there is none of that number.
    pub(super) fn unit(&self, index: usize) -> Unit {
        let end = || Unit {
            op: self.ops.len() as u32,
            literal: self.literals.len() as u32,
            point: self.points_end,
        };
        self.units.get(index).copied().unwrap_or_else(end)
    }

    /// Returns how many lines of text points take, with the comments behind each.
    pub(super) fn lines(&self, units: std::ops::Range<usize>) -> Option<u32> {
        let (from, to) = (self.unit(units.start), self.unit(units.end));
        let ops = self.ops.get(from.op as usize..to.op as usize)?;
        let literals = from.literal as usize..to.literal as usize;
        let literals = self.literals.get(literals)?;
        // A value ends its line, which is not in the literal.
        let values = ops.iter().filter(|op| op.role.has_value()).count();
        Some((values + memchr_iter(b'\n', literals).count()) as u32)
    }

    /// Walks the text and puts its values into the block, as far as the literals are the same.
    pub(super) fn walk(&self, text: &[u8], block: &mut [u8], at: u64) -> Walked {
        let first = Unit {
            op: 0,
            literal: 0,
            point: 0,
        };
        let walked = self.walk_from(&first, text, block, at);
        if matches!(walked, Walked::All(_)) {
            for slot in &self.times {
                wire::set(block, *slot, at);
            }
        }
        walked
    }

    /// Walks from one point to the end; leaves times alone that no number stands behind.
    pub(super) fn walk_from(&self, first: &Unit, text: &[u8], block: &mut [u8], at: u64) -> Walked {
        let from = first.literal as usize;
        let (mut literals, mut rest) = (self.literals.get(from..).unwrap_or_default(), text);
        let (mut below, mut total) = (0, 0);
        let mut messages = Messages::default();
        for (index, op) in self.ops.iter().enumerate().skip(first.op as usize) {
            let Some((literal, others)) = literals.split_at_checked(op.literal as usize) else {
                return Walked::Value;
            };
            let Some(after) = same::behind(rest, literal) else {
                return Walked::Until(index, text.len() - rest.len());
            };
            literals = others;
            let read = match op.role {
                Role::Text => {
                    rest = after;
                    continue;
                }
                Role::Enter => messages.enter(after).map(|length| (0.0, length)),
                Role::Leave => messages.leave(after).map(|()| (0.0, 0)),
                Role::Rest => Some((0.0, 0)),
                Role::WireValue | Role::WireDouble => double(after),
                Role::WireBucket | Role::WireCount | Role::WireWhole => count(after),
                _ => number::read(after),
            };
            let Some((value, length)) = read else {
                return Walked::Value;
            };
            rest = after.get(length..).unwrap_or_default();
            let fits = match op.role {
                Role::Value | Role::WireValue => {
                    let fits = !self.started || !shrinks(block, op.slot, value);
                    put_value(block, op.slot, value, at);
                    fits
                }
                Role::Double | Role::WireDouble => {
                    wire::set(block, op.slot, value.to_bits());
                    true
                }
                Role::Enter | Role::Leave | Role::Text => true,
                _ => self.count(block, op, value, (&mut below, &mut total)),
            };
            if !fits {
                return Walked::Value;
            }
        }
        Walked::All(text.len() - rest.len())
    }

    /// Puts a count into the block; returns whether it fits those before it.
    #[inline]
    fn count(
        &self,
        block: &mut [u8],
        op: &Op,
        value: f64,
        (below, total): (&mut u64, &mut u64),
    ) -> bool {
        let Some(count) = whole(value) else {
            return false;
        };
        let (fits, sent) = match op.role {
            Role::Rest => {
                let rest = total.checked_sub(*below);
                (*below, *total) = (0, 0);
                (rest.is_some(), rest.unwrap_or(0))
            }
            Role::WireCount => {
                *total = count;
                (true, count)
            }
            Role::Bucket | Role::Infinity | Role::WireBucket => {
                let difference = count.checked_sub(*below);
                *below = count;
                if op.role == Role::Infinity {
                    (*below, *total) = (0, count);
                }
                (difference.is_some(), difference.unwrap_or(0))
            }
            Role::Count => (count == *total, count),
            _ => (true, count),
        };
        let is_total = matches!(
            op.role,
            Role::Count | Role::Whole | Role::WireCount | Role::WireWhole
        );
        if self.started && is_total {
            let before = wire::fixed(block, op.slot).unwrap_or(0);
            if (count as f64) < before as f64 {
                return false;
            }
        }
        wire::set(block, op.slot, sent);
        fits
    }
}

/// Messages that are walked through: how many bytes are left behind each.
#[derive(Default)]
struct Messages {
    left: [usize; DEPTH_MAX],
    depth: usize,
}

impl Messages {
    /// Enters a message whose length stands at the start of `rest`; returns the length's bytes.
    #[inline]
    fn enter(&mut self, rest: &[u8]) -> Option<usize> {
        let (length, taken) = varint(rest).ok()?;
        let behind = (rest.len() - taken).checked_sub(usize::try_from(length).ok()?)?;
        *self.left.get_mut(self.depth)? = behind;
        self.depth += 1;
        Some(taken)
    }

    /// Leaves a message, when it ends where `rest` begins.
    #[inline]
    fn leave(&mut self, rest: &[u8]) -> Option<()> {
        self.depth = self.depth.checked_sub(1)?;
        (*self.left.get(self.depth)? == rest.len()).then_some(())
    }
}

/// Reads a count; the slow path takes it as a double, too.
#[inline]
fn count(rest: &[u8]) -> Option<(f64, usize)> {
    let (value, length) = varint(rest).ok()?;
    Some((value as f64, length))
}

#[inline]
fn double(rest: &[u8]) -> Option<(f64, usize)> {
    let bytes = rest.first_chunk::<8>()?;
    Some((f64::from_le_bytes(*bytes), 8))
}

/// Returns whether the value in the block is larger than this one.
fn shrinks(block: &[u8], slot: u32, value: f64) -> bool {
    let before = wire::fixed(block, slot).map_or(0.0, f64::from_bits);
    value < before
}

/// Puts a number point's value and time into the block: eight bytes, a tag, eight bytes.
#[inline]
fn put_value(block: &mut [u8], slot: u32, value: f64, at: u64) {
    let end = slot as usize + 8;
    if let Some(place) = block.get_mut(end.wrapping_sub(17)..end)
        && let Some((time, tagged)) = place.split_first_chunk_mut::<8>()
        && let Some((_, bits)) = tagged.split_first_mut()
    {
        *time = at.to_le_bytes();
        bits.copy_from_slice(&value.to_bits().to_le_bytes());
    }
}
