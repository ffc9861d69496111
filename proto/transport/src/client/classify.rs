//! Responses into outcomes: exactly the retry sets of the OTLP specification, no more.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use davy_proto::Signal;
use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};

use crate::Media;
use crate::outcome::{Cause, Outcome, SendError};
use crate::status::{ExportResponse, GrpcCode, RpcStatus};

/// Longest piece of a server's words that is kept, in bytes.
const MESSAGE_BYTES_MAX: usize = 1024;

/// The HTTP statuses an export may be repeated after ("Retryable Response Codes").
const fn is_retryable(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

/// A response of OTLP/HTTP; `body` is `None` when it was larger than the limit.
pub(super) fn http(
    signal: Signal,
    status: StatusCode,
    headers: &HeaderMap,
    body: Option<&Bytes>,
    now: SystemTime,
) -> Outcome {
    let media = Media::of(headers);
    if status.is_success() {
        // The data is taken, whatever the body says: repeating would double it.
        let Some(body) = body else {
            return warning("accepted, with a response beyond the limit");
        };
        let response = match media {
            _ if body.is_empty() => Some(ExportResponse::default()),
            Some(media) => ExportResponse::from_body(media, signal, body),
            None => None,
        };
        return match response {
            Some(response) => success(response),
            None => warning("accepted, with a response that is not OTLP's"),
        };
    }
    let told = body.and_then(|body| RpcStatus::from_body(media?, body));
    let message = match (told, body) {
        (Some(told), _) => told.message,
        (None, Some(body)) if media != Some(Media::Protobuf) => {
            String::from_utf8_lossy(body).trim().to_owned()
        }
        _ => String::new(),
    };
    let message = shortened(message);
    let retry = is_retryable(status);
    let after = retry.then(|| retry_after(headers, now)).flatten();
    let cause = Cause::Http { status, message };
    Outcome::failed(SendError::peer(cause, retry), after)
}

/// A response of OTLP/gRPC; `body` is its message, `None` when it was larger than the limit or no
/// message at all.
pub(super) fn grpc(
    signal: Signal,
    status: StatusCode,
    headers: &HeaderMap,
    trailers: &HeaderMap,
    body: Option<&Bytes>,
) -> Outcome {
    let header = |name: &str| trailers.get(name).or_else(|| headers.get(name));
    let number = header("grpc-status")
        .and_then(|value| value.to_str().ok())
        .map(|value| value.parse().unwrap_or(GrpcCode::Unknown.number()));
    let code = number.map_or_else(|| code_of(status), GrpcCode::from_number);
    if code == GrpcCode::Ok {
        let response = body.and_then(|it| ExportResponse::from_body(Media::Protobuf, signal, it));
        return match response {
            Some(response) => success(response),
            None => warning("accepted, with a response that is not OTLP's"),
        };
    }
    let message = header("grpc-message").map_or_else(
        || format!("HTTP {status} without grpc-status"),
        |value| percent_decode(value.as_bytes()),
    );
    let message = shortened(message);
    let details = header("grpc-status-details-bin");
    let after = details
        .and_then(|value| RpcStatus::from_header(value.as_bytes()))
        .and_then(|status| status.retry_after());
    let retry = code.is_retryable(after.is_some());
    let cause = Cause::Grpc { code, message };
    Outcome::failed(SendError::peer(cause, retry), after)
}

/// A response of OTLP/gRPC beyond the limit, so that the status in its trailers was never reached.
///
/// What is known when it `is_message`: the server has answered, and by no refusal, for gRPC servers
/// send a message with `OK` alone. Whether items were rejected is not known. So the data counts as
/// taken, with a warning: repeating it, or halves of it, would double it. Anything else is an error
/// by its HTTP status, as it is when it is short.
pub(super) fn grpc_too_large(status: StatusCode, is_message: bool) -> Outcome {
    if is_message && status.is_success() {
        return warning("accepted, with a response beyond the limit");
    }
    let code = code_of(status);
    let message = format!("HTTP {status} with a response beyond the limit");
    let retry = code.is_retryable(false);
    Outcome::failed(SendError::peer(Cause::Grpc { code, message }, retry), None)
}

/// The code of a response without `grpc-status`
/// (<https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>).
fn code_of(status: StatusCode) -> GrpcCode {
    match status.as_u16() {
        400 => GrpcCode::Internal,
        401 => GrpcCode::Unauthenticated,
        403 => GrpcCode::PermissionDenied,
        404 => GrpcCode::Unimplemented,
        429 | 502 | 503 | 504 => GrpcCode::Unavailable,
        _ => GrpcCode::Unknown,
    }
}

fn success(response: ExportResponse) -> Outcome {
    let Some(partial) = response.partial else {
        return Outcome::Accepted;
    };
    let message = shortened(partial.message);
    match u64::try_from(partial.rejected).unwrap_or_default() {
        0 if message.is_empty() => Outcome::Accepted,
        0 => Outcome::Warning { message },
        rejected => Outcome::Partial { rejected, message },
    }
}

fn warning(message: &str) -> Outcome {
    let message = message.to_owned();
    Outcome::Warning { message }
}

/// `Retry-After`: seconds, or a date; one that is past is no delay.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

fn percent_decode(value: &[u8]) -> String {
    let mut decoded = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((first, after)) = rest.split_first() {
        let escaped = after
            .get(..2)
            .filter(|_| *first == b'%')
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        decoded.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() {
            after.get(2..).unwrap_or_default()
        } else {
            after
        };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// A server's words, cut at a character within the limit.
fn shortened(mut message: String) -> String {
    let fits = |end: &usize| message.is_char_boundary(*end);
    if let Some(end) = (0..=MESSAGE_BYTES_MAX.min(message.len())).rev().find(fits) {
        message.truncate(end);
    }
    message
}

#[cfg(test)]
mod tests;
