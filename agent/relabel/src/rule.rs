//! One rule: what it may consist of, and what it does to a series.

use std::borrow::Cow;
use std::fmt;

use thiserror::Error;

use super::labels::{Labels, Pair};
use super::pattern::{Pattern, PatternError};
use super::{digest, expand, letters};

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Drops a series whose source is the target label's value.
    DropEqual,
    /// Drops a series whose source matches.
    Drop,
    /// Sets the target label to the source's hash, modulo the modulus.
    HashMod,
    /// Drops a series whose source is not the target label's value.
    KeepEqual,
    /// Drops a series whose source does not match.
    Keep,
    /// Deletes the labels whose names match.
    LabelDrop,
    /// Deletes the labels whose names do not match.
    LabelKeep,
    /// Copies the labels whose names match to what the replacement makes of the name.
    LabelMap,
    /// Sets the target label to the source in lower case.
    Lowercase,
    /// Sets the target label to the replacement, where the source matches.
    Replace,
    /// Sets the target label to the source in upper case.
    Uppercase,
}

impl Action {
    /// All actions by their words.
    pub const ALL: [(&'static str, Self); 11] = [
        ("replace", Self::Replace),
        ("keep", Self::Keep),
        ("drop", Self::Drop),
        ("keepequal", Self::KeepEqual),
        ("dropequal", Self::DropEqual),
        ("hashmod", Self::HashMod),
        ("labelmap", Self::LabelMap),
        ("labeldrop", Self::LabelDrop),
        ("labelkeep", Self::LabelKeep),
        ("lowercase", Self::Lowercase),
        ("uppercase", Self::Uppercase),
    ];

    /// Returns the action that a word names, in any case.
    pub fn of_word(word: &str) -> Option<Self> {
        let word = letters::lower(word);
        let found = Self::ALL.iter().find(|(name, _)| *name == word);
        found.map(|(_, action)| *action)
    }

    /// Returns its word.
    pub fn word(self) -> &'static str {
        let found = Self::ALL.iter().find(|(_, action)| *action == self);
        found.map_or("", |(word, _)| word)
    }

    fn sets_target(self) -> bool {
        let sets = [
            Self::HashMod,
            Self::Lowercase,
            Self::Replace,
            Self::Uppercase,
        ];
        sets.contains(&self) || self.is_comparison()
    }

    fn is_comparison(self) -> bool {
        matches!(self, Self::DropEqual | Self::KeepEqual)
    }
}

/// A rule as it is written: what is none was not written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleText {
    /// Labels whose values, joined, are the source.
    pub source_labels: Option<Vec<String>>,
    /// What stands between them; `;` by default.
    pub separator: Option<String>,
    /// What the whole source, or name of a label, must match; anything by default.
    pub regex: Option<String>,
    /// Of `hashmod`.
    pub modulus: u64,
    /// The label that is set or compared with.
    pub target_label: String,
    /// `$1` by default.
    pub replacement: Option<String>,
    /// `replace` by default.
    pub action: Option<Action>,
}

/// Why a rule is refused: at which key, and what is wrong there.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{key} {problem}")]
pub struct RuleError {
    /// The key, as Prometheus names it.
    pub key: &'static str,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a key of a rule.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// A label without a name.
    #[error("has a label without a name")]
    Nameless,
    /// The action has no use for the key.
    #[error("has no meaning for the action {0}")]
    NotOf(Action),
    /// The expression can't be used.
    #[error("{0}")]
    Pattern(PatternError),
    /// The action needs the key.
    #[error("is required by the action {0}")]
    Required(Action),
    /// A reference whose name goes on in letters beyond ASCII.
    #[error("has a `$` with letters behind it that no group is named by; write `${{1}}`")]
    RunsOn,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

const DEFAULT_SEPARATOR: &str = ";";
const DEFAULT_REGEX: &str = "(.*)";
const DEFAULT_REPLACEMENT: &str = "$1";

/// A rule that can be applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    source: Vec<String>,
    separator: String,
    pattern: Pattern,
    modulus: u64,
    target: String,
    replacement: String,
    action: Action,
}

impl Rule {
    /// Checks a rule as Prometheus checks it.
    ///
    /// # Errors
    ///
    /// [`RuleError`]: the first key that is wrong.
    pub fn new(text: RuleText) -> Result<Self, RuleError> {
        let error = |key, problem| Err(RuleError { key, problem });
        let action = text.action.unwrap_or(Action::Replace);
        let sources = text.source_labels.iter().flatten();
        if sources.clone().any(String::is_empty) {
            return error("source_labels", Problem::Nameless);
        }
        if action == Action::HashMod && text.modulus == 0 {
            return error("modulus", Problem::Required(action));
        }
        if action.sets_target() && text.target_label.is_empty() {
            return error("target_label", Problem::Required(action));
        }
        let others = |of: &[(&'static str, bool)]| {
            let other = of.iter().find(|(_, is_other)| *is_other);
            other.map(|(key, _)| *key)
        };
        let differs = |text: &Option<String>, default: &str| {
            text.as_deref().is_some_and(|text| text != default)
        };
        let replacement = (
            "replacement",
            differs(&text.replacement, DEFAULT_REPLACEMENT),
        );
        let separator = ("separator", differs(&text.separator, DEFAULT_SEPARATOR));
        let modulus = ("modulus", text.modulus != 0);
        let without = match action {
            Action::DropEqual | Action::KeepEqual => {
                let regex = ("regex", text.regex.is_some());
                others(&[replacement, regex, modulus, separator])
            }
            Action::LabelDrop | Action::LabelKeep => others(&[
                ("source_labels", text.source_labels.is_some()),
                ("target_label", !text.target_label.is_empty()),
                modulus,
                separator,
                replacement,
            ]),
            Action::Lowercase | Action::Uppercase => others(&[replacement]),
            _ => None,
        };
        if let Some(key) = without {
            return error(key, Problem::NotOf(action));
        }
        let replacement = text.replacement.unwrap_or(DEFAULT_REPLACEMENT.to_owned());
        if action == Action::LabelMap && replacement.is_empty() {
            return error("replacement", Problem::Nameless);
        }
        for (key, template) in [
            ("replacement", &replacement),
            ("target_label", &text.target_label),
        ] {
            if expand::runs_on(template) {
                return error(key, Problem::RunsOn);
            }
        }
        let regex = text.regex.as_deref().unwrap_or(DEFAULT_REGEX);
        let pattern = Pattern::new(regex).map_err(|problem| RuleError {
            key: "regex",
            problem: Problem::Pattern(problem),
        })?;
        Ok(Self {
            source: text.source_labels.unwrap_or_default(),
            separator: text.separator.unwrap_or(DEFAULT_SEPARATOR.to_owned()),
            pattern,
            modulus: text.modulus,
            target: text.target_label,
            replacement,
            action,
        })
    }

    /// Returns whether a label is among the rule's sources.
    pub(super) fn reads(&self, label: &str) -> bool {
        self.source.iter().any(|source| source == label)
    }

    /// Applies the rule; false when the series is dropped.
    pub(super) fn apply<'r>(&'r self, labels: &mut Labels<'r>) -> bool {
        match self.action {
            Action::Drop => return !self.pattern.is_match(&self.source(labels)),
            Action::Keep => return self.pattern.is_match(&self.source(labels)),
            Action::DropEqual => return labels.value(&self.target) != self.source(labels),
            Action::KeepEqual => return labels.value(&self.target) == self.source(labels),
            Action::Replace => self.replace(labels),
            Action::Lowercase => self.set(labels, letters::lower(&self.source(labels))),
            Action::Uppercase => self.set(labels, letters::upper(&self.source(labels))),
            Action::HashMod => {
                let hash = digest::last_half(&self.source(labels));
                // The modulus was checked; without one there is no remainder.
                let remainder = hash.checked_rem(self.modulus).unwrap_or(0);
                self.set(labels, remainder.to_string());
            }
            Action::LabelMap => self.map(labels),
            Action::LabelDrop => self.delete(labels, true),
            Action::LabelKeep => self.delete(labels, false),
        }
        true
    }

    fn source<'l>(&self, labels: &'l Labels<'_>) -> Cow<'l, str> {
        match self.source.as_slice() {
            [only] => Cow::Borrowed(labels.value(only)),
            all => {
                let values: Vec<&str> = all.iter().map(|name| labels.value(name)).collect();
                Cow::Owned(values.join(&self.separator))
            }
        }
    }

    fn set<'r>(&'r self, labels: &mut Labels<'r>, value: String) {
        labels.set(Cow::Borrowed(&self.target), Cow::Owned(value));
    }

    fn replace<'r>(&'r self, labels: &mut Labels<'r>) {
        let source = self.source(labels);
        let Some(groups) = self.pattern.groups(&source) else {
            return;
        };
        let expand = |template: &'r str| match template.contains('$') {
            true => {
                let named = |name: &str| self.pattern.named(&groups, &source, name);
                let group = |group| groups.text(&source, group);
                Cow::Owned(expand::expand(template, group, named))
            }
            false => Cow::Borrowed(template),
        };
        let (target, value) = (expand(&self.target), expand(&self.replacement));
        if !target.is_empty() {
            labels.set(target, value);
        }
    }

    fn map(&self, labels: &mut Labels<'_>) {
        let mut mapped: Vec<Pair<'_>> = Vec::new();
        for (name, value) in labels.pairs() {
            let Some(groups) = self.pattern.groups(name) else {
                continue;
            };
            let named = |group: &str| self.pattern.named(&groups, name, group);
            let new = |group| groups.text(name, group);
            let new = expand::expand(&self.replacement, new, named);
            mapped.push((Cow::Owned(new), value.clone()));
        }
        for (name, value) in mapped {
            labels.set(name, value);
        }
    }

    /// Deletes the labels of which it is `matching` that they match.
    fn delete(&self, labels: &mut Labels<'_>, matching: bool) {
        labels.retain(|name| self.pattern.is_match(name) != matching);
    }
}
