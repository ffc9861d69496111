//! `/v1/rollouts`: what the gate knows.

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::Api;
use super::problem::Problem;
use crate::engine::Engine;
use crate::page::RolloutView;

/// Most rollouts in one answer.
const LIMIT_MAX: usize = 1_000;

/// Which rollouts to list.
#[derive(Debug, Deserialize)]
pub(super) struct Selection {
    namespace: Option<String>,
    limit: Option<usize>,
    after: Option<String>,
}

/// The id of a rollout in a path.
pub(super) struct Id(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let id = Path::from_request_parts(parts, state).await;
        let Path(id) = id.map_err(|error| Problem::bad_request(error.body_text()))?;
        Ok(Self(id))
    }
}

/// `GET /v1/rollouts?namespace=&limit=&after=`
pub(super) async fn list(
    State(api): State<Api>,
    selection: Result<Query<Selection>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(selection) = selection.map_err(|error| Problem::bad_request(error.body_text()))?;
    let mut views = api.engine.rollouts().await.ok_or_else(gone)?;
    views.sort_by(|a, b| a.evaluation.rollout.id.cmp(&b.evaluation.rollout.id));
    let limit = selection.limit.unwrap_or(100).clamp(1, LIMIT_MAX);
    let wanted = views
        .iter()
        .map(|view| &view.evaluation)
        .filter(|evaluation| {
            let rollout = &evaluation.rollout;
            selection
                .namespace
                .as_ref()
                .is_none_or(|namespace| *namespace == rollout.namespace)
                && selection
                    .after
                    .as_ref()
                    .is_none_or(|after| rollout.id > *after)
        });
    let listed: Vec<_> = wanted.take(limit).collect();
    Ok(axum::Json(json!({ "data": listed })).into_response())
}

/// `GET /v1/rollouts/{id}`
pub(super) async fn show(State(api): State<Api>, Id(id): Id) -> Result<Response, Problem> {
    let view = find(&api.engine, &id).await?;
    Ok(axum::Json(json!({ "data": view.evaluation })).into_response())
}

/// `GET /v1/rollouts/{id}/timeline`
pub(super) async fn timeline(State(api): State<Api>, Id(id): Id) -> Result<Response, Problem> {
    let view = find(&api.engine, &id).await?;
    Ok(axum::Json(json!({ "data": view.timeline })).into_response())
}

/// `POST /v1/rollouts/{id}/reset`
pub(super) async fn reset(State(api): State<Api>, Id(id): Id) -> Result<Response, Problem> {
    if api.engine.reset(&id).await.ok_or_else(gone)? {
        let view = find(&api.engine, &id).await?;
        return Ok(axum::Json(json!({ "data": view.evaluation })).into_response());
    }
    Err(unknown(&id))
}

pub(super) async fn find(engine: &Engine, id: &str) -> Result<RolloutView, Problem> {
    let views = engine.rollouts().await.ok_or_else(gone)?;
    views
        .into_iter()
        .find(|view| view.evaluation.rollout.id == id)
        .ok_or_else(|| unknown(id))
}

fn unknown(id: &str) -> Problem {
    Problem::not_found(format!("no rollout has the id {id:?}"))
}

/// The engine has no room or has ended: the caller may come again.
pub(super) fn gone() -> Problem {
    let detail = "the gate is too busy to answer; ask again";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
}
