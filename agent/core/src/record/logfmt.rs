//! `key=value` pairs: log/slog's TextHandler, logrus, go-kit.
//!
//! Values stay text, for the line does not say what was a number. A line is logfmt only when all of
//! it is, and one of the keys that every library writes is there: prose has equals signs too.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::logs::v1::LogRecord;

use super::{Context, attribute, attributes, string};

const TELLING: &[&str] = &["level", "lvl", "severity", "msg", "message", "time", "ts"];

/// The record of a line that is logfmt throughout.
pub(super) fn read(line: &str, context: Context) -> Option<LogRecord> {
    let mut pairs = pairs(line)?;
    if !pairs
        .iter()
        .any(|pair| TELLING.contains(&pair.key.as_str()))
    {
        return None;
    }
    attributes::deduplicate(&mut pairs);
    Some(attributes::record(pairs, context))
}

/// The pairs of a text that has nothing else in it.
pub(super) fn pairs(text: &str) -> Option<Vec<KeyValue>> {
    let mut pairs = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (key, after) = key(rest)?;
        let (value, after) = value(after.strip_prefix('=')?)?;
        pairs.push(attribute(key, string(value)));
        rest = match after.trim_start() {
            "" => "",
            // A pair ends at a blank.
            trimmed if trimmed.len() < after.len() => trimmed,
            _ => return None,
        };
    }
    Some(pairs)
}

/// A key, which slog quotes where it must.
fn key(text: &str) -> Option<(String, &str)> {
    if text.starts_with('"') {
        return quoted(text);
    }
    let end = text.find(['=', ' ', '"']).unwrap_or(text.len());
    let (key, rest) = text.split_at_checked(end)?;
    (!key.is_empty()).then(|| (key.to_owned(), rest))
}

fn value(text: &str) -> Option<(String, &str)> {
    if text.starts_with('"') {
        return quoted(text);
    }
    let end = text.find([' ', '\t']).unwrap_or(text.len());
    let (value, rest) = text.split_at_checked(end)?;
    (!value.contains('"')).then(|| (value.to_owned(), rest))
}

/// The text of a quotation in Go's syntax at the start of `text`, and what follows it.
pub(super) fn quoted(text: &str) -> Option<(String, &str)> {
    let mut unquoted = String::new();
    let mut characters = text.strip_prefix('"')?.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((unquoted, text.get(at + 2..)?)),
            '\\' => unquoted.push(escaped(&mut characters)?),
            plain => unquoted.push(plain),
        }
    }
    None
}

/// The character of an escape, as Go's `strconv.Quote` writes them.
fn escaped(characters: &mut std::str::CharIndices<'_>) -> Option<char> {
    match characters.next()?.1 {
        'a' => Some('\u{7}'),
        'b' => Some('\u{8}'),
        'f' => Some('\u{c}'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'v' => Some('\u{b}'),
        'x' => hexadecimal(characters, 2),
        'u' => hexadecimal(characters, 4),
        'U' => hexadecimal(characters, 8),
        itself @ ('\\' | '"' | '\'') => Some(itself),
        _ => None,
    }
}

fn hexadecimal(characters: &mut std::str::CharIndices<'_>, digits: usize) -> Option<char> {
    let mut code = 0;
    for _ in 0..digits {
        code = code * 16 + characters.next()?.1.to_digit(16)?;
    }
    // `\xff` was a byte that is not UTF-8.
    let lone_byte = digits == 2 && code >= 0x80;
    char::from_u32(if lone_byte { 0xfffd } else { code })
}
