//! Points that come and go within a family whose other points stay.
//!
//! The lines of a family are sorted by labels on the pages of client libraries, and both the old
//! and the new page have them in strict order. So where a line is not the expected one, the next
//! one that is is near: what stands before it on the new page came, what was expected before it is
//! gone. Order is checked on both sides of what came, so a point that only moved is never taken for
//! one that went and one that came: then, and where nothing near fits, the family is read anew.

use std::cmp::Ordering;

use memchr::memchr;

use crate::exposition::Parts;

use super::block::{self, Metric};
use super::build::{Built, Context, build};
use super::segment::{Op, Role, Segment, Unit, Walked};
use super::wire;

/// Most lines that are looked ahead on the new page.
const LINES_AHEAD_MAX: usize = 128;
/// Most points that are looked ahead among those expected.
const POINTS_AHEAD_MAX: usize = 16;
/// Comparisons that are spent on a family, beside some for each point.
const COMPARISONS: usize = 4096;

/// A family with points put in and taken out.
#[derive(Debug)]
pub(super) struct Spliced {
    pub(super) built: Built,
    /// Bytes of the new page that it takes.
    pub(super) length: usize,
    /// Bytes of them that were read.
    pub(super) read: usize,
    pub(super) added: usize,
    pub(super) removed: usize,
    /// Encoded markers of the points taken out.
    pub(super) markers: Vec<u8>,
}

/// A place where the pages differ.
struct Gap {
    /// Points before it.
    unit: usize,
    /// Points taken out.
    removed: usize,
    /// What was put in.
    came: Option<Built>,
}

/// A splice under way.
struct Splice<'s> {
    segment: &'s Segment,
    text: &'s [u8],
    context: &'s Context<'s>,
    comparisons: usize,
    read: usize,
    gaps: Vec<Gap>,
}

/// Goes on where a walk stopped: at operation `op`, whose literal is not at byte `at`.
pub(super) fn splice(
    segment: &Segment,
    block: &mut [u8],
    text: &[u8],
    (op, at): (usize, usize),
    context: &Context<'_>,
) -> Option<Spliced> {
    if segment.units.is_empty() {
        return None;
    }
    let mut splice = Splice {
        segment,
        text,
        context,
        comparisons: COMPARISONS + 8 * segment.units.len(),
        read: 0,
        gaps: Vec::new(),
    };
    let (mut op, mut at) = (op, at);
    let length = loop {
        let (unit, from) = splice.gap(op, at)?;
        let Some(first) = segment.units.get(unit) else {
            break from;
        };
        let rest = text.get(from..)?;
        match segment.walk_from(first, rest, block, context.at) {
            Walked::All(length) if is_end(text, from + length) => break from + length,
            Walked::All(length) => (op, at) = (segment.ops.len(), from + length),
            Walked::Until(stopped, length) => (op, at) = (stopped, from + length),
            Walked::Value => return None,
        }
    };
    splice.finish(block, length)
}

/// Returns whether a family's lines end at this byte.
fn is_end(text: &[u8], at: usize) -> bool {
    matches!(text.get(at), None | Some(b'#'))
}

impl Splice<'_> {
    /// Notes a gap; returns the point and the byte behind it.
    fn gap(&mut self, op: usize, at: usize) -> Option<(usize, usize)> {
        let units = &self.segment.units;
        let unit = match op == self.segment.ops.len() {
            true => units.len(),
            false => units
                .binary_search_by_key(&op, |unit| unit.op as usize)
                .ok()?,
        };
        let (removed, to) = self.next_match(unit, at)?;
        let came = match to > at {
            true => {
                self.read += to - at;
                Some(self.read(at, to)?)
            }
            false => None,
        };
        self.gaps.push(Gap {
            unit,
            removed,
            came,
        });
        Some((unit + removed, to))
    }

    /// Finds the nearest expected point: how many are gone before it, and where it stands.
    fn next_match(&mut self, unit: usize, at: usize) -> Option<(usize, usize)> {
        let left = self.segment.units.len() - unit;
        if is_end(self.text, at) {
            return Some((left, at));
        }
        if left == 0 {
            return Some((0, self.end(at)));
        }
        let mut lines = vec![at];
        for distance in 1..LINES_AHEAD_MAX {
            let last = *lines.last()?;
            if lines.len() <= distance && !is_end(self.text, last) {
                let rest = self.text.get(last..)?;
                lines.push(last + memchr(b'\n', rest).map_or(rest.len(), |end| end + 1));
            }
            for removed in 0..=distance.min(POINTS_AHEAD_MAX) {
                let Some(line) = lines.get(distance - removed) else {
                    continue;
                };
                self.comparisons = self.comparisons.checked_sub(1)?;
                let fits = match removed.cmp(&left) {
                    Ordering::Less => self.begins(unit + removed, *line),
                    Ordering::Equal => is_end(self.text, *line),
                    Ordering::Greater => false,
                };
                if fits {
                    return Some((removed, *line));
                }
            }
        }
        None
    }

    fn begins(&self, unit: usize, at: usize) -> bool {
        let segment = self.segment;
        let literal = segment.units.get(unit).and_then(|unit| {
            let length = segment.ops.get(unit.op as usize)?.literal as usize;
            segment.literals.get(unit.literal as usize..)?.get(..length)
        });
        let rest = self.text.get(at..).unwrap_or_default();
        literal.is_some_and(|literal| rest.starts_with(literal))
    }

    fn end(&self, at: usize) -> usize {
        let mut end = at;
        while !is_end(self.text, end) {
            let rest = self.text.get(end..).unwrap_or_default();
            end += memchr(b'\n', rest).map_or(rest.len(), |length| length + 1);
        }
        end
    }

    /// Reads lines that came, under the family's header.
    fn read(&self, from: usize, to: usize) -> Option<Built> {
        let header = self.segment.ops.first()?.literal as usize;
        let mut part = self.segment.literals.get(..header)?.to_vec();
        part.extend_from_slice(self.text.get(from..to)?);
        let mut parts = Parts::new(self.context.format, self.context.options, part.len());
        let built = build(
            &mut parts,
            &part,
            self.segment.name.as_deref(),
            self.context,
        )
        .ok()?;
        let same_header = built.segment.ops.first()?.literal as usize == header;
        (same_header && !built.segment.units.is_empty()).then_some(built)
    }

    /// Puts the family together.
    fn finish(&self, block: &[u8], length: usize) -> Option<Spliced> {
        let metric = block::metric(block, self.segment.points_end)?;
        let points = Points {
            segment: self.segment,
            block,
            metric,
        };
        let (mut added, mut gone) = (0, Vec::new());
        for gap in &self.gaps {
            let removed = points.attributes(gap.unit..gap.unit + gap.removed)?;
            if let Some(came) = &gap.came {
                let before = gap.unit.checked_sub(1);
                let after = gap.unit + gap.removed;
                added += points.take(came, before, after, &removed)?;
            }
            gone.extend(removed);
        }
        let mut markers = Vec::new();
        block::put_markers(&mut markers, &metric, &gone, self.context.at);
        Some(Spliced {
            built: self.put_together(&points)?,
            length,
            read: self.read,
            added,
            removed: gone.len(),
            markers,
        })
    }

    /// Returns the lines of the new page that the family takes.
    fn lines(&self) -> Option<u32> {
        let segment = self.segment;
        let mut lines = segment.counts.lines;
        for gap in &self.gaps {
            lines -= segment.lines(gap.unit..gap.unit + gap.removed)?;
            if let Some(came) = &gap.came {
                lines += came.segment.lines(0..came.segment.units.len())?;
            }
        }
        Some(lines)
    }

    fn put_together(&self, points: &Points<'_>) -> Option<Built> {
        let segment = self.segment;
        let mut runs: Vec<Run<'_>> = Vec::new();
        let mut from = 0;
        for gap in &self.gaps {
            runs.push(Run::of(segment, points.block, from..gap.unit)?);
            if let Some(came) = &gap.came {
                let all = 0..came.segment.units.len();
                runs.push(Run::of(&came.segment, &came.block, all)?);
            }
            from = gap.unit + gap.removed;
        }
        runs.push(Run::of(segment, points.block, from..segment.units.len())?);
        let header = *segment.ops.first()?;
        let header_literal = segment.literals.get(..header.literal as usize)?;
        let sum = |of: fn(&Run<'_>) -> usize| runs.iter().map(of).sum::<usize>();
        let mut literals = Vec::with_capacity(header_literal.len() + sum(|run| run.literals.len()));
        literals.extend_from_slice(header_literal);
        let mut ops = Vec::with_capacity(1 + sum(|run| run.ops.len()));
        ops.push(header);
        let mut new = Segment {
            name: segment.name.clone(),
            families: segment.families.clone(),
            target: Vec::new(),
            literals,
            ops,
            units: Vec::with_capacity(sum(|run| run.units.len())),
            points_end: 0,
            times: Vec::with_capacity(sum(|run| run.times.len())),
            started: false,
            counts: segment.counts.clone(),
            block: 0..0,
        };
        let (mut bytes, tail) = points.metric.opened(sum(|run| run.points.len()));
        for run in &runs {
            run.append(&mut new, &mut bytes);
        }
        for slot in &new.times {
            wire::set(&mut bytes, *slot, self.context.at);
        }
        new.points_end = bytes.len() as u32;
        bytes.extend_from_slice(tail.0);
        bytes.extend_from_slice(tail.1);
        let samples = new.ops.iter().filter(|op| op.role.has_value()).count();
        let counts = &mut new.counts;
        (counts.points, counts.samples, counts.read) = (new.units.len(), samples, samples);
        counts.lines = self.lines()?;
        // A family without samples is read otherwise.
        (counts.points > 0).then_some(Built {
            segment: new,
            block: bytes,
            spliced: true,
        })
    }
}

/// The points of the family as it was.
struct Points<'b> {
    segment: &'b Segment,
    block: &'b [u8],
    metric: Metric<'b>,
}

impl<'b> Points<'b> {
    fn attributes(&self, units: std::ops::Range<usize>) -> Option<Vec<&'b [u8]>> {
        let units = self.segment.units.get(units)?.iter();
        units
            .map(|unit| self.metric.attributes_at(self.block, unit.point))
            .collect()
    }

    /// Checks that what came fits between the points around it; returns its number.
    fn take(
        &self,
        came: &Built,
        before: Option<usize>,
        after: usize,
        removed: &[&[u8]],
    ) -> Option<usize> {
        let metric = block::metric(&came.block, came.segment.points_end)?;
        if !metric.is_like(&self.metric) {
            return None;
        }
        let units = came.segment.units.iter();
        let new: Option<Vec<&[u8]>> = units
            .map(|unit| metric.attributes_at(&came.block, unit.point))
            .collect();
        let new = new?;
        let at = |unit: usize| self.attributes(unit..unit + 1)?.first().copied();
        let (first, last) = (*new.first()?, *new.last()?);
        let follows = match before {
            Some(before) => block::in_order(at(before)?, first),
            None => true,
        };
        let precedes = match after < self.segment.units.len() {
            true => block::in_order(last, at(after)?),
            false => true,
        };
        let comes_back = new.iter().any(|new| removed.contains(new));
        (follows && precedes && !comes_back).then_some(new.len())
    }
}

/// Points that stand side by side, with their part of the program.
struct Run<'r> {
    ops: &'r [Op],
    units: &'r [Unit],
    literals: &'r [u8],
    times: &'r [u32],
    points: &'r [u8],
    /// Where they began.
    op: u32,
    literal: u32,
    point: u32,
}

impl<'r> Run<'r> {
    fn of(segment: &'r Segment, block: &'r [u8], range: std::ops::Range<usize>) -> Option<Self> {
        let (from, to) = (segment.unit(range.start), segment.unit(range.end));
        let times = match segment.times.is_empty() {
            true => &[],
            false => segment.times.get(range.clone())?,
        };
        Some(Self {
            ops: segment.ops.get(from.op as usize..to.op as usize)?,
            units: segment.units.get(range)?,
            literals: segment
                .literals
                .get(from.literal as usize..to.literal as usize)?,
            times,
            points: block.get(from.point as usize..to.point as usize)?,
            op: from.op,
            literal: from.literal,
            point: from.point,
        })
    }

    fn append(&self, new: &mut Segment, bytes: &mut Vec<u8>) {
        let (op, literal) = (new.ops.len() as u32, new.literals.len() as u32);
        let point = bytes.len() as u32;
        let moved = |slot: u32| slot - self.point + point;
        new.ops.extend(self.ops.iter().map(|op| Op {
            slot: match op.role {
                Role::Text => 0,
                _ => moved(op.slot),
            },
            ..*op
        }));
        new.units.extend(self.units.iter().map(|unit| Unit {
            op: unit.op - self.op + op,
            literal: unit.literal - self.literal + literal,
            point: moved(unit.point),
        }));
        new.literals.extend_from_slice(self.literals);
        new.times.extend(self.times.iter().map(|slot| moved(*slot)));
        bytes.extend_from_slice(self.points);
    }
}
