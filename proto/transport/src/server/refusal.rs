//! Refusals: what is said to a peer whose export is not taken, in both protocols.

use std::time::Duration;

use http::StatusCode;

use super::Answer;
use crate::encoding::InflateError;
use crate::frame::FrameError;
use crate::status::{ExportResponse, GrpcCode, PartialSuccess, RpcStatus};

/// Why an export is not taken, as HTTP and gRPC say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) http: StatusCode,
    pub(super) code: GrpcCode,
    pub(super) message: String,
    pub(super) retry_after: Option<Duration>,
}

impl Refusal {
    pub(super) fn new(http: StatusCode, code: GrpcCode, message: impl Into<String>) -> Self {
        Self {
            http,
            code,
            message: message.into(),
            retry_after: None,
        }
    }

    pub(super) fn unauthenticated(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, GrpcCode::Unauthenticated, message)
    }

    pub(super) fn too_large(limit: usize) -> Self {
        InflateError::TooLarge { limit }.into()
    }

    pub(super) fn overloaded(retry_after: Duration) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                GrpcCode::Unavailable,
                "no room now, nothing was taken",
            )
        }
    }

    pub(super) fn disconnected(problem: &str) -> Self {
        let message = format!("body is cut short: {problem}");
        Self::new(StatusCode::BAD_REQUEST, GrpcCode::Cancelled, message)
    }

    pub(super) fn body_timeout(limit: Duration) -> Self {
        let message = format!("body did not arrive within {} s", limit.as_secs_f64());
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            GrpcCode::DeadlineExceeded,
            message,
        )
    }

    pub(super) fn answer_timeout(limit: Duration) -> Self {
        let message = format!("no answer within {} s", limit.as_secs_f64());
        Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            GrpcCode::DeadlineExceeded,
            message,
        )
    }

    /// One word for a counter's label.
    pub(super) fn reason(&self) -> &'static str {
        match self.http {
            StatusCode::UNAUTHORIZED => "unauthenticated",
            StatusCode::NOT_FOUND => "unknown_path",
            StatusCode::METHOD_NOT_ALLOWED => "method",
            StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => "timeout",
            StatusCode::PAYLOAD_TOO_LARGE => "too_large",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "content_type",
            StatusCode::SERVICE_UNAVAILABLE => "overloaded",
            _ => "corrupt",
        }
    }

    /// The status that tells it.
    pub(super) fn status(&self) -> RpcStatus {
        RpcStatus::new(self.code, &self.message, self.retry_after)
    }
}

impl From<InflateError> for Refusal {
    fn from(error: InflateError) -> Self {
        match error {
            InflateError::TooLarge { .. } => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                GrpcCode::ResourceExhausted,
                error.to_string(),
            ),
            // gRPC's compression rules say INTERNAL where HTTP says 400.
            InflateError::Corrupt => Self::new(
                StatusCode::BAD_REQUEST,
                GrpcCode::Internal,
                error.to_string(),
            ),
        }
    }
}

impl From<FrameError> for Refusal {
    fn from(error: FrameError) -> Self {
        let code = match error {
            FrameError::Inflate(error) => return error.into(),
            // "Request cardinality violation" of gRPC's table of status codes.
            FrameError::NoMessage | FrameError::SeveralMessages => GrpcCode::Unimplemented,
            FrameError::BadFlag { .. }
            | FrameError::NoEncoding
            | FrameError::NoMemory
            | FrameError::Truncated { .. } => GrpcCode::Internal,
        };
        Self::new(StatusCode::BAD_REQUEST, code, error.to_string())
    }
}

impl Answer {
    /// The response of a success, or the refusal.
    pub(super) fn split(self) -> Result<ExportResponse, Refusal> {
        let refuse = |http, code, message: String| Err(Refusal::new(http, code, message));
        match self {
            Self::Accepted => Ok(ExportResponse { partial: None }),
            Self::Partial { rejected, message } => {
                let rejected = i64::try_from(rejected).unwrap_or(i64::MAX);
                let partial = Some(PartialSuccess { rejected, message });
                Ok(ExportResponse { partial })
            }
            Self::Overloaded { retry_after } => Err(Refusal::overloaded(retry_after)),
            Self::Forbidden { message } => {
                refuse(StatusCode::FORBIDDEN, GrpcCode::PermissionDenied, message)
            }
            Self::Internal { message } => refuse(
                StatusCode::INTERNAL_SERVER_ERROR,
                GrpcCode::Internal,
                message,
            ),
            Self::Invalid { message } => {
                refuse(StatusCode::BAD_REQUEST, GrpcCode::InvalidArgument, message)
            }
            Self::TooLarge { message } => refuse(
                StatusCode::PAYLOAD_TOO_LARGE,
                GrpcCode::ResourceExhausted,
                message,
            ),
            Self::Unauthenticated { message } => {
                refuse(StatusCode::UNAUTHORIZED, GrpcCode::Unauthenticated, message)
            }
            Self::Unimplemented { message } => {
                refuse(StatusCode::NOT_FOUND, GrpcCode::Unimplemented, message)
            }
        }
    }
}
