//! Status codes: HTTP codes and classes, gRPC code names, and the rules of what is an error.

/// gRPC's status codes in their numeric order.
/// Source: <https://grpc.io/docs/guides/status-codes/>.
const GRPC_CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// What of HTTP counts as an error unless configured.
pub const DEFAULT_HTTP_ERRORS: [&str; 1] = ["5xx"];

/// What of gRPC counts as an error unless configured.
pub const DEFAULT_RPC_ERRORS: [&str; 6] = [
    "UNKNOWN",
    "DEADLINE_EXCEEDED",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
];

/// A pattern of HTTP status codes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HttpPattern {
    /// All codes of a class, 1 to 9: `5xx`.
    Class(u8),
    /// One code: `503`.
    Code(u16),
}

/// Which statuses count as errors.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ErrorRules {
    http: Vec<HttpPattern>,
    rpc: Vec<u8>,
}

/// Why a rule can't be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RuleError {
    /// Neither a class (`5xx`) nor a code (`503`).
    #[error("{0:?} is neither a status class such as 5xx nor a code such as 503")]
    Http(String),
    /// Not a gRPC status code.
    #[error("{0:?} is no gRPC status code")]
    Rpc(String),
}

impl Default for ErrorRules {
    fn default() -> Self {
        let http = DEFAULT_HTTP_ERRORS
            .iter()
            .filter_map(|rule| HttpPattern::parse(rule))
            .collect();
        let rpc = DEFAULT_RPC_ERRORS
            .iter()
            .filter_map(|name| grpc_code(name))
            .collect();
        Self { http, rpc }
    }
}

impl ErrorRules {
    /// Rules of those patterns and code names.
    ///
    /// # Errors
    ///
    /// [`RuleError`] names the first pattern that can't be read.
    pub fn new<S: AsRef<str>>(http: &[S], rpc: &[S]) -> Result<Self, RuleError> {
        let http_of = |rule: &S| {
            let rule = rule.as_ref();
            HttpPattern::parse(rule).ok_or_else(|| RuleError::Http(rule.to_owned()))
        };
        let rpc_of = |name: &S| {
            let name = name.as_ref();
            grpc_code(name).ok_or_else(|| RuleError::Rpc(name.to_owned()))
        };
        let http = http.iter().map(http_of).collect::<Result<_, _>>()?;
        let rpc = rpc.iter().map(rpc_of).collect::<Result<_, _>>()?;
        Ok(Self { http, rpc })
    }

    /// Whether an HTTP status, a code (`503`) or a class (`5xx`, `5XX`), counts as an error. A
    /// class is one only when the rules name the class.
    pub fn is_http_error(&self, status: &str) -> bool {
        let Some(seen) = HttpPattern::parse(status) else {
            return false;
        };
        self.http.iter().any(|rule| match (rule, seen) {
            (HttpPattern::Class(class), HttpPattern::Code(code)) => code / 100 == u16::from(*class),
            (rule, seen) => *rule == seen,
        })
    }

    /// Whether a gRPC status, a name in any spelling or a number, counts as an error.
    pub fn is_rpc_error(&self, status: &str) -> bool {
        grpc_code(status).is_some_and(|code| self.rpc.contains(&code))
    }
}

impl HttpPattern {
    /// Reads `503` or `5xx`, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        match *text.as_bytes() {
            [class @ b'1'..=b'9', b'x' | b'X', b'x' | b'X'] => Some(Self::Class(class - b'0')),
            [b'1'..=b'9', b'0'..=b'9', b'0'..=b'9'] => text.parse().ok().map(Self::Code),
            _ => None,
        }
    }
}

/// The class of an HTTP status, 1 to 9, of a code or a class.
pub fn http_class(status: &str) -> Option<u8> {
    match HttpPattern::parse(status)? {
        HttpPattern::Class(class) => Some(class),
        HttpPattern::Code(code) => u8::try_from(code / 100).ok(),
    }
}

/// The number of a gRPC status, 0 to 16, from its number or its name; case and underscores don't
/// matter (`DeadlineExceeded`, `DEADLINE_EXCEEDED`).
pub fn grpc_code(status: &str) -> Option<u8> {
    if let Ok(code) = status.parse::<u8>() {
        return (usize::from(code) < GRPC_CODES.len()).then_some(code);
    }
    let plain = |text: &str| text.replace('_', "").to_ascii_lowercase();
    let wanted = plain(status);
    // Go spells it `Canceled`, the specification `CANCELLED`.
    let wanted = if wanted == "canceled" {
        "cancelled".to_owned()
    } else {
        wanted
    };
    let at = GRPC_CODES.iter().position(|name| plain(name) == wanted)?;
    u8::try_from(at).ok()
}

/// The name of a gRPC status number.
pub fn grpc_code_name(code: u8) -> Option<&'static str> {
    GRPC_CODES.get(usize::from(code)).copied()
}
