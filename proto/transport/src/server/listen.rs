//! Connections of any HTTP server: accepted up to a bound, timed, and ended gently.
//!
//! A connection is quiet while no request is under way. It may be so for `header_timeout` before
//! its first request, TLS handshake apart, and for `idle_timeout` from then on, whatever it speaks
//! and however many bytes of a head it has sent: that ends slow heads, peers that don't read their
//! answers, and connections that were forgotten.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::Refusals;
use super::crowd::Crowd;
use crate::ServerIdentity;

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

/// Bounds of a listener's connections.
#[derive(Clone, Debug)]
pub struct ConnectionOptions {
    /// Connections at a time. Beyond, the one that has been without a request for longest is ended
    /// for the next; while each has one under way, the next waits.
    pub connections_max: usize,
    /// Time for the TLS handshake, and again for the headers of the first request.
    pub header_timeout: Duration,
    /// Time without a request under way, after the first.
    pub idle_timeout: Duration,
    /// Time for requests under way when the server ends.
    pub shutdown_grace: Duration,
    /// Certificate and key; without, the server speaks in the clear.
    pub tls: Option<ServerIdentity>,
    /// Who is told of connections that were cut.
    pub refusals: Option<Arc<dyn Refusals>>,
}

/// Serves HTTP/1.1 and HTTP/2 on `listener`, each request answered by `respond`, until `shutdown`;
/// then requests under way may end, for at most `shutdown_grace`.
///
/// Time and size of bodies and answers are `respond`'s to bound.
pub async fn serve_http<R, A, B>(
    listener: TcpListener,
    options: ConnectionOptions,
    respond: R,
    shutdown: impl Future<Output = ()>,
) where
    R: Fn(SocketAddr, Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let grace = options.shutdown_grace;
    let crowd = Arc::new(Crowd::new(options.connections_max));
    let options = Arc::new(options);
    let (stop, stopped) = watch::channel(false);
    // Dropping the set ends what is left when the grace is over.
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            // Cancel-safe: accepting loses no connection, and one that is accepted and waits for a
            // slot when all ends has not been served.
            accepted = accept(&listener, &crowd) => accepted,
            () = &mut shutdown => break,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, peer, slot)) => {
                let connection = Connection {
                    options: Arc::clone(&options),
                    crowd: Arc::clone(&crowd),
                    stopped: stopped.clone(),
                    peer,
                };
                let respond = respond.clone();
                connections.spawn(async move {
                    connection.run(stream, respond).await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                crowd.displace();
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    stop.send_replace(true);
    let ended = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(grace, ended).await;
}

type Accepted = (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>);

async fn accept(listener: &TcpListener, crowd: &Crowd) -> io::Result<Accepted> {
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, crowd.slot().await))
}

/// A connection to be served.
struct Connection {
    options: Arc<ConnectionOptions>,
    crowd: Arc<Crowd>,
    stopped: watch::Receiver<bool>,
    peer: SocketAddr,
}

/// Requests of a connection.
#[derive(Clone, Copy, Debug, Default)]
struct Activity {
    begun: u64,
    under_way: u64,
}

/// Why a connection is ended from this side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Another one needed its slot.
    Displaced,
    /// It was quiet for too long between requests.
    Idle,
    /// It never got as far as a request.
    Silent,
    /// The server ends.
    Stopped,
}

impl Connection {
    async fn run<R, A, B>(self, stream: TcpStream, respond: R)
    where
        R: Fn(SocketAddr, Request<Incoming>) -> A + Send + 'static,
        A: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        // Small answers should not wait for more to say.
        let _ = stream.set_nodelay(true);
        let Some(identity) = &self.options.tls else {
            return self.speak(stream, respond).await;
        };
        let shaking = TlsAcceptor::from(identity.current()).accept(stream);
        let shaken = tokio::select! {
            shaken = shaking => shaken,
            end = self.outstay(None) => return self.cut(end),
        };
        match shaken {
            Ok(stream) => self.speak(stream, respond).await,
            Err(error) => {
                tracing::debug!(peer = %self.peer, %error, "TLS handshake failed");
                self.count("handshake");
            }
        }
    }

    async fn speak<S, R, A, B>(&self, stream: S, respond: R)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        R: Fn(SocketAddr, Request<Incoming>) -> A + Send + 'static,
        A: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        let peer = self.peer;
        let (activity, observed) = watch::channel(Activity::default());
        let activity = Arc::new(activity);
        let service = service_fn(move |request| {
            let turn = Turn::begin(&activity);
            let answer = respond(peer, request);
            async move {
                let response = answer.await;
                drop(turn);
                Ok::<_, Infallible>(response)
            }
        });
        let builder = builder();
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let end = tokio::select! {
            // In this order: a request that has come wins over the end of waiting for one.
            biased;
            served = connection.as_mut() => {
                if let Err(error) = served {
                    tracing::debug!(%peer, %error, "connection ended early");
                }
                return;
            }
            end = self.outstay(Some(observed)) => end,
        };
        let grace = match end {
            End::Stopped => self.options.shutdown_grace,
            // Long enough to say goodbye where the peer listens.
            End::Displaced | End::Idle | End::Silent => Duration::ZERO,
        };
        connection.as_mut().graceful_shutdown();
        let _ = tokio::time::timeout(grace, connection).await;
        self.cut(end);
    }

    /// Resolves when the connection has been quiet for too long, or has to end for another reason.
    /// Without an activity it is in its handshake.
    async fn outstay(&self, activity: Option<watch::Receiver<Activity>>) -> End {
        let mut stopped = self.stopped.clone();
        // An error means that the server is gone, which is an end too.
        let stopped = async { drop(stopped.wait_for(|stopped| *stopped).await) };
        tokio::select! {
            end = self.quiet(activity) => end,
            () = stopped => End::Stopped,
        }
    }

    async fn quiet(&self, mut activity: Option<watch::Receiver<Activity>>) -> End {
        let mut limit = (self.options.header_timeout, End::Silent);
        let mut begun = 0;
        loop {
            let mut place = self.crowd.wait();
            let request = async {
                match &mut activity {
                    Some(activity) => drop(activity.wait_for(|it| it.begun != begun).await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // In this order: a request that has begun is not cut.
                biased;
                () = request => {}
                () = place.displaced() => return End::Displaced,
                () = tokio::time::sleep(limit.0) => return limit.1,
            }
            drop(place);
            if let Some(activity) = &mut activity {
                // An error means that the connection is gone, and this with it.
                if let Ok(done) = activity.wait_for(|it| it.under_way == 0).await {
                    begun = done.begun;
                }
            }
            limit = (self.options.idle_timeout, End::Idle);
        }
    }

    /// Tells of a connection that was ended from this side.
    fn cut(&self, end: End) {
        tracing::debug!(peer = %self.peer, ?end, "connection ended");
        match end {
            End::Displaced => self.count("displaced"),
            End::Silent => self.count("silent"),
            End::Idle | End::Stopped => {}
        }
    }

    fn count(&self, reason: &'static str) {
        if let Some(refusals) = &self.options.refusals {
            refusals.cut(reason);
        }
    }
}

/// A request under way, until it is dropped.
struct Turn(Arc<watch::Sender<Activity>>);

impl Turn {
    fn begin(activity: &Arc<watch::Sender<Activity>>) -> Self {
        activity.send_modify(|activity| {
            activity.begun += 1;
            activity.under_way += 1;
        });
        Self(Arc::clone(activity))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.send_modify(|activity| activity.under_way -= 1);
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // Timed by `Connection::quiet`, the same in all protocols.
        .header_read_timeout(None)
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
