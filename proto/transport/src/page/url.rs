//! Where a page is.

use std::fmt;
use std::net::IpAddr;

use http::Uri;
use http::uri::Scheme;

/// The path of a page when its URL names none: what exporters serve by custom.
const DEFAULT_PATH: &str = "/metrics";

/// The URL of a page: `http` or `https`, a host, no credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageUrl(Uri);

/// Why a text is not the URL of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageUrlError {
    /// Not a URL with a host and a port that exists.
    #[error("is not a URL such as http://127.0.0.1:8080/metrics")]
    Malformed,
    /// Neither `http` nor `https`.
    #[error("is neither http nor https")]
    Scheme,
    /// A name and a password in the URL, which would be logged with it.
    #[error("a name and password in a URL can't be used")]
    UserInfo,
}

impl PageUrl {
    /// Reads a URL; one that ends with its host gets the path `/metrics`.
    ///
    /// # Errors
    ///
    /// [`PageUrlError`], which does not repeat the text: it may hold a password.
    pub fn parse(text: &str) -> Result<Self, PageUrlError> {
        let malformed = |_| PageUrlError::Malformed;
        let uri: Uri = text.parse().map_err(malformed)?;
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(PageUrlError::Malformed);
        };
        if *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS {
            return Err(PageUrlError::Scheme);
        }
        if authority.as_str().contains('@') {
            return Err(PageUrlError::UserInfo);
        }
        if authority.host().is_empty() {
            return Err(PageUrlError::Malformed);
        }
        // The parser takes any text for a port, and says of none that there is none.
        let port = authority.as_str().strip_prefix(authority.host());
        let port = port.unwrap_or_default();
        let number = port.strip_prefix(':').map(str::parse::<u16>);
        if !port.is_empty() && !matches!(number, Some(Ok(1..))) {
            return Err(PageUrlError::Malformed);
        }
        if text.ends_with(authority.as_str()) {
            let whole = format!("{text}{DEFAULT_PATH}");
            return Ok(Self(whole.parse().map_err(malformed)?));
        }
        Ok(Self(uri))
    }

    /// The host, an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        let host = self.0.host().unwrap_or_default();
        host.trim_matches(['[', ']'])
    }

    /// The port, the scheme's own when none is named.
    pub fn port(&self) -> u16 {
        let default = if self.is_tls() { 443 } else { 80 };
        self.0.port_u16().unwrap_or(default)
    }

    /// Host and port, as `h:80` or `[::1]:80`.
    pub fn host_and_port(&self) -> String {
        let host = self.0.host().unwrap_or_default();
        format!("{host}:{}", self.port())
    }

    /// Path and query.
    pub fn path(&self) -> &str {
        self.0.path_and_query().map_or("/", |path| path.as_str())
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &str {
        self.0.scheme_str().unwrap_or_default()
    }

    /// Whether TLS is spoken.
    pub fn is_tls(&self) -> bool {
        self.0.scheme() == Some(&Scheme::HTTPS)
    }

    /// Whether the page is on this machine.
    pub fn is_local(&self) -> bool {
        let host = self.host();
        let address = host.parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }

    pub(super) fn uri(&self) -> &Uri {
        &self.0
    }
}

impl fmt::Display for PageUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(&str, &str, bool), PageUrlError>) {
        let url = PageUrl::parse(text);
        let found = url.map(|url| (url.to_string(), url.host_and_port(), url.is_local()));
        let expected = expected.map(|(url, name, local)| (url.to_owned(), name.to_owned(), local));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn urls_are_read_or_refused() {
        check("http://h:1/m", Ok(("http://h:1/m", "h:1", false)));
        check("http://h", Ok(("http://h/metrics", "h:80", false)));
        check("https://h", Ok(("https://h/metrics", "h:443", false)));
        check("http://h/", Ok(("http://h/", "h:80", false)));
        check(
            "http://[::1]:2/m?x=1",
            Ok(("http://[::1]:2/m?x=1", "[::1]:2", true)),
        );
        check(
            "http://127.9.9.9/m",
            Ok(("http://127.9.9.9/m", "127.9.9.9:80", true)),
        );
        check(
            "http://localhost/m",
            Ok(("http://localhost/m", "localhost:80", true)),
        );
        for text in [
            "",
            "::",
            "h",
            "h:1",
            "/metrics",
            "metrics",
            "http://",
            "http://h:x/",
            "http://h:0/",
            "http://h:99999/",
            "http://h:/",
        ] {
            check(text, Err(PageUrlError::Malformed));
        }
        check("ftp://h/", Err(PageUrlError::Scheme));
        check("http://a:b@h/", Err(PageUrlError::UserInfo));
    }
}
