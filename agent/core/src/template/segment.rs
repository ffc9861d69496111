//! One part of a page: what its text was, and where each value of it goes in the encoded block.

use crate::exposition::{Kind, Label, Tally};
use crate::translate::{Notes, whole};

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
    /// There is no value: the literal ends with its line.
    Text,
    /// The value of a number point, whose time stands right before it.
    Value,
    /// A summary's `_count`.
    Whole,
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
        first.is_some_and(|first| text.starts_with(first))
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
        for (index, op) in self.ops.iter().enumerate().skip(first.op as usize) {
            let Some((literal, others)) = literals.split_at_checked(op.literal as usize) else {
                return Walked::Value;
            };
            let Some(after) = rest.strip_prefix(literal) else {
                return Walked::Until(index, text.len() - rest.len());
            };
            literals = others;
            if op.role == Role::Text {
                rest = after;
                continue;
            }
            let Some((value, length)) = number::read(after) else {
                return Walked::Value;
            };
            rest = after.get(length..).unwrap_or_default();
            let fits = match op.role {
                Role::Value => {
                    let fits = !self.started || !shrinks(block, op.slot, value);
                    put_value(block, op.slot, value, at);
                    fits
                }
                Role::Text | Role::Double => {
                    wire::set(block, op.slot, value.to_bits());
                    true
                }
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
            Role::Bucket | Role::Infinity => {
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
        let is_total = matches!(op.role, Role::Count | Role::Whole);
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
