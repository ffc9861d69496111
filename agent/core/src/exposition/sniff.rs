//! Which format a page is in.
//!
//! Prometheus 3 fails a scrape whose Content-Type is missing or unknown. An agent beside one app
//! is lenient: it looks at the page's last line, which in OpenMetrics must be `# EOF`.

use super::PageError;
use super::family::Format;

/// The media type of delimited protobuf.
const PROTOBUF: &str = "application/vnd.google.protobuf";

/// Returns the format of a page, by its Content-Type if that is known, else by its last line.
///
/// # Errors
///
/// [`PageError::Unsupported`] for protobuf, which this reader does not read.
pub fn sniff(content_type: Option<&str>, page: &[u8]) -> Result<Format, PageError> {
    let media = content_type.unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if media.eq_ignore_ascii_case("application/openmetrics-text") {
        return Ok(Format::OpenMetrics);
    }
    if media.eq_ignore_ascii_case("text/plain") && content_type.is_some_and(has_version) {
        return Ok(Format::Text);
    }
    if media.eq_ignore_ascii_case(PROTOBUF) {
        return Err(PageError::Unsupported {
            media_type: PROTOBUF,
        });
    }
    match page.trim_ascii_end().ends_with(b"# EOF") {
        true => Ok(Format::OpenMetrics),
        false => Ok(Format::Text),
    }
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
    fn protobuf_is_refused() {
        let media = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily";
        let expected = PageError::Unsupported {
            media_type: PROTOBUF,
        };
        assert_eq!(sniff(Some(media), b""), Err(expected));
    }
}
