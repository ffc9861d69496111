//! Tokens of one line: names, label sets, quoted strings, values.
//!
//! Both text formats share them; what differs (blanks, stray backslashes, spelling of numbers) is
//! in [`Rules`]. Everything borrows from the page; only a string with an escape is copied.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use super::family::Format;
use super::number::{self, Spelling};
use super::{Label, Limits, Reason};

/// A byte of a label's name, and one of a metric's, which has the colon too.
const OF_LABEL: u8 = 1;
const OF_METRIC: u8 = 2;
/// Which names have a byte.
const IDENTIFIER: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        let c = byte as u8;
        if c.is_ascii_alphanumeric() || c == b'_' {
            table[byte] = OF_LABEL | OF_METRIC;
        }
        byte += 1;
    }
    table[b':' as usize] = OF_METRIC;
    table
};

/// The label that Prometheus keeps a series' name in: as a label of its own it would take that
/// name's place in a backend.
pub(crate) const NAME_LABEL: &str = "__name__";

/// How strictly a line is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) format: Format,
    pub(crate) strict: bool,
}

impl Rules {
    pub(crate) fn spelling(self) -> Spelling {
        match (self.format, self.strict) {
            (Format::OpenMetrics, true) => Spelling::OpenMetrics,
            _ => Spelling::Go,
        }
    }

    /// OpenMetrics has single spaces and nothing else between tokens.
    fn single_spaces(self) -> bool {
        self.strict && self.format == Format::OpenMetrics
    }
}

/// A sample line in pieces; its labels are in the caller's arena.
#[derive(Debug)]
pub(crate) struct RawSample<'a> {
    pub(crate) name: Cow<'a, str>,
    /// The text of its labels before the last one, when the name stands before the braces.
    pub(crate) before_last: Option<&'a str>,
    pub(crate) value: f64,
    /// Bytes of the value, when it ends the line and another one could stand there.
    pub(crate) value_bytes: Option<usize>,
    pub(crate) timestamp: Option<&'a str>,
    pub(crate) exemplar: Option<RawExemplar<'a>>,
}

/// What stands in braces beside labels.
#[derive(Debug)]
struct Braces<'a> {
    /// The metric's name.
    name: Option<Cow<'a, str>>,
    /// The text before the last label, and its comma.
    before_last: &'a str,
}

/// An exemplar in pieces; its labels follow the sample's in the caller's arena.
#[derive(Debug)]
pub(crate) struct RawExemplar<'a> {
    pub(crate) first_label: usize,
    pub(crate) value: f64,
    pub(crate) timestamp: Option<&'a str>,
}

/// A place in a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    text: &'a str,
    at: usize,
    rules: Rules,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str, rules: Rules) -> Self {
        Self { text, at: 0, rules }
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(crate) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(crate) fn is_done(&self) -> bool {
        self.at >= self.text.len()
    }

    fn slice(&self, from: usize) -> &'a str {
        self.text.get(from..self.at).unwrap_or_default()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Skips blanks and tabs; returns whether there was one.
    pub(crate) fn blanks(&mut self) -> bool {
        let from = self.at;
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
        self.at > from
    }

    /// Skips what separates two tokens.
    pub(crate) fn separator(&mut self) -> Result<(), Reason> {
        let from = self.at;
        if !self.blanks() {
            return Err(Reason::MissingSeparator);
        }
        match self.rules.single_spaces() && self.slice(from) != " " {
            true => Err(Reason::NotOneSpace),
            false => Ok(()),
        }
    }

    /// Skips what separates a text from what is before it: one blank, the others belong to it.
    pub(crate) fn one_blank(&mut self) -> Result<(), Reason> {
        match self.eat(b' ') || (!self.rules.strict && self.eat(b'\t')) {
            true => Ok(()),
            false => Err(Reason::MissingSeparator),
        }
    }

    /// Skips blanks where they may but need not stand.
    fn optional_blanks(&mut self) -> Result<(), Reason> {
        match self.blanks() && self.rules.single_spaces() {
            true => Err(Reason::NotOneSpace),
            false => Ok(()),
        }
    }

    /// Takes everything up to the next blank.
    pub(crate) fn word(&mut self) -> &'a str {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let ends = |byte: &u8| matches!(byte, b' ' | b'\t');
        let from = self.at;
        self.at += rest.iter().position(ends).unwrap_or(rest.len());
        self.slice(from)
    }

    fn identifier(&mut self, of: u8) -> Result<&'a str, Reason> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let allowed = |byte: &u8| IDENTIFIER[usize::from(*byte)] & of != 0;
        let length = rest
            .iter()
            .position(|byte| !allowed(byte))
            .unwrap_or(rest.len());
        let from = self.at;
        self.at += length;
        match rest.first() {
            Some(first) if length > 0 && !first.is_ascii_digit() => Ok(self.slice(from)),
            _ => Err(Reason::BadName),
        }
    }

    /// Takes a metric name of a HELP, TYPE or UNIT line, quoted or not.
    pub(crate) fn metric_name(&mut self) -> Result<Cow<'a, str>, Reason> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            _ => self.identifier(OF_METRIC).map(Cow::Borrowed),
        }
    }

    /// Takes a string in quotes.
    fn quoted(&mut self) -> Result<Cow<'a, str>, Reason> {
        self.at += 1;
        let from = self.at;
        let rest = self.text.as_bytes().get(from..).unwrap_or_default();
        let length = memchr2(b'"', b'\\', rest).ok_or(Reason::UnclosedQuote)?;
        self.at += length;
        if self.peek() == Some(b'\\') {
            return self.quoted_with_escapes(from);
        }
        let text = self.slice(from);
        self.at += 1;
        Ok(Cow::Borrowed(text))
    }

    fn quoted_with_escapes(&mut self, from: usize) -> Result<Cow<'a, str>, Reason> {
        while let Some(byte) = self.peek() {
            match byte {
                b'\\' => self.at += 2,
                b'"' => {
                    let raw = self.slice(from);
                    self.at += 1;
                    return unescape(raw, true, self.rules).map(Cow::Owned);
                }
                _ => self.at += 1,
            }
        }
        Err(Reason::UnclosedQuote)
    }

    /// Takes `{…}`, pushing its labels.
    fn label_set(
        &mut self,
        labels: &mut Vec<Label<'a>>,
        limits: &Limits,
    ) -> Result<Braces<'a>, Reason> {
        self.at += 1;
        let (first, mut name) = (labels.len(), None);
        // Where the label set begins, the last label but one ends, and the last one ends.
        let from = self.at;
        let (mut end_before, mut end) = (from, from);
        // The grammar has the name first; anywhere is as clear, and Prometheus takes it.
        let strict = self.rules.strict;
        let may_be_name = |labels: &Vec<Label<'a>>| labels.len() == first || !strict;
        loop {
            self.optional_blanks()?;
            if self.peek() == Some(b'}') {
                let after_comma = labels.len() > first || name.is_some();
                if after_comma && self.rules.single_spaces() {
                    return Err(Reason::TrailingComma);
                }
                break;
            }
            let quoted = self.peek() == Some(b'"');
            let key = match self.peek() {
                Some(b'"') => self.quoted()?,
                Some(_) => Cow::Borrowed(
                    self.identifier(OF_LABEL)
                        .map_err(|_| Reason::BadLabelName)?,
                ),
                None => return Err(Reason::UnclosedBraces),
            };
            self.optional_blanks()?;
            if self.eat(b'=') {
                self.optional_blanks()?;
                if self.peek() != Some(b'"') {
                    return Err(Reason::UnquotedValue);
                }
                let value = self.quoted()?;
                within(&key, &value, labels.len() - first, limits)?;
                labels.push(Label { name: key, value });
                (end_before, end) = (end, self.at);
            } else if quoted && name.is_none() && !key.is_empty() && may_be_name(labels) {
                name = Some(key);
            } else {
                return Err(Reason::LabelWithoutValue);
            }
            self.optional_blanks()?;
            if !self.eat(b',') {
                break;
            }
        }
        match self.eat(b'}') {
            true => Ok(Braces {
                name,
                before_last: self.text.get(from..end_before).unwrap_or_default(),
            }),
            false if self.is_done() => Err(Reason::UnclosedBraces),
            false => Err(Reason::BadLabelSet),
        }
    }

    fn value(&mut self) -> Result<f64, Reason> {
        number::float(self.word(), self.rules.spelling()).ok_or(Reason::BadValue)
    }

    /// Takes a whole sample line.
    pub(crate) fn sample(
        &mut self,
        labels: &mut Vec<Label<'a>>,
        limits: &Limits,
    ) -> Result<RawSample<'a>, Reason> {
        let mut name = match self.peek() {
            Some(b'{') => None,
            _ => Some(Cow::Borrowed(self.identifier(OF_METRIC)?)),
        };
        let mut before_last = None;
        let blanks = self.blanks();
        if self.peek() == Some(b'{') {
            if blanks && self.rules.single_spaces() {
                return Err(Reason::NotOneSpace);
            }
            let inner = self.label_set(labels, limits)?;
            if name.is_some() && inner.name.is_some() {
                return Err(Reason::TwoNames);
            }
            before_last = name.is_some().then_some(inner.before_last);
            name = name.or(inner.name);
            self.between_labels_and_value()?;
        } else if !blanks && !self.value_stands_apart() {
            return Err(Reason::BadName);
        } else if self.rules.single_spaces() {
            self.at -= 1;
            let before = self.text.as_bytes().get(self.at.wrapping_sub(1));
            if matches!(before, Some(b' ' | b'\t')) || !self.eat(b' ') {
                return Err(Reason::NotOneSpace);
            }
        }
        let name = name.ok_or(Reason::MissingName)?;
        let from = self.at;
        let value = self.value()?;
        // Where the value stands apart by its sign alone, another one would be of the name.
        let before = self.text.as_bytes().get(from.wrapping_sub(1));
        let is_last = self.is_done() && matches!(before, Some(b' ' | b'\t' | b'}'));
        let value_bytes = is_last.then_some(self.at - from);
        let (timestamp, exemplar) = self.tail(labels, limits)?;
        Ok(RawSample {
            name,
            before_last,
            value,
            value_bytes,
            timestamp,
            exemplar,
        })
    }

    /// In the text format tokens "must be separated by at least one [blank] if they would otherwise
    /// merge with the previous token": a sign or a point does not merge with a name.
    fn value_stands_apart(&self) -> bool {
        let is_apart = matches!(self.peek(), Some(b'+' | b'-' | b'.'));
        is_apart && !self.rules.single_spaces()
    }

    /// The text format lets a value follow its `}` at once: they don't merge.
    fn between_labels_and_value(&mut self) -> Result<(), Reason> {
        match self.rules.single_spaces() {
            true => self.separator(),
            false => {
                self.blanks();
                Ok(())
            }
        }
    }

    fn tail(
        &mut self,
        labels: &mut Vec<Label<'a>>,
        limits: &Limits,
    ) -> Result<(Option<&'a str>, Option<RawExemplar<'a>>), Reason> {
        let timestamp = self.timestamp()?;
        if self.is_done() {
            return Ok((timestamp, None));
        }
        let exemplars_allowed = self.rules.format == Format::OpenMetrics || !self.rules.strict;
        if !exemplars_allowed || self.peek() != Some(b'#') {
            return Err(Reason::Trailing);
        }
        self.at += 1;
        self.separator()?;
        if self.peek() != Some(b'{') {
            return Err(Reason::BadExemplar);
        }
        let first_label = labels.len();
        let bad = |reason: Reason| {
            if reason.is_limit() {
                reason
            } else {
                Reason::BadExemplar
            }
        };
        if self.label_set(labels, limits).map_err(bad)?.name.is_some() {
            return Err(Reason::BadExemplar);
        }
        self.separator()?;
        let value = self.value().map_err(bad)?;
        let stamp = self.timestamp()?;
        match self.is_done() {
            true => Ok((
                timestamp,
                Some(RawExemplar {
                    first_label,
                    value,
                    timestamp: stamp,
                }),
            )),
            false => Err(Reason::Trailing),
        }
    }

    /// Takes a timestamp when there is one; the cursor ends on what follows it.
    fn timestamp(&mut self) -> Result<Option<&'a str>, Reason> {
        if self.is_done() {
            return Ok(None);
        }
        let from = self.at;
        self.blanks();
        if self.is_done() && !self.rules.single_spaces() {
            return Ok(None);
        }
        if self.rules.single_spaces() && self.slice(from) != " " {
            return Err(Reason::NotOneSpace);
        }
        if self.peek() == Some(b'#') {
            return Ok(None);
        }
        let word = self.word();
        if word.is_empty() {
            return Err(Reason::NotOneSpace);
        }
        let before = self.at;
        if self.blanks() && self.rules.single_spaces() && self.slice(before) != " " {
            return Err(Reason::NotOneSpace);
        }
        match self.is_done() && self.at > before && self.rules.single_spaces() {
            true => Err(Reason::NotOneSpace),
            false => Ok(Some(word)),
        }
    }
}

fn within(name: &str, value: &str, before: usize, limits: &Limits) -> Result<(), Reason> {
    if before >= limits.labels_per_sample {
        Err(Reason::TooManyLabels)
    } else if name.len() > limits.name_bytes {
        Err(Reason::NameTooLong)
    } else if value.len() > limits.value_bytes {
        Err(Reason::ValueTooLong)
    } else if name.is_empty() || name == NAME_LABEL {
        Err(Reason::BadLabelName)
    } else {
        Ok(())
    }
}

/// Undoes `\\`, `\n` and, within quotes, `\"`. A stray backslash stands for itself, except where
/// `--strict` reads the text format ("must be escaped as …"); OpenMetrics's ABNF allows it.
pub(crate) fn unescape(raw: &str, quotes: bool, rules: Rules) -> Result<String, Reason> {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr(b'\\', rest.as_bytes()) {
        text.push_str(rest.get(..at).unwrap_or_default());
        let after = rest.get(at + 1..).unwrap_or_default();
        let known = match after.as_bytes().first() {
            Some(b'\\') => Some('\\'),
            Some(b'n') => Some('\n'),
            Some(b'"') if quotes => Some('"'),
            _ => None,
        };
        match known {
            Some(c) => {
                text.push(c);
                rest = after.get(1..).unwrap_or_default();
            }
            None if rules.strict && (rules.format == Format::Text || after.is_empty()) => {
                return Err(Reason::StrayBackslash);
            }
            None => {
                text.push('\\');
                rest = after;
            }
        }
    }
    text.push_str(rest);
    Ok(text)
}
