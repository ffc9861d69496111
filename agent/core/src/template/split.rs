//! Cutting a text page into the parts that describe one family each, by its lines alone.

use memchr::memchr;

use crate::exposition::Format;

/// Returns the name that a line beginning with `# HELP`, `# TYPE` or, in OpenMetrics, `# UNIT` is
/// about, as it is written. Unusual spellings of such lines return nothing: they do not begin a
/// part, and what they describe is found by reading.
pub(super) fn described(line: &[u8], format: Format) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"# ")?;
    let (keyword, rest) = rest.split_at_checked(5)?;
    let known = match keyword {
        b"HELP " | b"TYPE " => true,
        b"UNIT " => format == Format::OpenMetrics,
        _ => false,
    };
    let ends = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let length = rest.iter().position(ends).unwrap_or(rest.len());
    known.then(|| rest.get(..length).unwrap_or_default())
}

/// Returns the bytes of the first part of `text`: up to the first line that describes another
/// name than its first line.
pub(super) fn length(text: &[u8], format: Format) -> usize {
    let name = described(text, format);
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
    match rest.first() {
        None => true,
        Some(b'#') => described(rest, format).is_some_and(|other| Some(other) != name),
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, format: Format, expected: &[&str]) {
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (part, after) = rest.split_at(length(rest.as_bytes(), format));
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
