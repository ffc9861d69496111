//! Go's grammar of regular expressions (package `regexp/syntax`, flags `Perl`) into a tree.

use super::class::{Ranges, Set, Unfoldable};
use super::error::PatternError;

mod characters;

/// Most times a thing may be repeated, repetitions within repetitions multiplied, as in Go.
const REPEAT_MAX: u32 = 1000;
/// Most groups within each other.
const DEPTH_MAX: usize = 100;

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Alternate(Vec<Node>),
    Boundary,
    Concat(Vec<Node>),
    End,
    Group(Box<Node>),
    LineEnd,
    LineStart,
    NoBoundary,
    Repeat(Box<Repeat>),
    /// One of these characters; none of no ranges.
    Set(Ranges),
    Start,
}

/// A repetition.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Repeat {
    pub(super) node: Node,
    pub(super) min: u32,
    pub(super) max: Option<u32>,
    pub(super) greedy: bool,
    /// Written with numbers: these multiply.
    counted: bool,
}

/// An expression, and the names of its groups by number (empty without one).
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) node: Node,
    pub(super) names: Vec<String>,
}

/// What `(?ims-U)` switches.
#[derive(Clone, Copy, Debug, Default)]
struct Flags {
    fold: bool,
    multiline: bool,
    dot_all: bool,
    swap_greed: bool,
}

struct Parser<'p> {
    rest: &'p str,
    flags: Flags,
    names: Vec<String>,
    depth: usize,
}

/// Reads an expression in which a dot matches every character.
pub(super) fn parse(text: &str) -> Result<Parsed, PatternError> {
    let flags = Flags {
        dot_all: true,
        ..Flags::default()
    };
    let mut parser = Parser {
        rest: text,
        flags,
        names: vec![String::new()],
        depth: 0,
    };
    let node = parser.alternatives()?;
    match parser.rest.is_empty() {
        true => Ok(Parsed {
            node,
            names: parser.names,
        }),
        false => Err(PatternError::Unopened),
    }
}

impl<'p> Parser<'p> {
    fn eat(&mut self, text: &str) -> bool {
        let after = self.rest.strip_prefix(text);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next()?;
        self.rest = chars.as_str();
        Some(next)
    }

    /// Returns what was read since `from` was the rest.
    fn since(&self, from: &'p str) -> String {
        let length = from.len() - self.rest.len();
        from.get(..length).unwrap_or(from).to_owned()
    }

    /// Reads up to the end, or to a parenthesis that closes.
    fn alternatives(&mut self) -> Result<Node, PatternError> {
        let mut branches = Vec::new();
        let mut nodes: Vec<Node> = Vec::new();
        let mut last_repeat: Option<&'p str> = None;
        while !self.rest.is_empty() && !self.rest.starts_with(')') {
            let from = self.rest;
            if self.eat("|") {
                branches.push(Node::Concat(std::mem::take(&mut nodes)));
            } else if let Some((min, max, counted)) = self.quantifier()? {
                let before = last_repeat.unwrap_or(from);
                self.repeat(&mut nodes, (min, max, counted), from, before)?;
                last_repeat = Some(from);
                continue;
            } else {
                self.atom(&mut nodes)?;
            }
            last_repeat = None;
        }
        let last = Node::Concat(nodes);
        Ok(match branches.is_empty() {
            true => last,
            false => {
                branches.push(last);
                Node::Alternate(branches)
            }
        })
    }

    /// Reads `*`, `+`, `?` or `{2,3}`.
    fn quantifier(&mut self) -> Result<Option<(u32, Option<u32>, bool)>, PatternError> {
        for (text, min, max) in [("*", 0, None), ("+", 1, None), ("?", 0, Some(1))] {
            if self.eat(text) {
                return Ok(Some((min, max, false)));
            }
        }
        let from = self.rest;
        let Some((min, max, rest)) = bounds(from) else {
            return Ok(None);
        };
        self.rest = rest;
        let is_fit = min <= REPEAT_MAX && max.is_none_or(|max| min <= max && max <= REPEAT_MAX);
        match is_fit {
            true => Ok(Some((min, max, true))),
            false => Err(PatternError::Repeated(self.since(from))),
        }
    }

    fn repeat(
        &mut self,
        nodes: &mut Vec<Node>,
        (min, max, counted): (u32, Option<u32>, bool),
        from: &'p str,
        before: &'p str,
    ) -> Result<(), PatternError> {
        let written = self.since(from);
        let greedy = self.eat("?") == self.flags.swap_greed;
        if before.len() > from.len() {
            return Err(PatternError::Repetition(self.since(before)));
        }
        let node = nodes
            .pop()
            .ok_or_else(|| PatternError::Nothing(written.clone()))?;
        let repeat = Node::Repeat(Box::new(Repeat {
            node,
            min,
            max,
            greedy,
            counted,
        }));
        if !fits(&repeat, REPEAT_MAX) {
            return Err(PatternError::Repeated(written));
        }
        nodes.push(repeat);
        Ok(())
    }

    fn atom(&mut self, nodes: &mut Vec<Node>) -> Result<(), PatternError> {
        let from = self.rest;
        match self.next() {
            Some('(') => nodes.extend(self.group(from)?),
            Some('[') => nodes.push(self.class()?),
            Some('.') => {
                let mut line_feed = Set::default();
                line_feed.add(0x0a, 0x0a);
                let set = match self.flags.dot_all {
                    true => Set::any(),
                    false => line_feed.negate(),
                };
                nodes.push(Node::Set(set.finish()));
            }
            Some('^') => nodes.push(match self.flags.multiline {
                true => Node::LineStart,
                false => Node::Start,
            }),
            Some('$') => nodes.push(match self.flags.multiline {
                true => Node::LineEnd,
                false => Node::End,
            }),
            Some('\\') => self.escape(nodes, from)?,
            Some(c) => nodes.push(self.literal(c)?),
            None => {}
        }
        Ok(())
    }

    fn literal(&self, c: char) -> Result<Node, PatternError> {
        let mut set = Set::default();
        set.add(u32::from(c), u32::from(c));
        self.set(set)
    }

    fn set(&self, mut set: Set) -> Result<Node, PatternError> {
        self.fold(&mut set)?;
        Ok(Node::Set(set.finish()))
    }

    fn fold(&self, set: &mut Set) -> Result<(), PatternError> {
        match self.flags.fold {
            true => set.fold().map_err(|Unfoldable(c)| PatternError::Letter(c)),
            false => Ok(()),
        }
    }

    /// Reads a group, or flags for the rest of this one; the parenthesis is read.
    fn group(&mut self, from: &'p str) -> Result<Option<Node>, PatternError> {
        let outer = self.flags;
        let mut captures = true;
        if self.rest.starts_with("?P<") || self.rest.starts_with("?<") {
            let (head, rest) = match self.rest.split_once('>') {
                Some(split) => split,
                None => return Err(PatternError::Name(from.to_owned())),
            };
            self.rest = rest;
            let name = head.trim_start_matches("?P<").trim_start_matches("?<");
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.is_empty() || !name.chars().all(is_word) {
                return Err(PatternError::Name(self.since(from)));
            }
            self.names.push(name.to_owned());
        } else if self.eat("?") {
            if self.switches(from)? {
                return Ok(None);
            }
            captures = false;
        } else {
            self.names.push(String::new());
        }
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(PatternError::Nested);
        }
        let inner = self.alternatives()?;
        if !self.eat(")") {
            return Err(PatternError::UnclosedGroup);
        }
        self.depth -= 1;
        self.flags = outer;
        Ok(Some(match captures {
            true => Node::Group(Box::new(inner)),
            false => Node::Concat(vec![inner]),
        }))
    }

    /// Reads flags behind `(?`; returns whether they end the group.
    fn switches(&mut self, from: &'p str) -> Result<bool, PatternError> {
        let (mut flags, mut on, mut any) = (self.flags, true, false);
        loop {
            match self.next() {
                Some('i') => flags.fold = on,
                Some('m') => flags.multiline = on,
                Some('s') => flags.dot_all = on,
                Some('U') => flags.swap_greed = on,
                Some('-') if on => {
                    (on, any) = (false, false);
                    continue;
                }
                Some(end @ (':' | ')')) if on || any => {
                    self.flags = flags;
                    return Ok(end == ')');
                }
                _ => return Err(PatternError::Group(self.since(from))),
            }
            any = true;
        }
    }
}

/// Reads `{2}`, `{2,}` or `{2,3}`; anything else is text.
fn bounds(text: &str) -> Option<(u32, Option<u32>, &str)> {
    let inner = text.strip_prefix('{')?;
    let (min, rest) = number(inner)?;
    if let Some(rest) = rest.strip_prefix('}') {
        return Some((min, Some(min), rest));
    }
    let rest = rest.strip_prefix(',')?;
    if let Some(rest) = rest.strip_prefix('}') {
        return Some((min, None, rest));
    }
    let (max, rest) = number(rest)?;
    Some((min, Some(max), rest.strip_prefix('}')?))
}

/// Reads a number without a zero before it; a large one is as good as the largest.
fn number(text: &str) -> Option<(u32, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    let is_plain = digits == "0" || !digits.starts_with('0');
    (!digits.is_empty() && is_plain).then(|| (digits.parse().unwrap_or(u32::MAX), rest))
}

/// Returns whether what is repeated within repetitions is not repeated too often.
fn fits(node: &Node, left: u32) -> bool {
    match node {
        Node::Repeat(repeat) => {
            let times = match (repeat.counted, repeat.max) {
                (true, Some(0)) => return true,
                (true, Some(max)) => max,
                (true, None) => repeat.min,
                (false, _) => 1,
            };
            times <= left && fits(&repeat.node, left / times.max(1))
        }
        Node::Group(inner) => fits(inner, left),
        Node::Alternate(nodes) | Node::Concat(nodes) => nodes.iter().all(|node| fits(node, left)),
        _ => true,
    }
}
