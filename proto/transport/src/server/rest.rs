//! OTLP/HTTP: `POST /v1/{traces,metrics,logs}` with protobuf or JSON.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use davy_proto::Signal;
use http::header::{
    ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::refusal::Refusal;
use super::{Answer, Export, Shared};
use crate::body::{Pieces, Share};
use crate::encoding::{Encoding, Inflate};
use crate::status::GrpcCode;
use crate::{Body, Media};

/// Answers a request.
pub(super) async fn respond(
    shared: &Shared,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Response<Pieces> {
    let (head, mut body) = request.into_parts();
    // A peer whose words are not known is told in JSON.
    let media = Media::of(&head.headers).unwrap_or(Media::Json);
    let (export, _share) = match export(shared, peer, &head, &mut body).await {
        Ok(export) => export,
        Err(refusal) => {
            shared.note(refusal.reason());
            shared.drain(&head.headers, body).await;
            return refused(&refusal, media);
        }
    };
    let signal = export.signal;
    match shared.ask(export, None).await.and_then(Answer::split) {
        Ok(response) => reply(StatusCode::OK, media, response.to_body(media, signal)),
        Err(refusal) => refused(&refusal, media),
    }
}

async fn export(
    shared: &Shared,
    peer: SocketAddr,
    head: &http::request::Parts,
    body: &mut Incoming,
) -> Result<(Export, Share), Refusal> {
    let token = shared.authorize(&head.headers)?;
    let signal = route(head)?;
    let media = Media::of(&head.headers).ok_or_else(|| {
        let expected = "expected application/x-protobuf or application/json";
        unsupported(format!("unsupported content type; {expected}"))
    })?;
    let encoding = encoding(&head.headers)?;
    let limit = shared.options.body_bytes_max;
    if content_length(&head.headers).is_some_and(|length| length > limit) {
        return Err(Refusal::too_large(limit));
    }
    let mut inflate =
        Inflate::new(encoding, limit).map_err(|_| Refusal::overloaded(Duration::from_secs(1)))?;
    let push = |piece: &[u8]| inflate.push(piece).map(|()| inflate.len());
    let share = shared.receive(body, limit, push).await?;
    let export = Export {
        signal,
        body: Body::new(media, inflate.finish()?),
        peer,
        token,
    };
    Ok((export, share))
}

fn route(head: &http::request::Parts) -> Result<Signal, Refusal> {
    let path = head.uri.path();
    let signal = Signal::ALL
        .into_iter()
        .find(|signal| signal.http_path() == path)
        .ok_or_else(|| {
            let message = format!("unknown path {path}; expected /v1/traces, metrics or logs");
            Refusal::new(StatusCode::NOT_FOUND, GrpcCode::Unimplemented, message)
        })?;
    if head.method == Method::POST {
        return Ok(signal);
    }
    let message = format!("method {} is not POST", head.method);
    let status = StatusCode::METHOD_NOT_ALLOWED;
    Err(Refusal::new(status, GrpcCode::Unimplemented, message))
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, Refusal> {
    let mut values = headers.get_all(CONTENT_ENCODING).into_iter();
    let (first, second) = (values.next(), values.next());
    let named = first.map_or(Ok(""), |value| value.to_str().map_err(|_| ()));
    named
        .ok()
        .filter(|_| second.is_none())
        .and_then(Encoding::from_http)
        .ok_or_else(|| unsupported("unsupported content encoding".to_owned()))
}

fn content_length(headers: &HeaderMap) -> Option<usize> {
    let value = headers.get(CONTENT_LENGTH)?.to_str().ok()?;
    value.parse().ok()
}

fn unsupported(message: String) -> Refusal {
    let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    Refusal::new(status, GrpcCode::InvalidArgument, message)
}

fn refused(refusal: &Refusal, media: Media) -> Response<Pieces> {
    let mut response = reply(refusal.http, media, refusal.status().to_body(media));
    let headers = response.headers_mut();
    if let Some(delay) = refusal.retry_after {
        headers.insert(RETRY_AFTER, whole_seconds(delay).into());
    }
    match refusal.http {
        StatusCode::METHOD_NOT_ALLOWED => {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        StatusCode::UNAUTHORIZED => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(Encoding::HTTP));
        }
        _ => {}
    }
    response
}

fn reply(status: StatusCode, media: Media, body: Bytes) -> Response<Pieces> {
    let mut response = Response::new(Pieces::whole(body));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static(media.content_type());
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// A delay as `Retry-After` can say it: rounded up, at least one second.
fn whole_seconds(delay: Duration) -> u64 {
    let rounded = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
    rounded.max(1)
}
