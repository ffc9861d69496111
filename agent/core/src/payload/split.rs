//! Cuts a request that is too large for its destination, between records.
//!
//! A record is a span, a log record or a metric with all its points. Each part repeats the
//! resource and the scope of its records, so it is a request in its own right.

use bytes::{BufMut, Bytes, BytesMut};
use davy_proto::Signal;

use super::Payload;
use super::count::record_items;
use super::walk::{Malformed, Message};
use super::write::{field_length, put_header};

/// Field of the entries in a request.
const ENTRY: u32 = 1;
/// Field of the scopes in an entry, and of the records in a scope.
const CHILD: u32 = 2;

/// A request in parts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Split {
    /// The parts in order, none larger than the limit.
    pub parts: Vec<Payload>,
    /// Items of the records that are larger than the limit all by themselves; they are in no part,
    /// and the caller counts them as dropped.
    pub oversized_items: u64,
}

/// Cuts `payload` into parts of at most `bytes_max` bytes, each as full as can be.
///
/// Entries and scopes without any record vanish, and so do unknown fields of the request itself,
/// which belong to no record. A payload within the limit is returned as it is.
///
/// # Errors
///
/// Where the request is malformed down to its records.
pub fn split(payload: &Payload, bytes_max: usize) -> Result<Split, Malformed> {
    if payload.bytes.len() <= bytes_max {
        return Ok(Split {
            parts: vec![payload.clone()],
            oversized_items: 0,
        });
    }
    let mut splitter = Splitter {
        signal: payload.signal,
        bytes_max,
        part: Part::default(),
        split: Split::default(),
    };
    for field in Message::request(&payload.bytes).fields() {
        let field = field?;
        if field.number == ENTRY {
            splitter.entry(field.message()?)?;
        }
    }
    splitter.finish_part();
    Ok(splitter.split)
}

/// Fields of an entry or scope that are repeated in each part, and their length.
#[derive(Clone, Debug, Default)]
struct Frame<'a> {
    fields: Vec<&'a [u8]>,
    length: usize,
}

impl<'a> Frame<'a> {
    fn of(message: Message<'a>) -> Result<Self, Malformed> {
        let mut frame = Self::default();
        for field in message.fields() {
            let field = field?;
            if field.number != CHILD {
                frame.fields.push(field.raw);
                frame.length += field.raw.len();
            }
        }
        Ok(frame)
    }
}

struct Splitter<'a> {
    signal: Signal,
    bytes_max: usize,
    part: Part<'a>,
    split: Split,
}

impl<'a> Splitter<'a> {
    fn entry(&mut self, entry: Message<'a>) -> Result<(), Malformed> {
        let frame = Frame::of(entry)?;
        self.part.close_entry();
        for field in entry.fields() {
            let field = field?;
            if field.number == CHILD {
                self.scope(&frame, field.message()?)?;
            }
        }
        Ok(())
    }

    fn scope(&mut self, entry: &Frame<'a>, scope: Message<'a>) -> Result<(), Malformed> {
        let frame = Frame::of(scope)?;
        self.part.close_scope();
        for field in scope.fields() {
            let field = field?;
            if field.number != CHILD {
                continue;
            }
            let items = record_items(self.signal, field.message()?)?;
            if self.part.length_with(entry, &frame, field.raw.len()) > self.bytes_max {
                self.finish_part();
            }
            if self.part.length_with(entry, &frame, field.raw.len()) > self.bytes_max {
                self.split.oversized_items += items;
                continue;
            }
            self.part.push(entry, &frame, field.raw, items);
        }
        Ok(())
    }

    fn finish_part(&mut self) {
        let part = std::mem::take(&mut self.part);
        if !part.entries.is_empty() {
            self.split.parts.push(Payload {
                signal: self.signal,
                items: part.items,
                bytes: part.encode(),
            });
        }
    }
}

/// A part under construction: the last entry and the last scope are open until closed.
#[derive(Default)]
struct Part<'a> {
    entries: Vec<Entry<'a>>,
    entry_open: bool,
    scope_open: bool,
    /// Encoded length of the entries before the open one.
    closed: usize,
    items: u64,
}

struct Entry<'a> {
    frame: Frame<'a>,
    scopes: Vec<Scope<'a>>,
    /// Encoded length of the scopes before the open one.
    closed: usize,
}

struct Scope<'a> {
    frame: Frame<'a>,
    records: Vec<&'a [u8]>,
    length: usize,
}

impl Scope<'_> {
    const fn field_length(&self) -> usize {
        field_length(CHILD, self.frame.length + self.length)
    }
}

impl Entry<'_> {
    fn length(&self) -> usize {
        self.frame.length + self.closed + self.scopes.last().map_or(0, Scope::field_length)
    }
}

impl<'a> Part<'a> {
    fn close_entry(&mut self) {
        self.close_scope();
        if let (true, Some(entry)) = (self.entry_open, self.entries.last()) {
            self.closed += field_length(ENTRY, entry.length());
        }
        self.entry_open = false;
    }

    const fn close_scope(&mut self) {
        self.scope_open = false;
    }

    fn open_entry(&self) -> Option<&Entry<'a>> {
        self.entries.last().filter(|_| self.entry_open)
    }

    fn open_scope(&self) -> Option<&Scope<'a>> {
        let scope = self.open_entry()?.scopes.last();
        scope.filter(|_| self.scope_open)
    }

    /// Encoded length of the part after one more record.
    fn length_with(&self, entry: &Frame<'_>, scope: &Frame<'_>, record: usize) -> usize {
        let records = self.open_scope().map_or(0, |scope| scope.length);
        let scopes = match (self.open_entry(), self.open_scope()) {
            (None, _) => 0,
            (Some(entry), Some(_)) => entry.closed,
            (Some(entry), None) => entry.length() - entry.frame.length,
        };
        let scope = field_length(CHILD, scope.length + records + record);
        self.closed + field_length(ENTRY, entry.length + scopes + scope)
    }

    fn push(&mut self, entry: &Frame<'a>, scope: &Frame<'a>, record: &'a [u8], items: u64) {
        if !self.entry_open {
            self.entries.push(Entry {
                frame: entry.clone(),
                scopes: Vec::new(),
                closed: 0,
            });
            self.entry_open = true;
        }
        let Some(entry) = self.entries.last_mut() else {
            return;
        };
        if !self.scope_open {
            entry.closed += entry.scopes.last().map_or(0, Scope::field_length);
            entry.scopes.push(Scope {
                frame: scope.clone(),
                records: Vec::new(),
                length: 0,
            });
            self.scope_open = true;
        }
        if let Some(scope) = entry.scopes.last_mut() {
            scope.records.push(record);
            scope.length += record.len();
        }
        self.items += items;
    }

    fn encode(mut self) -> Bytes {
        self.close_entry();
        let mut out = BytesMut::with_capacity(self.closed);
        for entry in &self.entries {
            put_header(&mut out, ENTRY, entry.length());
            put_all(&mut out, &entry.frame.fields);
            for scope in &entry.scopes {
                put_header(&mut out, CHILD, scope.frame.length + scope.length);
                put_all(&mut out, &scope.frame.fields);
                put_all(&mut out, &scope.records);
            }
        }
        out.freeze()
    }
}

fn put_all(out: &mut BytesMut, fields: &[&[u8]]) {
    for field in fields {
        out.put_slice(field);
    }
}

#[cfg(test)]
mod tests;
