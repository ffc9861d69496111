//! Bearer tokens: compared in a time that does not depend on where they differ.

use std::fmt;
use std::hint::black_box;
use std::io;
use std::path::Path;

use http::HeaderMap;
use http::header::AUTHORIZATION;

/// Largest token file, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// A bearer token. It is never printed.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// The token with that text, without the white space a file ends with.
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// Reads a token; blocking, and a page of a local file at most.
    pub(crate) fn from_file(path: &Path) -> io::Result<Self> {
        if std::fs::metadata(path)?.len() > FILE_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(Self::new(&std::fs::read_to_string(path)?))
    }

    /// The text, to be sent or verified, never logged.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether this is the token presented; the time taken tells lengths at most.
    pub fn matches(&self, presented: &Self) -> bool {
        let (own, other) = (self.0.as_bytes(), presented.0.as_bytes());
        let bytes = own.iter().zip(other);
        let differing = bytes.fold(0, |differing, (a, b)| black_box(differing | (a ^ b)));
        own.len() == other.len() && differing == 0 && !own.is_empty()
    }

    /// The token in an `Authorization: Bearer` header.
    pub fn presented(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = value.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then(|| Self::new(token))
    }

    /// Whether any of `accepted` is the one presented; all are compared.
    pub fn is_any(&self, accepted: &[Self]) -> bool {
        accepted
            .iter()
            .fold(false, |found, token| found | token.matches(self))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_match_themselves_alone() {
        let secret = Token::new("secret\n");
        for (presented, expected) in [
            ("secret", true),
            ("secres", false),
            ("secre", false),
            ("secret2", false),
            ("", false),
        ] {
            assert_eq!(
                secret.matches(&Token::new(presented)),
                expected,
                "{presented}"
            );
        }
        assert!(
            !Token::new("").matches(&Token::new("")),
            "an empty token opens nothing"
        );
        assert_eq!(format!("{secret:?}"), "Token(…)");
    }

    #[test]
    fn only_bearers_are_read() {
        for (value, expected) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Basic abc", None),
            ("abc", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().expect("header value"));
            let token = Token::presented(&headers);
            assert_eq!(token.as_ref().map(Token::reveal), expected, "{value}");
        }
    }
}
