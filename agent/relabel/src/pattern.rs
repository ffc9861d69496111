//! Regular expressions of Go, matched against a whole text.
//!
//! Prometheus compiles `^(?s:` + text + `)$`: a dot matches line feeds too. The text is read by
//! Go's own grammar ([`syntax`]), with every class spelt out as the characters it is in Go (`\w`,
//! `\s` and `\b` are ASCII), and written anew for `regex-lite`, which like Go's engine prefers the
//! leftmost alternative and takes time linear in the text. Refused are Unicode classes (`\pL`),
//! letters beyond ASCII under `(?i)`, and parentheses that close what they have not opened: those
//! that Go takes and this does not, each with a message.
//!
//! Most expressions of rules are names with `|` between them, whole or up to a `.*`: these are
//! looked up without the engine ([`Shortcut`]). What the engine says is kept ([`Memo`]).

use std::sync::Arc;

use regex_lite::{CaptureLocations, Regex, RegexBuilder};
use syntax::{Node, Parsed};

pub use error::PatternError;

mod class;
mod error;
mod memo;
mod print;
mod shortcut;
mod syntax;

use memo::Memo;
use shortcut::Shortcut;

/// Bytes that a compiled expression may take.
const COMPILED_BYTES_MAX: usize = 4 << 20;

/// An expression that matches whole texts.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    regex: Regex,
    /// The names of groups, by number; empty for those without.
    names: Vec<String>,
    shortcut: Shortcut,
    /// What the engine said of texts: whether they match, and what takes part.
    matches: Memo<bool>,
    captures: Memo<Option<Groups>>,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// What took part in a match.
#[derive(Clone, Debug)]
pub(super) enum Groups {
    /// The only group is the whole text.
    Whole,
    /// Places of groups.
    At(Arc<CaptureLocations>),
}

impl Groups {
    /// Returns a group's text; none when it took no part.
    pub(super) fn text<'v>(&self, value: &'v str, group: usize) -> Option<&'v str> {
        match self {
            Self::Whole => (group <= 1).then_some(value),
            Self::At(places) => {
                let (from, to) = places.get(group)?;
                value.get(from..to)
            }
        }
    }
}

impl Pattern {
    /// Reads an expression.
    ///
    /// # Errors
    ///
    /// [`PatternError`]: it is no expression of Go, or has what can't be matched here.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let Parsed { node, names } = syntax::parse(text)?;
        let shortcut = Shortcut::of(&node);
        let whole = print::print(&Node::Concat(vec![Node::Start, node, Node::End]));
        let mut builder = RegexBuilder::new(&whole);
        builder.size_limit(COMPILED_BYTES_MAX);
        builder.nest_limit(u32::MAX);
        let regex = builder.build().map_err(|_| PatternError::TooLarge)?;
        Ok(Self {
            text: text.to_owned(),
            regex,
            names,
            shortcut,
            matches: Memo::default(),
            captures: Memo::default(),
        })
    }

    /// Returns whether the whole text matches.
    pub fn is_match(&self, value: &str) -> bool {
        let told = self.shortcut.tells(value);
        told.unwrap_or_else(|| self.matches.of(value, || self.regex.is_match(value)))
    }

    /// Returns the groups of a match.
    pub(super) fn groups(&self, value: &str) -> Option<Groups> {
        match self.shortcut {
            Shortcut::AnyGroup => return Some(Groups::Whole),
            _ if self.shortcut.tells(value) == Some(false) => return None,
            _ => {}
        }
        self.captures.of(value, || {
            let mut places = self.regex.capture_locations();
            self.regex.captures_read(&mut places, value)?;
            Some(Groups::At(Arc::new(places)))
        })
    }

    /// Returns the text of the first group of a name that took part: several may have one name.
    pub(super) fn named<'v>(&self, groups: &Groups, value: &'v str, name: &str) -> Option<&'v str> {
        let all = self.names.iter().enumerate();
        let mut named = all.filter(|(_, known)| !known.is_empty() && *known == name);
        named.find_map(|(group, _)| groups.text(value, group))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, matching: &[&str], others: &[&str]) {
        let compiled = Pattern::new(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        for text in matching {
            assert!(compiled.is_match(text), "{pattern} {text:?}");
        }
        for text in others {
            assert!(!compiled.is_match(text), "{pattern} {text:?}");
        }
    }

    #[test]
    fn whole_texts_match() {
        check(
            "go_.*",
            &["go_", "go_goroutines", "go_a\nb"],
            &["go", "xgo_a"],
        );
        check("a|b|cd", &["a", "b", "cd"], &["", "c", "ab"]);
        check(
            "go_.*|process_(cpu|open)_.*|up",
            &["go_", "go_gc", "process_open_", "process_cpu_x\n", "up"],
            &["go", "process_", "process_max_x", "ups", ""],
        );
        check("(?:.*)|a", &["", "a", "b"], &[]);
        check("go_.+", &["go_x"], &["go_"]);
        check("", &[""], &["a"]);
        check("[a-]+", &["a-", "-"], &["b"]);
        check(r"\d\w\s", &["1a ", "1_\t"], &["1é ", "1a\u{b}", "१a "]);
        check(r"\Qa.b\E+", &["a.bb"], &["axb"]);
        check("(?i)Key|kilo", &["KEY", "\u{212a}ey", "KILO"], &["kex"]);
        check("a.c", &["abc", "a\nc", "aéc"], &["ac"]);
        check("(?m)^a$(?:.^b$)?", &["a\nb", "a"], &["a b"]);
        check("(?-s)a.c", &["abc"], &["a\nc"]);
        check(r"[^\x00-\x{10FFFF}]|x", &["x"], &["y"]);
        check("[[:word:]]+", &["a_1"], &["-"]);
        check("x{2,3}", &["xx", "xxx"], &["x", "xxxx"]);
        check("x{,2}", &["x{,2}"], &["x"]);
        check(r"\101\x42\x{43}", &["ABC"], &["abc"]);
    }

    #[test]
    fn what_go_refuses_and_what_only_go_can() {
        for (pattern, expected) in [
            ("a)", "closes a parenthesis that it has not opened"),
            ("(a", "has a parenthesis that is not closed"),
            ("[a", "has a bracket that is not closed"),
            ("*a", "repeats nothing: `*`"),
            ("a**", "repeats a repetition: `**`"),
            ("a{1001}", "repeats more than 1000 times: `{1001}`"),
            ("(?:a{40}){40}", "repeats more than 1000 times: `{40}`"),
            ("[b-a]", "has a range that ends before it begins: `b-a`"),
            ("[[:foo:]]", "has no such class: `[:foo:]`"),
            (r"\8", r"has no such escape: `\8`"),
            (r"\Z", r"has no such escape: `\Z`"),
            ("a\\", r"has no such escape: `\`"),
            (r"\Qa", r"has `\Q` without `\E`"),
            ("(?=a)", "has no such group: `(?=`"),
            ("(?P<é>a)", "has a group of no such name: `(?P<é>`"),
            (
                r"\pL+",
                r"has a Unicode class, which is not known here; list the ranges: `\pL`",
            ),
            (
                "(?i)é",
                "has a letter beyond ASCII under `(?i)`, which is not known here; list both: `é`",
            ),
        ] {
            let refused = Pattern::new(pattern).expect_err(pattern);
            assert_eq!(refused.to_string(), expected, "{pattern}");
        }
    }
}
