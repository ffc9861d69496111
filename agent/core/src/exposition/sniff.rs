//! Which format a page is in.
//!
//! Prometheus 3 fails a scrape whose Content-Type is missing or unknown. An agent beside one app
//! is lenient: it looks at how the page begins, and at its last line, which in OpenMetrics must be
//! `# EOF`.

use super::family::Format;
use super::{PageError, protobuf};

/// The media type of delimited protobuf.
const PROTOBUF: &str = "application/vnd.google.protobuf";
/// The message in it.
const MESSAGE: &str = "io.prometheus.client.MetricFamily";

/// What a scrape asks for: the format that carries most first (native histograms travel in
/// protobuf alone), and names as they are. Source: Prometheus's content negotiation.
pub const ACCEPT: &str = "application/vnd.google.protobuf;\
                          proto=io.prometheus.client.MetricFamily;encoding=delimited;\
                          escaping=allow-utf-8;q=0.6,\
                          application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                          application/openmetrics-text;version=1.0.0;q=0.4,\
                          text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
                          text/plain;version=0.0.4;q=0.2,*/*;q=0.1";

/// Returns the format of a page: what its Content-Type says, unless that is missing, unknown or
/// plainly wrong; then how it begins and its last line tell.
///
/// # Errors
///
/// [`PageError::Unsupported`] for protobuf of another encoding or message than delimited metric
/// families.
pub fn sniff(content_type: Option<&str>, page: &[u8]) -> Result<Format, PageError> {
    let declared = declared(content_type)?;
    if declared != Some(Format::Protobuf) && begins_with_message(page) {
        return Ok(Format::Protobuf);
    }
    match declared {
        Some(Format::Protobuf) if !page.is_empty() && is_text(page) => {}
        Some(format) => return Ok(format),
        None => {}
    }
    match page.trim_ascii_end().ends_with(b"# EOF") {
        true => Ok(Format::OpenMetrics),
        false => Ok(Format::Text),
    }
}

/// Returns whether a page begins with a whole message that has a name. A text may do so, too, if
/// its first line is one byte: but a name has no line feed in it, and a message has bytes that a
/// text has not.
fn begins_with_message(page: &[u8]) -> bool {
    protobuf::first(page)
        .is_some_and(|(message, name)| !name.contains(char::is_control) && !is_text(message))
}

/// Returns the format that a Content-Type names.
fn declared(content_type: Option<&str>) -> Result<Option<Format>, PageError> {
    let media = content_type.unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if media.eq_ignore_ascii_case("application/openmetrics-text") {
        return Ok(Some(Format::OpenMetrics));
    }
    if media.eq_ignore_ascii_case("text/plain") && content_type.is_some_and(has_version) {
        return Ok(Some(Format::Text));
    }
    if media.eq_ignore_ascii_case(PROTOBUF) {
        return match content_type.is_some_and(is_another_protobuf) {
            true => Err(PageError::Unsupported {
                media_type: PROTOBUF,
            }),
            false => Ok(Some(Format::Protobuf)),
        };
    }
    Ok(None)
}

/// Returns whether a page is text: UTF-8 without the control characters that tags of protobuf are.
fn is_text(page: &[u8]) -> bool {
    let is_control = |byte: &u8| *byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r');
    std::str::from_utf8(page).is_ok() && !page.iter().any(is_control)
}

/// Protobuf has had other encodings (`text`, `compact-text`) and may carry other messages.
fn is_another_protobuf(content_type: &str) -> bool {
    let mut parameters = content_type.split(';').skip(1).map(str::trim);
    parameters.any(|parameter| {
        parameter
            .strip_prefix("encoding=")
            .is_some_and(|encoding| encoding.trim_matches('"') != "delimited")
            || parameter
                .strip_prefix("proto=")
                .is_some_and(|proto| proto.trim_matches('"') != MESSAGE)
    })
}

/// A plain `text/plain` says nothing: many servers set it for whatever they serve.
fn has_version(content_type: &str) -> bool {
    content_type
        .split(';')
        .skip(1)
        .any(|parameter| parameter.trim().starts_with("version="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(content_type: Option<&str>, page: &str, expected: Format) {
        assert_eq!(sniff(content_type, page.as_bytes()), Ok(expected));
    }

    #[test]
    fn content_type_wins_and_the_last_line_helps() {
        let open = Some("application/openmetrics-text; version=1.0.0; charset=utf-8");
        check(open, "a 1\n", Format::OpenMetrics);
        check(Some("text/plain; version=0.0.4"), "# EOF\n", Format::Text);
        check(Some("text/plain"), "a 1\n# EOF\n", Format::OpenMetrics);
        check(
            Some("text/plain; charset=utf-8"),
            "a 1\n# EOF",
            Format::OpenMetrics,
        );
        check(None, "a 1\n# EOF", Format::OpenMetrics);
        check(None, "a 1\n", Format::Text);
        check(Some("text/html"), "", Format::Text);
    }

    #[test]
    fn a_wrong_content_type_is_seen_through() {
        let message = "\x09\x0a\x01a\x22\x04\x12\x02\x08\x01";
        let open = Some("application/openmetrics-text; version=1.0.0");
        let text = Some("text/plain; version=0.0.4");
        let protobuf = Some("application/vnd.google.protobuf");
        check(open, message, Format::Protobuf);
        check(text, message, Format::Protobuf);
        check(protobuf, "# TYPE a gauge\na 1\n", Format::Text);
        check(protobuf, "a 1\n# EOF\n", Format::OpenMetrics);
        check(protobuf, "\x09\x0a\x01a\x22\x04\x12\x02", Format::Protobuf);
        check(Some("text/html"), message, Format::Protobuf);
    }

    #[test]
    fn a_text_is_not_taken_for_a_message() {
        let text = Some("text/plain; version=0.0.4");
        // A message of 34 bytes, of them 32 for its name: that of several lines, and one of one line.
        for name in ["a\n".repeat(16), "a".repeat(32)] {
            let page = format!("\"\n {name} 1\n");
            assert!(protobuf::first(page.as_bytes()).is_some(), "{page}");
            check(text, &page, Format::Text);
        }
    }

    #[test]
    fn protobuf_is_delimited_families_or_refused() {
        let media = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily";
        check(Some(media), "", Format::Protobuf);
        let delimited = format!("{media}; encoding=delimited");
        check(Some(&delimited), "", Format::Protobuf);
        let expected = PageError::Unsupported {
            media_type: PROTOBUF,
        };
        for other in ["encoding=text", "encoding=compact-text", "proto=a.B"] {
            let other = format!("application/vnd.google.protobuf; {other}");
            assert_eq!(sniff(Some(&other), b""), Err(expected.clone()));
        }
        check(
            None,
            "\x09\x0a\x01a\x22\x04\x12\x02\x08\x01",
            Format::Protobuf,
        );
        for text in [
            "\n\n\n\n\n\n\n\n\n\n\n\na 1\n",
            "# HELP a b\n",
            "\n\na 1\n",
            "",
        ] {
            check(None, text, Format::Text);
        }
    }
}
