//! The bytes of one file in, log records out.

use std::borrow::Cow;
use std::time::Duration;

use davy_proto::UnixNanos;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::logs::v1::LogRecord;

use super::traceback::{self, Traceback};
use super::{Format, Parser, Zone, attribute, boolean, string, text};
use crate::container::{self, Assembler, Piece, Stream};
use crate::lines::{Line, Lines};

/// How long the rest of a container's pieces or of a crash is waited for while other lines come.
const PENDING_WAIT: Duration = Duration::from_secs(5);

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
    /// Bytes of the file that are dealt with once this record is: up to the end of its line, or to
    /// the start of an earlier line whose record is still waited for.
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
                assembling: [None, None],
                traceback: Traceback::default(),
                crash: None,
                line_start: position,
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
        reader.expire(observed, records);
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
    /// What is being put together of standard output and error.
    assembling: [Option<Pending>; 2],
    traceback: Traceback,
    /// The crash that is being printed.
    crash: Option<Crash>,
    /// Where the line at hand begins, in bytes of the file.
    line_start: u64,
    file: [KeyValue; 2],
    counts: RecordCounts,
}

/// A record that has begun and not ended.
#[derive(Clone, Copy, Debug)]
struct Pending {
    /// Where its first line begins, in bytes of the file.
    start: u64,
    /// When its last line was read.
    last: UnixNanos,
    /// Whether one of its lines was cut.
    truncated: bool,
}

/// What is known of a crash beside its text.
#[derive(Clone, Copy, Debug)]
struct Crash {
    pending: Pending,
    stream: Option<Stream>,
    time: Option<UnixNanos>,
    partial: bool,
}

/// A line of the app, framing taken off.
struct Content<'a> {
    text: &'a str,
    stream: Option<Stream>,
    time: Option<UnixNanos>,
    /// Where it begins and ends, in bytes of the file.
    start: u64,
    end: u64,
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
                    start: self.line_start,
                    end: line.end,
                    truncated: line.truncated,
                    partial: line.partial,
                };
                self.content(&content, observed, records);
            }
        }
        self.line_start = line.end;
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
        let whole = self.assembler.push(piece);
        let start = self.line_start;
        let slot = slot(&mut self.assembling, piece.stream);
        let begun = slot.take();
        let pending = Pending {
            start: begun.map_or(start, |begun| begun.start),
            last: observed,
            truncated: line.truncated || begun.is_some_and(|begun| begun.truncated),
        };
        let Some(whole) = whole else {
            *slot = Some(pending);
            return;
        };
        self.counts.lines_truncated += u64::from(whole.truncated);
        let content = Content {
            text: &whole.text,
            stream: Some(piece.stream),
            time: Some(whole.time),
            start: pending.start,
            end: line.end,
            truncated: whole.truncated || pending.truncated,
            partial: line.partial,
        };
        self.content(&content, observed, records);
    }

    fn content(&mut self, content: &Content<'_>, observed: UnixNanos, records: &mut Vec<Parsed>) {
        let text = text::without_colors(content.text);
        if self
            .crash
            .is_none_or(|crash| crash.stream == content.stream)
        {
            let line_bytes_max = self.settings.line_bytes_max;
            if self.traceback.take(&text, content.end, line_bytes_max) {
                self.note_crash(content, observed);
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
        let end = self.dealt_with(content.end);
        records.push(Parsed { record, end });
    }

    fn note_crash(&mut self, content: &Content<'_>, observed: UnixNanos) {
        let crash = self.crash.get_or_insert(Crash {
            pending: Pending {
                start: content.start,
                last: observed,
                truncated: false,
            },
            stream: content.stream,
            time: content.time,
            partial: false,
        });
        crash.pending.last = observed;
        crash.pending.truncated |= content.truncated;
        crash.partial |= content.partial;
    }

    fn finish_traceback(&mut self, observed: UnixNanos, records: &mut Vec<Parsed>) {
        let (Some(traceback), Some(crash)) = (self.traceback.finish(), self.crash.take()) else {
            return;
        };
        self.counts.lines_truncated += u64::from(traceback.truncated && !crash.pending.truncated);
        let zone = self.settings.zone;
        let mut record = text::read(&traceback.text, super::Context { zone, observed });
        record.observed_time_unix_nano = observed.nanos();
        if let Some(number) = traceback::severity_of(&traceback.text) {
            record.severity_number = number;
        }
        if record.time_unix_nano == 0 {
            record.time_unix_nano = crash.time.map_or(0, UnixNanos::nanos);
        }
        let content = Content {
            text: "",
            stream: crash.stream,
            time: None,
            start: crash.pending.start,
            end: traceback.end,
            truncated: traceback.truncated || crash.pending.truncated,
            partial: crash.partial,
        };
        self.mark(&mut record, &content);
        let end = self.dealt_with(content.end);
        records.push(Parsed { record, end });
    }

    /// Hands over what has been waited for long enough, though other lines came meanwhile.
    fn expire(&mut self, observed: UnixNanos, records: &mut Vec<Parsed>) {
        let expired = |pending: &Pending| observed.since(pending.last) >= PENDING_WAIT;
        if self.crash.is_some_and(|crash| expired(&crash.pending)) {
            self.finish_traceback(observed, records);
        }
        for stream in [Stream::Stdout, Stream::Stderr] {
            if slot(&mut self.assembling, stream).is_some_and(|pending| expired(&pending)) {
                self.finish_pieces(stream, self.line_start, observed, records);
            }
        }
    }

    fn flush(&mut self, end: u64, observed: UnixNanos, records: &mut Vec<Parsed>) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            self.finish_pieces(stream, end, observed, records);
        }
        self.finish_traceback(observed, records);
    }

    fn finish_pieces(
        &mut self,
        stream: Stream,
        end: u64,
        observed: UnixNanos,
        records: &mut Vec<Parsed>,
    ) {
        let begun = slot(&mut self.assembling, stream).take();
        let Some(whole) = self.assembler.flush(stream) else {
            return;
        };
        self.counts.lines_truncated += u64::from(whole.truncated);
        let content = Content {
            text: &whole.text,
            stream: Some(stream),
            time: Some(whole.time),
            start: begun.map_or(end, |begun| begun.start),
            end,
            truncated: whole.truncated || begun.is_some_and(|begun| begun.truncated),
            partial: true,
        };
        self.content(&content, observed, records);
    }

    /// How much of the file is dealt with once all before `end` but what is pending is.
    fn dealt_with(&self, end: u64) -> u64 {
        let crash = self.crash.as_ref().map(|crash| &crash.pending);
        let pieces = self.assembling.iter().flatten();
        let starts = pieces.chain(crash).map(|pending| pending.start);
        starts.fold(end, u64::min)
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

fn slot(assembling: &mut [Option<Pending>; 2], stream: Stream) -> &mut Option<Pending> {
    let [stdout, stderr] = assembling;
    match stream {
        Stream::Stderr => stderr,
        Stream::Stdout => stdout,
    }
}

#[cfg(test)]
mod tests;
