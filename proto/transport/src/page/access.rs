//! What a target asks of whoever scrapes it: TLS, credentials, headers.

use std::fmt;
use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, TE,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{FetchError, TIMEOUT_HEADER};
use crate::token::Token;
use crate::{ClientTls, ConfigError};

/// Headers that are the client's own, or the connection's.
const RESERVED: [HeaderName; 9] = [
    ACCEPT,
    ACCEPT_ENCODING,
    CONNECTION,
    CONTENT_LENGTH,
    HOST,
    TE,
    TIMEOUT_HEADER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// TLS and credentials of one target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// TLS, used when the URL is `https`.
    pub tls: ClientTls,
    /// The `Authorization` header, if any.
    pub authorization: Option<Authorization>,
    /// Further headers, by name; what the client itself sends can't be replaced.
    pub headers: Vec<(String, Secret)>,
}

/// What stands in the `Authorization` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorization {
    /// A name and a password (RFC 7617).
    Basic {
        /// The name; it has no colon.
        username: String,
        /// The password, which may be empty.
        password: Secret,
    },
    /// A scheme and a token, as `Bearer …` (RFC 6750).
    Token {
        /// The scheme.
        scheme: String,
        /// The token.
        credentials: Secret,
    },
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// A file that is read anew each time, without the white space it ends with.
    File(PathBuf),
    /// The text itself.
    Text(String),
}

impl Access {
    /// What a command line says: `ca` and headers by name.
    pub fn by_flags(ca: Option<PathBuf>, headers: Vec<(String, Secret)>) -> Self {
        let tls = ClientTls {
            ca,
            ..ClientTls::default()
        };
        Self {
            tls,
            authorization: None,
            headers,
        }
    }

    /// Whether anything secret is sent.
    pub fn has_secrets(&self) -> bool {
        self.authorization.is_some() || !self.headers.is_empty()
    }

    /// Refuses names that HTTP can't carry or the client needs for itself, and texts likewise;
    /// what is in files may change, and is looked at for each page.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        for (name, value) in &self.headers {
            let bad = || ConfigError::Header { name: name.clone() };
            let header = HeaderName::try_from(name).map_err(|_| bad())?;
            if RESERVED.contains(&header) {
                return Err(ConfigError::ReservedHeader { name: name.clone() });
            }
            if header == AUTHORIZATION && self.authorization.is_some() {
                return Err(ConfigError::ReservedHeader { name: name.clone() });
            }
            if let Secret::Text(text) = value {
                HeaderValue::try_from(text).map_err(|_| bad())?;
            }
        }
        let Some(authorization) = &self.authorization else {
            return Ok(());
        };
        let is_fit = match authorization.secret() {
            Secret::File(_) => true,
            Secret::Text(text) => authorization.value(text).is_some(),
        };
        let name = AUTHORIZATION.to_string();
        is_fit.then_some(()).ok_or(ConfigError::Header { name })
    }

    /// The headers, with the secrets as they are now.
    pub(super) fn headers(&self) -> Result<HeaderMap, FetchError> {
        let mut headers = HeaderMap::new();
        let unfit = |name: &str| FetchError::Credentials {
            problem: format!("{name} has a value that HTTP can't carry"),
        };
        for (name, value) in &self.headers {
            let header = HeaderName::try_from(name).map_err(|_| unfit(name))?;
            let mut value = HeaderValue::try_from(value.read()?).map_err(|_| unfit(name))?;
            value.set_sensitive(true);
            headers.insert(header, value);
        }
        if let Some(authorization) = &self.authorization {
            let secret = authorization.secret().read()?;
            let value = authorization.value(&secret);
            let value = value.ok_or_else(|| unfit(AUTHORIZATION.as_str()))?;
            headers.insert(AUTHORIZATION, value);
        }
        Ok(headers)
    }
}

/// Reads a header of a command line, `Name: value`.
///
/// # Errors
///
/// Says what is expected, and does not repeat what may be secret.
pub fn header_flag(text: &str) -> Result<(String, Secret), String> {
    let expected = || "expected `Name: value`".to_owned();
    let (name, value) = text.split_once(':').ok_or_else(expected)?;
    let (name, value) = (name.trim(), value.trim());
    if name.is_empty() || value.is_empty() {
        return Err(expected());
    }
    Ok((name.to_owned(), Secret::Text(value.to_owned())))
}

impl Authorization {
    const fn secret(&self) -> &Secret {
        match self {
            Self::Basic { password, .. } => password,
            Self::Token { credentials, .. } => credentials,
        }
    }

    fn value(&self, secret: &str) -> Option<HeaderValue> {
        let text = match self {
            Self::Basic { username, .. } => {
                let pair = BASE64_STANDARD.encode(format!("{username}:{secret}"));
                format!("Basic {pair}")
            }
            Self::Token { scheme, .. } => format!("{scheme} {secret}"),
        };
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl Secret {
    fn read(&self) -> Result<String, FetchError> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::File(path) => match Token::from_file(path) {
                Ok(token) => Ok(token.reveal().to_owned()),
                Err(error) => Err(FetchError::Credentials {
                    problem: format!("{}: {error}", path.display()),
                }),
            },
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Text(_) => f.write_str("Text(…)"),
        }
    }
}
