//! Endpoints by the rules of the OTLP exporter specification
//! (<https://opentelemetry.io/docs/specs/otel/protocol/exporter/>).

use davy_proto::Signal;
use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};

use crate::Protocol;
use crate::server::grpc;

/// Where requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    scheme: Scheme,
    authority: Authority,
    path: String,
    query: Option<String>,
    per_signal: bool,
}

/// Why an endpoint can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Not a URL.
    #[error("endpoint {text:?} is not a URL: {problem}")]
    Malformed {
        /// The text.
        text: String,
        /// What is wrong.
        problem: String,
    },
    /// Neither `http` nor `https`.
    #[error("endpoint {text:?} must begin with http:// or https://")]
    Scheme {
        /// The text.
        text: String,
    },
    /// A name and a password in the URL, which would be logged with it.
    #[error("endpoint must not hold credentials; use headers or a bearer token")]
    UserInfo,
}

impl Endpoint {
    /// A base endpoint: OTLP/HTTP appends `/v1/<signal>`, gRPC uses scheme, host and port alone.
    ///
    /// # Errors
    ///
    /// What is not an `http` or `https` URL is refused.
    pub fn base(text: &str) -> Result<Self, EndpointError> {
        Self::parse(text, false)
    }

    /// An endpoint of one signal, used as it is; without a path it is `/`.
    ///
    /// # Errors
    ///
    /// What is not an `http` or `https` URL is refused.
    pub fn for_signal(text: &str) -> Result<Self, EndpointError> {
        Self::parse(text, true)
    }

    /// A base endpoint of gRPC, which may be `host:port` alone: then `insecure` says whether it is
    /// spoken to in the clear, as `OTEL_EXPORTER_OTLP_INSECURE` does.
    ///
    /// # Errors
    ///
    /// What is neither a URL nor `host:port` is refused.
    pub fn grpc(text: &str, insecure: bool) -> Result<Self, EndpointError> {
        if text.contains("://") {
            return Self::base(text);
        }
        let scheme = if insecure { "http" } else { "https" };
        Self::base(&format!("{scheme}://{text}"))
    }

    /// Scheme, host and port, for logs and for telling endpoints apart.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }

    /// Host and port; the port is the scheme's when none is named.
    pub fn host_and_port(&self) -> (&str, u16) {
        let default = if self.is_tls() { 443 } else { 80 };
        let port = self.authority.port_u16().unwrap_or(default);
        (self.authority.host(), port)
    }

    /// Whether TLS is spoken.
    pub fn is_tls(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// Where a signal's requests go.
    pub(crate) fn uri(&self, protocol: Protocol, signal: Signal) -> Result<Uri, http::Error> {
        let base = self.path.trim_end_matches('/');
        let path = match protocol {
            Protocol::Grpc => grpc::path(signal).to_owned(),
            _ if self.per_signal => self.path.clone(),
            _ => format!("{base}{}", signal.http_path()),
        };
        let query = self.query.as_ref().filter(|_| protocol != Protocol::Grpc);
        let path = query.map_or(path.clone(), |query| format!("{path}?{query}"));
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(PathAndQuery::try_from(path)?)
            .build()
    }

    fn parse(text: &str, per_signal: bool) -> Result<Self, EndpointError> {
        let text = text.trim();
        let malformed = |problem: &str| EndpointError::Malformed {
            text: text.to_owned(),
            problem: problem.to_owned(),
        };
        let uri: Uri = text
            .parse()
            .map_err(|error: http::uri::InvalidUri| malformed(&error.to_string()))?;
        let parts = uri.into_parts();
        let scheme = parts
            .scheme
            .filter(|scheme| *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS)
            .ok_or_else(|| EndpointError::Scheme {
                text: text.to_owned(),
            })?;
        let authority = parts.authority.ok_or_else(|| malformed("no host"))?;
        if authority.as_str().contains('@') {
            return Err(EndpointError::UserInfo);
        }
        if authority.host().is_empty() {
            return Err(malformed("no host"));
        }
        let path = parts.path_and_query;
        Ok(Self {
            scheme,
            authority,
            path: path.as_ref().map_or("/", PathAndQuery::path).to_owned(),
            query: path
                .as_ref()
                .and_then(PathAndQuery::query)
                .map(str::to_owned),
            per_signal,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(endpoint: Result<Endpoint, EndpointError>, protocol: Protocol, expected: &str) {
        let endpoint = endpoint.expect("endpoint");
        let uri = endpoint.uri(protocol, Signal::Traces).expect("URI");
        assert_eq!(uri.to_string(), expected);
    }

    #[test]
    fn paths_follow_the_specification() {
        use Protocol::{Grpc, HttpJson, HttpProtobuf};
        let traces = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
        for (text, expected) in [
            ("http://c:4318", "http://c:4318/v1/traces"),
            ("http://c:4318/", "http://c:4318/v1/traces"),
            ("https://c/otlp", "https://c/otlp/v1/traces"),
            ("https://c/otlp/", "https://c/otlp/v1/traces"),
            ("http://[::1]:4318/?k=v", "http://[::1]:4318/v1/traces?k=v"),
        ] {
            check(Endpoint::base(text), HttpProtobuf, expected);
        }
        for (text, expected) in [
            ("http://c:4318", "http://c:4318/"),
            ("http://c:4318/v1/traces", "http://c:4318/v1/traces"),
            ("http://c:4318/mine/", "http://c:4318/mine/"),
        ] {
            check(Endpoint::for_signal(text), HttpJson, expected);
        }
        for (text, insecure, origin) in [
            ("http://c:4317/ignored", false, "http://c:4317"),
            ("https://c", true, "https://c"),
            ("c:4317", true, "http://c:4317"),
            ("c:4317", false, "https://c:4317"),
        ] {
            let expected = format!("{origin}{traces}");
            check(Endpoint::grpc(text, insecure), Grpc, &expected);
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for text in [
            "",
            "c:4318",
            "ftp://c",
            "/v1/traces",
            "unix:///x",
            "http://",
            "c",
        ] {
            assert!(Endpoint::base(text).is_err(), "{text}");
        }
        let secret = Endpoint::base("http://me:secret@c:4318");
        assert_eq!(secret, Err(EndpointError::UserInfo));
    }

    #[test]
    fn ports_have_defaults() {
        for (text, expected) in [
            ("http://c", ("c", 80)),
            ("https://c", ("c", 443)),
            ("http://c:4318", ("c", 4318)),
        ] {
            assert_eq!(
                Endpoint::base(text).expect("endpoint").host_and_port(),
                expected
            );
        }
    }
}
