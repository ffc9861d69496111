//! Building a page from messages: a point at a time, its labels once for all of its samples.

use std::borrow::Cow;

use super::Builder;
use crate::exposition::line::NAME_LABEL;
use crate::exposition::{Exemplar, Kind, Label, Native, Reason, Role, Sample};

/// What the samples of one point have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) family: u32,
    pub(crate) message: u32,
    pub(crate) time_unix_nano: Option<u64>,
    pub(crate) first_label: u32,
    pub(crate) end_label: u32,
}

/// How far a page was, to go back to when a message is refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    labels: usize,
    exemplars: usize,
    natives: usize,
    samples: usize,
}

impl<'a> Builder<'a> {
    /// Begins a family: name and kind, help and unit.
    pub(crate) fn wire_family(
        &mut self,
        name: &'a str,
        kind: Kind,
        help: &'a str,
        unit: &'a str,
    ) -> Result<u32, Reason> {
        let name = Cow::Borrowed(name);
        self.help(name.clone(), Cow::Borrowed(help))?;
        if !unit.is_empty() {
            self.unit(name.clone(), unit)?;
        }
        self.kind(name.clone(), kind)?;
        let family = self.family_named(name);
        self.enter(family)?;
        Ok(family)
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark {
            labels: self.page.labels.len(),
            exemplars: self.page.exemplars.len(),
            natives: self.page.natives.len(),
            samples: self.page.samples.len(),
        }
    }

    pub(crate) fn back_to(&mut self, mark: Mark) {
        self.page.labels.truncate(mark.labels);
        self.page.exemplars.truncate(mark.exemplars);
        self.page.natives.truncate(mark.natives);
        self.page.samples.truncate(mark.samples);
    }

    /// Adds a label to the arena; `first` is where those of the same set begin.
    pub(crate) fn wire_label(&mut self, first: usize, label: Label<'a>) -> Result<(), Reason> {
        let limits = self.options.limits;
        if label.name.is_empty() || label.name == NAME_LABEL {
            return Err(Reason::BadLabelName);
        }
        if label.name.len() > limits.name_bytes {
            return Err(Reason::NameTooLong);
        }
        if label.value.len() > limits.value_bytes {
            return Err(Reason::ValueTooLong);
        }
        if self.page.labels.len() - first >= limits.labels_per_sample {
            return Err(Reason::TooManyLabels);
        }
        self.page.labels.push(label);
        Ok(())
    }

    /// Ends a point's label set: sorts it, and drops empty values.
    pub(crate) fn wire_labels_end(&mut self, first: usize) -> Result<(u32, u32), Reason> {
        let (end, _) = self.own_labels(first, self.page.labels.len(), Role::Value)?;
        Ok((first as u32, end as u32))
    }

    /// Adds a sample of a point.
    pub(crate) fn wire_sample(
        &mut self,
        point: &Point,
        role: Role,
        (bound, value): (f64, f64),
        exemplar: Option<u32>,
    ) -> Result<(), Reason> {
        if !self.has_room() {
            return Err(Reason::TooManySamples);
        }
        self.push(Sample {
            family: point.family,
            role,
            bound,
            value,
            time_unix_nano: point.time_unix_nano,
            line: point.message,
            line_at: 0,
            value_at: None,
            first_label: point.first_label,
            end_label: point.end_label,
            exemplar,
        });
        Ok(())
    }

    /// Adds an exemplar whose labels stand at the end of the arena, from `first_label` on.
    pub(crate) fn wire_exemplar(
        &mut self,
        value: f64,
        time_unix_nano: Option<u64>,
        first_label: usize,
    ) -> Result<u32, Reason> {
        let id = self.page.exemplars.len();
        if id >= self.options.limits.samples {
            return Err(Reason::TooManySamples);
        }
        self.page.exemplars.push(Exemplar {
            value,
            time_unix_nano,
            first_label: first_label as u32,
            end_label: self.page.labels.len() as u32,
        });
        Ok(id as u32)
    }

    /// Adds a native histogram; its classic samples bound how many there can be.
    pub(crate) fn wire_native(&mut self, native: Native<'a>) {
        self.page.natives.push(native);
    }
}
