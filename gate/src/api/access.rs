//! Who may ask: programs with a bearer token, people with a browser that was given one.
//!
//! A browser can't be told to send a bearer token, so the page asks for one in a form and keeps the
//! person in by a cookie. The cookie opens the page alone, and nothing that changes anything: what
//! another site makes a browser send is worth nothing here. It is a digest of the token and of a
//! secret made at start, so it tells nothing of the token, and a restart asks for it again.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::sync::Arc;

use axum::http::{HeaderMap, header};
use davy_transport::Token;
use sha2::{Digest as _, Sha256};

/// Name of the cookie.
const COOKIE: &str = "davy_gate";

/// Bytes of the secret that cookies are made with.
const SECRET_BYTES: usize = 32;

/// The tokens, and the cookies of browsers; clones share them.
#[derive(Clone)]
pub struct Access(Arc<Keys>);

struct Keys {
    tokens: Vec<Token>,
    secret: [u8; SECRET_BYTES],
    tls: bool,
}

impl Access {
    /// Access by any of these tokens, or for everyone where there are none; over TLS, or not.
    ///
    /// # Errors
    ///
    /// When the system gives no random bytes.
    pub fn new(tokens: Vec<Token>, tls: bool) -> io::Result<Self> {
        let mut secret = [0; SECRET_BYTES];
        File::open("/dev/urandom")?.read_exact(&mut secret)?;
        Ok(Self(Arc::new(Keys {
            tokens,
            secret,
            tls,
        })))
    }

    /// Whether everyone may ask.
    pub fn is_open(&self) -> bool {
        self.0.tokens.is_empty()
    }

    /// Whether a token is one of those configured.
    pub fn knows(&self, token: &Token) -> bool {
        token.is_any(&self.0.tokens)
    }

    /// Whether a request brings a token that is known.
    pub fn by_token(&self, headers: &HeaderMap) -> bool {
        Token::presented(headers).is_some_and(|token| self.knows(&token))
    }

    /// Whether a request brings the cookie of a token that is known.
    pub fn by_cookie(&self, headers: &HeaderMap) -> bool {
        let cookies = headers.get_all(header::COOKIE).into_iter();
        let pairs = cookies
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        let mut presented = pairs.filter(|(name, _)| *name == COOKIE);
        presented.any(|(_, value)| {
            let value = Token::new(value);
            let cookies = self.0.tokens.iter().map(|token| self.digest(token));
            // All are compared, each in a time that tells nothing.
            value.is_any(&cookies.collect::<Vec<_>>())
        })
    }

    /// The `Set-Cookie` of who has shown that token; it lasts as long as the browser runs.
    pub fn cookie(&self, token: &Token) -> String {
        let secure = if self.0.tls { "; Secure" } else { "" };
        let digest = self.digest(token);
        let digest = digest.reveal();
        format!("{COOKIE}={digest}; Path=/; HttpOnly; SameSite=Strict{secure}")
    }

    fn digest(&self, token: &Token) -> Token {
        let digest = Sha256::new_with_prefix(self.0.secret)
            .chain_update(token.reveal())
            .finalize();
        let text: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Token::new(&text)
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Access({} tokens)", self.0.tokens.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(tokens: &[&str], tls: bool) -> Access {
        let tokens = tokens.iter().map(|text| Token::new(text)).collect();
        Access::new(tokens, tls).expect("random bytes")
    }

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().expect("a value"))])
    }

    #[test]
    fn a_cookie_stands_for_a_token_of_this_gate_alone() {
        let gate = access(&["first-token", "second-token"], true);
        let other = access(&["first-token"], true);
        let of = |access: &Access, token: &str| {
            let cookie = access.cookie(&Token::new(token));
            cookie.split(';').next().unwrap_or_default().to_owned()
        };
        let own = of(&gate, "second-token");
        for (cookie, expected) in [
            (own.clone(), true),
            (format!("theme=dark; {own}"), true),
            (of(&gate, "third-token"), false),
            (of(&other, "first-token"), false),
            ("davy_gate=second-token".to_owned(), false),
            ("davy_gate=".to_owned(), false),
            (own.replace("davy_gate", "davy"), false),
        ] {
            let found = gate.by_cookie(&headers(header::COOKIE, &cookie));
            assert_eq!(found, expected, "{cookie}");
        }
        assert!(!gate.by_token(&headers(header::COOKIE, &own)));
        assert!(!own.contains("second"), "{own}");
    }

    #[test]
    fn cookies_are_kept_from_scripts_other_sites_and_the_clear() {
        let token = Token::new("first-token");
        let cookie = access(&["first-token"], true).cookie(&token);
        assert!(
            cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict; Secure"),
            "{cookie}"
        );
        let cookie = access(&["first-token"], false).cookie(&token);
        assert!(cookie.ends_with("SameSite=Strict"), "{cookie}");
    }

    #[test]
    fn tokens_are_never_printed() {
        let access = access(&["first-token"], false);
        assert_eq!(format!("{access:?}"), "Access(1 tokens)");
    }
}
