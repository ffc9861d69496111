//! Cuts a request that is too large for its destination, between records.
//!
//! A record is a span, a log record or a metric with all its points; a metric that is too large all
//! by itself is cut between its points. Each part repeats the resource and the scope of its
//! records, so it is a request in its own right.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};
use davy_proto::Signal;

use super::Payload;
use super::count::record_items;
use super::walk::{Malformed, Message};
use super::write::{field_length, put_header, varint_length};

mod metric;

/// Most bytes that the parts may have beyond the whole: a resource nearly as large as a part would
/// be repeated for every record. 16 MiB is as much again as a receiver takes.
const GROWTH_BYTES_MAX: usize = 16 << 20;

/// Field of the entries in a request.
const ENTRY: u32 = 1;
/// Field of the scopes in an entry, and of the records in a scope.
const CHILD: u32 = 2;

/// A request in parts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Split {
    /// The parts in order, none larger than the limit.
    pub parts: Vec<Payload>,
    /// Items that are larger than the limit all by themselves, or whose resource and scope are so
    /// large that the parts would have 16 MiB more than the whole; they are in no part, and the
    /// caller counts them as dropped.
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
        room: payload.bytes.len().saturating_add(GROWTH_BYTES_MAX),
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
    /// All fields but those of these numbers.
    fn without(message: Message<'a>, numbers: &[u32]) -> Result<Self, Malformed> {
        let mut frame = Self::default();
        for field in message.fields() {
            let field = field?;
            if !numbers.contains(&field.number) {
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
    /// Bytes that the parts to come may have.
    room: usize,
    split: Split,
}

impl<'a> Splitter<'a> {
    fn entry(&mut self, entry: Message<'a>) -> Result<(), Malformed> {
        let frame = Frame::without(entry, &[CHILD])?;
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
        let frame = Frame::without(scope, &[CHILD])?;
        let alone = Part::default();
        self.part.close_scope();
        for field in scope.fields() {
            let field = field?;
            if field.number != CHILD {
                continue;
            }
            let record = field.message()?;
            if alone.length_with(entry, &frame, field.raw.len()) > self.bytes_max {
                self.too_large(entry, &frame, record)?;
                continue;
            }
            let items = record_items(self.signal, record)?;
            self.push(entry, &frame, Cow::Borrowed(field.raw), items);
        }
        Ok(())
    }

    /// Takes a record that fits into a part, into this one or a new one.
    fn push(&mut self, entry: &Frame<'a>, scope: &Frame<'a>, record: Cow<'a, [u8]>, items: u64) {
        if self.part.length_with(entry, scope, record.len()) > self.bytes_max {
            self.finish_part();
        }
        let length = self.part.length_with(entry, scope, record.len());
        if length > self.room {
            self.split.oversized_items += items;
            return;
        }
        self.part.push(entry, scope, record, items);
    }

    /// Takes a record that fits into no part: a metric in parts of its own.
    fn too_large(
        &mut self,
        entry: &Frame<'a>,
        scope: &Frame<'a>,
        record: Message<'a>,
    ) -> Result<(), Malformed> {
        // What a part with nothing else in it leaves for the record; headers are a byte of tag and
        // a length that is no longer than the limit's.
        let headers = 2 * (1 + varint_length(self.bytes_max as u64));
        let frames = entry.length + scope.length + headers;
        let limits = metric::Limits {
            number: CHILD,
            bytes_max: self.bytes_max.saturating_sub(frames),
            room: self.room,
        };
        let cut = match self.signal {
            Signal::Metrics => metric::cut(record, limits)?,
            Signal::Logs | Signal::Traces => None,
        };
        match cut {
            Some(cut) => {
                self.split.oversized_items += cut.oversized;
                for (part, points) in cut.parts {
                    self.push(entry, scope, Cow::Owned(part.into()), points);
                }
            }
            None => self.split.oversized_items += record_items(self.signal, record)?,
        }
        Ok(())
    }

    fn finish_part(&mut self) {
        let part = std::mem::take(&mut self.part);
        if !part.entries.is_empty() {
            let (items, bytes) = (part.items, part.encode());
            self.room = self.room.saturating_sub(bytes.len());
            self.split.parts.push(Payload {
                signal: self.signal,
                items,
                bytes,
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
    records: Vec<Cow<'a, [u8]>>,
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

    fn push(&mut self, entry: &Frame<'a>, scope: &Frame<'a>, record: Cow<'a, [u8]>, items: u64) {
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
            scope.length += record.len();
            scope.records.push(record);
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

fn put_all(out: &mut BytesMut, fields: &[impl AsRef<[u8]>]) {
    for field in fields {
        out.put_slice(field.as_ref());
    }
}

#[cfg(test)]
mod tests;
