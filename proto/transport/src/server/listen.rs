//! Connections: accepted up to a bound, timed, and ended gently.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::{Handler, ServerOptions, Shared};
use crate::body::Budget;

/// Pause after a failed accept (out of descriptors, mostly), so as not to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Requests under way on one HTTP/2 connection.
const STREAMS_MAX: u32 = 100;

/// Headers of a request, in bytes.
const HEADER_BYTES_MAX: u32 = 16 << 10;

/// Buffer of an HTTP/1.1 connection, which bounds its headers, in bytes.
const HTTP1_BUFFER_MAX: usize = 64 << 10;

/// Pings of idle HTTP/2 connections, and the time for their answer.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Serves OTLP on `listener` until `shutdown`, then lets requests under way end, for at most
/// `shutdown_grace`.
pub async fn serve(
    listener: TcpListener,
    options: ServerOptions,
    handler: Handler,
    shutdown: impl Future<Output = ()>,
) {
    let grace = options.shutdown_grace;
    let slots = Arc::new(Semaphore::new(options.connections_max));
    let tls = options.tls.clone().map(TlsAcceptor::from);
    let budget = Budget::new(options.in_flight_bytes_max);
    let shared = Arc::new(Shared {
        options,
        handler,
        budget,
    });
    let graceful = GracefulShutdown::new();
    // Dropping the set ends what is left when the grace is over.
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let accepting = async {
            let slot = Arc::clone(&slots).acquire_owned().await;
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            // Cancel-safe: a slot not used is given back, accepting loses no connection.
            accepted = accepting => accepted,
            () = &mut shutdown => break,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, peer)) => {
                let connection = Connection {
                    shared: Arc::clone(&shared),
                    tls: tls.clone(),
                    watcher: graceful.watcher(),
                    peer,
                };
                connections.spawn(async move {
                    connection.run(stream).await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let _ = tokio::time::timeout(grace, graceful.shutdown()).await;
}

/// A connection to be served.
struct Connection {
    shared: Arc<Shared>,
    tls: Option<TlsAcceptor>,
    watcher: Watcher,
    peer: SocketAddr,
}

impl Connection {
    async fn run(self, stream: TcpStream) {
        // Small answers should not wait for more to say.
        let _ = stream.set_nodelay(true);
        let Some(acceptor) = self.tls.clone() else {
            return self.speak(stream).await;
        };
        let handshake = acceptor.accept(stream);
        match tokio::time::timeout(self.shared.options.header_timeout, handshake).await {
            Ok(Ok(stream)) => self.speak(stream).await,
            Ok(Err(error)) => tracing::debug!(peer = %self.peer, %error, "TLS handshake failed"),
            Err(_) => tracing::debug!(peer = %self.peer, "TLS handshake took too long"),
        }
    }

    async fn speak<S>(self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let peer = self.peer;
        let header_timeout = self.shared.options.header_timeout;
        let used = Arc::new(AtomicBool::new(false));
        let service = service_fn({
            let used = Arc::clone(&used);
            move |request| {
                used.store(true, Ordering::Relaxed);
                let shared = Arc::clone(&self.shared);
                async move { Ok::<_, Infallible>(shared.respond(peer, request).await) }
            }
        });
        let builder = builder(header_timeout);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        let connection = self.watcher.watch(connection.into_owned());
        // hyper times the headers of HTTP/1.1; who never gets as far as a first request, in
        // whatever protocol, is timed here.
        let idle = async {
            tokio::time::sleep(header_timeout).await;
            if used.load(Ordering::Relaxed) {
                pending::<()>().await;
            }
        };
        tokio::select! {
            served = connection => {
                if let Err(error) = served {
                    tracing::debug!(%peer, %error, "connection ended early");
                }
            }
            () = idle => tracing::debug!(%peer, "connection without a request"),
        }
    }
}

fn builder(header_timeout: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_buf_size(HTTP1_BUFFER_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_BYTES_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}
