//! Plain text: the body is the line; a stamp and a level near its start are read, not removed.

use opentelemetry_proto::tonic::logs::v1::LogRecord;

use super::{Context, severity, string, timestamp};

/// Words after the stamp among which a level is looked for.
const WORDS_MAX: usize = 3;
/// The first byte of an escape sequence.
const ESCAPE: u8 = 0x1b;
/// What Go's runtime prints before it exits.
const CRASHES: &[&str] = &["panic: ", "fatal error: ", "runtime: out of memory"];

/// The record of any line.
pub(super) fn read(line: &str, context: Context) -> LogRecord {
    let mut record = LogRecord {
        body: Some(string(line)),
        ..LogRecord::default()
    };
    let start = line.trim_start_matches(['[', ' ']);
    let rest = match timestamp::stamp(start, context.zone) {
        Some((at, rest)) => {
            record.time_unix_nano = at.nanos();
            rest
        }
        None => start,
    };
    if CRASHES
        .iter()
        .any(|crash| rest.trim_start().starts_with(crash))
    {
        record.severity_number = severity::CRASH;
    } else if let Some((number, word)) = level(rest) {
        record.severity_number = number;
        word.clone_into(&mut record.severity_text);
    }
    record
}

/// A level that stands out: in capitals, as people write them so that they do.
fn level(text: &str) -> Option<(i32, &str)> {
    let words = text.split([' ', '\t', '|']).filter(|word| !word.is_empty());
    words.take(WORDS_MAX).find_map(|word| {
        let word =
            word.trim_matches(|mark| matches!(mark, '[' | ']' | ':' | '(' | ')' | '<' | '>'));
        // logrus on a console: `ERRO[0012]`, seconds since the start.
        let word = word.split('[').next().unwrap_or_default();
        let stands_out = !word.bytes().any(|byte| byte.is_ascii_lowercase());
        let number = severity::of_name(word).filter(|_| stands_out)?;
        Some((number, word))
    })
}

/// The line without the escape sequences that colour it.
///
/// Source: ECMA-48, 5.4, control sequences: `ESC [`, parameter bytes `0` to `?`, intermediate bytes
/// from the blank to `/`, a final byte from `@` to `~`. What only begins like one stays.
pub(super) fn without_colors(line: &str) -> std::borrow::Cow<'_, str> {
    if memchr::memchr(ESCAPE, line.as_bytes()).is_none() {
        return line.into();
    }
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        rest = after_sequence(after).unwrap_or_else(|| {
            plain.push_str("\u{1b}[");
            after
        });
    }
    plain.push_str(rest);
    plain.into()
}

/// What follows a control sequence whose introducer was read.
fn after_sequence(text: &str) -> Option<&str> {
    let parameters = |byte: char| matches!(byte, '0'..='?');
    let intermediates = |byte: char| matches!(byte, ' '..='/');
    let rest = text.trim_start_matches(parameters);
    rest.trim_start_matches(intermediates)
        .strip_prefix(|last: char| matches!(last, '@'..='~'))
}
