//! Lines of a page, and what those beginning with `#` say.

use std::borrow::Cow;

use memchr::memchr;

use super::family::{Format, Kind};
use super::line::{Cursor, Rules, unescape};
use super::page::{Builder, Place};
use super::{LineError, Options, Page, PageError, Reason};

/// U+FEFF, with which some editors and servers begin a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What a line was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Eof,
    Other,
}

/// Reads a page of a known format.
pub(crate) fn read<'a>(
    bytes: &'a [u8],
    format: Format,
    options: &Options,
) -> Result<Page<'a>, PageError> {
    let mut builder = Builder::new(format, options, bytes.len());
    let (lines, eof) = read_lines(&mut builder, bytes)?;
    if !eof && format == Format::OpenMetrics {
        // The page was cut short; a reader that is lenient keeps what there is, and says so.
        refuse(&mut builder, format.error(lines.max(1), Reason::NoEof))?;
    }
    builder.finish().map_err(PageError::Line)?;
    Ok(builder.page)
}

/// Reads lines; returns their number, and whether `# EOF` was among them.
pub(crate) fn read_lines<'a>(
    builder: &mut Builder<'a>,
    bytes: &'a [u8],
) -> Result<(u32, bool), PageError> {
    let (format, options) = (builder.page.format, builder.options);
    let rules = Rules {
        format,
        strict: options.strict,
    };
    let bytes = match bytes.strip_prefix(BYTE_ORDER_MARK) {
        Some(rest) if !options.strict => rest,
        _ => bytes,
    };
    // Checked once for the whole page; only a page that isn't UTF-8 is checked line by line.
    let text = std::str::from_utf8(bytes).ok();
    let (mut at, mut number, mut eof) = (0usize, 0u32, false);
    while at < bytes.len() {
        number += 1;
        let from = at;
        let rest = bytes.get(at..).unwrap_or_default();
        let length = memchr(b'\n', rest);
        let end = at + length.unwrap_or(rest.len());
        let line = match text {
            Some(text) => text.get(at..end),
            None => bytes
                .get(at..end)
                .and_then(|line| std::str::from_utf8(line).ok()),
        };
        at = end + 1;
        if !builder.has_room() {
            return Err(PageError::TooManySamples {
                limit: options.limits.samples,
            });
        }
        let first_label = builder.labels().len();
        let seen = match line {
            Some("") if eof && !options.strict => continue,
            _ if eof => Err(Reason::TrailingEof),
            Some(line) => ending(line, length.is_some(), rules).and_then(|plain| {
                let is_plain = length.is_some() && plain.len() == line.len();
                let place = Place {
                    line: number,
                    at: from as u32,
                    end: is_plain.then_some(end as u32),
                };
                read_line(builder, plain, rules, place)
            }),
            None => Err(Reason::BadUtf8),
        };
        match seen {
            Ok(Seen::Eof) => eof = true,
            Ok(Seen::Other) => {}
            Err(reason) => {
                builder.labels().truncate(first_label);
                refuse(builder, format.error(number, reason))?;
            }
        }
    }
    Ok((number, eof))
}

/// Counts a bad line, or fails the page when the line breaks a limit or `--strict` is asked.
pub(super) fn refuse(builder: &mut Builder<'_>, error: LineError) -> Result<(), PageError> {
    let tally = &mut builder.page.tally;
    if error.reason == Reason::TimestampUnholdable {
        // The format allows it; it is OTLP that has no form for it.
        tally.unholdable_timestamps += 1;
        return Ok(());
    }
    if error.reason == Reason::TooManySamples {
        let limit = builder.options.limits.samples;
        return Err(PageError::TooManySamples { limit });
    }
    if builder.options.strict || error.reason.is_limit() {
        return Err(PageError::Line(error));
    }
    tally.bad_lines += 1;
    tally.first_bad.get_or_insert(error);
    Ok(())
}

/// Checks how a line ends; lenient reading takes CRLF and a last line without a line feed.
fn ending(line: &str, has_newline: bool, rules: Rules) -> Result<&str, Reason> {
    let plain = line.strip_suffix('\r').unwrap_or(line);
    if !rules.strict {
        return Ok(plain);
    }
    let eof_without_newline = rules.format == Format::OpenMetrics && line == "# EOF";
    match (
        plain.len() == line.len(),
        has_newline || eof_without_newline,
    ) {
        (_, false) => Err(Reason::NoNewline),
        // "HELP lines may contain any sequence of UTF-8 characters" (text format).
        (false, _) if rules.format == Format::Text && plain.starts_with('#') => Ok(line),
        (false, _) => Err(Reason::CarriageReturn),
        _ => Ok(line),
    }
}

fn read_line<'a>(
    builder: &mut Builder<'a>,
    line: &'a str,
    rules: Rules,
    place: Place,
) -> Result<Seen, Reason> {
    if !rules.strict && builder.again(line, place) {
        return Ok(Seen::Other);
    }
    let exact = rules.strict && rules.format == Format::OpenMetrics;
    let line = if exact {
        line
    } else {
        line.trim_start_matches([' ', '\t'])
    };
    let mut cursor = Cursor::new(line, rules);
    match cursor.peek() {
        None if exact => Err(Reason::EmptyLine),
        None => Ok(Seen::Other),
        Some(b'#') => comment(builder, line, rules),
        Some(_) => {
            let limits = builder.options.limits;
            let first_label = builder.labels().len();
            let raw = cursor.sample(builder.labels(), &limits)?;
            builder.sample(raw, first_label, place)?;
            Ok(Seen::Other)
        }
    }
}

fn comment<'a>(builder: &mut Builder<'a>, line: &'a str, rules: Rules) -> Result<Seen, Reason> {
    let open = rules.format == Format::OpenMetrics;
    let exact = rules.strict && open;
    let body = line.get(1..).unwrap_or_default();
    let mut cursor = Cursor::new(body, rules);
    if exact {
        cursor.separator()?;
    } else {
        cursor.blanks();
    }
    let keyword = cursor.word();
    let known = matches!(keyword, "HELP" | "TYPE") || (open && matches!(keyword, "UNIT" | "EOF"));
    if !known {
        return if exact {
            Err(Reason::NotMetadata)
        } else {
            Ok(Seen::Other)
        };
    }
    if keyword == "EOF" {
        let clean = cursor.is_done();
        return if clean || !rules.strict {
            Ok(Seen::Eof)
        } else {
            Err(Reason::NotMetadata)
        };
    }
    // Nothing but the word: leniently a comment, as Prometheus's parsers have it.
    if !rules.strict && cursor.is_done() {
        return Ok(Seen::Other);
    }
    cursor.separator()?;
    let name = cursor.metric_name()?;
    if name.is_empty() {
        return Err(Reason::BadName);
    }
    if name.len() > builder.options.limits.name_bytes {
        return Err(Reason::NameTooLong);
    }
    // HELP and UNIT may be empty; then the space before them may be missing in the text format.
    if !cursor.is_done() || exact {
        // OpenMetrics has one space before HELP's text, which may begin and end in others.
        match open && keyword == "HELP" {
            true => cursor.one_blank()?,
            false => cursor.separator()?,
        }
    }
    match keyword {
        "HELP" if open => builder.help(name, help(cursor.rest(), rules)?)?,
        "HELP" => builder.help(
            name,
            help(cursor.rest().trim_end_matches([' ', '\t']), rules)?,
        )?,
        "UNIT" => {
            let unit = cursor.rest().trim_end();
            if rules.strict && !unit.is_empty() && !is_unit_of(&name, unit) {
                return Err(Reason::UnitMisfit);
            }
            builder.unit(name, unit)?;
        }
        _ => {
            let kind = kind(cursor.rest(), rules)?;
            builder.kind(name, kind)?;
        }
    }
    Ok(Seen::Other)
}

fn is_unit_of(name: &str, unit: &str) -> bool {
    name.strip_suffix(unit)
        .is_some_and(|rest| rest.ends_with('_'))
}

fn kind(word: &str, rules: Rules) -> Result<Kind, Reason> {
    let kind = Kind::of_word(word.trim_end_matches([' ', '\t'])).ok_or(Reason::BadType)?;
    let of_format = match rules.format {
        Format::OpenMetrics => word != "untyped",
        Format::Protobuf | Format::Text => {
            let others = [Kind::GaugeHistogram, Kind::Info, Kind::StateSet];
            !others.contains(&kind) && word != "unknown"
        }
    };
    match of_format || !rules.strict {
        true => Ok(kind),
        false => Err(Reason::BadType),
    }
}

fn help(raw: &str, rules: Rules) -> Result<Cow<'_, str>, Reason> {
    // OpenMetrics writes HELP as an escaped-string, whose characters exclude the quote.
    if rules.strict && rules.format == Format::OpenMetrics && has_bare_quote(raw) {
        return Err(Reason::BareQuote);
    }
    if memchr(b'\\', raw.as_bytes()).is_none() {
        return Ok(Cow::Borrowed(raw));
    }
    unescape(raw, rules.format == Format::OpenMetrics, rules).map(Cow::Owned)
}

fn has_bare_quote(text: &str) -> bool {
    let mut escaped = false;
    text.bytes().any(|byte| {
        let bare = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        bare
    })
}
