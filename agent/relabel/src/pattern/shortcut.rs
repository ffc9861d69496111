//! Expressions that need no engine, or seldom.

use super::syntax::{Node, Repeat};

/// Most words that an expression is looked up in, and their bytes.
const WORDS_MAX: usize = 4096;
const WORDS_BYTES_MAX: usize = 256 << 10;

/// Most beginnings that an expression is compared with, one by one.
const STEMS_MAX: usize = 16;

/// How a match is told without the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shortcut {
    /// Everything matches.
    Any,
    /// The same, and is the only group.
    AnyGroup,
    /// It is one of these.
    Texts(Texts),
    /// It begins so, and then the engine tells.
    Prefix(String),
    /// Only the engine tells.
    None,
}

/// All texts that match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Texts {
    /// Whole texts, sorted.
    words: Vec<String>,
    /// What others begin with: behind it is anything.
    stems: Vec<String>,
}

impl Shortcut {
    pub(super) fn of(node: &Node) -> Self {
        match inner(node) {
            Node::Group(group) if is_anything(inner(group)) => return Self::AnyGroup,
            other if is_anything(other) => return Self::Any,
            _ => {}
        }
        if let Some(mut texts) = texts(node) {
            texts.words.sort_unstable();
            texts.words.dedup();
            return Self::Texts(texts);
        }
        match prefix(node) {
            prefix if prefix.is_empty() => Self::None,
            prefix => Self::Prefix(prefix),
        }
    }

    /// Returns whether a text matches, where that is told without the engine.
    pub(super) fn tells(&self, text: &str) -> Option<bool> {
        match self {
            Self::Any | Self::AnyGroup => Some(true),
            Self::Texts(Texts { words, stems }) => {
                let found = words.binary_search_by(|word| word.as_str().cmp(text));
                Some(found.is_ok() || stems.iter().any(|stem| text.starts_with(stem)))
            }
            Self::Prefix(prefix) if !text.starts_with(prefix) => Some(false),
            Self::Prefix(_) | Self::None => None,
        }
    }
}

/// Returns the only node of a sequence.
fn inner(node: &Node) -> &Node {
    match node {
        Node::Concat(nodes) => match nodes.as_slice() {
            [only] => inner(only),
            _ => node,
        },
        _ => node,
    }
}

fn is_anything(node: &Node) -> bool {
    let Node::Repeat(repeat) = node else {
        return false;
    };
    let Repeat { node, min, max, .. } = repeat.as_ref();
    // Every character, surrogates aside.
    let is_any = matches!(node, Node::Set(ranges) if covers_all(ranges));
    is_any && *min == 0 && max.is_none()
}

fn covers_all(ranges: &[(u32, u32)]) -> bool {
    ranges == [(0, 0xd7ff), (0xe000, 0x10_ffff)]
}

/// Returns all texts that match, when they are few or all begin in few ways.
fn texts(node: &Node) -> Option<Texts> {
    let mut all = Texts::default();
    let branches = match inner(node) {
        Node::Alternate(branches) => branches.as_slice(),
        only => std::slice::from_ref(only),
    };
    for branch in branches {
        match branch {
            Node::Concat(nodes) if nodes.last().is_some_and(is_anything) => {
                let (_, stem) = nodes.split_last()?;
                all.stems.extend(words(&Node::Concat(stem.to_vec()))?);
            }
            _ => all.words.extend(words(branch)?),
        }
        if all.words.len() > WORDS_MAX || all.stems.len() > STEMS_MAX {
            return None;
        }
    }
    Some(all)
}

/// Returns all texts that match, when they are few.
fn words(node: &Node) -> Option<Vec<String>> {
    match node {
        Node::Set(ranges) => Some(vec![only(ranges)?.to_string()]),
        Node::Group(inner) => words(inner),
        Node::Concat(nodes) => {
            let mut all = vec![String::new()];
            for node in nodes {
                let next = words(node)?;
                if all.len() * next.len() > WORDS_MAX {
                    return None;
                }
                let joined = |head: &String| {
                    let head = head.clone();
                    next.iter().map(move |tail| [&head, tail.as_str()].concat())
                };
                all = all.iter().flat_map(joined).collect();
                if all.iter().map(String::len).sum::<usize>() > WORDS_BYTES_MAX {
                    return None;
                }
            }
            Some(all)
        }
        Node::Alternate(branches) => {
            let mut all = Vec::new();
            for branch in branches {
                all.extend(words(branch)?);
                if all.len() > WORDS_MAX {
                    return None;
                }
            }
            Some(all)
        }
        _ => None,
    }
}

/// Returns what every match begins with.
fn prefix(node: &Node) -> String {
    let mut out = String::new();
    extend(node, &mut out);
    out
}

/// Appends; returns whether what follows the node may be appended too.
fn extend(node: &Node, out: &mut String) -> bool {
    match node {
        Node::Set(ranges) => match only(ranges) {
            Some(c) => {
                out.push(c);
                true
            }
            None => false,
        },
        Node::Group(inner) => extend(inner, out),
        Node::Concat(nodes) => nodes.iter().all(|node| extend(node, out)),
        _ => false,
    }
}

fn only(ranges: &[(u32, u32)]) -> Option<char> {
    match ranges {
        [(from, to)] if from == to => char::from_u32(*from),
        _ => None,
    }
}
