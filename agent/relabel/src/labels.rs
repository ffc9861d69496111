//! The labels of one series while rules change them.

use std::borrow::Cow;

/// A name and a value.
pub(crate) type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// The labels of one series: those it had, and what was set and deleted since, in the order in
/// which Prometheus's builder goes through them (it decides between labels mapped to one name).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels<'a> {
    base: Vec<Pair<'a>>,
    set: Vec<Pair<'a>>,
    deleted: Vec<Cow<'a, str>>,
}

impl<'a> Labels<'a> {
    /// Returns these labels; of two with one name the first counts, an empty value is none.
    pub fn new(pairs: impl IntoIterator<Item = Pair<'a>>) -> Self {
        let mut base: Vec<Pair<'a>> = pairs
            .into_iter()
            .filter(|pair| !pair.1.is_empty())
            .collect();
        base.sort_by(|a, b| a.0.cmp(&b.0));
        base.dedup_by(|b, a| a.0 == b.0);
        Self {
            base,
            ..Self::default()
        }
    }

    /// Returns a label's value; empty when there is none.
    pub fn value(&self, name: &str) -> &str {
        let named = |pairs: &[Pair<'a>]| pairs.iter().position(|pair| pair.0 == name);
        let found = match named(&self.set) {
            Some(at) => self.set.get(at),
            None if self.deleted.iter().any(|deleted| deleted == name) => None,
            None => named(&self.base).and_then(|at| self.base.get(at)),
        };
        found.map_or("", |pair| pair.1.as_ref())
    }

    /// Sets a label; an empty value deletes it.
    pub fn set(&mut self, name: Cow<'a, str>, value: Cow<'a, str>) {
        if value.is_empty() {
            self.delete(name);
            return;
        }
        match self.set.iter_mut().find(|pair| pair.0 == name) {
            Some(pair) => pair.1 = value,
            None => self.set.push((name, value)),
        }
    }

    /// Deletes a label.
    pub fn delete(&mut self, name: Cow<'a, str>) {
        self.set.retain(|pair| pair.0 != name);
        self.deleted.push(name);
    }

    /// Returns the labels as they are: first those that were always there, by name, then those
    /// that were set, in their order.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = &Pair<'a>> {
        let is_there = |pair: &&Pair<'a>| {
            !self.deleted.contains(&pair.0) && !self.set.iter().any(|set| set.0 == pair.0)
        };
        self.base.iter().filter(is_there).chain(&self.set)
    }

    /// Returns the labels by name.
    pub fn finish(self) -> Vec<Pair<'a>> {
        let mut pairs: Vec<Pair<'a>> = self.pairs().cloned().collect();
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        pairs
    }
}
