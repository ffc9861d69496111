//! Making a part of a page into a segment and its encoded block.

use memchr::{memchr, memchr_iter};
use prost::encoding;

use crate::exposition::{Format, Kind, Label, Options, Page, Part, Parts, Sample};
use crate::series::points_of;
use crate::translate::{self, Identity, convert_samples, own_scope};

use super::block;
use super::message;
use super::plain::{Block, Hole, Samples};
use super::segment::{Counts, Named, Op, Role, Segment, Unit};
use super::wire;

/// The time that the slow path is given, to find where times stand. A page that has it itself is
/// not taken.
const MARK: u64 = u64::MAX - 0x5eed;

/// What a part is read and encoded with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'c> {
    pub(super) identity: &'c Identity,
    pub(super) options: &'c Options,
    pub(super) format: Format,
    /// The scrape's time, Unix nanoseconds.
    pub(super) at: u64,
}

/// A part or a page that only the slow path takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unfit;

/// A segment and its block.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) segment: Segment,
    pub(super) block: Vec<u8>,
    /// Whether it was made by [`super::resync`], which knows what came and went.
    pub(super) spliced: bool,
}

/// Reads and encodes a part whose first line describes `name`.
pub(super) fn build<'t>(
    parts: &mut Parts<'t>,
    text: &'t [u8],
    name: Option<&[u8]>,
    context: &Context<'_>,
) -> Result<Built, Unfit> {
    let part = parts.read(text).map_err(|_| Unfit)?;
    let Part { page, lines, .. } = part;
    let marked = page.has_time(MARK);
    if part.has_end || marked {
        return Err(Unfit);
    }
    let is_wire = context.format == Format::Protobuf;
    let (_, message) = message::frame(text).filter(|_| is_wire).unwrap_or_default();
    let values = match is_wire {
        true => message::values(page, message),
        false => page.samples.iter().map(|sample| sample.value_at).collect(),
    };
    let mut draft = Draft::new(page, context);
    draft.families(&values)?;
    let Draft {
        block,
        notes,
        native_buckets,
        target,
        is_plain,
        ..
    } = draft;
    // A series of two families is two points of one identity.
    let is_sure = is_plain && page.families.len() == 1;
    if !is_sure && block::has_duplicates(&block.bytes) {
        return Err(Unfit);
    }
    let points = block.points;
    let (ops, literals, units) = match is_wire {
        true => {
            let (ops, literals) = message::program(message, &block.holes).ok_or(Unfit)?;
            (ops, literals, Vec::new())
        }
        false => program(text, &block.holes, points),
    };
    let tally = page.tally.clone();
    let is_whole = notes == translate::Notes::default() && tally == Default::default();
    let has_header = ops.first().is_some_and(|op| op.role == Role::Text);
    let is_split = units.len() == points
        && block.holes.len() == page.samples.len()
        && page.families.len() == 1;
    let takes_points =
        is_plain && is_whole && has_header && is_split && block.in_order && !block.started;
    let families = page.families.iter().map(|family| Named {
        name: family.name.as_ref().into(),
        kind: family.kind,
    });
    let counts = Counts {
        families: page.families.len(),
        lines: if is_wire { 1 } else { lines },
        points,
        samples: page.counts().kept,
        read: page.samples.len() + tally.duplicates as usize,
        native_buckets,
        notes,
        tally,
    };
    let segment = Segment {
        name: name.map(Box::from),
        families: families.collect(),
        target,
        literals,
        ops,
        units: if takes_points { units } else { Vec::new() },
        points_end: block.points_end,
        times: block.times,
        started: block.started,
        counts,
        block: 0..0,
    };
    Ok(Built {
        segment,
        block: block.bytes,
        spliced: false,
    })
}

/// Returns whether a part can be read apart from the others: it is about one name, which its first
/// line describes, and whose TYPE stands before its samples. (In OpenMetrics a Go program has a
/// gauge and a counter of one name side by side.)
pub(super) fn stands_alone(built: &Built, text: &[u8], format: Format) -> bool {
    let segment = &built.segment;
    match segment.families.as_slice() {
        // A message says all of its family.
        [_] if format == Format::Protobuf => true,
        [] => segment.counts.read == 0,
        [family, others @ ..] => {
            let header = segment.ops.first().filter(|op| op.role == Role::Text);
            let header = header.map_or(0, |op| op.literal as usize);
            let header = text.get(..header).unwrap_or_default();
            let ends = memchr_iter(b'\n', header).map(|end| end + 1);
            let mut lines = std::iter::once(0).chain(ends);
            let is_typed = lines.any(|at| {
                let line = header.get(at..).unwrap_or_default();
                line.starts_with(b"# TYPE ")
            });
            let is_one = others.iter().all(|other| other.name == family.name);
            let has_type = is_typed && segment.counts.tally.bad_lines == 0;
            is_one && (has_type || family.kind != Kind::Unknown)
        }
    }
}

/// A block under construction, family by family.
struct Draft<'p> {
    page: &'p Page<'p>,
    context: &'p Context<'p>,
    block: Block,
    notes: translate::Notes,
    /// Buckets of native histograms, gaps included.
    native_buckets: usize,
    target: Vec<Label<'static>>,
    /// Whether every family was written without the slow path.
    is_plain: bool,
}

impl<'p> Draft<'p> {
    fn new(page: &'p Page<'p>, context: &'p Context<'p>) -> Self {
        Self {
            page,
            context,
            block: Block {
                in_order: true,
                ..Block::default()
            },
            notes: translate::Notes::default(),
            native_buckets: 0,
            target: Vec::new(),
            is_plain: true,
        }
    }

    fn families(&mut self, values: &[Option<u32>]) -> Result<(), Unfit> {
        let page = self.page;
        // In a message all samples are of one number, and in order.
        let in_order = self.context.format == Format::Protobuf
            || page.samples.is_sorted_by(|a, b| a.line < b.line);
        let in_order = in_order && page.natives().is_empty();
        let mut from = 0;
        for samples in page.samples.chunk_by(|a, b| a.family == b.family) {
            let Some(family) = samples.first().and_then(|sample| page.family(sample)) else {
                continue;
            };
            let to = from + samples.len();
            let values = values.get(from..to).unwrap_or_default();
            from = to;
            if translate::is_about_target(family) {
                let labels = samples.iter().flat_map(|sample| page.labels(sample));
                self.target.extend(labels.map(owned));
                self.is_plain = false;
                continue;
            }
            let of = Samples {
                page,
                family,
                samples,
                values,
            };
            let is_sent = !translate::is_about_scope(family);
            if !(in_order && is_sent && self.block.plain(&of, self.context.at)) {
                self.convert(samples)?;
            }
        }
        Ok(())
    }

    /// Leaves a family to the slow path.
    fn convert(&mut self, samples: &'p [Sample]) -> Result<(), Unfit> {
        self.is_plain = false;
        let converted = convert_samples(self.page, self.context.identity, MARK, samples);
        self.notes.add(&converted.notes);
        self.native_buckets += converted.native_buckets;
        let own = own_scope(self.context.identity);
        let from = self.block.bytes.len();
        for scope in converted.scopes {
            if scope.scope != own.scope || !scope.schema_url.is_empty() {
                return Err(Unfit);
            }
            for metric in &scope.metrics {
                encoding::message::encode(2, metric, &mut self.block.bytes);
                self.block.points += points_of(metric);
            }
        }
        let added = self.block.bytes.get_mut(from..).unwrap_or_default();
        for slot in block::times(added, MARK) {
            wire::set(added, slot, self.context.at);
            self.block.times.push(slot + from as u32);
        }
        Ok(())
    }
}

fn owned(label: &Label<'_>) -> Label<'static> {
    Label {
        name: label.name.clone().into_owned().into(),
        value: label.value.clone().into_owned().into(),
    }
}

/// Returns the text as literals with values between them, and where each of the points begins.
fn program(text: &[u8], holes: &[Hole], points: usize) -> (Vec<Op>, Vec<u8>, Vec<Unit>) {
    let mut ops = Vec::with_capacity(holes.len() + 2);
    let mut units = Vec::with_capacity(points);
    let mut literals = Vec::with_capacity(text.len());
    let mut pending = 0;
    let text_op = |literal: usize| Op {
        literal: literal as u32,
        slot: 0,
        role: Role::Text,
    };
    for hole in holes {
        if let Some(point) = hole.point {
            let from = hole.line_at as usize;
            if pending < from {
                literals.extend_from_slice(text.get(pending..from).unwrap_or_default());
                ops.push(text_op(from - pending));
                pending = from;
            }
            units.push(Unit {
                op: ops.len() as u32,
                literal: literals.len() as u32,
                point,
            });
        }
        let value = hole.value as usize;
        literals.extend_from_slice(text.get(pending..value).unwrap_or_default());
        ops.push(Op {
            literal: (value - pending) as u32,
            slot: hole.slot,
            role: hole.role,
        });
        let rest = text.get(value..).unwrap_or_default();
        pending = value + memchr(b'\n', rest).map_or(rest.len(), |length| length + 1);
    }
    if pending < text.len() {
        literals.extend_from_slice(text.get(pending..).unwrap_or_default());
        ops.push(text_op(text.len() - pending));
    }
    literals.shrink_to_fit();
    (ops, literals, units)
}
