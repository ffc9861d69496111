//! A small HTTP/1 server: few connections, short requests, no bodies.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::{Answers, Ask, ScrapeNow};
use crate::pipeline::Intake;

/// Connections served at a time; more wait in the kernel's backlog.
const CONNECTIONS_MAX: usize = 32;
/// Time for the headers of a request, waiting on a kept connection included.
const HEADERS: Duration = Duration::from_secs(30);
/// Longest life of a connection: probes open new ones anyway.
const CONNECTION: Duration = Duration::from_secs(120);
/// Largest head of a request, in bytes.
const HEAD_BYTES: usize = 16 << 10;
/// Pause after a failed accept: the usual cause is too many descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The admin or the control server; off until an address is given.
#[derive(Debug)]
pub struct Server {
    answers: Arc<Answers>,
    listening: Option<Listening>,
}

#[derive(Debug)]
struct Listening {
    address: SocketAddr,
    bound: SocketAddr,
    /// Dropped to stop.
    _stop: oneshot::Sender<()>,
}

impl Server {
    /// A server that is off.
    pub(crate) fn new(name: &'static str, intake: Intake, asks: mpsc::Sender<Ask>) -> Self {
        let scrape_now = ScrapeNow::default();
        Self {
            answers: Arc::new(Answers {
                name,
                intake,
                asks,
                scrape_now,
            }),
            listening: None,
        }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &'static str {
        self.answers.name
    }

    /// The address as bound; none when it is off.
    pub(crate) fn bound(&self) -> Option<SocketAddr> {
        self.listening.as_ref().map(|listening| listening.bound)
    }

    /// Listens there, or not at all; returns whether that is a change.
    pub(crate) async fn replace(&mut self, address: Option<SocketAddr>) -> anyhow::Result<bool> {
        if self.listening.as_ref().map(|listening| listening.address) == address {
            return Ok(false);
        }
        let Some(address) = address else {
            self.stop();
            return Ok(true);
        };
        let context = || format!("binding {} to {address}", self.answers.name);
        let listener = TcpListener::bind(address).await.with_context(context)?;
        let bound = listener.local_addr().with_context(context)?;
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(serve(listener, Arc::clone(&self.answers), stopped));
        self.listening = Some(Listening {
            address,
            bound,
            _stop: stop,
        });
        Ok(true)
    }

    /// Stops listening; requests under way are answered.
    pub(crate) fn stop(&mut self) {
        self.listening = None;
    }
}

async fn serve(listener: TcpListener, answers: Arc<Answers>, mut stopped: oneshot::Receiver<()>) {
    let free = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = async {
            let permit = Arc::clone(&free).acquire_owned().await;
            (listener.accept().await, permit)
        };
        // Cancel-safe: a permit that is dropped is free again.
        let (accepted, permit) = tokio::select! {
            accepted = accepted => accepted,
            _ = &mut stopped => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let answers = Arc::clone(&answers);
                tokio::spawn(async move {
                    let _permit = permit;
                    connection(stream, answers).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, server = answers.name, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, answers: Arc<Answers>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answers = Arc::clone(&answers);
        async move {
            let (parts, _) = request.into_parts();
            let answer = answers.answer(&parts.method, parts.uri.path()).await;
            let response = answer.map(|text| Full::new(Bytes::from(text)));
            Ok::<Response<Full<Bytes>>, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    // A peer that breaks off is its own affair.
    let _ = tokio::time::timeout(CONNECTION, connection).await;
}
