//! Errors of the API: `application/problem+json` (RFC 9457).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Characters of a detail: it may name what the caller sent, and an answer is small.
const DETAIL_MAX: usize = 512;

/// A refused request: whose fault, and what to change.
#[derive(Debug, Serialize)]
pub struct Problem {
    /// A short name of the kind of problem.
    pub title: &'static str,
    /// HTTP status, repeated in the body as the RFC has it.
    pub status: u16,
    /// What was wrong with this request.
    pub detail: String,
    /// All mistakes found, one a line, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
}

impl Problem {
    /// A request that is not well formed.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad request", detail)
    }

    /// A request without the right token.
    pub fn unauthorized() -> Self {
        let detail = "a bearer token is needed: Authorization: Bearer …";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    /// A path or a rollout that is not known.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not found", detail)
    }

    /// A known path asked with another method.
    pub fn method_not_allowed() -> Self {
        let detail = "this path has no such method";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method not allowed", detail)
    }

    /// A body above its limit.
    pub fn too_large(limit_bytes: usize) -> Self {
        let detail = format!("the body is larger than {limit_bytes} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "content too large", detail)
    }

    /// A request that did not arrive, or was not answered, in time.
    pub fn timeout() -> Self {
        let detail = "the request took too long";
        Self::new(StatusCode::REQUEST_TIMEOUT, "request timeout", detail)
    }

    /// Any other status.
    pub fn new(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Self {
        let detail: String = detail.into();
        Self {
            title,
            status: status.as_u16(),
            detail: detail.chars().take(DETAIL_MAX).collect(),
            errors: Vec::new(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        // A struct of strings and numbers always serialises; an empty body would still be an error.
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let kind = HeaderValue::from_static("application/problem+json");
        let mut response = (status, [(header::CONTENT_TYPE, kind)], body).into_response();
        if status == StatusCode::UNAUTHORIZED {
            // RFC 9110, section 15.5.2: a 401 names the scheme that opens the door.
            let scheme = HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}
