//! One client for OTLP over gRPC and over HTTP: sends encoded requests, classifies the answers.
//!
//! Connections are kept and reused; redirects are not followed, since the specification names no
//! redirect among the answers and a token must not travel to a host nobody configured.

mod classify;
pub(crate) mod connect;
pub(crate) mod dial;
pub(crate) mod endpoint;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use davy_proto::Signal;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::body::{Pieces, ReadError, chain, read};
use crate::encoding::{Encoding, Inflate, InflateError, Packer};
use crate::frame::{self, FrameError, Unary};
use crate::outcome::{Cause, Outcome, SendError};
use crate::{Body, ClientTls, Compression, Endpoint, Media, Protocol, TlsError, Token};

use dial::Dial;

/// Largest response read, as the specification recommends, in bytes.
const RESPONSE_BYTES_MAX: usize = 4 << 20;

/// How long an unused connection is kept: longer than the usual export interval of a minute.
const POOL_IDLE: Duration = Duration::from_secs(90);

/// Pings of HTTP/2 connections with requests under way.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// Largest buffer of an HTTP/1.1 connection, in bytes.
const HTTP1_BUFFER_MAX: usize = 64 << 10;

/// What the client calls itself.
const AGENT: &str = concat!("davy/", env!("CARGO_PKG_VERSION"));

/// The token a client presents.
#[derive(Clone, Debug)]
pub enum Bearer {
    /// A file that is read anew for each request: projected tokens change.
    File(PathBuf),
    /// A token as it is.
    Text(Token),
}

/// How and where a client sends.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Where to.
    pub endpoint: Endpoint,
    /// In which words.
    pub protocol: Protocol,
    /// How packed.
    pub compression: Compression,
    /// Headers of every request, by name; OTLP's own can't be replaced.
    pub headers: Vec<(String, String)>,
    /// Time for one request, connecting included.
    pub timeout: Duration,
    /// TLS, used when the endpoint is `https`.
    pub tls: ClientTls,
    /// The token to present, if any.
    pub bearer: Option<Bearer>,
}

/// Why a client can't be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A header that HTTP can't carry.
    #[error("header {name:?} has a name or a value that HTTP can't carry")]
    Header {
        /// Its name.
        name: String,
    },
    /// A header that the client sends itself.
    #[error("header {name:?} is the client's own and can't be replaced")]
    ReservedHeader {
        /// Its name.
        name: String,
    },
    /// TLS can't be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A request packed once, to be sent as often as need be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    bytes: Bytes,
    compression: Compression,
    media: Media,
}

impl Encoded {
    /// Bytes on the wire.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// Sends export requests to one endpoint.
#[derive(Debug)]
pub struct Client {
    http: legacy::Client<HttpsConnector<Dial>, Pieces>,
    config: ClientConfig,
    packer: Packer,
    headers: HeaderMap,
    now: fn() -> SystemTime,
}

impl Client {
    /// A client of `config`; `now` is asked when a server names a date to come back at.
    ///
    /// # Errors
    ///
    /// Headers HTTP can't carry and unusable TLS files are named. Nothing is connected yet.
    pub fn new(config: ClientConfig, now: fn() -> SystemTime) -> Result<Self, ConfigError> {
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        for (name, value) in &config.headers {
            let bad = || ConfigError::Header { name: name.clone() };
            let header = HeaderName::try_from(name).map_err(|_| bad())?;
            let mut value = HeaderValue::try_from(value).map_err(|_| bad())?;
            value.set_sensitive(true);
            headers.insert(header, value);
        }
        Ok(Self {
            http: connections(&config)?,
            packer: Packer::new(config.compression),
            config,
            headers,
            now,
        })
    }

    /// Where the client sends, and how.
    pub fn config(&self) -> &ClientConfig {
        &self.config
    }

    /// Packs a request as configured, for [`Self::send_encoded`].
    ///
    /// # Errors
    ///
    /// A body that is not in the protocol's words, or a compressor without memory.
    pub fn encode(&self, body: Body) -> Result<Encoded, SendError> {
        let media = self.config.protocol.media();
        if body.media() != media {
            let name = self.config.protocol.as_str();
            let problem = format!("{name} does not carry {}", body.media().content_type());
            return Err(SendError::local(Cause::Request { problem }, false));
        }
        let compression = self.config.compression;
        let bytes = match body {
            Body::Json(bytes) | Body::Protobuf(bytes) => bytes,
        };
        let bytes = self.packer.pack(bytes).map_err(|error| {
            let problem = error.to_string();
            SendError::local(Cause::Request { problem }, true)
        })?;
        Ok(Encoded {
            bytes,
            compression,
            media,
        })
    }

    /// Packs and sends a request once.
    pub async fn send(&self, signal: Signal, body: Body) -> Outcome {
        match self.encode(body) {
            Ok(encoded) => self.send_encoded(signal, &encoded).await,
            Err(error) => Outcome::failed(error, None),
        }
    }

    /// Sends a packed request once.
    ///
    /// Cancel-safe in that dropping the future ends the exchange; the server may have taken it.
    pub async fn send_encoded(&self, signal: Signal, encoded: &Encoded) -> Outcome {
        let request = match self.request(signal, encoded) {
            Ok(request) => request,
            Err(error) => return Outcome::failed(error, None),
        };
        let after = self.config.timeout;
        let exchange = self.exchange(signal, request);
        match tokio::time::timeout(after, exchange).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => Outcome::failed(error, None),
            Err(_) => Outcome::failed(SendError::network(Cause::Timeout { after }), None),
        }
    }

    async fn exchange(
        &self,
        signal: Signal,
        request: Request<Pieces>,
    ) -> Result<Outcome, SendError> {
        let response = self.http.request(request).await.map_err(|error| {
            let problem = chain(&error);
            SendError::network(if error.is_connect() {
                Cause::Connect { problem }
            } else {
                Cause::Transport { problem }
            })
        })?;
        match self.config.protocol {
            Protocol::Grpc => receive_grpc(signal, response).await,
            Protocol::HttpJson | Protocol::HttpProtobuf => {
                receive_http(signal, response, self.now).await
            }
        }
    }

    fn request(&self, signal: Signal, encoded: &Encoded) -> Result<Request<Pieces>, SendError> {
        let protocol = self.config.protocol;
        let unfit = |problem: String| SendError::local(Cause::Request { problem }, false);
        let uri = self.config.endpoint.uri(protocol, signal);
        let uri = uri.map_err(|error| unfit(error.to_string()))?;
        let bytes = encoded.bytes.clone();
        let packing = encoded.compression.header();
        let mut headers = self.headers.clone();
        if let Some(token) = self.token()? {
            headers.insert(AUTHORIZATION, token);
        }
        let body = if protocol == Protocol::Grpc {
            let length = u32::try_from(bytes.len());
            let length = length.map_err(|_| unfit("larger than 4 GiB".to_owned()))?;
            grpc_headers(&mut headers, packing, self.config.timeout);
            Pieces::framed(frame::header(packing.is_some(), length), bytes, None)
        } else {
            let content_type = HeaderValue::from_static(encoded.media.content_type());
            headers.insert(CONTENT_TYPE, content_type);
            if let Some(packing) = packing {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static(packing));
            }
            Pieces::whole(bytes)
        };
        let mut request = Request::post(uri)
            .body(body)
            .map_err(|error| unfit(error.to_string()))?;
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// The `Authorization` header, from the file as it is now.
    fn token(&self) -> Result<Option<HeaderValue>, SendError> {
        let token = match &self.config.bearer {
            None => return Ok(None),
            Some(Bearer::Text(token)) => token.clone(),
            Some(Bearer::File(path)) => Token::from_file(path).map_err(|error| {
                let problem = format!("{}: {error}", path.display());
                // The file may be about to be written.
                SendError::local(Cause::Bearer { problem }, true)
            })?,
        };
        let value = HeaderValue::try_from(format!("Bearer {}", token.reveal()));
        let mut value = value.map_err(|_| {
            let problem = "not fit for a header".to_owned();
            SendError::local(Cause::Bearer { problem }, false)
        })?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

fn grpc_headers(headers: &mut HeaderMap, packing: Option<&'static str>, timeout: Duration) {
    for (name, value) in [
        ("content-type", Some("application/grpc")),
        ("te", Some("trailers")),
        ("grpc-accept-encoding", Some(Encoding::GRPC)),
        ("grpc-encoding", packing),
    ] {
        if let Some(value) = value {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    // At most eight digits are allowed: 27 hours in milliseconds.
    let milliseconds = timeout.as_millis().min(99_999_999);
    if let Ok(value) = HeaderValue::try_from(format!("{milliseconds}m")) {
        headers.insert("grpc-timeout", value);
    }
}

/// The pool of connections: HTTP/2 alone for gRPC, whatever the server prefers for HTTP.
fn connections(
    config: &ClientConfig,
) -> Result<legacy::Client<HttpsConnector<Dial>, Pieces>, ConfigError> {
    let tcp = Dial::Tcp(connect::tcp(config.timeout));
    let builder = connect::secured(&config.tls)?;
    let grpc = config.protocol == Protocol::Grpc;
    let connector = if grpc {
        builder.enable_http2().wrap_connector(tcp)
    } else {
        builder.enable_all_versions().wrap_connector(tcp)
    };
    let mut client = legacy::Client::builder(TokioExecutor::new());
    client
        .http2_only(grpc)
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(1)
        .http1_max_buf_size(HTTP1_BUFFER_MAX)
        .http2_keep_alive_interval(PING_INTERVAL);
    Ok(client.build(connector))
}

async fn receive_http(
    signal: Signal,
    response: Response<Incoming>,
    now: fn() -> SystemTime,
) -> Result<Outcome, SendError> {
    let (head, body) = response.into_parts();
    let packing = header(&head.headers, CONTENT_ENCODING.as_str());
    let inflate = Encoding::from_http(packing)
        .and_then(|encoding| Inflate::new(encoding, RESPONSE_BYTES_MAX).ok());
    // Words packed in a way nobody asked for are not read; the status still counts.
    let bytes = match inflate {
        None => None,
        Some(mut inflate) => match read(body, RESPONSE_BYTES_MAX, |it| inflate.push(it)).await {
            Ok(_) => inflate.finish().ok(),
            Err(ReadError::Disconnected(problem)) if head.status == StatusCode::OK => {
                return Err(SendError::network(Cause::Transport { problem }));
            }
            Err(_) => None,
        },
    };
    let (status, headers) = (head.status, &head.headers);
    Ok(classify::http(
        signal,
        status,
        headers,
        bytes.as_ref(),
        now(),
    ))
}

async fn receive_grpc(signal: Signal, response: Response<Incoming>) -> Result<Outcome, SendError> {
    let (head, body) = response.into_parts();
    let is_grpc = header(&head.headers, "content-type").starts_with("application/grpc");
    let encoding = Encoding::from_grpc(header(&head.headers, "grpc-encoding"));
    let mut unary = encoding.map(|encoding| Unary::new(encoding, RESPONSE_BYTES_MAX));
    let mut broken = !is_grpc;
    let mut is_message = false;
    // The status is in the trailers, so a message that can't be read is passed over.
    let skip = |piece: &[u8]| {
        let pushed = unary.as_mut().map(|unary| unary.push(piece));
        broken |= !matches!(pushed, Some(Ok(())));
        let too_large = FrameError::from(InflateError::TooLarge {
            limit: RESPONSE_BYTES_MAX,
        });
        is_message = is_grpc && matches!(pushed, Some(Err(error)) if error == too_large);
        Ok::<(), ()>(())
    };
    let trailers = match read(body, RESPONSE_BYTES_MAX, skip).await {
        Ok(trailers) => trailers,
        Err(ReadError::Disconnected(problem)) => {
            return Err(SendError::network(Cause::Transport { problem }));
        }
        Err(_) => return Ok(classify::grpc_too_large(head.status, is_message)),
    };
    let message = unary
        .filter(|_| !broken)
        .and_then(|unary| unary.finish().ok());
    let (status, headers) = (head.status, &head.headers);
    Ok(classify::grpc(
        signal,
        status,
        headers,
        &trailers,
        message.as_ref(),
    ))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

#[cfg(test)]
mod tests;
