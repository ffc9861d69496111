//! Which families have a name.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::exposition::Family;

/// Families by name. A program writes them in the order of their names, each once: then the
/// page's list of families is the index, and nearly every name is that of its last one, or a new
/// one behind it.
#[derive(Debug, Default)]
pub(super) struct Names<'a> {
    /// So many of the page's first families stand in the order of their names.
    ordered: usize,
    /// Names of the others, and of those that came again with another TYPE.
    others: BTreeMap<Cow<'a, str>, Named>,
}

/// Families of one name: one for each TYPE that it was given.
#[derive(Debug)]
struct Named {
    latest: u32,
    older: Vec<u32>,
}

impl<'a> Names<'a> {
    pub(super) fn clear(&mut self) {
        self.ordered = 0;
        self.others.clear();
    }

    /// Returns the latest family of a name.
    pub(super) fn latest(&self, families: &[Family<'a>], name: &str) -> Option<u32> {
        match self.others.get(name) {
            Some(named) => Some(named.latest),
            None => self.among_ordered(families, name),
        }
    }

    /// Returns the families of a name, the latest first.
    pub(super) fn all(&self, families: &[Family<'a>], name: &str) -> impl Iterator<Item = u32> {
        let named = self.others.get(name);
        let latest = match named {
            Some(named) => Some(named.latest),
            None => self.among_ordered(families, name),
        };
        let older = named.map_or(&[][..], |named| &named.older);
        latest.into_iter().chain(older.iter().copied())
    }

    /// Notes that the next family of the page has this name.
    pub(super) fn add(&mut self, families: &[Family<'a>], name: Cow<'a, str>) {
        let id = families.len() as u32;
        let is_behind = families.last().is_none_or(|last| last.name < name);
        if self.ordered == families.len() && is_behind && self.others.is_empty() {
            self.ordered += 1;
            return;
        }
        let before = self.among_ordered(families, &name);
        match self.others.get_mut(&name) {
            Some(named) => named.older.push(std::mem::replace(&mut named.latest, id)),
            None => {
                let older = before.into_iter().collect();
                let named = Named { latest: id, older };
                self.others.insert(name, named);
            }
        }
    }

    /// Makes one of the older families of a name the latest.
    pub(super) fn take_older(&mut self, name: &str, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let named = self.others.get_mut(name)?;
        let older = named.older.iter_mut().find(|id| is_it(**id))?;
        std::mem::swap(older, &mut named.latest);
        Some(named.latest)
    }

    fn among_ordered(&self, families: &[Family<'a>], name: &str) -> Option<u32> {
        let ordered = families.get(..self.ordered)?;
        let (last, others) = ordered.split_last()?;
        match name.cmp(&last.name) {
            Ordering::Greater => None,
            Ordering::Equal => Some(others.len() as u32),
            Ordering::Less => {
                let found = others.binary_search_by(|family| family.name.as_ref().cmp(name));
                found.ok().map(|index| index as u32)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::exposition::Kind;

    proptest! {
        /// Guarantees: whatever order names come in, each has the families that were added to it,
        /// the one that was added or taken last first.
        #[test]
        fn every_name_has_its_families(added in prop::collection::vec(("[a-d]{1,2}", any::<bool>()), 0..30)) {
            let (mut names, mut families) = (Names::default(), Vec::new());
            let mut model: BTreeMap<String, Vec<u32>> = BTreeMap::new();
            for (name, takes_older) in added {
                let known = model.entry(name.clone()).or_default();
                if takes_older && known.len() > 1 {
                    let oldest = known[1..].iter().copied().min().unwrap();
                    let at = known.iter().position(|id| *id == oldest).unwrap();
                    known.swap(0, at);
                    prop_assert_eq!(names.take_older(&name, |id| id == oldest), Some(oldest));
                } else {
                    let latest = known.first().copied();
                    prop_assert_eq!(names.latest(&families, &name), latest);
                    known.insert(0, families.len() as u32);
                    if let [_, latest, ..] = **known {
                        // Older ones stand in the order in which they stopped being the latest.
                        known.remove(1);
                        known.push(latest);
                    }
                    let name: Cow<'_, str> = Cow::Owned(name);
                    names.add(&families, name.clone());
                    families.push(Family { name, kind: Kind::Gauge, help: "".into(), unit: "" });
                }
            }
            for (name, known) in &model {
                let all: Vec<u32> = names.all(&families, name).collect();
                prop_assert_eq!(&all, known, "{}", name);
            }
            prop_assert_eq!(names.latest(&families, "e"), None);
        }
    }
}
