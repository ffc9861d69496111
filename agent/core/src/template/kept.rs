//! The encoded request of the last scrape, part by part.

use bytes::{Bytes, BytesMut};
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::exposition::{Format, Label, Options};
use crate::translate::{Identity, PAGE_BUCKETS_ROOM, ScrapeStats};

use super::block;
use super::build::{Context, Unfit};
use super::names;
use super::segment::{Counts, Segment};
use super::wire;
use plan::{Changed, Changes, Piece};
use request::{Own, encoded, header};

mod plan;
mod request;

/// The last scrape of a target.
#[derive(Debug)]
pub(super) struct Kept {
    /// The request: header, blocks, the scrape's own metrics, markers.
    bytes: Bytes,
    segments: Vec<Segment>,
    format: Format,
    options: Options,
    /// None before the first page.
    resource: Option<Resource>,
    /// Where the blocks begin and end.
    blocks: std::ops::Range<usize>,
    own: Own,
    /// Whether the page is one segment, because its parts depend on each other.
    single: bool,
    /// Whether every series has its marker, as after a failed scrape.
    ended: bool,
    /// Whether the request has markers, which the next one has not.
    marked: bool,
    totals: Counts,
    /// Bytes of the last page that were read.
    read: usize,
    /// What a pass plans and stages, kept for its memory.
    plan: Vec<Piece>,
    staged: Vec<u8>,
}

/// What a page was made into.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) bytes: Bytes,
    pub(super) items: u64,
    pub(super) counts: Counts,
    /// Bytes of the page that were read.
    pub(super) read: usize,
}

impl Kept {
    /// Returns what is known before the first page.
    pub(super) fn new(format: Format, options: &Options) -> Self {
        Self {
            bytes: Bytes::new(),
            segments: Vec::new(),
            format,
            options: *options,
            resource: None,
            blocks: 0..0,
            own: Own::default(),
            single: false,
            ended: false,
            marked: true,
            totals: Counts::default(),
            read: 0,
            plan: Vec::new(),
            staged: Vec::new(),
        }
    }

    /// Makes a page into a request. On [`Unfit`] what is kept is still the scrape before.
    pub(super) fn scrape(
        &mut self,
        text: &[u8],
        context: &Context<'_>,
        stats: &ScrapeStats,
    ) -> Result<Outcome, Unfit> {
        if context.format != self.format || *context.options != self.options {
            return Err(Unfit);
        }
        let bytes = std::mem::take(&mut self.bytes);
        // Whoever was given the last request may still hold it.
        let unique = bytes.try_into_mut();
        let mut buffer = unique.unwrap_or_else(|shared| BytesMut::from(shared.as_ref()));
        let done = self.pass(&mut buffer, text, context, stats);
        match done {
            Ok(Some((bytes, items))) => {
                self.bytes = bytes;
                Ok(self.outcome(items))
            }
            Ok(None) => {
                self.bytes = buffer.freeze();
                Ok(self.outcome(self.totals.points + self.own.count))
            }
            Err(unfit) => {
                self.bytes = buffer.freeze();
                Err(unfit)
            }
        }
    }

    fn outcome(&self, items: usize) -> Outcome {
        Outcome {
            bytes: self.bytes.clone(),
            items: items as u64,
            counts: self.totals.clone(),
            read: self.read,
        }
    }

    /// Walks the page; returns a new request and its points when the old one could not be kept.
    fn pass(
        &mut self,
        buffer: &mut BytesMut,
        text: &[u8],
        context: &Context<'_>,
        stats: &ScrapeStats,
    ) -> Result<Option<(Bytes, usize)>, Unfit> {
        let mut plan = std::mem::take(&mut self.plan);
        let mut staged = std::mem::take(&mut self.staged);
        plan.clear();
        staged.clear();
        let changes = self.plan(buffer, text, context, (&mut plan, &mut staged));
        let result = changes.and_then(|changes| {
            let is_same = |(index, piece): (usize, &Piece)| match piece {
                Piece::Same(of) | Piece::Staged(of, _) => index == *of,
                Piece::Fresh(_) => false,
            };
            let is_kept = plan.len() == self.segments.len()
                && plan.iter().enumerate().all(is_same)
                && !self.marked;
            if is_kept {
                self.commit(buffer, &plan, &staged);
                let added = if self.ended { self.totals.points } else { 0 };
                self.own.patch(buffer, context.at, stats, added);
                (self.ended, self.read) = (false, 0);
                return Ok(None);
            }
            let changed = self.change(buffer, text, context, &plan, changes)?;
            Ok(Some(
                self.assemble(buffer, context, stats, changed, &staged),
            ))
        });
        (self.plan, self.staged) = (plan, staged);
        result
    }

    /// Puts the blocks that were staged in their place.
    fn commit(&self, buffer: &mut [u8], plan: &[Piece], staged: &[u8]) {
        for piece in plan {
            if let Piece::Staged(index, from) = *piece
                && let Some(segment) = self.segments.get(index)
                && let Some(place) = buffer.get_mut(segment.block.clone())
                && let Some(block) = staged.get(from..from + place.len())
            {
                place.copy_from_slice(block);
            }
        }
    }

    /// Finds out what the changes mean for the request as a whole.
    fn change(
        &mut self,
        buffer: &[u8],
        text: &[u8],
        context: &Context<'_>,
        plan: &[Piece],
        mut changes: Changes,
    ) -> Result<Changed, Unfit> {
        let mut plan = plan.to_vec();
        let clash = |plan: &[Piece], changes: &Changes| {
            let segments = plan.iter().filter_map(|piece| self.segment(piece, changes));
            names::clash(segments, self.format)
        };
        let is_single = self.single || changes.single;
        if !is_single && plan.len() > 1 && clash(&plan, &changes) {
            let mut staged = Vec::new();
            changes = self.plan_single(text, context, (&mut plan, &mut staged))?;
        }
        let single = self.single || changes.single;
        let segments = || {
            plan.iter()
                .filter_map(|piece| self.segment(piece, &changes))
        };
        let target: Vec<&Label<'_>> = segments().flat_map(|segment| &segment.target).collect();
        let resource = context.identity.resource(&target);
        if self
            .resource
            .as_ref()
            .is_some_and(|known| *known != resource)
        {
            return Err(Unfit);
        }
        let totals = totals(segments());
        let limit = self.options.limits.samples;
        // The page's gaps are filled together: where they had no room, by the slow path alone.
        let has_room = totals.native_buckets <= PAGE_BUCKETS_ROOM;
        let is_over = totals.samples > self.options.limits.series.samples || !has_room;
        if totals.read >= limit || totals.families >= limit || is_over {
            return Err(Unfit);
        }
        self.compare(buffer, context.at, &plan, &mut changes);
        (self.single, self.read) = (single, changes.read);
        self.resource = Some(resource);
        self.totals = totals;
        Ok(Changed { plan, changes })
    }

    fn segment<'s>(&'s self, piece: &Piece, changes: &'s Changes) -> Option<&'s Segment> {
        match *piece {
            Piece::Same(index) | Piece::Staged(index, _) => self.segments.get(index),
            Piece::Fresh(index) => changes.fresh.get(index).map(|built| &built.segment),
        }
    }

    /// Compares the blocks that are gone with those that came.
    fn compare(&self, buffer: &[u8], at: u64, plan: &[Piece], changes: &mut Changes) {
        let gone = self.gone(buffer, plan, changes);
        if gone.is_empty() {
            // Nothing is taken away, as on a first page: every point that came is new.
            let fresh = changes.fresh.iter().filter(|built| !built.spliced);
            let points = fresh.map(|built| built.segment.counts.points);
            changes.added += points.sum::<usize>();
        } else {
            differ(&gone, at, changes);
        }
        changes.markers.sort_by_key(|(index, _, _)| *index);
    }

    /// Returns the blocks that are gone, with the segments they belong to.
    fn gone<'b>(
        &self,
        buffer: &'b [u8],
        plan: &[Piece],
        changes: &Changes,
    ) -> Vec<(usize, &'b [u8])> {
        let mut stays = vec![false; self.segments.len()];
        let kept = plan.iter().filter_map(|piece| match piece {
            Piece::Same(index) | Piece::Staged(index, _) => Some(index),
            Piece::Fresh(_) => None,
        });
        for index in kept.chain(&changes.spliced) {
            if let Some(stays) = stays.get_mut(*index) {
                *stays = true;
            }
        }
        let all = self.segments.iter().zip(&stays).enumerate();
        all.filter(|(_, (_, stays))| !**stays)
            .filter_map(|(index, (segment, _))| Some((index, buffer.get(segment.block.clone())?)))
            .collect()
    }

    /// Says that a scrape failed: every series gets its marker, once.
    pub(super) fn failed(
        &mut self,
        identity: &Identity,
        at: u64,
        stats: &ScrapeStats,
    ) -> (Bytes, u64) {
        let own = stats.failure(identity, at);
        let (mut markers, mut count) = (Vec::new(), 0);
        if !self.ended {
            let blocks = self.bytes.get(self.blocks.clone()).unwrap_or_default();
            (markers, count) = block::markers(blocks, at, |_, _| true);
        }
        self.ended = true;
        let items = count + own.metrics.len();
        let own = encoded(&own.metrics);
        let mut out = header(self.resource.as_ref(), identity, own.len() + markers.len());
        out.extend_from_slice(&own);
        out.extend_from_slice(&markers);
        (Bytes::from(out), items as u64)
    }

    /// Returns the last page alone as a request, for the slow path to go on from.
    pub(super) fn page(&self, identity: &Identity) -> Bytes {
        let blocks = self.bytes.get(self.blocks.clone()).unwrap_or_default();
        let mut out = header(self.resource.as_ref(), identity, blocks.len());
        out.extend_from_slice(blocks);
        Bytes::from(out)
    }

    /// Returns whether a page was kept.
    pub(super) fn is_known(&self) -> bool {
        self.resource.is_some()
    }

    /// Returns whether every series of the page has its marker.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Sets the start times of the points, in their order; false when there are not as many.
    pub(super) fn set_starts(&mut self, starts: &[u64]) -> bool {
        if starts.len() < self.totals.points {
            return false;
        }
        let bytes = std::mem::take(&mut self.bytes);
        let unique = bytes.try_into_mut();
        let mut buffer = unique.unwrap_or_else(|shared| BytesMut::from(shared.as_ref()));
        let blocks = buffer.get_mut(self.blocks.clone()).unwrap_or_default();
        let slots = block::starts(blocks);
        for (slot, start) in slots.into_iter().zip(starts) {
            if let Some(slot) = slot {
                wire::set(blocks, slot, *start);
            }
        }
        self.bytes = buffer.freeze();
        true
    }
}

/// Notes how the points that came differ from those of the blocks that are gone.
fn differ(gone: &[(usize, &[u8])], at: u64, changes: &mut Changes) {
    let fresh = changes.fresh.iter().enumerate();
    let fresh = fresh.filter(|(_, built)| !built.spliced);
    let (fresh_at, fresh): (Vec<usize>, Vec<&[u8]>) = fresh
        .map(|(index, built)| (index, built.block.as_slice()))
        .unzip();
    let (gone_at, gone): (Vec<usize>, Vec<&[u8]>) = gone.iter().copied().unzip();
    let difference = block::compare(&gone, &fresh, at);
    changes.added += difference.added;
    for (index, slot, start) in difference.starts {
        let built = fresh_at.get(index);
        if let Some(built) = built.and_then(|index| changes.fresh.get_mut(*index)) {
            wire::set(&mut built.block, slot, start);
        }
    }
    for (index, markers, count) in difference.markers {
        if let Some(index) = gone_at.get(index) {
            changes.markers.push((*index, markers, count));
        }
    }
}

/// Adds up what counts of the parts of a page.
fn totals<'s>(segments: impl Iterator<Item = &'s Segment>) -> Counts {
    let mut totals = Counts::default();
    for Segment { counts, .. } in segments {
        if let Some(mut first) = counts.tally.first_bad
            && totals.tally.first_bad.is_none()
        {
            first.line += totals.lines;
            totals.tally.first_bad = Some(first);
        }
        totals.tally.bad_lines += counts.tally.bad_lines;
        totals.tally.duplicates += counts.tally.duplicates;
        totals.tally.unholdable_timestamps += counts.tally.unholdable_timestamps;
        totals.notes.add(&counts.notes);
        totals.families += counts.families;
        totals.lines += counts.lines;
        totals.points += counts.points;
        totals.samples += counts.samples;
        totals.read += counts.read;
        totals.native_buckets += counts.native_buckets;
    }
    totals
}
