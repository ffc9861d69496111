//! A plain HTTP server: keeps the bodies that are posted, and serves a page that a test sets.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// A running server on loopback; it ends when dropped.
#[derive(Debug)]
pub struct Capture {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    page: String,
    posted: Vec<(String, Bytes)>,
}

impl Capture {
    /// Starts it on a free port.
    ///
    /// # Errors
    ///
    /// When no port can be bound.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("bind")?;
        let address = listener.local_addr()?;
        let state = Arc::<Mutex<State>>::default();
        let task = tokio::spawn(accept(listener, Arc::clone(&state)));
        Ok(Self {
            address,
            state,
            task,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers every GET with this page from now on.
    pub fn set_page(&self, page: &str) {
        page.clone_into(&mut lock(&self.state).page);
    }

    /// Path and body of what was posted so far.
    pub fn posted(&self) -> Vec<(String, Bytes)> {
        lock(&self.state).posted.clone()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        let service = service_fn(move |request| answer(Arc::clone(&state), request));
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service);
        tokio::spawn(connection);
    }
}

async fn answer(
    state: Arc<Mutex<State>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() == Method::GET {
        let page = lock(&state).page.clone();
        let mut response = Response::new(Full::from(page));
        let text = http::HeaderValue::from_static("text/plain; version=0.0.4");
        response
            .headers_mut()
            .insert(http::header::CONTENT_TYPE, text);
        return Ok(response);
    }
    let path = request.uri().path().to_owned();
    if let Ok(body) = request.into_body().collect().await {
        lock(&state).posted.push((path, body.to_bytes()));
    }
    let mut response = Response::new(Full::from("{}"));
    let json = http::HeaderValue::from_static("application/json");
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, json);
    Ok(response)
}
