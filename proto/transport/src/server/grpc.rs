//! OTLP/gRPC: three unary methods, framed by hand.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use davy_proto::Signal;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;

use super::refusal::Refusal;
use super::{Answer, Export, Shared};
use crate::Body;
use crate::body::{Pieces, Share};
use crate::encoding::Encoding;
use crate::frame::{self, Unary};
use crate::status::{ExportResponse, GrpcCode};

/// Media type of a call with protobuf messages.
const GRPC: &str = "application/grpc";

/// What a call may be compressed with.
const ACCEPT_ENCODING: &str = "grpc-accept-encoding";

/// The gRPC path of a signal.
pub(crate) const fn path(signal: Signal) -> &'static str {
    match signal {
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    }
}

/// Whether a request is a gRPC call.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    content_type(headers).starts_with(GRPC)
}

/// Answers a call.
pub(super) async fn respond(
    shared: &Shared,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Response<Pieces> {
    let (head, mut body) = request.into_parts();
    // What is not gRPC at all is answered in HTTP, as gRPC over HTTP/2 asks of servers.
    if head.version != Version::HTTP_2 {
        shared.note("grpc");
        return bare(StatusCode::HTTP_VERSION_NOT_SUPPORTED);
    }
    if head.method != Method::POST {
        shared.note("method");
        let mut response = bare(StatusCode::METHOD_NOT_ALLOWED);
        let allowed = HeaderValue::from_static("POST");
        response.headers_mut().insert(ALLOW, allowed);
        return response;
    }
    if !speaks_protobuf(content_type(&head.headers)) {
        shared.note("content_type");
        return bare(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let (export, _share) = match export(shared, peer, &head, &mut body).await {
        Ok(export) => export,
        Err(refusal) => {
            shared.note(refusal.reason());
            shared.drain(&head.headers, body).await;
            return refused(&refusal);
        }
    };
    let timeout = deadline(text(&head.headers, "grpc-timeout"));
    match shared.ask(export, timeout).await.and_then(Answer::split) {
        Ok(response) => accepted(&response),
        Err(refusal) => refused(&refusal),
    }
}

async fn export(
    shared: &Shared,
    peer: SocketAddr,
    head: &http::request::Parts,
    body: &mut Incoming,
) -> Result<(Export, Share), Refusal> {
    let token = shared.authorize(&head.headers)?;
    let called = head.uri.path();
    let signal = Signal::ALL
        .into_iter()
        .find(|signal| path(*signal) == called)
        .ok_or_else(|| unimplemented(format!("unknown method {called}")))?;
    let named = text(&head.headers, "grpc-encoding");
    let encoding = Encoding::from_grpc(named)
        .ok_or_else(|| unimplemented(format!("unknown grpc-encoding {named}")))?;
    let mut unary = Unary::new(encoding, shared.options.body_bytes_max);
    let limit = shared.options.body_bytes_max.saturating_add(frame::HEADER);
    let push = |piece: &[u8]| unary.push(piece).map(|()| unary.len());
    let share = shared.receive(body, limit, push).await?;
    let export = Export {
        signal,
        body: Body::Protobuf(unary.finish()?),
        peer,
        token,
    };
    Ok((export, share))
}

/// `application/grpc`, `application/grpc+proto`, each with parameters or without.
fn speaks_protobuf(content_type: &str) -> bool {
    let subtype = content_type.strip_prefix(GRPC).unwrap_or_default();
    let subtype = subtype.split(';').next().unwrap_or_default().trim();
    matches!(subtype, "" | "+proto")
}

/// The value of `grpc-timeout`: up to eight digits and a unit.
fn deadline(value: &str) -> Option<Duration> {
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    let count: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

fn accepted(response: &ExportResponse) -> Response<Pieces> {
    let data = prost::Message::encode_to_vec(response);
    // A response of a message and a count can't pass four gigabytes: the message came in a body.
    let length = u32::try_from(data.len()).unwrap_or_default();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let head = frame::header(false, length);
    let pieces = Pieces::framed(head, Bytes::from(data), Some(trailers));
    with_headers(Response::new(pieces))
}

/// A response of headers alone ("Trailers-Only").
fn refused(refusal: &Refusal) -> Response<Pieces> {
    let mut response = with_headers(Response::new(Pieces::default()));
    let headers = response.headers_mut();
    headers.insert("grpc-status", refusal.code.number().into());
    for (name, value) in [
        ("grpc-message", percent_encode(&refusal.message)),
        ("grpc-status-details-bin", refusal.status().to_header()),
    ] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    response
}

fn with_headers(mut response: Response<Pieces>) -> Response<Pieces> {
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(GRPC));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(Encoding::GRPC));
    response
}

fn bare(status: StatusCode) -> Response<Pieces> {
    let mut response = Response::new(Pieces::default());
    *response.status_mut() = status;
    response
}

fn unimplemented(message: String) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, GrpcCode::Unimplemented, message)
}

fn content_type(headers: &HeaderMap) -> &str {
    text(headers, CONTENT_TYPE.as_str())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

/// `grpc-message`: all but printable ASCII, and the percent sign, escaped.
fn percent_encode(message: &str) -> String {
    let mut encoded = String::with_capacity(message.len());
    for byte in message.bytes() {
        match byte {
            b'%' => encoded.push_str("%25"),
            b' '..=b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_eight_digits_and_a_unit() {
        for (value, expected) in [
            ("10S", Some(Duration::from_secs(10))),
            ("2H", Some(Duration::from_secs(7200))),
            ("1M", Some(Duration::from_secs(60))),
            ("99999999m", Some(Duration::from_millis(99_999_999))),
            ("5u", Some(Duration::from_micros(5))),
            ("5n", Some(Duration::from_nanos(5))),
            ("999999999m", None),
            ("5", None),
            ("S", None),
            ("", None),
            ("5é", None),
        ] {
            assert_eq!(deadline(value), expected, "{value}");
        }
    }

    #[test]
    fn content_types_of_protobuf_calls() {
        for (value, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc; charset=utf-8", true),
            ("application/grpc+json", false),
            ("application/grpc-web", false),
        ] {
            assert_eq!(speaks_protobuf(value), expected, "{value}");
        }
    }

    #[test]
    fn messages_are_escaped() {
        assert_eq!(percent_encode("100 % é\n"), "100 %25 %C3%A9%0A");
    }
}
