//! One line of a log, read into one OTLP log record.
//!
//! The format of each line is found from the line itself, since one file often mixes several: an
//! app that logs JSON still panics in plain text. The raw line is never sent beside its parsed
//! form. What the libraries of Go write is the yardstick: log/slog, zap, zerolog, logrus, klog and
//! the standard `log`.

use davy_proto::UnixNanos;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;

pub use file::{FileRecords, FileSettings, Parsed, RecordCounts};
pub use request::LogResource;
pub use timestamp::{Zone, ZoneError};

mod attributes;
mod file;
mod json;
mod klog;
mod logfmt;
pub mod print;
mod request;
mod severity;
mod text;
mod timestamp;
mod traceback;

/// How lines of a file are to be read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Format {
    /// Each line by what it looks like, container framing included.
    #[default]
    Auto,
    /// A container runtime's framing, `<time> <stream> F|P <text>`; the text as in `Auto`.
    Cri,
    /// Docker's json-file framing; the text as in `Auto`.
    Docker,
    /// JSON objects.
    Json,
    /// klog's header, `I0102 15:04:05.678901 12345 file.go:67] text`.
    Klog,
    /// `key=value key="quoted value"`.
    Logfmt,
    /// Plain text.
    Text,
}

impl Format {
    /// All formats with their names in configuration.
    pub const ALL: [(&'static str, Self); 7] = [
        ("auto", Self::Auto),
        ("json", Self::Json),
        ("cri", Self::Cri),
        ("docker", Self::Docker),
        ("logfmt", Self::Logfmt),
        ("klog", Self::Klog),
        ("text", Self::Text),
    ];

    /// The format of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        let named = Self::ALL.into_iter().find(|(known, _)| *known == name);
        named.map(|(_, format)| format)
    }

    /// The name in configuration.
    pub fn as_str(self) -> &'static str {
        let named = Self::ALL.into_iter().find(|(_, format)| *format == self);
        named.map_or("auto", |(name, _)| name)
    }
}

/// How the content of a line is written, framing aside.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Dialect {
    Json,
    Klog,
    Logfmt,
    Text,
}

/// What a line is read with.
#[derive(Clone, Copy, Debug)]
struct Context {
    /// The zone of stamps that name none.
    zone: Zone,
    /// When the line was read.
    observed: UnixNanos,
}

/// Reads lines one after the other; remembers the format of the last one.
#[derive(Clone, Debug)]
struct Parser {
    format: Format,
    zone: Zone,
    last: Dialect,
}

impl Parser {
    const fn new(format: Format, zone: Zone) -> Self {
        let last = Dialect::Json;
        Self { format, zone, last }
    }

    /// Reads one line without its newline and framing; what is of no other format is text.
    fn parse(&mut self, line: &str, observed: UnixNanos) -> LogRecord {
        let zone = self.zone;
        let context = Context { zone, observed };
        let record = match self.format {
            Format::Json => read(Dialect::Json, line, context),
            Format::Klog => read(Dialect::Klog, line, context),
            Format::Logfmt => read(Dialect::Logfmt, line, context),
            Format::Text => None,
            Format::Auto | Format::Cri | Format::Docker => self.detect(line, context),
        };
        let mut record = record.unwrap_or_else(|| text::read(line, context));
        record.observed_time_unix_nano = observed.nanos();
        record
    }

    fn detect(&mut self, line: &str, context: Context) -> Option<LogRecord> {
        let others = [Dialect::Json, Dialect::Klog, Dialect::Logfmt];
        let others = others.into_iter().filter(|dialect| *dialect != self.last);
        for dialect in std::iter::once(self.last).chain(others) {
            // Text is what nothing else is, so it is never tried first.
            if let Some(record) = read(dialect, line, context) {
                self.last = dialect;
                return Some(record);
            }
        }
        self.last = Dialect::Text;
        None
    }
}

fn read(dialect: Dialect, line: &str, context: Context) -> Option<LogRecord> {
    match dialect {
        Dialect::Json => json::read(line, context),
        Dialect::Klog => klog::read(line, context),
        Dialect::Logfmt => logfmt::read(line, context),
        Dialect::Text => None,
    }
}

fn string(text: impl Into<String>) -> AnyValue {
    AnyValue {
        value: Some(Value::StringValue(text.into())),
    }
}

fn boolean(flag: bool) -> AnyValue {
    AnyValue {
        value: Some(Value::BoolValue(flag)),
    }
}

fn integer(number: i64) -> AnyValue {
    AnyValue {
        value: Some(Value::IntValue(number)),
    }
}

fn attribute(key: impl Into<String>, value: AnyValue) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(value),
        ..KeyValue::default()
    }
}

#[cfg(test)]
mod tests;
