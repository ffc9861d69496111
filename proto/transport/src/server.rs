//! One server for OTLP over gRPC and over HTTP, in any mix on one port.
//!
//! A request whose content type begins with `application/grpc` is gRPC, every other one is
//! OTLP/HTTP; HTTP/1.1, HTTP/2 in the clear and, under TLS, either by ALPN are spoken on the same
//! listener. The handler gets the signal and the unpacked bytes and answers with what became of
//! them; the right response is made of that here.
//!
//! Everything a peer can make grow is bounded: connections, headers, bodies before and after
//! unpacking, the unpacked bodies of all requests together, and the time for each.

mod crowd;
pub(crate) mod grpc;
mod listen;
mod refusal;
mod rest;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use davy_proto::Signal;
use http::header::EXPECT;
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use tokio::net::TcpListener;

use crate::body::{Budget, Pieces, ReadError, Share, read};
use crate::{Body, ServerIdentity, Token};

pub use listen::{ConnectionOptions, serve_http};
use refusal::Refusal;

/// How long a peer that finds no memory left is asked to wait.
const BUDGET_RETRY: Duration = Duration::from_secs(1);

/// How much of a refused body is still read, in multiples of the body limit, so that the peer
/// reads the refusal instead of a reset connection.
const DRAIN_FACTOR: usize = 2;

/// An export request as it arrived.
#[derive(Debug)]
pub struct Export {
    /// What it carries.
    pub signal: Signal,
    /// The unpacked request; it may be empty, which is a valid request of no items.
    pub body: Body,
    /// Who sent it.
    pub peer: SocketAddr,
    /// The bearer token presented, if any; when the server has tokens, it is one of them.
    pub token: Option<Token>,
}

/// What became of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// All of it is taken (200, `OK`).
    Accepted,
    /// The caller may not send this (403, `PERMISSION_DENIED`).
    Forbidden {
        /// Why.
        message: String,
    },
    /// Broken on our side; the caller must not retry (500, `INTERNAL`).
    Internal {
        /// What broke.
        message: String,
    },
    /// The request can't be read; the caller must not retry (400, `INVALID_ARGUMENT`).
    Invalid {
        /// What is wrong, and where.
        message: String,
    },
    /// No room now; nothing was taken (503 with `Retry-After`, `UNAVAILABLE` with `RetryInfo`).
    Overloaded {
        /// When to come again; HTTP rounds it up to whole seconds, at least one.
        retry_after: Duration,
    },
    /// Taken but for some items, or with a warning when none is rejected (200, `OK`).
    Partial {
        /// Items not taken.
        rejected: u64,
        /// Why, for people.
        message: String,
    },
    /// One of its parts is too large (413, `RESOURCE_EXHAUSTED`).
    TooLarge {
        /// What is too large, and the limit.
        message: String,
    },
    /// The caller is not known (401, `UNAUTHENTICATED`).
    Unauthenticated {
        /// Why.
        message: String,
    },
    /// This signal is not taken here (404, `UNIMPLEMENTED`).
    Unimplemented {
        /// Which, and what is.
        message: String,
    },
}

/// What a server does with each export.
pub type Handler = Arc<dyn Fn(Export) -> Answering + Send + Sync>;

/// An answer under way.
type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Makes a [`Handler`] of an async function.
pub fn handler<F, A>(answer: F) -> Handler
where
    F: Fn(Export) -> A + Send + Sync + 'static,
    A: Future<Output = Answer> + Send + 'static,
{
    Arc::new(move |export| Box::pin(answer(export)))
}

/// Told of requests and connections that are refused before the handler sees them: what is refused
/// is counted.
pub trait Refusals: std::fmt::Debug + Send + Sync {
    /// A request was refused; `reason` is one of `content_type`, `corrupt`, `grpc`, `method`,
    /// `overloaded`, `timeout`, `too_large`, `unauthenticated` and `unknown_path`.
    fn refused(&self, reason: &'static str);

    /// A connection was ended before its peer had asked anything more; `reason` is `displaced`
    /// (another one needed its place), `handshake` (TLS failed) or `silent` (it brought no request
    /// in time). Counted with the requests unless told apart.
    fn cut(&self, reason: &'static str) {
        self.refused(reason);
    }
}

/// Bounds and credentials of a server.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Largest body, packed and unpacked, in bytes.
    pub body_bytes_max: usize,
    /// Unpacked bytes of all requests under way; beyond, they are answered as overloaded.
    pub in_flight_bytes_max: usize,
    /// Connections at a time, as in [`ConnectionOptions::connections_max`].
    pub connections_max: usize,
    /// Time for the TLS handshake, and again for the headers of the first request.
    pub header_timeout: Duration,
    /// Time without a request under way, after the first.
    pub idle_timeout: Duration,
    /// Time for the body of a request.
    pub body_timeout: Duration,
    /// Time for the handler's answer.
    pub answer_timeout: Duration,
    /// Time for requests under way when the server ends.
    pub shutdown_grace: Duration,
    /// The tokens let in; with none, everyone is.
    pub tokens: Vec<Token>,
    /// Certificate and key; without, the server speaks in the clear.
    pub tls: Option<ServerIdentity>,
    /// Who is told of refused requests and of connections that were cut.
    pub refusals: Option<Arc<dyn Refusals>>,
}

impl Default for ServerOptions {
    /// The bounds of a sidecar: bodies of 16 MiB, 64 MiB together, 256 connections.
    fn default() -> Self {
        Self {
            body_bytes_max: 16 << 20,
            in_flight_bytes_max: 64 << 20,
            connections_max: 256,
            header_timeout: Duration::from_secs(30),
            // SDKs send metrics once a minute, and keep the connection.
            idle_timeout: Duration::from_secs(180),
            body_timeout: Duration::from_secs(30),
            answer_timeout: Duration::from_secs(10),
            shutdown_grace: Duration::from_secs(2),
            tokens: Vec::new(),
            tls: None,
            refusals: None,
        }
    }
}

/// Serves OTLP on `listener` until `shutdown`, then lets requests under way end, for at most
/// `shutdown_grace`.
pub async fn serve(
    listener: TcpListener,
    options: ServerOptions,
    handler: Handler,
    shutdown: impl Future<Output = ()>,
) {
    let connections = options.connections();
    let budget = Budget::new(options.in_flight_bytes_max);
    let shared = Arc::new(Shared {
        options,
        handler,
        budget,
    });
    let respond = move |peer, request| {
        let shared = Arc::clone(&shared);
        async move { shared.respond(peer, request).await }
    };
    serve_http(listener, connections, respond, shutdown).await;
}

impl ServerOptions {
    fn connections(&self) -> ConnectionOptions {
        ConnectionOptions {
            connections_max: self.connections_max,
            header_timeout: self.header_timeout,
            idle_timeout: self.idle_timeout,
            shutdown_grace: self.shutdown_grace,
            tls: self.tls.clone(),
            refusals: self.refusals.clone(),
        }
    }
}

/// What all connections of a server share.
struct Shared {
    options: ServerOptions,
    handler: Handler,
    budget: Budget,
}

impl Shared {
    /// Answers one request.
    async fn respond(&self, peer: SocketAddr, request: Request<Incoming>) -> Response<Pieces> {
        if grpc::is_grpc(request.headers()) {
            grpc::respond(self, peer, request).await
        } else {
            rest::respond(self, peer, request).await
        }
    }

    /// Tells of a request that the handler never saw.
    fn note(&self, reason: &'static str) {
        if let Some(refusals) = &self.options.refusals {
            refusals.refused(reason);
        }
    }

    /// Lets a caller in, or not.
    fn authorize(&self, headers: &HeaderMap) -> Result<Option<Token>, Refusal> {
        let presented = Token::presented(headers);
        let accepted = &self.options.tokens;
        match &presented {
            _ if accepted.is_empty() => Ok(presented),
            Some(token) if token.is_any(accepted) => Ok(presented),
            Some(_) => Err(Refusal::unauthenticated("bearer token is not accepted")),
            None => Err(Refusal::unauthenticated("bearer token is required")),
        }
    }

    /// Feeds a body to `push`, which says how many bytes it has unpacked so far.
    async fn receive<E>(
        &self,
        body: &mut Incoming,
        limit: usize,
        mut push: impl FnMut(&[u8]) -> Result<usize, E>,
    ) -> Result<Share, Refusal>
    where
        Refusal: From<E>,
    {
        let mut share = self.budget.share();
        let feed = |piece: &[u8]| {
            let unpacked = push(piece)?;
            if share.grow_to(unpacked) {
                return Ok(());
            }
            Err(Refusal::overloaded(BUDGET_RETRY))
        };
        let reading = read(body, limit, feed);
        match tokio::time::timeout(self.options.body_timeout, reading).await {
            Ok(Ok(_)) => Ok(share),
            Ok(Err(ReadError::Refused(refusal))) => Err(refusal),
            Ok(Err(ReadError::TooLarge)) => Err(Refusal::too_large(self.options.body_bytes_max)),
            Ok(Err(ReadError::Disconnected(problem))) => Err(Refusal::disconnected(&problem)),
            Err(_) => Err(Refusal::body_timeout(self.options.body_timeout)),
        }
    }

    /// Asks the handler, for as long as it may take.
    async fn ask(&self, export: Export, limit: Option<Duration>) -> Result<Answer, Refusal> {
        let timeout = self.options.answer_timeout;
        let timeout = limit.map_or(timeout, |limit| limit.min(timeout));
        tokio::time::timeout(timeout, (self.handler)(export))
            .await
            .map_err(|_| Refusal::answer_timeout(timeout))
    }

    /// Reads on past a refusal, within bounds, unless the peer waits for leave to send.
    async fn drain(&self, headers: &HeaderMap, mut body: Incoming) {
        if headers.contains_key(EXPECT) {
            return;
        }
        let limit = self.options.body_bytes_max.saturating_mul(DRAIN_FACTOR);
        let reading = read(&mut body, limit, |_| Ok::<(), ()>(()));
        let _ = tokio::time::timeout(self.options.body_timeout, reading).await;
    }
}

#[cfg(test)]
mod tests;
