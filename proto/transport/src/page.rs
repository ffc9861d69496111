//! Getting a metrics page: one GET with a deadline, its body capped while it is unpacked.
//!
//! Both programs scrape by this, so an app shows them the same page. A connection is kept from one
//! scrape to the next; redirects are not followed, since credentials must not travel to a host that
//! nobody configured. Secrets in files are read anew for each page: projected tokens change.

mod access;
mod url;

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::ConfigError;
use crate::body::{Pieces, ReadError, innermost, read};
use crate::client::connect;
use crate::client::dial::Dial;
use crate::encoding::{Encoding, Inflate, InflateError};

pub use access::{Access, Authorization, Secret, header_flag};
pub use url::{PageUrl, PageUrlError};

/// Prometheus tells its targets how long it will wait; exporters heed it.
const TIMEOUT_HEADER: HeaderName = HeaderName::from_static("x-prometheus-scrape-timeout-seconds");

/// A buffer of this many bytes is kept, whatever it was last used for.
const SPARE_BYTES_MIN: usize = 64 << 10;

/// Largest buffer of a connection, in bytes. It is got anew while pieces of the one before are
/// under way, so it is small enough for musl's heap: 128 KiB and more come from the system.
const READ_BYTES_MAX: usize = 64 << 10;

/// What is asked for over a network: zstd costs the app least, and gzip is what all know.
const PACKED: HeaderValue = HeaderValue::from_static("zstd, gzip;q=0.9, deflate;q=0.5");

/// What is asked for on this machine, where packing costs the app CPU and saves nobody anything.
const PLAIN: HeaderValue = HeaderValue::from_static("identity");

/// Who asks, for what, and how much is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageOptions {
    /// The `Accept` header: the formats that can be read.
    pub accept: &'static str,
    /// What the client calls itself.
    pub user_agent: &'static str,
    /// Largest page, packed and unpacked, in bytes.
    pub body_bytes_max: usize,
    /// Longest wait for a connection, within the time of the whole page.
    pub connect_timeout: Duration,
    /// TLS and credentials.
    pub access: Access,
    /// A Unix socket to connect to, in place of the URL's host.
    pub socket: Option<PathBuf>,
}

/// A page as it came, unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its content type, if it has one that is text.
    pub content_type: Option<String>,
    /// The page.
    pub body: Bytes,
}

/// Why there is no page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The body is not what its encoding says, or it was cut short.
    #[error("{encoding} body is corrupt or cut short")]
    Corrupt {
        /// The Content-Encoding.
        encoding: String,
    },
    /// A secret can't be read or sent.
    #[error("credentials: {problem}")]
    Credentials {
        /// What is wrong, without the secret.
        problem: String,
    },
    /// The body is in an encoding that was not asked for.
    #[error("body is encoded as {encoding:?}")]
    Encoding {
        /// The Content-Encoding.
        encoding: String,
    },
    /// The target answered with another status than 200.
    #[error("answered {status}")]
    Status {
        /// The status.
        status: u16,
    },
    /// The target took too long.
    #[error("no answer within {timeout:?}")]
    Timeout {
        /// The longest time of a page.
        timeout: Duration,
    },
    /// The page is too large.
    #[error("page is larger than {limit} bytes")]
    TooLarge {
        /// The largest page, in bytes.
        limit: usize,
    },
    /// The target can't be reached, or broke off.
    #[error("{reason}")]
    Unreachable {
        /// The innermost cause.
        reason: String,
    },
}

/// Gets pages.
#[derive(Debug)]
pub struct PageClient {
    http: legacy::Client<HttpsConnector<Dial>, Pieces>,
    options: PageOptions,
    /// The memory of the page before, for the next one.
    spare: Mutex<BytesMut>,
}

impl PageClient {
    /// A client with these options; it keeps one connection to each target.
    ///
    /// # Errors
    ///
    /// Headers HTTP can't carry and unusable TLS files are named. Nothing is connected yet.
    pub fn new(options: PageOptions) -> Result<Self, ConfigError> {
        options.access.check()?;
        let dial = match &options.socket {
            Some(socket) => Dial::Unix(socket.clone()),
            None => Dial::Tcp(connect::tcp(options.connect_timeout)),
        };
        let https = connect::secured(&options.access.tls)?;
        let connector = https.enable_http1().wrap_connector(dial);
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        builder
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(1)
            .http1_max_buf_size(READ_BYTES_MAX);
        Ok(Self {
            http: builder.build(connector),
            options,
            spare: Mutex::default(),
        })
    }

    /// Takes a page's memory for the next page, unless someone else holds the page or little of it
    /// was used.
    pub fn give_back(&self, page: Page) {
        let Ok(mut buffer) = page.body.try_into_mut() else {
            return;
        };
        // Growing doubles; what is far more is of a page that was larger once.
        if buffer.capacity() <= (4 * buffer.len()).max(SPARE_BYTES_MIN) {
            buffer.clear();
            *self.spare() = buffer;
        }
    }

    fn spare(&self) -> std::sync::MutexGuard<'_, BytesMut> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gets a page within `timeout`.
    ///
    /// # Errors
    ///
    /// Says why there is none. Cancel-safe in that dropping the future ends the exchange.
    pub async fn fetch(&self, url: &PageUrl, timeout: Duration) -> Result<Page, FetchError> {
        tokio::time::timeout(timeout, self.exchange(url, timeout))
            .await
            .unwrap_or(Err(FetchError::Timeout { timeout }))
    }

    /// Gets a page without a clock: the target is told of `timeout`, and the caller ends it then.
    ///
    /// # Errors
    ///
    /// As [`Self::fetch`], but for the time. Cancel-safe as that is.
    pub async fn exchange(&self, url: &PageUrl, timeout: Duration) -> Result<Page, FetchError> {
        let request = self.request(url, timeout)?;
        let response = self.http.request(request).await;
        let response = response.map_err(|error| unreachable(innermost(&error)))?;
        let (head, body) = response.into_parts();
        let status = head.status.as_u16();
        if status != 200 {
            return Err(FetchError::Status { status });
        }
        let encoding = text(&head.headers, CONTENT_ENCODING).unwrap_or_default();
        let content_type = text(&head.headers, CONTENT_TYPE);
        // It holds the connection's buffer, which without it takes the next pieces too.
        drop(head);
        let limit = self.options.body_bytes_max;
        let packing = Encoding::from_http(&encoding);
        let packing = packing.ok_or_else(|| FetchError::Encoding {
            encoding: encoding.clone(),
        })?;
        let inflate = Inflate::into(std::mem::take(&mut *self.spare()), packing, limit);
        let mut inflate = inflate.map_err(|error| unreachable(error.to_string()))?;
        let refused = |error| match error {
            InflateError::Corrupt => FetchError::Corrupt {
                encoding: encoding.clone(),
            },
            InflateError::TooLarge { limit } => FetchError::TooLarge { limit },
        };
        let received = read(body, limit, |piece| inflate.push(piece)).await;
        received.map_err(|error| match error {
            ReadError::Disconnected(reason) => unreachable(reason),
            ReadError::Refused(error) => refused(error),
            ReadError::TooLarge => FetchError::TooLarge { limit },
        })?;
        Ok(Page {
            content_type,
            body: inflate.finish_buffer().map_err(refused)?.freeze(),
        })
    }

    fn request(&self, url: &PageUrl, timeout: Duration) -> Result<Request<Pieces>, FetchError> {
        let mut headers = self.options.access.headers()?;
        headers.insert(ACCEPT, HeaderValue::from_static(self.options.accept));
        let is_local = self.options.socket.is_some() || url.is_local();
        let encodings = if is_local { PLAIN } else { PACKED };
        headers.insert(ACCEPT_ENCODING, encodings);
        headers
            .entry(USER_AGENT)
            .or_insert(HeaderValue::from_static(self.options.user_agent));
        let seconds = match timeout.subsec_nanos() {
            0 => Ok(HeaderValue::from(timeout.as_secs())),
            _ => HeaderValue::try_from(timeout.as_secs_f64().to_string()),
        };
        if let Ok(seconds) = seconds {
            headers.insert(TIMEOUT_HEADER, seconds);
        }
        let mut request = Request::new(Pieces::default());
        *request.uri_mut() = url.uri().clone();
        *request.headers_mut() = headers;
        Ok(request)
    }
}

const fn unreachable(reason: String) -> FetchError {
    FetchError::Unreachable { reason }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(value.to_owned())
}

#[cfg(test)]
mod tests;
