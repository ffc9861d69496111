//! Cutting a page into the parts that describe one family each: a text by its lines alone, protobuf
//! by its messages.

use memchr::memchr;

use super::message;
use crate::exposition::Format;

/// Returns what is walked of the part that `rest` begins with, and the bytes before it: a text goes
/// on to its end, a message has its length.
pub(super) fn body(rest: &[u8], format: Format) -> Option<(usize, &[u8])> {
    match format {
        Format::OpenMetrics | Format::Text => Some((0, rest)),
        Format::Protobuf => message::frame(rest),
    }
}

/// Returns the name that a line beginning with `# HELP`, `# TYPE` or, in OpenMetrics, `# UNIT` is
/// about, as it is written. Unusual spellings of such lines return nothing: they do not begin a
/// part, and what they describe is found by reading.
pub(super) fn described(line: &[u8], format: Format) -> Option<&[u8]> {
    if format == Format::Protobuf {
        return message::name(message::frame(line)?.1);
    }
    let rest = keyword(line, format)?;
    let length = rest.iter().position(is_blank).unwrap_or(rest.len());
    rest.get(..length)
}

/// Returns the bytes of the first part of `text`, whose first line describes `name`: up to the
/// first line that describes another one, or one message. None where there is no whole message.
pub(super) fn length(text: &[u8], name: Option<&[u8]>, format: Format) -> Option<usize> {
    match format {
        Format::OpenMetrics | Format::Text => Some(text_length(text, name, format)),
        Format::Protobuf => {
            let (taken, message) = message::frame(text)?;
            Some(taken + message.len())
        }
    }
}

fn text_length(text: &[u8], name: Option<&[u8]>, format: Format) -> usize {
    let mut at = 0;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        at += match memchr(b'\n', rest) {
            Some(end) => end + 1,
            None => return text.len(),
        };
        if ends(text.get(at..).unwrap_or_default(), name, format) {
            return at;
        }
    }
}

/// Returns whether a part that describes `name` ends where `rest` begins.
pub(super) fn ends(rest: &[u8], name: Option<&[u8]>, format: Format) -> bool {
    match (rest.first(), name) {
        (None, _) => true,
        (Some(b'#'), Some(name)) => keyword(rest, format).is_some_and(|rest| {
            let after = rest.strip_prefix(name);
            !after.is_some_and(|after| after.first().is_none_or(is_blank))
        }),
        (Some(b'#'), None) => keyword(rest, format).is_some(),
        _ => false,
    }
}

/// Returns what follows the keyword of a line that describes a name.
fn keyword(line: &[u8], format: Format) -> Option<&[u8]> {
    let (keyword, rest) = line.strip_prefix(b"# ")?.split_at_checked(5)?;
    let known = match keyword {
        b"HELP " | b"TYPE " => true,
        b"UNIT " => format == Format::OpenMetrics,
        _ => false,
    };
    known.then_some(rest)
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, format: Format, expected: &[&str]) {
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let name = described(rest.as_bytes(), format);
            let (part, after) = rest.split_at(text_length(rest.as_bytes(), name, format));
            parts.push(part);
            rest = after;
        }
        assert_eq!(parts, expected);
    }

    #[test]
    fn a_part_ends_where_another_name_is_described() {
        let text = "x 1\n# HELP a b c\n# TYPE a gauge\na 1\n# hello\na{b=\"c\"} 2\n\
                    # UNIT a s\n# TYPE b gauge\n#TYPE c gauge\nc 1\n# HELP b";
        let parts = [
            "x 1\n",
            "# HELP a b c\n# TYPE a gauge\na 1\n# hello\na{b=\"c\"} 2\n# UNIT a s\n",
            "# TYPE b gauge\n#TYPE c gauge\nc 1\n# HELP b",
        ];
        check(text, Format::Text, &parts);
        check(
            "# UNIT a s\n# UNIT b s\n",
            Format::OpenMetrics,
            &["# UNIT a s\n", "# UNIT b s\n"],
        );
        check(
            "# UNIT a s\n# UNIT b s\n",
            Format::Text,
            &["# UNIT a s\n# UNIT b s\n"],
        );
        check("a 1", Format::Text, &["a 1"]);
    }
}
