//! The HTTP API (9467): evaluations for Argo and scripts, the page, operations.
//!
//! Where tokens are configured, everything needs one but `/livez` and `/readyz`, whose callers
//! (the kubelet) have none; the page is opened by the cookie of [`access`] too.

pub mod access;
pub mod evaluate;
mod login;
pub mod problem;
mod rollouts;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use davy_agent_core::buildinfo;
use hyper::body::Incoming;
use tower_service::Service as _;

use crate::engine::Engine;
use crate::page;
use crate::telemetry::Telemetry;
use access::Access;
use problem::Problem;

/// Largest body of a request, in bytes: an evaluation is a few hundred.
pub const BODY_BYTES_MAX: usize = 64 << 10;

/// Time for a request, from its headers to its answer; one that sends its body byte by byte ends.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; \
                                       form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What the handlers share.
#[derive(Clone)]
pub struct Api {
    /// The state behind the answers.
    pub engine: Engine,
    /// The gate's own metrics.
    pub telemetry: Arc<Telemetry>,
    /// Who may ask.
    pub access: Access,
}

/// An answer under way.
type Answering = Pin<Box<dyn Future<Output = Response> + Send>>;

/// What answers a connection's requests, for [`davy_transport::serve_http`].
pub fn responder(
    api: Api,
) -> impl Fn(SocketAddr, hyper::Request<Incoming>) -> Answering + Clone + Send + Sync + 'static {
    let router = router(api);
    move |_, request| {
        let mut router = router.clone();
        Box::pin(async move {
            match router.call(request).await {
                Ok(response) => response,
                Err(never) => unreachable(never),
            }
        })
    }
}

fn unreachable(never: Infallible) -> Response {
    match never {}
}

/// All routes.
fn router(api: Api) -> Router {
    let guarded = Router::new()
        .route("/", get(all))
        .route("/rollouts/{id}", get(one))
        .route(
            "/v1/evaluate",
            post(evaluate::posted).get(evaluate::queried),
        )
        .route("/v1/rollouts", get(rollouts::list))
        .route("/v1/rollouts/{id}", get(rollouts::show))
        .route("/v1/rollouts/{id}/timeline", get(rollouts::timeline))
        .route("/v1/rollouts/{id}/reset", post(rollouts::reset))
        .route("/version", get(version))
        .route("/metrics", get(metrics))
        .layer(from_fn_with_state(api.clone(), authorize));
    let login = get(login::form).post(login::submitted);
    Router::new()
        .merge(guarded)
        .route(login::PATH, login)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(|| async { "ok\n" }))
        .fallback(|request: Request| async move {
            Problem::not_found(format!("there is nothing at {}", request.uri().path()))
        })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .layer(from_fn_with_state(api.clone(), harden))
        .with_state(api)
}

/// Lets in who has a token, where tokens are configured; a browser is asked for one.
async fn authorize(State(api): State<Api>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    if api.access.is_open()
        || api.access.by_token(headers)
        || (login::is_reading(&request) && api.access.by_cookie(headers))
    {
        return next.run(request).await;
    }
    if login::is_asked_by_browser(&request) {
        return login::asked(request.uri().path(), None);
    }
    Problem::unauthorized().into_response()
}

/// A time for each request; headers that keep browsers from guessing, embedding and sending forms
/// elsewhere, and caches from keeping; refusals are counted.
async fn harden(State(api): State<Api>, request: Request, next: Next) -> Response {
    let answered = tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await;
    let mut response = answered.unwrap_or_else(|_| Problem::timeout().into_response());
    if response.status().is_client_error() {
        api.telemetry.problem(match response.status() {
            StatusCode::UNAUTHORIZED => "unauthorized",
            StatusCode::NOT_FOUND => "not_found",
            StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
            StatusCode::REQUEST_TIMEOUT => "timeout",
            StatusCode::PAYLOAD_TOO_LARGE => "too_large",
            _ => "bad_request",
        });
    }
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn all(State(api): State<Api>) -> Result<Html<String>, Problem> {
    let views = api.engine.rollouts().await.ok_or_else(rollouts::gone)?;
    Ok(Html(page::rollouts(&views)))
}

async fn one(
    State(api): State<Api>,
    rollouts::Id(id): rollouts::Id,
) -> Result<Html<String>, Problem> {
    Ok(Html(page::rollout(
        &rollouts::find(&api.engine, &id).await?,
    )))
}

async fn version() -> Response {
    let body = serde_json::json!({
        "version": buildinfo::VERSION,
        "commit": buildinfo::COMMIT,
        "build_time": buildinfo::BUILD_TIME,
        "target": buildinfo::TARGET,
    });
    axum::Json(body).into_response()
}

async fn metrics(State(api): State<Api>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    (
        [(header::CONTENT_TYPE, kind)],
        Body::from(api.telemetry.page()),
    )
        .into_response()
}
