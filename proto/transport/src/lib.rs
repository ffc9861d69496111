//! How bytes travel: one server for OTLP by gRPC and HTTP, one client, one way to get a metrics
//! page, TLS, tokens, capped bodies.
//!
//! Requests pass through as the protobuf (or JSON) bytes they were: nothing here knows what a span
//! is. gRPC is framed by hand over hyper, since a unary call is five bytes before the message and a
//! trailer after it, and what has to be exact (refusals, retry delays, limits) is the same for both
//! protocols. [`serve`] turns an [`Answer`] into the one right response, [`Client::send`] turns a
//! response into the one right [`Outcome`]; both follow the OpenTelemetry protocol specification
//! 1.11 (<https://opentelemetry.io/docs/specs/otlp/>).

mod body;
mod client;
mod encoding;
mod frame;
mod outcome;
mod page;
mod server;
mod status;
mod tls;
mod token;

pub use client::endpoint::{Endpoint, EndpointError};
pub use client::{Bearer, Client, ClientConfig, ConfigError, Encoded};
pub use encoding::{Compression, compress};
pub use outcome::{Cause, Outcome, SendError, Side};
pub use page::{
    Access, Authorization, FetchError, Page, PageClient, PageOptions, PageUrl, PageUrlError,
    Secret, header_flag,
};
pub use server::{
    Answer, ConnectionOptions, Export, Handler, Refusals, ServerOptions, handler, serve, serve_http,
};
pub use status::GrpcCode;
pub use tls::{ClientTls, ServerIdentity, ServerTls, TlsError};
pub use token::Token;

/// The words a request may be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// JSON by the protobuf mapping with OTLP's deviations (`application/json`).
    Json,
    /// Binary protobuf (`application/x-protobuf`, and all of gRPC).
    Protobuf,
}

impl Media {
    /// The media type of OTLP/HTTP.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Protobuf => "application/x-protobuf",
        }
    }

    /// What a message is written in; parameters such as a charset don't matter.
    pub(crate) fn of(headers: &http::HeaderMap) -> Option<Self> {
        let value = headers.get(http::header::CONTENT_TYPE)?.to_str().ok()?;
        let essence = value.split(';').next().unwrap_or_default().trim();
        [Self::Json, Self::Protobuf]
            .into_iter()
            .find(|media| essence.eq_ignore_ascii_case(media.content_type()))
    }
}

/// How a client speaks OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC over HTTP/2 (`grpc`).
    Grpc,
    /// JSON over HTTP (`http/json`).
    HttpJson,
    /// Protobuf over HTTP (`http/protobuf`), the default of the specification.
    HttpProtobuf,
}

impl Protocol {
    /// All protocols, in the order messages list them.
    pub const ALL: [Self; 3] = [Self::Grpc, Self::HttpProtobuf, Self::HttpJson];

    /// The name in `OTEL_EXPORTER_OTLP_PROTOCOL` and in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::HttpJson => "http/json",
            Self::HttpProtobuf => "http/protobuf",
        }
    }

    /// The protocol of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == name)
    }

    /// What bodies are written in.
    pub const fn media(self) -> Media {
        match self {
            Self::HttpJson => Media::Json,
            Self::Grpc | Self::HttpProtobuf => Media::Protobuf,
        }
    }
}

/// An export request in the words of a protocol: one `Export*ServiceRequest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// The request as JSON.
    Json(bytes::Bytes),
    /// The request as protobuf.
    Protobuf(bytes::Bytes),
}

impl Body {
    /// The body of that media type.
    pub fn new(media: Media, bytes: bytes::Bytes) -> Self {
        match media {
            Media::Json => Self::Json(bytes),
            Media::Protobuf => Self::Protobuf(bytes),
        }
    }

    /// What the body is written in.
    pub const fn media(&self) -> Media {
        match self {
            Self::Json(_) => Media::Json,
            Self::Protobuf(_) => Media::Protobuf,
        }
    }

    /// The bytes, whatever they are written in.
    pub const fn bytes(&self) -> &bytes::Bytes {
        match self {
            Self::Json(bytes) | Self::Protobuf(bytes) => bytes,
        }
    }
}
