//! The HTTP API (9467): evaluations for Argo and scripts, the page, operations.

pub mod evaluate;
pub mod problem;
mod rollouts;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use davy_agent_core::buildinfo;
use davy_transport::Token;

use crate::engine::Engine;
use crate::page;
use crate::telemetry::{ReasonLabel, Telemetry};
use problem::Problem;

/// Largest body of a request, in bytes: an evaluation is a few hundred.
pub const BODY_BYTES_MAX: usize = 64 << 10;

/// What the handlers share.
#[derive(Clone)]
pub struct Api {
    /// The state behind the answers.
    pub engine: Engine,
    /// The gate's own metrics.
    pub telemetry: Arc<Telemetry>,
    /// Any of these opens the API; empty: none is asked for.
    pub tokens: Arc<[Token]>,
}

/// All routes.
pub fn router(api: Api) -> Router {
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
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(api.clone(), authorize));
    Router::new()
        .merge(guarded)
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(|| async { "ok\n" }))
        .route("/version", get(version))
        .route("/metrics", get(metrics))
        .fallback(|request: Request| async move {
            Problem::not_found(format!("there is nothing at {}", request.uri().path()))
        })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .layer(from_fn_with_state(api.clone(), harden))
        .with_state(api)
}

/// Lets in who has a token, where tokens are configured.
async fn authorize(State(api): State<Api>, request: Request, next: Next) -> Response {
    if !api.tokens.is_empty() {
        let header = request.headers().get(header::AUTHORIZATION);
        let presented = header
            .and_then(|value| value.to_str().ok())
            .and_then(bearer);
        let known = presented.is_some_and(|token| {
            let presented = Token::new(token);
            api.tokens.iter().any(|token| token.matches(&presented))
        });
        if !known {
            return Problem::unauthorized().into_response();
        }
    }
    next.run(request).await
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Headers that keep browsers from guessing and caches from keeping; refusals are counted.
async fn harden(State(api): State<Api>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if response.status().is_client_error() {
        let reason = match response.status().as_u16() {
            401 => "unauthorized",
            404 => "not_found",
            405 => "method_not_allowed",
            413 => "too_large",
            _ => "bad_request",
        };
        api.telemetry
            .problems
            .get_or_create(&ReasonLabel { reason })
            .inc();
    }
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'"),
    );
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
