//! Walking a page part by part: what stays, and what is read.

use super::super::build::{Built, Context, Unfit, build, stands_alone};
use super::super::segment::{Segment, Walked};
use super::super::{resync, split};
use super::Kept;
use crate::exposition::{Format, Parts};
use crate::translate::PAGE_BUCKETS_ROOM;

/// Bytes of a part of a Go program's page: a description, and a series or two.
const PART_BYTES: usize = 400;

/// A part of the new request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A segment as it was, its values in place.
    Same(usize),
    /// A segment as it was, its block among what is staged.
    Staged(usize, usize),
    /// A new segment.
    Fresh(usize),
}

/// What a page changes.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) fresh: Vec<Built>,
    /// Whether the page was read as one part.
    pub(super) single: bool,
    /// Bytes of the page that were read.
    pub(super) read: usize,
    /// Segments of which points were taken out or put in, and so are not compared again.
    pub(super) spliced: Vec<usize>,
    pub(super) added: usize,
    pub(super) markers: Vec<(usize, Vec<u8>, usize)>,
}

/// Changes with the plan that they belong to.
pub(super) struct Changed {
    pub(super) plan: Vec<Piece>,
    pub(super) changes: Changes,
}

impl Kept {
    /// Walks the page part by part, and reads the parts that are not as they were.
    pub(super) fn plan(
        &self,
        buffer: &mut [u8],
        text: &[u8],
        context: &Context<'_>,
        (plan, staged): (&mut Vec<Piece>, &mut Vec<u8>),
    ) -> Result<Changes, Unfit> {
        let mut changes = Changes::default();
        // Of a first page one family may be nearly all; of a later one little is read.
        let expected = if self.segments.is_empty() {
            text.len()
        } else {
            0
        };
        let mut parts = Parts::new(self.format, &self.options, expected);
        let mut used = Used::default();
        let (mut at, mut next) = (0, 0);
        // Bounded while they are made, since a page can ask for gigabytes.
        let mut native_buckets = 0;
        while at < text.len() {
            let rest = text.get(at..).unwrap_or_default();
            // Nearly always the next part is the one that came next before. Behind one that was
            // found further back it may have been passed already.
            let is_next = self.segments.get(next).is_some_and(|s| !s.ops.is_empty());
            if is_next
                && !used.contains(next)
                && let Some(length) =
                    self.keep(next, buffer, rest, context, (plan, staged, &mut changes))
            {
                used.note(next);
                next += 1;
                at += length;
                continue;
            }
            let segment = self.segments.get(next);
            if segment.is_some_and(|segment| begins(segment, rest, self.format)) {
                // It begins as it did, and has to be read.
                next += 1;
            } else if let Some(index) = self.find(rest, &mut used, plan) {
                next = index + 1;
                if let Some(length) =
                    self.keep(index, buffer, rest, context, (plan, staged, &mut changes))
                {
                    used.note(index);
                    at += length;
                    continue;
                }
            }
            let name = match self.single {
                true => None,
                false => split::described(rest, self.format),
            };
            let length = match self.single {
                true => rest.len(),
                false => split::length(rest, name, self.format).ok_or(Unfit)?,
            };
            let part = rest.get(..length).unwrap_or_default();
            let built = build(&mut parts, part, name, context)?;
            let alone = self.single
                || (at == 0 && name.is_none())
                || stands_alone(&built, part, self.format);
            if !alone {
                return self.plan_single(text, context, (plan, staged));
            }
            native_buckets += built.segment.counts.native_buckets;
            if native_buckets > PAGE_BUCKETS_ROOM {
                return Err(Unfit);
            }
            if changes.fresh.is_empty() {
                changes.fresh.reserve(expected / PART_BYTES);
            }
            plan.push(Piece::Fresh(changes.fresh.len()));
            changes.fresh.push(built);
            changes.read += length;
            at += length;
        }
        Ok(changes)
    }

    /// Reads the whole page as one part.
    pub(super) fn plan_single(
        &self,
        text: &[u8],
        context: &Context<'_>,
        (plan, staged): (&mut Vec<Piece>, &mut Vec<u8>),
    ) -> Result<Changes, Unfit> {
        if self.format == Format::Protobuf {
            // Messages depend on each other only where a name has two.
            return Err(Unfit);
        }
        plan.clear();
        staged.clear();
        plan.push(Piece::Fresh(0));
        let mut parts = Parts::new(self.format, &self.options, text.len());
        Ok(Changes {
            fresh: vec![build(&mut parts, text, None, context)?],
            single: true,
            read: text.len(),
            ..Changes::default()
        })
    }

    /// Finds the segment of the part that `rest` begins with, when it begins as it did.
    fn find(&self, rest: &[u8], used: &mut Used, plan: &[Piece]) -> Option<usize> {
        let name = split::described(rest, self.format)?;
        let index = used.find(name, &self.segments, plan)?;
        let segment = self.segments.get(index)?;
        begins(segment, rest, self.format).then_some(index)
    }

    /// Walks a part; returns its length, or none when it is another one or has to be read.
    fn keep(
        &self,
        index: usize,
        buffer: &mut [u8],
        rest: &[u8],
        context: &Context<'_>,
        (plan, staged, changes): (&mut Vec<Piece>, &mut Vec<u8>, &mut Changes),
    ) -> Option<usize> {
        let segment = self.segments.get(index)?;
        let block = buffer.get_mut(segment.block.clone())?;
        let (skipped, rest) = split::body(rest, self.format)?;
        let ends = |length: usize| {
            let (before, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            match self.single || self.format == Format::Protobuf {
                true => after.is_empty(),
                // A last line may have ended without a line feed.
                false if !after.is_empty() && !before.ends_with(b"\n") => false,
                false => split::ends(after, segment.name.as_deref(), self.format),
            }
        };
        if segment.started {
            let from = staged.len();
            staged.extend_from_slice(block);
            let walked = segment.walk(rest, staged.get_mut(from..)?, context.at);
            if let Walked::All(length) = walked
                && ends(length)
            {
                plan.push(Piece::Staged(index, from));
                return Some(skipped + length);
            }
            staged.truncate(from);
            return None;
        }
        let (op, at) = match segment.walk(rest, block, context.at) {
            Walked::All(length) if ends(length) => {
                plan.push(Piece::Same(index));
                return Some(skipped + length);
            }
            Walked::All(length) => (segment.ops.len(), length),
            Walked::Until(0, _) => return None,
            Walked::Until(op, at) => (op, at),
            Walked::Value => return None,
        };
        let spliced = resync::splice(segment, block, rest, (op, at), context)?;
        if !ends(spliced.length) {
            return None;
        }
        if spliced.removed > 0 {
            changes
                .markers
                .push((index, spliced.markers, spliced.removed));
        }
        changes.added += spliced.added;
        changes.read += spliced.read;
        changes.spliced.push(index);
        plan.push(Piece::Fresh(changes.fresh.len()));
        changes.fresh.push(spliced.built);
        Some(skipped + spliced.length)
    }
}

/// Returns whether a part begins as it did.
fn begins(segment: &Segment, rest: &[u8], format: Format) -> bool {
    split::body(rest, format).is_some_and(|(_, body)| segment.begins(body))
}

/// Segments by name, for pages whose parts come in another order; made when first needed.
#[derive(Debug, Default)]
struct Used {
    by_name: Vec<u32>,
    is_used: Vec<bool>,
}

impl Used {
    fn contains(&self, index: usize) -> bool {
        self.is_used.get(index).is_some_and(|used| *used)
    }

    fn note(&mut self, index: usize) {
        if let Some(used) = self.is_used.get_mut(index) {
            *used = true;
        }
    }

    fn find(&mut self, name: &[u8], segments: &[Segment], plan: &[Piece]) -> Option<usize> {
        if self.is_used.is_empty() {
            self.is_used = vec![false; segments.len()];
            self.by_name = (0..segments.len() as u32).collect();
            let name = |index: &u32| {
                segments
                    .get(*index as usize)
                    .and_then(|s| s.name.as_deref())
            };
            self.by_name.sort_by(|a, b| name(a).cmp(&name(b)));
            for piece in plan {
                if let Piece::Same(index) | Piece::Staged(index, _) = *piece {
                    self.note(index);
                }
            }
        }
        let named = |index: &u32| {
            segments
                .get(*index as usize)
                .and_then(|s| s.name.as_deref())
        };
        let at = self
            .by_name
            .binary_search_by(|index| named(index).cmp(&Some(name)));
        let index = *self.by_name.get(at.ok()?)? as usize;
        (!self.contains(index)).then_some(index)
    }
}
