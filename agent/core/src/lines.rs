//! Splits a growing stream of bytes into lines of bounded length.
//!
//! What follows the last newline is kept until more comes, or until the caller takes it with
//! [`Lines::flush`]. Holes of NUL bytes, which `copytruncate` leaves behind when the writer does
//! not append, are skipped where a line would begin.

use memchr::memchr;

/// One line, without its line feed and a carriage return before it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Line<'a> {
    /// The line's bytes, at most the limit.
    pub bytes: &'a [u8],
    /// Bytes of the stream up to the end of this line: all before is dealt with once it is.
    pub end: u64,
    /// Whether the line was longer than the limit and has been cut; its rest is passed over, and
    /// `end` is behind that.
    pub truncated: bool,
    /// Whether the line is a piece: it was flushed before its newline came, or is what came after.
    pub partial: bool,
}

/// State of one stream.
#[derive(Clone, Debug)]
pub struct Lines {
    line_bytes_max: usize,
    pending: Vec<u8>,
    /// Bytes of the stream that were pushed.
    position: u64,
    state: State,
    nul_bytes: u64,
}

/// Where in a line the stream stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// A piece of the line was flushed already.
    Continued,
    /// The line is cut: what is left of it waits for the newline, all before which is passed over.
    Cut {
        /// A piece of it was flushed before it was cut.
        continued: bool,
    },
    /// Nothing of the line has been handed over.
    Fresh,
    /// The line was cut and handed over: all up to its newline is passed over.
    Skipping,
}

/// Capacity that a stream keeps between lines: one long line must not hold its memory for ever.
const KEPT_BYTES: usize = 4096;

impl Lines {
    /// Starts at byte `position` of a stream; lines are cut after `line_bytes_max` bytes, at least
    /// one.
    pub fn new(line_bytes_max: usize, position: u64) -> Self {
        Self {
            line_bytes_max: line_bytes_max.max(1),
            pending: Vec::new(),
            position,
            state: State::Fresh,
            nul_bytes: 0,
        }
    }

    /// Takes the next bytes of the stream and hands each line that ends in them to `each`.
    pub fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(Line<'_>)) {
        while let Some(at) = memchr(b'\n', bytes) {
            let (head, tail) = bytes.split_at(at);
            bytes = tail.get(1..).unwrap_or_default();
            self.line(head, &mut each);
        }
        self.piece(bytes);
    }

    /// Hands over what is pending as a partial line: at the end of the stream, or when its newline
    /// has been waited for long enough.
    pub fn flush(&mut self, mut each: impl FnMut(Line<'_>)) {
        if !self.is_pending() {
            return;
        }
        let cut = matches!(self.state, State::Cut { .. });
        self.hand_over(cut, true, &mut each);
        self.state = match cut {
            true => State::Skipping,
            false => State::Continued,
        };
    }

    /// Whether bytes of a line are waiting for its end.
    pub const fn is_pending(&self) -> bool {
        !self.pending.is_empty() || matches!(self.state, State::Cut { .. })
    }

    /// Bytes of the stream that were pushed, whether their line has ended or not.
    pub const fn position(&self) -> u64 {
        self.position
    }

    /// NUL bytes skipped so far.
    pub const fn nul_bytes(&self) -> u64 {
        self.nul_bytes
    }

    /// Takes bytes that end a line.
    fn line(&mut self, head: &[u8], each: &mut impl FnMut(Line<'_>)) {
        let whole = self.state == State::Fresh && self.pending.is_empty();
        if whole && head.len() <= self.line_bytes_max {
            // The usual case: a line that came in one piece is not copied.
            self.position += head.len() as u64 + 1;
            let bytes = without_carriage_return(self.without_hole(head));
            each(Line {
                bytes,
                end: self.position,
                truncated: false,
                partial: false,
            });
            return;
        }
        self.piece(head);
        self.position += 1;
        match self.state {
            State::Fresh => self.hand_over(false, false, each),
            State::Continued if self.is_pending() => {
                if self.pending.last() == Some(&b'\r') {
                    self.pending.pop();
                }
                self.hand_over(false, true, each);
            }
            State::Cut { continued } => self.hand_over(true, continued, each),
            State::Continued | State::Skipping => {}
        }
        self.state = State::Fresh;
    }

    /// Takes bytes in the middle of a line.
    fn piece(&mut self, bytes: &[u8]) {
        self.position += bytes.len() as u64;
        let begins = self.state == State::Fresh && self.pending.is_empty();
        let bytes = match begins {
            true => self.without_hole(bytes),
            false => bytes,
        };
        if matches!(self.state, State::Cut { .. } | State::Skipping) {
            return;
        }
        let room = self.line_bytes_max - self.pending.len();
        if bytes.len() <= room {
            self.pending.extend_from_slice(bytes);
            return;
        }
        let (taken, rest) = bytes.split_at(room);
        self.pending.extend_from_slice(taken);
        if rest.first().is_some_and(|byte| is_continuation(*byte)) {
            pop_character(&mut self.pending);
        }
        let continued = self.state == State::Continued;
        self.state = State::Cut { continued };
    }

    fn hand_over(&mut self, truncated: bool, partial: bool, each: &mut impl FnMut(Line<'_>)) {
        let bytes = match truncated || partial {
            true => self.pending.as_slice(),
            false => without_carriage_return(&self.pending),
        };
        each(Line {
            bytes,
            end: self.position,
            truncated,
            partial,
        });
        self.pending.clear();
        self.pending.shrink_to(KEPT_BYTES);
    }

    fn without_hole<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let hole = bytes.iter().take_while(|byte| **byte == 0).count();
        self.nul_bytes += hole as u64;
        bytes.get(hole..).unwrap_or_default()
    }
}

fn without_carriage_return(bytes: &[u8]) -> &[u8] {
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

/// Whether the byte is in the middle of a UTF-8 character.
const fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

/// Removes the start of a character whose rest is cut off; at most three bytes, for what is longer
/// is not UTF-8.
fn pop_character(bytes: &mut Vec<u8>) {
    for _ in 0..3 {
        if !bytes.pop().is_some_and(is_continuation) {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
