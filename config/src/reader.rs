//! Typed values out of a mapping; mistakes are collected, reading goes on.

mod scalar;

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use core::net::SocketAddr;

use davy_proto::units::{ByteSize, format_duration, parse_duration, parse_size};

use crate::collector::Collector;
use crate::nearest::nearest;
use crate::parse::join;
use crate::{Mistake, Node, Origin, Value};
use scalar::{choose, expected, not_empty, parse_bool, parse_url, sentence, within};

/// How a secret is shown.
const MASK: &str = "****";

/// Reads one mapping. A mapping that is absent reads as one without keys: all defaults.
///
/// Every method takes a value that is absent or wrong as the default and goes on; a wrong one
/// leaves a mistake. [`Reader::finish`] reports the keys that nobody asked for.
#[derive(Debug)]
pub struct Reader<'a> {
    collector: &'a Collector,
    node: Option<&'a Node>,
    path: String,
    known: Vec<&'static str>,
    /// Something else than a mapping stands here; that was said, and is enough.
    broken: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(collector: &'a Collector, node: Option<&'a Node>, path: String) -> Self {
        let mut reader = Self {
            collector,
            node,
            path,
            known: Vec::new(),
            broken: false,
        };
        if let Some(found) = node.filter(|node| !matches!(node.value, Value::Map(_) | Value::Null))
        {
            reader.report(
                found,
                "",
                format!("expected a mapping of keys, found {}", found.kind()),
            );
            reader.node = None;
            reader.broken = true;
        }
        reader
    }

    /// Path of this mapping from the top; empty for the top.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where this mapping stands.
    pub fn origin(&self) -> Origin {
        self.node
            .map(|node| node.origin.clone())
            .unwrap_or_default()
    }

    /// Whether the key is there with a value.
    pub fn has(&self, key: &str) -> bool {
        self.child(key).is_some()
    }

    /// Whether the key is there without a value.
    pub fn is_null(&self, key: &str) -> bool {
        self.entry(key)
            .is_some_and(|node| node.value == Value::Null)
    }

    /// Leaves a mistake about a key, at its line, or at the mapping's when the key is not there.
    pub fn mistake(&self, key: &str, message: impl Into<String>) {
        if self.broken {
            return;
        }
        let path = if key.is_empty() {
            self.path.clone()
        } else {
            join(&self.path, key)
        };
        let origin = match self.entry(key) {
            Some(node) => node.origin.clone(),
            None => self.origin(),
        };
        self.collector.mistake(Mistake {
            origin,
            path,
            message: message.into(),
        });
    }

    /// Reads `version`, which must be there and be the one that this program knows.
    pub fn version(&mut self, known: u64) {
        self.known.push("version");
        let Some(node) = self.child("version") else {
            self.mistake(
                "version",
                format!("is missing; begin the file with `version: {known}`"),
            );
            return;
        };
        match &node.value {
            Value::Scalar(text) if *text == known.to_string() => {
                self.show("version", text.clone(), node.origin.clone());
            }
            Value::Scalar(text) => {
                let message = format!("version {text:?} is not known; this program reads {known}");
                self.report(node, "version", message);
            }
            _ => self.report(
                node,
                "version",
                format!("expected {known}, found {}", node.kind()),
            ),
        }
    }

    /// A value of any type that can be read from a text; `parse` gives the reason it can't.
    pub fn optional<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.take(key, parse, str::to_owned)
    }

    /// The same, where the value must be there.
    pub fn required<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        if !self.has(key) {
            self.known.push(key);
            self.mistake(key, "is required");
            return None;
        }
        self.optional(key, parse)
    }

    /// The same, with a default.
    pub fn or<T: Display>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
        default: T,
    ) -> T {
        let found = self.optional(key, parse);
        found.unwrap_or_else(|| self.default(key, default.to_string(), default))
    }

    /// The same, where the default has a text of its own: none when the key is absent or wrong,
    /// and the default is shown.
    pub fn or_shown<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
        default: &str,
    ) -> Option<T> {
        let found = self.optional(key, parse);
        if found.is_none() {
            self.default(key, default.to_owned(), ());
        }
        found
    }

    /// A text, when it is there; not empty.
    pub fn string(&mut self, key: &'static str) -> Option<String> {
        self.optional(key, not_empty)
    }

    /// A text that must be there; not empty.
    pub fn required_string(&mut self, key: &'static str) -> Option<String> {
        self.required(key, not_empty)
    }

    /// A text that is never shown; not empty.
    pub fn secret(&mut self, key: &'static str) -> Option<String> {
        self.take(key, not_empty, |_| MASK.to_owned())
    }

    /// `true` or `false`.
    pub fn bool(&mut self, key: &'static str, default: bool) -> bool {
        self.or(key, parse_bool, default)
    }

    /// A whole number in a range.
    pub fn integer(&mut self, key: &'static str, range: RangeInclusive<u64>, default: u64) -> u64 {
        let parse = |text: &str| {
            let number = text.parse().map_err(|_| expected("a whole number", text))?;
            within(number, &range, u64::to_string)
        };
        self.or(key, parse, default)
    }

    /// A number in a range, when it is there; never NaN.
    pub fn float(&mut self, key: &'static str, range: RangeInclusive<f64>) -> Option<f64> {
        self.optional(key, |text| {
            let number: f64 = text.parse().map_err(|_| expected("a number", text))?;
            within(number, &range, f64::to_string)
        })
    }

    /// A duration in a range, `5s`.
    pub fn duration(
        &mut self,
        key: &'static str,
        range: RangeInclusive<Duration>,
        default: Duration,
    ) -> Duration {
        let parse = |text: &str| {
            let found = parse_duration(text);
            let found = found.map_err(|e| format!("expected a duration such as 5s: {e}"))?;
            within(found, &range, |limit| format_duration(*limit))
        };
        let found = self.take(key, parse, str::to_owned);
        found.unwrap_or_else(|| self.default(key, format_duration(default), default))
    }

    /// A size in bytes in a range, `256MiB`.
    pub fn size(&mut self, key: &'static str, range: RangeInclusive<u64>, default: u64) -> u64 {
        let parse = |text: &str| {
            let found = parse_size(text);
            let ByteSize(found) =
                found.map_err(|e| format!("expected a size such as 4MiB: {e}"))?;
            within(found, &range, |limit| ByteSize(*limit).to_string())
        };
        let found = self.take(key, parse, str::to_owned);
        found.unwrap_or_else(|| self.default(key, ByteSize(default).to_string(), default))
    }

    /// A socket address, `127.0.0.1:4318` or `[::1]:4318`, when it is there.
    pub fn socket(&mut self, key: &'static str) -> Option<SocketAddr> {
        self.optional(key, |text| {
            text.parse()
                .map_err(|_| expected("an IP address and port such as 127.0.0.1:4318", text))
        })
    }

    /// An `http` or `https` URL without user, query and fragment, when it is there; without the
    /// slash at its end.
    pub fn url(&mut self, key: &'static str) -> Option<String> {
        self.optional(key, parse_url)
    }

    /// One of a table of words, when it is there.
    pub fn choice<T: Clone>(&mut self, key: &'static str, table: &[(&str, T)]) -> Option<T> {
        self.optional(key, |text| choose(key, text, table))
    }

    /// One of a table of words, with the word of the default; none only when the table lacks it.
    pub fn choice_or<T: Clone>(
        &mut self,
        key: &'static str,
        table: &[(&'static str, T)],
        default: &str,
    ) -> Option<T> {
        if let Some(found) = self.choice(key, table) {
            return Some(found);
        }
        let (name, value) = table.iter().find(|(name, _)| *name == default)?;
        Some(self.default(key, (*name).to_owned(), value.clone()))
    }

    /// One of a table of words; the first is the default.
    pub fn choice_or_first<T: Clone>(
        &mut self,
        key: &'static str,
        table: &[(&'static str, T)],
    ) -> Option<T> {
        let (default, _) = table.first()?;
        self.choice_or(key, table, default)
    }

    /// A list of texts, each read by `parse`; none when the key is absent. A single value is taken
    /// as a list of one.
    pub fn list<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        self.known.push(key);
        let node = self.child(key)?;
        let items = match &node.value {
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let mut read = Vec::with_capacity(items.len());
        let mut shown = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let name = format!("{key}[{index}]");
            match &item.value {
                Value::Scalar(text) => match parse(text) {
                    Ok(value) => {
                        read.push(value);
                        shown.push(text.as_str());
                    }
                    Err(message) => self.report(item, &name, message),
                },
                _ => self.report(
                    item,
                    &name,
                    format!("expected a value, found {}", item.kind()),
                ),
            }
        }
        self.show(key, format!("[{}]", shown.join(", ")), node.origin.clone());
        Some(read)
    }

    /// A list of texts with a default; not empty ones.
    pub fn strings(&mut self, key: &'static str, default: &[&str]) -> Vec<String> {
        match self.list(key, not_empty) {
            Some(found) => found,
            None => {
                let owned = default.iter().map(|text| (*text).to_owned()).collect();
                self.default(key, format!("[{}]", default.join(", ")), owned)
            }
        }
    }

    /// A mapping of any keys to texts, in the order of the file; none when it is absent. The
    /// values of a `secret` one are never shown.
    pub fn texts(&mut self, key: &'static str, secret: bool) -> Vec<(String, String)> {
        self.known.push(key);
        let Some(node) = self.child(key) else {
            return Vec::new();
        };
        let Value::Map(entries) = &node.value else {
            self.report(
                node,
                key,
                format!("expected a mapping of names, found {}", node.kind()),
            );
            return Vec::new();
        };
        let mut texts = Vec::with_capacity(entries.len());
        for (name, item) in entries {
            let path = join(key, name);
            match &item.value {
                Value::Scalar(text) => {
                    let shown = if secret {
                        MASK.to_owned()
                    } else {
                        text.clone()
                    };
                    self.show(&path, shown, item.origin.clone());
                    texts.push((name.clone(), text.clone()));
                }
                Value::Null => {}
                _ => self.report(
                    item,
                    &path,
                    format!("expected a text, found {}", item.kind()),
                ),
            }
        }
        texts
    }

    /// A reader over a mapping below; over nothing when the key is absent.
    pub fn nested(&mut self, key: &'static str) -> Self {
        self.known.push(key);
        Self::new(self.collector, self.child(key), join(&self.path, key))
    }

    /// A reader over a mapping below, when it is there.
    pub fn optional_nested(&mut self, key: &'static str) -> Option<Self> {
        self.known.push(key);
        let node = self.child(key)?;
        Some(Self::new(self.collector, Some(node), join(&self.path, key)))
    }

    /// Readers over a list of mappings; none when the key is absent. A single mapping is taken as
    /// a list of one.
    pub fn each(&mut self, key: &'static str) -> Vec<Self> {
        self.known.push(key);
        let Some(node) = self.child(key) else {
            return Vec::new();
        };
        let items = match &node.value {
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let path = join(&self.path, key);
        let reader =
            |(index, item)| Self::new(self.collector, Some(item), format!("{path}[{index}]"));
        items.iter().enumerate().map(reader).collect()
    }

    /// The node under a key, for a value that may have more than one form. The key is known then.
    pub fn raw(&mut self, key: &'static str) -> Option<&'a Node> {
        self.known.push(key);
        self.child(key)
    }

    /// Reports the keys that were never asked for, each with the nearest known one.
    pub fn finish(self) {
        let Some(Node {
            value: Value::Map(entries),
            ..
        }) = self.node
        else {
            return;
        };
        for (key, node) in entries {
            if self.known.iter().any(|known| known == key) {
                continue;
            }
            let hint = match nearest(key, self.known.iter().copied()) {
                Some(near) => format!("unknown key; did you mean {near}?"),
                None => format!("unknown key; known are {}", sentence(&self.known)),
            };
            self.report(node, key, hint);
        }
    }

    /// What stands under a key, be it nothing.
    fn entry(&self, key: &str) -> Option<&'a Node> {
        let Value::Map(entries) = &self.node?.value else {
            return None;
        };
        let found = entries.iter().find(|(name, _)| name == key);
        found.map(|(_, node)| node)
    }

    fn child(&self, key: &str) -> Option<&'a Node> {
        self.node?.child(key)
    }

    fn take<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
        shown: impl FnOnce(&str) -> String,
    ) -> Option<T> {
        self.known.push(key);
        let node = self.child(key)?;
        let Value::Scalar(text) = &node.value else {
            self.report(
                node,
                key,
                format!("expected a single value, found {}", node.kind()),
            );
            return None;
        };
        match parse(text) {
            Ok(value) => {
                self.show(key, shown(text), node.origin.clone());
                Some(value)
            }
            Err(message) => {
                self.report(node, key, message);
                None
            }
        }
    }

    fn default<T>(&self, key: &str, shown: String, default: T) -> T {
        if !self.has(key) {
            self.show(key, shown, Origin::Default);
        }
        default
    }

    fn show(&self, key: &str, value: String, origin: Origin) {
        self.collector.setting(join(&self.path, key), value, origin);
    }

    fn report(&self, node: &Node, key: &str, message: String) {
        let path = if key.is_empty() {
            self.path.clone()
        } else {
            join(&self.path, key)
        };
        self.collector.mistake(Mistake {
            origin: node.origin.clone(),
            path,
            message,
        });
    }
}

#[cfg(test)]
mod tests;
