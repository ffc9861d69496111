//! What relabel rules make of a page.
//!
//! To rules a page is a set of series, as Prometheus stores them: each bucket, quantile, sum and
//! count by itself, under its own name, with `le` or `quantile` among its labels; a native
//! histogram is one, and the classic buckets beside it go where it goes. Afterwards the series are
//! put together to families and points again ([`place`]):
//!
//! * A name that still ends as its role wants (`_bucket`, `_sum`, `_count`) leads to a family named
//!   without that ending, with type, help and unit of the one before; so a family that is renamed
//!   as a whole stays what it is.
//! * A sample whose name or bound no longer fits leaves its family: it is sent by itself, of
//!   unknown type, under the name and the labels that Prometheus would store. So do the samples of
//!   a histogram or summary whose `_count` the rules took or moved, since it is no point any more.
//! * Of two points that become one, the first is kept, as a whole; the other's samples are counted
//!   as duplicates.
//! * `_created` tells when a point began and goes with the point, whatever the rules say of it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::number::{self, Spelling};
use super::{Exemplar, Family, Format, Label, LineError, Native, Page, PageError};
use super::{Reason, Role, Sample, bound};
use crate::relabel::{Labels, NAME_LABEL, Rules};
use place::Place;

mod place;

/// Samples as Prometheus counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    /// On the page.
    pub(crate) scraped: usize,
    /// After the rules.
    pub(crate) kept: usize,
}

/// A series after the rules.
#[derive(Clone, Debug)]
struct Series<'r> {
    name: Cow<'r, str>,
    /// Without the name, the bound, and what is the target's.
    labels: Vec<Label<'r>>,
    /// `le` or `quantile`, where its sample has one and the rules left it a number.
    bound: Option<f64>,
    /// The same as a label.
    bound_label: Option<Label<'r>>,
}

impl<'a> Page<'a> {
    /// Returns the page that is left after the rules.
    ///
    /// # Errors
    ///
    /// [`PageError::Line`] when a series is left without a name, or with a label without one: then
    /// Prometheus fails the scrape too.
    pub fn relabel<'r>(&'r self, rules: &'r Rules) -> Result<Page<'r>, PageError> {
        let mut draft = Draft {
            page: self,
            rules,
            of_target: rules.of_target().collect(),
            natives: Vec::with_capacity(self.natives.len()),
            series: Vec::with_capacity(self.samples.len()),
            counts: Counts {
                scraped: 0,
                kept: 0,
            },
        };
        let applied = draft.natives().and_then(|()| draft.samples());
        applied.map_err(PageError::Line)?;
        Ok(draft.put_together())
    }
}

/// A page under relabelling.
struct Draft<'r> {
    page: &'r Page<'r>,
    rules: &'r Rules,
    of_target: Vec<(&'static str, &'r str)>,
    /// What became of each native histogram and sample; none of what was dropped.
    natives: Vec<Option<Series<'r>>>,
    series: Vec<Option<Series<'r>>>,
    counts: Counts,
}

impl<'r> Draft<'r> {
    fn natives(&mut self) -> Result<(), LineError> {
        let page = self.page;
        for native in &page.natives {
            let Some(family) = page.families.get(native.family as usize) else {
                continue;
            };
            let labels = page.native_labels(native);
            let name = family.name.clone();
            let series = self.apply(name, labels, None, native.message)?;
            self.count(series.is_some());
            self.natives.push(series);
        }
        Ok(())
    }

    fn samples(&mut self) -> Result<(), LineError> {
        let page = self.page;
        for sample in &page.samples {
            let Some(family) = page.family(sample) else {
                continue;
            };
            let suffix = suffix(family, sample.role, page.format);
            let key = match sample.role {
                Role::Bucket => Some("le"),
                Role::Quantile => Some("quantile"),
                _ => None,
            };
            let series = match page.native_index(sample) {
                Some(index) => self.beside(index, suffix, sample, key),
                None => {
                    let labels = page.labels(sample);
                    let bound = key.map(|key| (key, sample.bound));
                    let series = self.apply(named(family, suffix), labels, bound, sample.line)?;
                    let is_series = page.format != Format::Protobuf || sample.role != Role::Created;
                    if is_series {
                        self.count(series.is_some());
                    }
                    series
                }
            };
            self.series.push(series);
        }
        Ok(())
    }

    fn count(&mut self, is_kept: bool) {
        self.counts.scraped += 1;
        self.counts.kept += usize::from(is_kept);
    }

    /// Returns what becomes of a sample beside a native histogram.
    fn beside(
        &self,
        native: usize,
        suffix: &'static str,
        sample: &Sample,
        key: Option<&'static str>,
    ) -> Option<Series<'r>> {
        let native = self.natives.get(native)?.as_ref()?;
        let label = |key| Label {
            name: Cow::Borrowed(key),
            value: Cow::Owned(bound::spell(sample.bound)),
        };
        Some(Series {
            name: Cow::Owned([native.name.as_ref(), suffix].concat()),
            labels: native.labels.clone(),
            bound: key.map(|_| sample.bound),
            bound_label: key.map(label),
        })
    }

    /// Applies the rules to one series.
    fn apply(
        &self,
        name: Cow<'r, str>,
        labels: &'r [Label<'r>],
        bound: Option<(&'static str, f64)>,
        line: u32,
    ) -> Result<Option<Series<'r>>, LineError> {
        let mut pairs = Vec::with_capacity(labels.len() + 4);
        pairs.push((Cow::Borrowed(NAME_LABEL), name));
        if let Some((key, bound)) = bound {
            pairs.push((Cow::Borrowed(key), Cow::Owned(bound::spell(bound))));
        }
        pairs.extend(
            labels
                .iter()
                .map(|label| (label.name.clone(), label.value.clone())),
        );
        for (taken, value) in &self.of_target {
            if let Some(at) = pairs.iter().position(|pair| pair.0 == *taken) {
                let free = exported(taken, |name| pairs.iter().any(|pair| pair.0 == name));
                if let Some(pair) = pairs.get_mut(at) {
                    pair.0 = Cow::Owned(free);
                }
            }
            pairs.push((Cow::Borrowed(taken), Cow::Borrowed(value)));
        }
        let mut builder = Labels::new(pairs);
        if !self.rules.apply(&mut builder) {
            return Ok(None);
        }
        let pairs = builder.finish();
        let refuse = |reason| Err(self.page.format.error(line, reason));
        if pairs.is_empty() {
            return Ok(None);
        }
        let mut series = Series {
            name: Cow::Borrowed(""),
            labels: Vec::with_capacity(pairs.len()),
            bound: None,
            bound_label: None,
        };
        for (name, value) in pairs {
            if name.is_empty() {
                return refuse(Reason::LabelUnnamed);
            }
            if name == NAME_LABEL {
                series.name = value;
            } else if bound.is_some_and(|(key, _)| name == key) {
                series.bound = number::float(&value, Spelling::Go);
                series.bound_label = Some(Label { name, value });
            } else if !self.rules.is_of_target(&name, &value) {
                series.labels.push(Label { name, value });
            }
        }
        match series.name.is_empty() {
            true => refuse(Reason::NameRemoved),
            false => Ok(Some(series)),
        }
    }

    /// Makes a page of what is left.
    fn put_together(mut self) -> Page<'r> {
        let (places, doubled) = place::places(self.page, &mut self.series);
        let page = self.page;
        let mut built = Built::new(page);
        let all = page.samples.iter().zip(self.series).zip(places);
        for ((sample, series), place) in all {
            if let (Some(series), Some(place)) = (series, place) {
                built.sample(sample, series, &place);
            }
        }
        let Built { mut page, .. } = built;
        page.samples.sort_by_key(|sample| sample.family);
        page.natives
            .sort_by_key(|native| (native.family, native.first_label));
        let before = page.tally.duplicates;
        page.drop_duplicates();
        let doubled = doubled + page.tally.duplicates as usize - before as usize;
        page.tally.duplicates = before + doubled as u64;
        page.relabeled = Some(Counts {
            scraped: self.counts.scraped,
            kept: self.counts.kept.saturating_sub(doubled),
        });
        page
    }
}

/// A page under construction.
struct Built<'r> {
    from: &'r Page<'r>,
    page: Page<'r>,
    families: BTreeMap<(Cow<'r, str>, super::Kind), u32>,
    /// Where the labels of each native histogram stand; the samples beside it share them.
    natives: Vec<Option<(u32, u32)>>,
}

impl<'r> Built<'r> {
    fn new(from: &'r Page<'r>) -> Self {
        let page = Page {
            format: from.format,
            families: Vec::with_capacity(from.families.len()),
            samples: Vec::with_capacity(from.samples.len()),
            tally: from.tally.clone(),
            labels: Vec::with_capacity(from.labels.len()),
            exemplars: Vec::new(),
            natives: Vec::with_capacity(from.natives.len()),
            relabeled: None,
        };
        Self {
            from,
            page,
            families: BTreeMap::new(),
            natives: vec![None; from.natives.len()],
        }
    }

    fn sample(&mut self, sample: &'r Sample, series: Series<'r>, place: &Place<'r>) {
        let Some(before) = self.from.family(sample) else {
            return;
        };
        let family = self.family(before, place);
        let mut labels = series.labels;
        if place.is_alone {
            labels.extend(series.bound_label);
            labels.sort();
        }
        let (first_label, end_label) = match self.from.native_index(sample) {
            Some(index) => self.native(index, family, labels),
            None => self.labels(labels),
        };
        let exemplar = self.from.exemplar(sample).map(|it| self.exemplar(it));
        self.page.samples.push(Sample {
            family,
            role: place.role,
            bound: if place.is_alone {
                0.0
            } else {
                series.bound.unwrap_or(0.0)
            },
            value: sample.value,
            time_unix_nano: sample.time_unix_nano,
            line: sample.line,
            line_at: sample.line_at,
            value_at: sample.value_at,
            first_label,
            end_label,
            exemplar,
        });
    }

    fn family(&mut self, before: &Family<'r>, place: &Place<'r>) -> u32 {
        let families = &mut self.page.families;
        let key = (place.name.clone(), place.kind);
        *self.families.entry(key).or_insert_with(|| {
            families.push(Family {
                name: place.name.clone(),
                kind: place.kind,
                help: before.help.clone(),
                // What is by itself may be a count of what has the unit.
                unit: if place.is_alone { "" } else { before.unit },
            });
            families.len() as u32 - 1
        })
    }

    /// Puts labels into the arena, or finds them at its end.
    fn labels(&mut self, labels: Vec<Label<'r>>) -> (u32, u32) {
        let arena = &mut self.page.labels;
        let last = self.page.samples.last();
        if let Some(last) = last.map(|last| (last.first_label, last.end_label))
            && arena.get(last.0 as usize..last.1 as usize) == Some(labels.as_slice())
        {
            return last;
        }
        let first = arena.len() as u32;
        arena.extend(labels);
        (first, arena.len() as u32)
    }

    /// Takes a native histogram over with the first sample beside it.
    fn native(&mut self, index: usize, family: u32, labels: Vec<Label<'r>>) -> (u32, u32) {
        if let Some(known) = self.natives.get(index).copied().flatten() {
            return known;
        }
        let first = self.page.labels.len() as u32;
        self.page.labels.extend(labels);
        let range = (first, self.page.labels.len() as u32);
        if let Some(slot) = self.natives.get_mut(index) {
            *slot = Some(range);
        }
        if let Some(native) = self.from.natives.get(index) {
            let first_exemplar = self.page.exemplars.len() as u32;
            for exemplar in self.from.native_exemplars(native) {
                self.exemplar(exemplar);
            }
            self.page.natives.push(Native {
                family,
                first_label: range.0,
                end_label: range.1,
                first_exemplar,
                end_exemplar: self.page.exemplars.len() as u32,
                ..native.clone()
            });
        }
        range
    }

    fn exemplar(&mut self, exemplar: &'r Exemplar) -> u32 {
        let first_label = self.page.labels.len() as u32;
        let labels = self.from.exemplar_labels(exemplar);
        self.page.labels.extend_from_slice(labels);
        self.page.exemplars.push(Exemplar {
            first_label,
            end_label: self.page.labels.len() as u32,
            ..exemplar.clone()
        });
        self.page.exemplars.len() as u32 - 1
    }
}

/// Returns the name of a family's sample.
fn named<'r>(family: &'r Family<'r>, suffix: &'static str) -> Cow<'r, str> {
    match suffix {
        "" => Cow::Borrowed(family.name.as_ref()),
        _ => Cow::Owned([family.name.as_ref(), suffix].concat()),
    }
}

/// Returns what follows the family's name in a sample's.
fn suffix(family: &Family<'_>, role: Role, format: Format) -> &'static str {
    let is_open_gauge = family.kind == super::Kind::GaugeHistogram && format == Format::OpenMetrics;
    match role {
        Role::Bucket => "_bucket",
        Role::Count if is_open_gauge => "_gcount",
        Role::Count => "_count",
        Role::Created => "_created",
        Role::Info => "_info",
        Role::Sum if is_open_gauge => "_gsum",
        Role::Sum => "_sum",
        Role::Total => "_total",
        Role::Quantile | Role::Value => "",
    }
}

/// Returns the name that a page's own label gets where the target has one of that name.
fn exported(taken: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let mut name = ["exported_", taken].concat();
    while is_taken(&name) {
        name.insert_str(0, "exported_");
    }
    name
}
