//! Getting a page: one GET with a deadline, its body capped, decompressed within the same cap.
//! It asks as `davy-agent` does, so an app shows both the same page.

use std::error::Error;
use std::io::Read as _;
use std::time::Duration;

use bytes::Bytes;
use davy_agent_core::exposition::{self, DEFAULT_LIMITS};
use flate2::read::MultiGzDecoder;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, Request};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::target::Target;

/// Prometheus tells its targets how long it will wait; exporters heed it.
const TIMEOUT_HEADER: HeaderName = HeaderName::from_static("x-prometheus-scrape-timeout-seconds");

/// A client for pages.
pub(super) type HttpClient = Client<HttpConnector, Empty<Bytes>>;

/// A page as it came, decompressed.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) content_type: Option<String>,
    pub(super) body: Bytes,
}

/// A client that keeps one connection to each target.
pub(super) fn client(timeout: Duration) -> HttpClient {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(timeout));
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_max_idle_per_host(1)
        .build(connector)
}

/// Gets a target's page, or says why not.
pub(super) async fn fetch(
    client: &HttpClient,
    target: &Target,
    timeout: Duration,
) -> Result<Page, String> {
    let page = tokio::time::timeout(timeout, get(client, target, timeout)).await;
    page.unwrap_or_else(|_| Err(format!("no answer within {timeout:?}")))
}

async fn get(client: &HttpClient, target: &Target, timeout: Duration) -> Result<Page, String> {
    let encodings = if target.is_local() {
        "identity"
    } else {
        "gzip"
    };
    let request = Request::get(target.url.clone())
        .header(ACCEPT, exposition::ACCEPT)
        .header(ACCEPT_ENCODING, encodings)
        .header(USER_AGENT, concat!("davy-gate/", env!("CARGO_PKG_VERSION")))
        .header(TIMEOUT_HEADER, timeout.as_secs_f64().to_string())
        .body(Empty::new())
        .map_err(|error| error.to_string())?;
    let response = client
        .request(request)
        .await
        .map_err(|error| innermost(&error))?;
    let status = response.status().as_u16();
    if status != 200 {
        return Err(format!("answered {status}"));
    }
    let text = |name: HeaderName, headers: &HeaderMap| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let content_type = text(CONTENT_TYPE, response.headers());
    let encoding = text(CONTENT_ENCODING, response.headers()).unwrap_or_default();
    let limit = DEFAULT_LIMITS.body_bytes;
    let body = Limited::new(response.into_body(), limit).collect().await;
    let body = body.map_err(|error| innermost(error.as_ref()))?.to_bytes();
    let body = match encoding.to_ascii_lowercase().as_str() {
        "" | "identity" => body,
        "gzip" | "x-gzip" => gunzip(&body, limit)?,
        _ => return Err(format!("body is encoded as {encoding:?}")),
    };
    Ok(Page { content_type, body })
}

fn gunzip(packed: &[u8], limit: usize) -> Result<Bytes, String> {
    let mut body = Vec::new();
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    match MultiGzDecoder::new(packed)
        .take(bound)
        .read_to_end(&mut body)
    {
        Ok(length) if length > limit => Err(format!("page is larger than {limit} bytes")),
        Ok(_) => Ok(Bytes::from(body)),
        Err(error) => Err(format!("gzip: {error}")),
    }
}

/// The innermost cause: hyper's outer errors say only what was tried.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
