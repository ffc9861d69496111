//! The labels of one series while rules change them.

use std::borrow::Cow;

/// A name and a value.
pub(crate) type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// The labels of one series: those it had that are as they were, and what was set since, in the
/// order in which Prometheus's builder goes through them (it decides between labels mapped to one
/// name).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels<'a> {
    base: Vec<Pair<'a>>,
    set: Vec<Pair<'a>>,
}

impl<'a> Labels<'a> {
    /// Returns these labels; of two with one name the first counts, an empty value is none.
    pub fn new(pairs: impl IntoIterator<Item = Pair<'a>>) -> Self {
        let mut base: Vec<Pair<'a>> = pairs
            .into_iter()
            .filter(|pair| !pair.1.is_empty())
            .collect();
        if !base.is_sorted_by(|a, b| a.0 < b.0) {
            base.sort_by(|a, b| a.0.cmp(&b.0));
            base.dedup_by(|b, a| a.0 == b.0);
        }
        let set = Vec::new();
        Self { base, set }
    }

    /// Returns a label's value; empty when there is none.
    pub fn value(&self, name: &str) -> &str {
        let found = self.pairs().find(|pair| pair.0 == name);
        found.map_or("", |pair| pair.1.as_ref())
    }

    /// Sets a label; an empty value deletes it.
    pub fn set(&mut self, name: Cow<'a, str>, value: Cow<'a, str>) {
        if value.is_empty() {
            self.delete(&name);
            return;
        }
        self.base.retain(|pair| pair.0 != name);
        match self.set.iter_mut().find(|pair| pair.0 == name) {
            Some(pair) => pair.1 = value,
            None => self.set.push((name, value)),
        }
    }

    /// Deletes a label.
    pub fn delete(&mut self, name: &str) {
        self.retain(|label| label != name);
    }

    /// Deletes the labels whose names are not to be kept.
    pub(crate) fn retain(&mut self, mut is_kept: impl FnMut(&str) -> bool) {
        self.base.retain(|pair| is_kept(&pair.0));
        self.set.retain(|pair| is_kept(&pair.0));
    }

    /// Returns the labels as they are: first those that were always there, by name, then those
    /// that were set, in their order.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = &Pair<'a>> {
        self.base.iter().chain(&self.set)
    }

    /// Returns the labels by name.
    pub fn finish(self) -> Vec<Pair<'a>> {
        let mut pairs = self.base;
        if !self.set.is_empty() {
            pairs.extend(self.set);
            pairs.sort_by(|a, b| a.0.cmp(&b.0));
        }
        pairs
    }
}
