//! Encoding of plain families straight from their samples, noting where each value stands.
//!
//! Plain is what client libraries write: no explicit timestamps, no exemplars, no labels of scopes,
//! one name, histograms whose buckets add up. Whatever is not plain is left to the slow path.

use crate::exposition::Role as Line;
use crate::exposition::{Family, Kind, Label, Page, Sample};
use crate::translate::{is_of_target, is_reserved, is_scope_label, start_of_seconds, ucum, whole};

use super::segment::Role;
use super::wire::{self, BOUNDS, CUMULATIVE, FIRST, MONOTONIC, SECOND, SIXTH, START, SUM};
use super::wire::{METADATA, TIME, UNIT, VALUE};

/// A value on the page and where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hole {
    /// Where its line begins in the part's text.
    pub(super) line_at: u32,
    /// Where it stands in the part's text.
    pub(super) value: u32,
    /// Where its eight bytes stand in the block.
    pub(super) slot: u32,
    pub(super) role: Role,
    /// The point in the block, for its first value.
    pub(super) point: Option<u32>,
}

/// A block under construction.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) bytes: Vec<u8>,
    pub(super) holes: Vec<Hole>,
    pub(super) times: Vec<u32>,
    pub(super) points: usize,
    /// Where the last metric's points end.
    pub(super) points_end: u32,
    pub(super) started: bool,
    /// Whether the labels of every metric's points increase from each to the next.
    pub(super) in_order: bool,
}

/// The samples of one family, and where the value of each stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Samples<'p> {
    pub(super) page: &'p Page<'p>,
    pub(super) family: &'p Family<'p>,
    pub(super) samples: &'p [Sample],
    /// For each of them, where its value stands in the text; none where it can't be replaced.
    pub(super) values: &'p [Option<u32>],
}

/// The samples of one point.
struct Run<'p> {
    samples: &'p [Sample],
    values: &'p [Option<u32>],
    labels: &'p [Label<'p>],
    start: u64,
}

/// What a plain family is sent as.
enum Form {
    Gauge,
    Sum { monotonic: bool },
    Histogram,
    Summary,
}

impl Form {
    fn of(kind: Kind) -> Option<Self> {
        Some(match kind {
            Kind::Counter => Self::Sum { monotonic: true },
            Kind::Info | Kind::StateSet => Self::Sum { monotonic: false },
            Kind::Gauge | Kind::Unknown => Self::Gauge,
            Kind::Histogram => Self::Histogram,
            Kind::Summary => Self::Summary,
            Kind::GaugeHistogram => return None,
        })
    }

    fn tag(&self) -> u8 {
        match self {
            Self::Gauge => 0x2a,
            Self::Sum { .. } => 0x3a,
            Self::Histogram => 0x4a,
            Self::Summary => 0x5a,
        }
    }

    fn attributes_tag(&self) -> u8 {
        match self {
            Self::Histogram => 0x4a,
            _ => 0x3a,
        }
    }

    /// Returns what follows the points in the data.
    fn within(&self) -> &'static [u8] {
        const MONOTONIC_SUM: [u8; 4] = [CUMULATIVE[0], CUMULATIVE[1], MONOTONIC[0], MONOTONIC[1]];
        match self {
            Self::Gauge | Self::Summary => &[],
            Self::Sum { monotonic: true } => &MONOTONIC_SUM,
            Self::Sum { monotonic: false } | Self::Histogram => &CUMULATIVE,
        }
    }

    /// Returns the bytes of a point before its attributes.
    fn fixed_length(&self, run: &Run<'_>) -> usize {
        let start = if run.start > 0 { 9 } else { 0 };
        let count = |role| run.samples.iter().filter(|s| s.role == role).count();
        start
            + match self {
                Self::Gauge | Self::Sum { .. } => 18,
                Self::Histogram => {
                    let buckets = count(Line::Bucket);
                    let bounds = buckets.saturating_sub(1) * 8;
                    let bounds = if bounds > 0 {
                        wire::field_length(bounds)
                    } else {
                        0
                    };
                    18 + 9 * count(Line::Sum) + wire::field_length(8 * buckets) + bounds
                }
                Self::Summary => 18 + 9 * count(Line::Sum) + 20 * count(Line::Quantile),
            }
    }
}

impl Block {
    /// Writes a family when it is plain; returns whether it is.
    pub(super) fn plain(&mut self, of: &Samples<'_>, at: u64) -> bool {
        let Some(form) = Form::of(of.family.kind) else {
            return false;
        };
        if !of.samples.iter().all(|sample| is_plain(of, sample)) {
            return false;
        }
        let runs = match form {
            Form::Gauge | Form::Sum { .. } => numbers(of),
            Form::Histogram => distributions(of, histogram_fits),
            Form::Summary => distributions(of, summary_fits),
        };
        let Some((suffix, runs)) = runs else {
            return false;
        };
        let name = [of.family.name.as_ref(), suffix];
        let in_order = runs.is_sorted_by(|a, b| a.labels < b.labels);
        let is_mixed = !in_order && has_twice(&runs);
        if is_mixed || is_reserved(name) || runs.is_empty() {
            return false;
        }
        self.in_order &= in_order;
        self.metric(of.family, name, &form, &runs, at);
        true
    }

    fn metric(
        &mut self,
        family: &Family<'_>,
        name: [&str; 2],
        form: &Form,
        runs: &[Run<'_>],
        at: u64,
    ) {
        let length = |run: &Run<'_>| form.fixed_length(run) + wire::attributes_length(run.labels);
        let lengths: Vec<usize> = runs.iter().map(length).collect();
        let points: usize = lengths
            .iter()
            .map(|length| wire::field_length(*length))
            .sum();
        let (help, unit) = (family.help.as_bytes(), ucum(family.unit).as_bytes());
        let text = |text: &[u8]| match text.len() {
            0 => 0,
            length => wire::field_length(length),
        };
        let name_length = name[0].len() + name[1].len();
        let named = if name_length > 0 {
            wire::field_length(name_length)
        } else {
            0
        };
        let (key, word) = ("prometheus.type", family.kind.word());
        let metadata =
            wire::field_length(key.len()) + wire::field_length(wire::field_length(word.len()));
        let data = points + form.within().len();
        let whole = named
            + text(help)
            + text(unit)
            + wire::field_length(data)
            + wire::field_length(metadata);
        let out = &mut self.bytes;
        out.reserve(wire::field_length(whole));
        wire::put_header(out, SECOND, whole);
        if name_length > 0 {
            wire::put_header(out, FIRST, name_length);
            name.iter()
                .for_each(|part| out.extend_from_slice(part.as_bytes()));
        }
        for (tag, text) in [(SECOND, help), (UNIT, unit)] {
            if !text.is_empty() {
                wire::put_bytes(out, tag, text);
            }
        }
        wire::put_header(out, form.tag(), data);
        for (run, length) in runs.iter().zip(lengths) {
            self.point(form, run, length, at);
        }
        self.points += runs.len();
        self.points_end = self.bytes.len() as u32;
        self.bytes.extend_from_slice(form.within());
        wire::put_attribute(&mut self.bytes, METADATA, key, word);
    }

    fn point(&mut self, form: &Form, run: &Run<'_>, length: usize, at: u64) {
        let point = self.bytes.len() as u32;
        let first = self.holes.len();
        wire::put_header(&mut self.bytes, FIRST, length);
        if run.start > 0 {
            wire::put_fixed(&mut self.bytes, START, run.start);
            self.started = true;
        }
        let time = wire::put_fixed(&mut self.bytes, TIME, at);
        match form {
            Form::Gauge | Form::Sum { .. } => {
                let (sample, value) = (run.samples.first(), run.values.first().copied());
                if let (Some(sample), Some(value)) = (sample, value) {
                    let slot = wire::put_fixed(&mut self.bytes, VALUE, sample.value.to_bits());
                    match value {
                        Some(value) => self.hole(sample, Some(value), slot, Role::Value),
                        None => self.times.push(time),
                    }
                }
            }
            Form::Histogram => self.histogram(run),
            Form::Summary => self.summary(run),
        }
        if !matches!(form, Form::Gauge | Form::Sum { .. }) {
            self.times.push(time);
        }
        // In the page's order, not in that of the request's fields.
        let holes = self.holes.get_mut(first..).unwrap_or_default();
        holes.sort_unstable_by_key(|hole| hole.value);
        if let Some(hole) = holes.first_mut() {
            hole.point = Some(point);
        }
        wire::put_attributes(&mut self.bytes, form.attributes_tag(), run.labels);
    }

    fn hole(&mut self, sample: &Sample, value: Option<u32>, slot: u32, role: Role) {
        if let Some(value) = value {
            self.holes.push(Hole {
                line_at: sample.line_at,
                value,
                slot,
                role,
                point: None,
            });
        }
    }

    fn histogram(&mut self, run: &Run<'_>) {
        self.count_and_sum(run, Role::Count);
        let buckets = || {
            run.pairs()
                .filter(|(sample, _)| sample.role == Line::Bucket)
        };
        let count = buckets().count();
        wire::put_header(&mut self.bytes, SIXTH, 8 * count);
        let mut below = 0;
        for (sample, value) in buckets() {
            let cumulative = whole(sample.value).unwrap_or(0);
            let slot = self.bytes.len() as u32;
            let difference = cumulative.saturating_sub(below);
            self.bytes.extend_from_slice(&difference.to_le_bytes());
            below = cumulative;
            let infinite = sample.bound == f64::INFINITY;
            let role = if infinite {
                Role::Infinity
            } else {
                Role::Bucket
            };
            self.hole(sample, value, slot, role);
        }
        if count > 1 {
            wire::put_header(&mut self.bytes, BOUNDS, 8 * (count - 1));
            for (sample, _) in buckets().take(count - 1) {
                self.bytes.extend_from_slice(&sample.bound.to_le_bytes());
            }
        }
    }

    fn summary(&mut self, run: &Run<'_>) {
        self.count_and_sum(run, Role::Whole);
        for (sample, value) in run
            .pairs()
            .filter(|(sample, _)| sample.role == Line::Quantile)
        {
            wire::put_header(&mut self.bytes, SIXTH, 18);
            wire::put_fixed(&mut self.bytes, 0x09, sample.bound.to_bits());
            let slot = wire::put_fixed(&mut self.bytes, 0x11, sample.value.to_bits());
            self.hole(sample, value, slot, Role::Double);
        }
    }

    fn count_and_sum(&mut self, run: &Run<'_>, role: Role) {
        for (sample, value) in run.pairs().filter(|(sample, _)| sample.role == Line::Count) {
            let count = whole(sample.value).unwrap_or(0);
            let slot = wire::put_fixed(&mut self.bytes, VALUE, count);
            self.hole(sample, value, slot, role);
        }
        for (sample, value) in run.pairs().filter(|(sample, _)| sample.role == Line::Sum) {
            let slot = wire::put_fixed(&mut self.bytes, SUM, sample.value.to_bits());
            self.hole(sample, value, slot, Role::Double);
        }
    }
}

impl<'p> Run<'p> {
    fn pairs(&self) -> impl Iterator<Item = (&'p Sample, Option<u32>)> + use<'p> {
        self.samples.iter().zip(self.values.iter().copied())
    }
}

fn is_plain(of: &Samples<'_>, sample: &Sample) -> bool {
    let labels = of.page.labels(sample);
    sample.time_unix_nano.is_none()
        && of.page.exemplar(sample).is_none()
        && !labels.iter().any(is_scope_label)
        && !labels.iter().any(is_of_target)
}

/// Returns the points of a family of numbers and the ending of their name.
fn numbers<'p>(of: &Samples<'p>) -> Option<(&'static str, Vec<Run<'p>>)> {
    let is_point = |sample: &&Sample| sample.role != Line::Created;
    let suffix = of.samples.iter().find(is_point)?.role.suffix();
    if !of
        .samples
        .iter()
        .filter(is_point)
        .all(|sample| sample.role.suffix() == suffix)
    {
        return None;
    }
    let stated = created(of);
    let runs = of
        .samples
        .iter()
        .enumerate()
        .filter(|(_, sample)| is_point(sample));
    let runs = runs.map(|(index, sample)| {
        let labels = of.page.labels(sample);
        Run {
            samples: of.samples.get(index..=index).unwrap_or_default(),
            values: of.values.get(index..=index).unwrap_or_default(),
            labels,
            start: creation_beside(of, index).unwrap_or_else(|| {
                let found = stated.binary_search_by(|(known, _)| (*known).cmp(labels));
                found
                    .ok()
                    .and_then(|index| stated.get(index))
                    .map_or(0, |(_, start)| *start)
            }),
        }
    });
    Some((suffix, runs.collect()))
}

/// Returns the start that stands right behind a point, where it nearly always does.
fn creation_beside(of: &Samples<'_>, index: usize) -> Option<u64> {
    let point = of.samples.get(index)?;
    let next = of
        .samples
        .get(index + 1)
        .filter(|next| next.role == Line::Created)?;
    let is_its = of.page.are_alike(point, next);
    is_its.then(|| start_of_seconds(next.value))
}

/// Returns the starts that stand elsewhere, sorted by their labels.
fn created<'p>(of: &Samples<'p>) -> Vec<(&'p [Label<'p>], u64)> {
    let created = of.samples.iter().enumerate().filter(|(index, sample)| {
        let is_beside = || creation_beside(of, index.wrapping_sub(1)).is_some();
        sample.role == Line::Created && !is_beside()
    });
    let mut starts: Vec<(&[Label<'_>], u64)> = created
        .map(|(_, sample)| (of.page.labels(sample), start_of_seconds(sample.value)))
        .collect();
    starts.sort_unstable();
    starts
}

/// Returns the points of a family of histograms or summaries.
fn distributions<'p>(
    of: &Samples<'p>,
    fits: impl Fn(&[Sample]) -> bool,
) -> Option<(&'static str, Vec<Run<'p>>)> {
    let (mut runs, mut from) = (Vec::new(), 0);
    for samples in of.page.runs(of.samples) {
        let values = of.values.get(from..from + samples.len())?;
        from += samples.len();
        let first = samples.first()?;
        let created = samples.iter().find(|sample| sample.role == Line::Created);
        let is_replaceable = |(sample, value): (&Sample, &Option<u32>)| {
            value.is_some() || sample.role == Line::Created
        };
        if !fits(samples) || !samples.iter().zip(values).all(is_replaceable) {
            return None;
        }
        runs.push(Run {
            samples,
            values,
            labels: of.page.labels(first),
            start: created.map_or(0, |sample| start_of_seconds(sample.value)),
        });
    }
    Some(("", runs))
}

/// Returns whether the samples of a point stand in two places.
fn has_twice(runs: &[Run<'_>]) -> bool {
    let mut labels: Vec<&[Label<'_>]> = runs.iter().map(|run| run.labels).collect();
    labels.sort_unstable();
    labels
        .windows(2)
        .any(|pair| matches!(pair, [a, b] if a == b))
}

/// Returns whether a point's samples are buckets that add up, then their count, and a sum.
fn histogram_fits(samples: &[Sample]) -> bool {
    let (mut below, mut bound, mut total) = (0, f64::NEG_INFINITY, None);
    let (mut sums, mut counts) = (0, 0);
    for (index, sample) in samples.iter().enumerate() {
        match sample.role {
            Line::Bucket => {
                let Some(count) = whole(sample.value).filter(|count| *count >= below) else {
                    return false;
                };
                // The first bound may be any but NaN; `-Inf` is left to the slow path.
                if total.is_some() || sample.bound.total_cmp(&bound).is_le() || counts > 0 {
                    return false;
                }
                (below, bound) = (count, sample.bound);
                if bound == f64::INFINITY {
                    total = Some(count);
                } else if bound.is_nan() {
                    return false;
                }
            }
            Line::Count if total.is_some() && whole(sample.value) == total => counts += 1,
            Line::Sum => sums += 1,
            Line::Created if index > 0 => {}
            _ => return false,
        }
    }
    counts == 1 && sums <= 1
}

/// Returns whether a point's samples are quantiles in order, a count and a sum.
fn summary_fits(samples: &[Sample]) -> bool {
    let mut quantiles = samples
        .iter()
        .filter(|sample| sample.role == Line::Quantile);
    let in_order = quantiles
        .clone()
        .is_sorted_by(|a, b| a.bound.total_cmp(&b.bound).is_lt());
    let count = |role| samples.iter().filter(|sample| sample.role == role).count();
    let mut totals = samples.iter().filter(|sample| sample.role == Line::Count);
    let counted = totals
        .next()
        .is_some_and(|sample| whole(sample.value).is_some());
    in_order
        && counted
        && totals.next().is_none()
        && count(Line::Sum) <= 1
        && quantiles.all(|sample| !sample.bound.is_nan())
        && count(Line::Created) <= 1
}
