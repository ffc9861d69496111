//! Building a page: which family a sample belongs to, its labels in order, duplicates.

use std::borrow::Cow;

use super::family::{Format, Kind, Role};
use super::line::RawSample;
use super::number;
use super::{Exemplar, Family, Label, LineError, Options, Page, Reason, Sample, Tally, limits};

mod again;
mod names;
mod order;
mod wire;

pub(crate) use wire::Point;

use names::Names;

/// Endings that can lead from a sample's name to its family's.
const SUFFIXES: [&str; 8] = [
    "_bucket", "_count", "_created", "_gcount", "_gsum", "_info", "_sum", "_total",
];

/// A page under construction.
#[derive(Debug)]
pub(crate) struct Builder<'a> {
    pub(crate) page: Page<'a>,
    pub(crate) options: Options,
    names: Names<'a>,
    states: Vec<State>,
    /// Whether every sample so far stands behind the one before it, in the order of families,
    /// labels and [`rank`]: pages of client libraries do, and such a page has no duplicates.
    in_order: bool,
    last: Option<Last<'a>>,
    /// The labels of the bucket or quantile before.
    shared: Option<again::Shared<'a>>,
    /// A second HELP of a name, for the second TYPE that may follow it.
    second_help: Option<(Cow<'a, str>, Cow<'a, str>)>,
    out_of_order: bool,
}

/// What was seen of a family.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    typed: bool,
    helped: bool,
    sampled: bool,
    left: bool,
}

/// Where a line stands, and its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Its number, from 1.
    pub(crate) line: u32,
    /// Its first byte.
    pub(crate) at: u32,
    /// Its line feed, when nothing but a line feed ends it.
    pub(crate) end: Option<u32>,
}

/// Where the line before went; most lines go to the same place.
#[derive(Debug)]
struct Last<'a> {
    name: Cow<'a, str>,
    family: u32,
    role: Role,
}

impl Place {
    /// Returns where the value stands that ends the line and has so many bytes.
    fn value_at(&self, bytes: Option<usize>) -> Option<u32> {
        self.end?.checked_sub(bytes? as u32)
    }
}

impl<'a> Builder<'a> {
    pub(crate) fn new(format: Format, options: &Options, bytes: usize) -> Self {
        // A line of a Go program's page has about 110 bytes.
        let expected = (bytes / 100).min(options.limits.samples);
        Self {
            page: Page {
                format,
                families: Vec::with_capacity(expected / 4),
                samples: Vec::with_capacity(expected),
                tally: Tally::default(),
                labels: Vec::with_capacity(expected * 2),
                exemplars: Vec::new(),
                natives: Vec::new(),
                relabeled: None,
            },
            options: *options,
            names: Names::default(),
            states: Vec::with_capacity(expected / 4),
            in_order: true,
            last: None,
            shared: None,
            second_help: None,
            out_of_order: false,
        }
    }

    /// Forgets what was read, and keeps its memory for another page of the format.
    pub(crate) fn clear(&mut self) {
        let page = &mut self.page;
        page.families.clear();
        page.samples.clear();
        page.labels.clear();
        page.exemplars.clear();
        page.natives.clear();
        (page.tally, page.relabeled) = (Tally::default(), None);
        self.names.clear();
        self.states.clear();
        self.in_order = true;
        self.out_of_order = false;
        (self.last, self.shared, self.second_help) = (None, None, None);
    }

    pub(crate) fn labels(&mut self) -> &mut Vec<Label<'a>> {
        &mut self.page.labels
    }

    /// Returns whether another sample or family fits.
    pub(crate) fn has_room(&self) -> bool {
        let limit = self.options.limits.samples;
        self.page.samples.len() < limit && self.page.families.len() < limit
    }

    pub(crate) fn help(&mut self, name: Cow<'a, str>, help: Cow<'a, str>) -> Result<(), Reason> {
        let id = self.family_named(name.clone());
        let state = self.metadata_state(id, |state| state.helped)?;
        if state.helped {
            self.second_help = Some((name, help));
            return Ok(());
        }
        state.helped = true;
        if let Some(family) = self.page.families.get_mut(id as usize) {
            family.help = help;
        }
        Ok(())
    }

    pub(crate) fn unit(&mut self, name: Cow<'a, str>, unit: &'a str) -> Result<(), Reason> {
        let id = self.family_named(name);
        let has_one = self
            .page
            .families
            .get(id as usize)
            .is_some_and(|f| !f.unit.is_empty());
        self.metadata_state(id, |_| has_one)?;
        match self.page.families.get_mut(id as usize) {
            Some(family) if !has_one => family.unit = unit,
            _ => {}
        }
        Ok(())
    }

    /// Sets the kind of a name. A second, different TYPE begins a second family.
    pub(crate) fn kind(&mut self, name: Cow<'a, str>, kind: Kind) -> Result<(), Reason> {
        self.last = None;
        let mut id = self.family_named(name.clone());
        let state = *self.metadata_state(id, |state| state.typed)?;
        let family = self.page.families.get_mut(id as usize);
        match family {
            Some(family) if !state.typed && !state.sampled => family.kind = kind,
            Some(family) if family.kind != kind => {
                let (mut help, unit) = (family.help.clone(), family.unit);
                if let Some((of, second)) = self.second_help.take()
                    && of == name
                {
                    help = second;
                }
                id = self.other_family(name, kind, help, unit);
            }
            _ => {}
        }
        if let Some(state) = self.states.get_mut(id as usize) {
            state.typed = true;
        }
        Ok(())
    }

    fn metadata_state(
        &mut self,
        id: u32,
        has_one: impl Fn(&State) -> bool,
    ) -> Result<&mut State, Reason> {
        let strict = self.options.strict;
        match self.states.get_mut(id as usize) {
            Some(state) if strict && has_one(state) => Err(Reason::DuplicateMetadata),
            Some(state) if strict && state.sampled => Err(Reason::MetadataLate),
            Some(state) => Ok(state),
            None => Err(Reason::BadName),
        }
    }

    fn family_named(&mut self, name: Cow<'a, str>) -> u32 {
        match self.names.latest(&self.page.families, &name) {
            Some(latest) => latest,
            None => self.new_family(name, Kind::Unknown),
        }
    }

    fn new_family(&mut self, name: Cow<'a, str>, kind: Kind) -> u32 {
        let id = self.page.families.len() as u32;
        self.names.add(&self.page.families, name.clone());
        self.page.families.push(Family {
            name,
            kind,
            help: Cow::Borrowed(""),
            unit: "",
        });
        self.states.push(State::default());
        id
    }

    /// Returns the family of this name and kind beside the latest one, made when there is none.
    fn other_family(
        &mut self,
        name: Cow<'a, str>,
        kind: Kind,
        help: Cow<'a, str>,
        unit: &'a str,
    ) -> u32 {
        let families = &self.page.families;
        let is_kind = |id: u32| families.get(id as usize).is_some_and(|f| f.kind == kind);
        if let Some(id) = self.names.take_older(&name, is_kind) {
            return id;
        }
        let id = self.new_family(name, kind);
        if let Some(family) = self.page.families.get_mut(id as usize) {
            (family.help, family.unit) = (help, unit);
        }
        id
    }

    /// Returns the family and role of a sample's name; none when it needs a family of its own.
    fn spot(&self, name: &str) -> Result<Option<(u32, Role)>, Reason> {
        if let Some(last) = &self.last
            && last.name == name
        {
            return Ok(Some((last.family, last.role)));
        }
        let found = self.find(name);
        let is_known = || self.names.latest(&self.page.families, name).is_some();
        match found.is_none() && self.options.strict && is_known() {
            true => Err(Reason::SuffixMismatch),
            false => Ok(found),
        }
    }

    /// Notes that a sample of this name is there, for which a family was found or not; returns the
    /// family. What is refused must not come here: it would lead the lines after it elsewhere.
    fn place(&mut self, name: Cow<'a, str>, found: Option<(u32, Role)>) -> Result<u32, Reason> {
        if let Some(last) = &self.last
            && last.name == name
        {
            return Ok(last.family);
        }
        let (family, role) = match found {
            Some(found) => found,
            // `foo` under a histogram `foo`: a metric of its own, of unknown type.
            None if self.names.latest(&self.page.families, &name).is_some() => {
                let id = self.other_family(name.clone(), Kind::Unknown, Cow::Borrowed(""), "");
                (id, Role::Value)
            }
            None => (self.new_family(name.clone(), Kind::Unknown), Role::Value),
        };
        self.enter(family)?;
        self.last = Some(Last { name, family, role });
        Ok(family)
    }

    fn find(&self, name: &str) -> Option<(u32, Role)> {
        if let Some(last) = &self.last
            && let Some(place) = self.role_in(last.family, name)
        {
            return Some(place);
        }
        let stems = SUFFIXES
            .iter()
            .filter_map(|suffix| name.strip_suffix(suffix));
        [name].into_iter().chain(stems).find_map(|stem| {
            let mut ids = self.names.all(&self.page.families, stem);
            ids.find_map(|id| self.role_in(id, name))
        })
    }

    fn role_in(&self, id: u32, name: &str) -> Option<(u32, Role)> {
        let family = self.page.families.get(id as usize)?;
        let suffix = name.strip_prefix(family.name.as_ref())?;
        let role = family.kind.role(suffix, self.page.format)?;
        Some((id, role))
    }

    /// Notes that samples of a family follow.
    fn enter(&mut self, family: u32) -> Result<(), Reason> {
        let before = self.page.samples.last().map(|sample| sample.family);
        if let Some(before) = before
            && before != family
            && let Some(state) = self.states.get_mut(before as usize)
        {
            state.left = true;
        }
        self.out_of_order |= before.is_some_and(|before| before > family);
        match self.states.get_mut(family as usize) {
            Some(state) if state.left && before != Some(family) && self.options.strict => {
                Err(Reason::Interleaved)
            }
            Some(state) => {
                state.sampled = true;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Adds a sample whose labels stand at the end of the arena, from `first_label` on.
    pub(crate) fn sample(
        &mut self,
        raw: RawSample<'a>,
        first_label: usize,
        place: Place,
    ) -> Result<(), Reason> {
        if raw.name.len() > self.options.limits.name_bytes {
            return Err(Reason::NameTooLong);
        }
        let exemplar_labels = raw
            .exemplar
            .as_ref()
            .map_or(self.page.labels.len(), |e| e.first_label);
        let found = self.spot(&raw.name)?;
        let role = found.map_or(Role::Value, |(_, role)| role);
        let time_unix_nano = self.time(raw.timestamp)?;
        let last = self.page.labels.get(exemplar_labels.wrapping_sub(1));
        let is_last = role
            .key()
            .is_some_and(|key| last.is_some_and(|last| last.name == key));
        let shared = raw.before_last.filter(|_| is_last);
        let (end_label, bound) = self.own_labels(first_label, exemplar_labels, role)?;
        let exemplar = match &raw.exemplar {
            Some(raw) => {
                let time = raw.timestamp.map(|text| self.any_time(text)).transpose()?;
                Some(Exemplar {
                    value: raw.value,
                    time_unix_nano: time.and_then(|time| u64::try_from(time).ok()),
                    first_label: end_label as u32,
                    end_label: self.page.labels.len() as u32,
                })
            }
            None => None,
        };
        let family = self.place(raw.name, found)?;
        if let Some(text) = shared {
            self.shared = Some(again::Shared {
                text,
                family,
                first_label: first_label as u32,
                end_label: end_label as u32,
            });
        }
        let exemplar = exemplar.map(|exemplar| {
            self.page.exemplars.push(exemplar);
            (self.page.exemplars.len() - 1) as u32
        });
        let sample = Sample {
            family,
            role,
            bound,
            value: raw.value,
            time_unix_nano,
            line: place.line,
            line_at: place.at,
            value_at: place.value_at(raw.value_bytes),
            first_label: first_label as u32,
            end_label: end_label as u32,
            exemplar,
        };
        self.push(sample);
        Ok(())
    }

    /// Adds a sample, and notes whether it stands behind the one before it.
    fn push(&mut self, sample: Sample) {
        let page = &self.page;
        let last = page.samples.last();
        let follows = last.is_none_or(|last| order::compare(page, last, &sample).is_lt());
        self.in_order &= follows;
        self.page.samples.push(sample);
    }

    /// Sorts a sample's labels, drops empty ones and takes the bound out of them.
    fn own_labels(&mut self, from: usize, to: usize, role: Role) -> Result<(usize, f64), Reason> {
        let labels = self.page.labels.get_mut(from..to).unwrap_or_default();
        if !labels.is_sorted_by(|a, b| a.name < b.name) {
            labels.sort();
            if labels
                .windows(2)
                .any(|pair| matches!(pair, [a, b] if a.name == b.name))
            {
                return Err(Reason::DuplicateLabel);
            }
        }
        let mut end = to;
        let mut bound = 0.0;
        if let Some(key) = role.key() {
            let at = labels.iter().rposition(|label| label.name == key);
            let at = from + at.ok_or(Reason::BoundMissing)?;
            let removed = self.page.labels.remove(at);
            let spelling = number::Spelling::Go;
            bound = number::float(&removed.value, spelling).ok_or(Reason::BoundMissing)?;
            end -= 1;
        }
        let mut at = from;
        while at < end {
            match self.page.labels.get(at) {
                Some(label) if label.value.is_empty() => {
                    self.page.labels.remove(at);
                    end -= 1;
                }
                _ => at += 1,
            }
        }
        Ok((end, bound))
    }

    fn any_time(&self, text: &str) -> Result<i128, Reason> {
        match self.page.format {
            Format::OpenMetrics => number::seconds(text),
            Format::Protobuf | Format::Text => number::milliseconds(text),
        }
        .ok_or(Reason::BadTimestamp)
    }

    fn time(&self, text: Option<&str>) -> Result<Option<u64>, Reason> {
        let Some(text) = text else {
            return Ok(None);
        };
        let time = self.any_time(text)?;
        if !self.options.honor_timestamps {
            return Ok(None);
        }
        u64::try_from(time)
            .map(Some)
            .map_err(|_| Reason::TimestampUnholdable)
    }

    /// Removes duplicates and groups the samples by family.
    pub(crate) fn finish(&mut self) -> Result<(), LineError> {
        if !self.in_order {
            self.drop_duplicates()?;
        }
        if self.out_of_order {
            self.page.samples.sort_by_key(|sample| sample.family);
            self.page.natives.sort_by_key(|native| native.family);
        }
        limits::check(&self.page, &self.options.limits.series)
    }
}
