//! Framing of container runtimes around an app's lines, and the pieces they cut long lines into.
//!
//! CRI (containerd, CRI-O): `2016-10-06T00:17:09.669794202Z stdout F text`, `P` instead of `F` on
//! all pieces but the last. Docker's json-file: `{"log":"text\n","stream":"stdout","time":"…"}`,
//! where a piece that is not the last lacks the newline. Sources: the logging proposal of
//! Kubernetes' CRI; moby, `daemon/logger/jsonfilelog`.

use std::borrow::Cow;

use davy_proto::UnixNanos;
use memchr::memmem;
use serde::Deserialize;

/// Which of the app's outputs a line came from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stream {
    /// Standard error.
    Stderr,
    /// Standard output.
    Stdout,
}

impl Stream {
    /// The value of `log.iostream`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stderr => "stderr",
            Self::Stdout => "stdout",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        match name {
            "stderr" => Some(Self::Stderr),
            "stdout" => Some(Self::Stdout),
            _ => None,
        }
    }
}

/// One line of a runtime's file: an app's line, or a piece of one.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece<'a> {
    /// When the runtime read it.
    pub time: UnixNanos,
    /// Where it read it.
    pub stream: Stream,
    /// Whether more of the same line follows.
    pub partial: bool,
    /// The app's text.
    pub text: Cow<'a, str>,
}

/// Reads a line with CRI's framing.
pub fn cri(line: &str) -> Option<Piece<'_>> {
    let mut parts = line.splitn(4, ' ');
    let time = UnixNanos::parse_rfc3339(parts.next()?).ok()?;
    let stream = Stream::from_name(parts.next()?)?;
    // Tags are separated by colons; the first says whether the line is whole.
    let partial = match parts.next()?.split(':').next()? {
        "F" => false,
        "P" => true,
        _ => return None,
    };
    let text = parts.next().unwrap_or_default().into();
    Some(Piece {
        time,
        stream,
        partial,
        text,
    })
}

#[derive(Deserialize)]
struct DockerLine<'a> {
    #[serde(borrow)]
    log: Cow<'a, str>,
    #[serde(borrow)]
    stream: Cow<'a, str>,
    #[serde(borrow)]
    time: Cow<'a, str>,
}

/// Reads a line with Docker's framing.
pub fn docker(line: &str) -> Option<Piece<'_>> {
    // Saves parsing each JSON line of an app twice.
    let framed = || memmem::find(line.as_bytes(), b"\"stream\":\"std").is_some();
    if !(line.starts_with("{\"") && framed()) {
        return None;
    }
    let DockerLine { log, stream, time } = serde_json::from_str(line).ok()?;
    let partial = !log.ends_with('\n');
    let text = match log {
        Cow::Borrowed(text) => text.strip_suffix('\n').unwrap_or(text).into(),
        Cow::Owned(mut text) => {
            text.truncate(text.trim_end_matches(['\n', '\r']).len());
            text.into()
        }
    };
    Some(Piece {
        time: UnixNanos::parse_rfc3339(&time).ok()?,
        stream: Stream::from_name(&stream)?,
        partial,
        text,
    })
}

/// An app's line, put together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Whole {
    /// When the runtime read its first piece.
    pub time: UnixNanos,
    /// The text, at most the limit.
    pub text: String,
    /// Whether the line was longer than the limit and has been cut.
    pub truncated: bool,
    /// Whether its end never came.
    pub partial: bool,
}

/// Puts pieces together, for each stream on its own.
#[derive(Clone, Debug)]
pub struct Assembler {
    line_bytes_max: usize,
    stdout: Option<Whole>,
    stderr: Option<Whole>,
}

impl Assembler {
    /// Lines are cut after `line_bytes_max` bytes.
    pub const fn new(line_bytes_max: usize) -> Self {
        Self {
            line_bytes_max,
            stdout: None,
            stderr: None,
        }
    }

    /// Takes a piece; returns the line that it ends.
    pub fn push(&mut self, piece: &Piece<'_>) -> Option<Whole> {
        let line_bytes_max = self.line_bytes_max;
        let slot = self.slot(piece.stream);
        let mut whole = slot.take().unwrap_or_else(|| Whole {
            time: piece.time,
            ..Whole::default()
        });
        // Nothing after a cut: what lies between would be missing without a mark.
        let mut room = match whole.truncated {
            true => 0,
            false => line_bytes_max.saturating_sub(whole.text.len()),
        };
        if room < piece.text.len() {
            while !piece.text.is_char_boundary(room) {
                room -= 1;
            }
            whole.truncated = true;
        }
        whole
            .text
            .push_str(piece.text.get(..room).unwrap_or(&piece.text));
        if piece.partial {
            *slot = Some(whole);
            return None;
        }
        Some(whole)
    }

    /// Returns what is pending of a stream, marked as partial.
    pub fn flush(&mut self, stream: Stream) -> Option<Whole> {
        let mut whole = self.slot(stream).take()?;
        whole.partial = true;
        Some(whole)
    }

    /// Whether a line has begun and not ended.
    pub const fn is_pending(&self) -> bool {
        self.stdout.is_some() || self.stderr.is_some()
    }

    const fn slot(&mut self, stream: Stream) -> &mut Option<Whole> {
        match stream {
            Stream::Stderr => &mut self.stderr,
            Stream::Stdout => &mut self.stdout,
        }
    }
}

#[cfg(test)]
mod tests;
