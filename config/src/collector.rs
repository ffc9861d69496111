//! Where readers leave the mistakes they find and the settings they took.

use std::cell::RefCell;

use crate::{Mistake, Mistakes, Node, Origin, Reader};

/// Most mistakes that are kept: a person mends a few at a time.
const MISTAKES_MAX: usize = 1000;

/// A value as it holds, and where it comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Setting {
    /// Path of the key from the top, `export[0].protocol`.
    pub path: String,
    /// The value as text; `****` for a secret.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// Collects what the readers of one configuration find.
#[derive(Debug, Default)]
pub struct Collector {
    mistakes: RefCell<Vec<Mistake>>,
    settings: RefCell<Vec<Setting>>,
}

impl Collector {
    /// A reader over the top of a tree.
    pub fn reader<'a>(&'a self, root: &'a Node) -> Reader<'a> {
        Reader::new(self, Some(root), String::new())
    }

    /// The value, when no reader found a mistake.
    ///
    /// # Errors
    ///
    /// All [`Mistakes`], by line.
    pub fn finish<T>(self, value: T) -> Result<(T, Vec<Setting>), Mistakes> {
        match Mistakes::of(self.mistakes.into_inner()) {
            Some(mistakes) => Err(mistakes),
            None => Ok((value, self.settings.into_inner())),
        }
    }

    /// The value as far as it is valid, with its settings and the mistakes, when there are any:
    /// for a program that goes on in spite of them.
    pub fn finish_degraded<T>(self, value: T) -> (T, Vec<Setting>, Option<Mistakes>) {
        (
            value,
            self.settings.into_inner(),
            Mistakes::of(self.mistakes.into_inner()),
        )
    }

    /// Whether a mistake was found at or below that path.
    pub fn is_mistaken(&self, path: &str) -> bool {
        let below = |found: &str| {
            found
                .strip_prefix(path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.mistakes
            .borrow()
            .iter()
            .any(|mistake| below(&mistake.path))
    }

    /// Takes a mistake that no single reader can see.
    pub fn mistake(&self, mistake: Mistake) {
        let mut mistakes = self.mistakes.borrow_mut();
        if mistakes.len() < MISTAKES_MAX {
            mistakes.push(mistake);
        }
    }

    pub(crate) fn setting(&self, path: String, value: String, origin: Origin) {
        self.settings.borrow_mut().push(Setting {
            path,
            value,
            origin,
        });
    }
}
