//! The bytes of one file in, log records out.

use std::borrow::Cow;

use davy_proto::UnixNanos;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::logs::v1::LogRecord;

use super::traceback::Traceback;
use super::{Format, Parser, Zone, attribute, boolean, string, text};
use crate::container::{self, Assembler, Piece, Stream};
use crate::lines::{Line, Lines};

/// How a file is to be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FileSettings {
    /// The format of its lines.
    pub format: Format,
    /// The zone of stamps that name none.
    pub zone: Zone,
    /// Longest line in bytes; longer ones are cut.
    pub line_bytes_max: usize,
}

/// A record and the place in the file behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// The record.
    pub record: LogRecord,
    /// Bytes of the file up to the end of its line.
    pub end: u64,
}

/// What happened to the lines of a file.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RecordCounts {
    /// Lines with bytes that were not UTF-8 and became U+FFFD.
    pub lines_not_utf8: u64,
    /// Lines that were longer than the limit.
    pub lines_truncated: u64,
    /// Lines without the framing that the configuration names.
    pub lines_unframed: u64,
    /// NUL bytes skipped, in holes.
    pub nul_bytes: u64,
}

/// Reads one file.
#[derive(Clone, Debug)]
pub struct FileRecords {
    lines: Lines,
    reader: Reader,
}

impl FileRecords {
    /// Starts at byte `position` of the file at `path`.
    pub fn new(settings: FileSettings, path: &str, position: u64) -> Self {
        let name = path.rsplit('/').next().unwrap_or(path);
        Self {
            lines: Lines::new(settings.line_bytes_max, position),
            reader: Reader {
                settings,
                parser: Parser::new(settings.format, settings.zone),
                assembler: Assembler::new(settings.line_bytes_max),
                traceback: Traceback::default(),
                traceback_stream: None,
                file: [
                    attribute("log.file.name", string(name)),
                    attribute("log.file.path", string(path)),
                ],
                counts: RecordCounts::default(),
            },
        }
    }

    /// Takes the next bytes, read at `observed`, and appends the records that end in them.
    /// Blank lines are no records.
    pub fn push(&mut self, bytes: &[u8], observed: UnixNanos, records: &mut Vec<Parsed>) {
        let reader = &mut self.reader;
        self.lines
            .push(bytes, |line| reader.line(line, observed, records));
        self.reader.counts.nul_bytes = self.lines.nul_bytes();
    }

    /// Appends what is pending, marked as partial: at the end of the file, or when nothing came for
    /// a while.
    pub fn flush(&mut self, observed: UnixNanos, records: &mut Vec<Parsed>) {
        let reader = &mut self.reader;
        self.lines
            .flush(|line| reader.line(line, observed, records));
        self.reader.flush(self.lines.position(), observed, records);
    }

    /// Whether a line, or what belongs to one record, has begun and not ended.
    pub const fn is_pending(&self) -> bool {
        self.lines.is_pending()
            || self.reader.assembler.is_pending()
            || self.reader.traceback.is_pending()
    }

    /// Bytes of the file read so far.
    pub const fn position(&self) -> u64 {
        self.lines.position()
    }

    /// What happened so far.
    pub const fn counts(&self) -> RecordCounts {
        self.reader.counts
    }
}

#[derive(Clone, Debug)]
struct Reader {
    settings: FileSettings,
    parser: Parser,
    assembler: Assembler,
    traceback: Traceback,
    traceback_stream: Option<Stream>,
    file: [KeyValue; 2],
    counts: RecordCounts,
}

/// A line of the app, framing taken off.
struct Content<'a> {
    text: &'a str,
    stream: Option<Stream>,
    time: Option<UnixNanos>,
    truncated: bool,
    partial: bool,
}

impl Reader {
    fn line(&mut self, line: Line<'_>, observed: UnixNanos, records: &mut Vec<Parsed>) {
        let text = String::from_utf8_lossy(line.bytes);
        let replaced = matches!(text, Cow::Owned(_));
        self.counts.lines_not_utf8 += u64::from(replaced);
        self.counts.lines_truncated += u64::from(line.truncated);
        match self.framed(&text) {
            Some(piece) => self.piece(&piece, &line, observed, records),
            None => {
                let framed = matches!(self.settings.format, Format::Cri | Format::Docker);
                self.counts.lines_unframed += u64::from(framed);
                let content = Content {
                    text: &text,
                    stream: None,
                    time: None,
                    truncated: line.truncated,
                    partial: line.partial,
                };
                self.content(&content, line.end, observed, records);
            }
        }
    }

    fn framed<'a>(&self, text: &'a str) -> Option<Piece<'a>> {
        match self.settings.format {
            Format::Cri => container::cri(text),
            Format::Docker => container::docker(text),
            Format::Auto => container::docker(text).or_else(|| container::cri(text)),
            Format::Json | Format::Klog | Format::Logfmt | Format::Text => None,
        }
    }

    fn piece(
        &mut self,
        piece: &Piece<'_>,
        line: &Line<'_>,
        observed: UnixNanos,
        records: &mut Vec<Parsed>,
    ) {
        if let Some(whole) = self.assembler.push(piece) {
            self.counts.lines_truncated += u64::from(whole.truncated);
            let content = Content {
                text: &whole.text,
                stream: Some(piece.stream),
                time: Some(whole.time),
                truncated: whole.truncated || line.truncated,
                partial: line.partial,
            };
            self.content(&content, line.end, observed, records);
        }
    }

    fn content(
        &mut self,
        content: &Content<'_>,
        end: u64,
        observed: UnixNanos,
        records: &mut Vec<Parsed>,
    ) {
        let text = text::without_colors(content.text);
        if !self.traceback.is_pending() || content.stream == self.traceback_stream {
            if self
                .traceback
                .take(&text, end, self.settings.line_bytes_max)
            {
                self.traceback_stream = content.stream;
                return;
            }
            self.finish_traceback(observed, records);
        }
        if text.trim().is_empty() {
            return;
        }
        let mut record = self.parser.parse(&text, observed);
        if record.time_unix_nano == 0 {
            record.time_unix_nano = content.time.map_or(0, UnixNanos::nanos);
        }
        self.mark(&mut record, content);
        records.push(Parsed { record, end });
    }

    fn finish_traceback(&mut self, observed: UnixNanos, records: &mut Vec<Parsed>) {
        let Some((crash, end, truncated)) = self.traceback.finish() else {
            return;
        };
        let zone = self.settings.zone;
        let mut record = text::read(&crash, super::Context { zone, observed });
        record.observed_time_unix_nano = observed.nanos();
        let content = Content {
            text: "",
            stream: self.traceback_stream,
            time: None,
            truncated,
            partial: false,
        };
        self.mark(&mut record, &content);
        records.push(Parsed { record, end });
    }

    fn flush(&mut self, end: u64, observed: UnixNanos, records: &mut Vec<Parsed>) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            if let Some(whole) = self.assembler.flush(stream) {
                let content = Content {
                    text: &whole.text,
                    stream: Some(stream),
                    time: Some(whole.time),
                    truncated: whole.truncated,
                    partial: true,
                };
                self.content(&content, end, observed, records);
            }
        }
        self.finish_traceback(observed, records);
    }

    /// Says where the record comes from and what is wrong with it; the app's own keys stand.
    fn mark(&self, record: &mut LogRecord, content: &Content<'_>) {
        let flag = |key| attribute(key, boolean(true));
        let stream = content
            .stream
            .map(|stream| attribute("log.iostream", string(stream.as_str())));
        let truncated = content.truncated.then(|| flag("davy.truncated"));
        let partial = content.partial.then(|| flag("davy.partial"));
        let marks = self.file.iter().cloned();
        for mark in marks.chain(stream).chain(truncated).chain(partial) {
            if record.attributes.iter().all(|own| own.key != mark.key) {
                record.attributes.push(mark);
            }
        }
    }
}

#[cfg(test)]
mod tests;
