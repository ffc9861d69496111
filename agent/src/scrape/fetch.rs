//! Getting a page: one GET with a deadline, its body capped, decompressed within the same cap.

use std::io::Read as _;
use std::time::Duration;

use bytes::Bytes;
use davy_agent_core::exposition::{self, PageError};
use flate2::read::MultiGzDecoder;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, Request, Response};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use thiserror::Error;

use super::Target;

/// Prometheus tells its targets how long it will wait; exporters heed it.
const TIMEOUT_HEADER: HeaderName = HeaderName::from_static("x-prometheus-scrape-timeout-seconds");

/// A client for pages.
pub(super) type HttpClient = Client<HttpConnector, Empty<Bytes>>;

/// Why a scrape failed.
#[derive(Debug, Error)]
pub enum ScrapeError {
    /// The body is in an encoding that was not asked for.
    #[error("body is encoded as {encoding:?}")]
    Encoding {
        /// The Content-Encoding.
        encoding: String,
    },
    /// The target can't be reached, or broke off.
    #[error("{reason}")]
    Http {
        /// The innermost cause.
        reason: String,
    },
    /// The page can't be read.
    #[error("{0}")]
    Page(PageError),
    /// The target answered with another status than 200.
    #[error("answered {status}")]
    Status {
        /// The status.
        status: u16,
    },
    /// The target took too long.
    #[error("no answer within {timeout:?}")]
    Timeout {
        /// The longest time of a scrape.
        timeout: Duration,
    },
}

impl ScrapeError {
    /// Returns the reason as a metric's label.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Encoding { .. } => "encoding",
            Self::Http { .. } => "unreachable",
            Self::Page(PageError::BodyTooLarge { .. } | PageError::TooManySamples { .. }) => {
                "too_large"
            }
            Self::Page(_) => "malformed",
            Self::Status { .. } => "status",
            Self::Timeout { .. } => "timeout",
        }
    }
}

/// A page as it came, decompressed.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) content_type: Option<String>,
    pub(super) body: Bytes,
}

/// Returns a client that keeps one connection to its target.
pub(super) fn client(timeout: Duration) -> HttpClient {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(timeout));
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_max_idle_per_host(1)
        .build(connector)
}

/// Gets a target's page within its timeout.
pub(super) async fn fetch(client: &HttpClient, target: &Target) -> Result<Fetched, ScrapeError> {
    let timeout = target.timeout;
    tokio::time::timeout(timeout, get(client, target))
        .await
        .map_err(|_| ScrapeError::Timeout { timeout })?
}

async fn get(client: &HttpClient, target: &Target) -> Result<Fetched, ScrapeError> {
    let response = client
        .request(request(target)?)
        .await
        .map_err(|error| innermost(&error))?;
    let status = response.status().as_u16();
    if status != 200 {
        return Err(ScrapeError::Status { status });
    }
    let text = |name: HeaderName, headers: &HeaderMap| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let content_type = text(CONTENT_TYPE, response.headers());
    let encoding = text(CONTENT_ENCODING, response.headers()).unwrap_or_default();
    let limit = target.limits.body_bytes;
    let body = collect(response, limit).await?;
    let body = match encoding.to_ascii_lowercase().as_str() {
        "" | "identity" => body,
        "gzip" | "x-gzip" => gunzip(&body, limit)?,
        _ => return Err(ScrapeError::Encoding { encoding }),
    };
    Ok(Fetched { content_type, body })
}

fn request(target: &Target) -> Result<Request<Empty<Bytes>>, ScrapeError> {
    let encodings = if target.is_local() {
        "identity"
    } else {
        "gzip"
    };
    Request::get(target.url.clone())
        .header(ACCEPT, exposition::ACCEPT)
        .header(ACCEPT_ENCODING, encodings)
        .header(
            USER_AGENT,
            concat!("davy-agent/", env!("CARGO_PKG_VERSION")),
        )
        .header(TIMEOUT_HEADER, target.timeout.as_secs_f64().to_string())
        .body(Empty::new())
        .map_err(|error| ScrapeError::Http {
            reason: error.to_string(),
        })
}

async fn collect(response: Response<Incoming>, limit: usize) -> Result<Bytes, ScrapeError> {
    match Limited::new(response.into_body(), limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(limit)),
        Err(error) => Err(innermost(error.as_ref())),
    }
}

fn gunzip(packed: &[u8], limit: usize) -> Result<Bytes, ScrapeError> {
    let mut body = Vec::new();
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let read = MultiGzDecoder::new(packed)
        .take(bound)
        .read_to_end(&mut body);
    match read {
        Ok(length) if length > limit => Err(too_large(limit)),
        Ok(_) => Ok(Bytes::from(body)),
        Err(error) => Err(ScrapeError::Http {
            reason: format!("gzip: {error}"),
        }),
    }
}

fn too_large(limit: usize) -> ScrapeError {
    ScrapeError::Page(PageError::BodyTooLarge { limit })
}

/// Returns the innermost cause: hyper's outer errors say only what was tried.
fn innermost(error: &(dyn std::error::Error + 'static)) -> ScrapeError {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    ScrapeError::Http {
        reason: cause.to_string(),
    }
}
