use std::time::UNIX_EPOCH;

use http::HeaderValue;

use super::*;
use crate::status::PartialSuccess;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &str)| {
        (
            http::HeaderName::from_static(name),
            HeaderValue::from_str(value).expect("value"),
        )
    };
    pairs.iter().map(pair).collect()
}

#[test]
fn every_grpc_code_is_retried_or_not() {
    use GrpcCode::{Aborted, Cancelled, DataLoss, DeadlineExceeded, OutOfRange, Unavailable};
    let retryable = [
        Cancelled,
        DeadlineExceeded,
        Aborted,
        OutOfRange,
        Unavailable,
        DataLoss,
    ];
    let delay = Duration::from_millis(2_500);
    for code in GrpcCode::ALL
        .into_iter()
        .filter(|code| *code != GrpcCode::Ok)
    {
        for after in [None, Some(delay), Some(Duration::ZERO)] {
            let details = RpcStatus::new(code, "busy", after).to_header();
            let trailers = headers(&[
                ("grpc-status", &code.number().to_string()),
                ("grpc-message", "100%25 busy"),
                ("grpc-status-details-bin", &details),
            ]);
            let got = grpc(
                Signal::Logs,
                StatusCode::OK,
                &HeaderMap::new(),
                &trailers,
                None,
            );
            let exhausted = code == GrpcCode::ResourceExhausted && after.is_some();
            let retry = retryable.contains(&code) || exhausted;
            let cause = Cause::Grpc {
                code,
                message: "100% busy".to_owned(),
            };
            let error = SendError::peer(cause, retry);
            let expected = match retry {
                true => Outcome::Retry { after, error },
                false => Outcome::Permanent { error },
            };
            assert_eq!(got, expected, "{code} {after:?}");
        }
    }
}

#[test]
fn every_http_status_is_retried_or_not() {
    for number in (300..=599).filter(|number| ![418].contains(number)) {
        let status = StatusCode::from_u16(number).expect("status");
        let got = http(Signal::Logs, status, &HeaderMap::new(), None, UNIX_EPOCH);
        let retried = matches!(got, Outcome::Retry { after: None, .. });
        let refused = matches!(got, Outcome::Permanent { .. });
        let retry = [429, 502, 503, 504].contains(&number);
        assert_eq!((retried, refused), (retry, !retry), "{number}");
    }
}

#[test]
fn responses_without_a_grpc_status_have_one_by_their_http_status() {
    for (number, code, retry) in [
        (200, GrpcCode::Unknown, false),
        (301, GrpcCode::Unknown, false),
        (400, GrpcCode::Internal, false),
        (401, GrpcCode::Unauthenticated, false),
        (403, GrpcCode::PermissionDenied, false),
        (404, GrpcCode::Unimplemented, false),
        (429, GrpcCode::Unavailable, true),
        (500, GrpcCode::Unknown, false),
        (502, GrpcCode::Unavailable, true),
        (503, GrpcCode::Unavailable, true),
        (504, GrpcCode::Unavailable, true),
    ] {
        let status = StatusCode::from_u16(number).expect("status");
        let none = HeaderMap::new();
        match grpc(Signal::Logs, status, &none, &none, None) {
            Outcome::Retry { error, .. } | Outcome::Permanent { error } => {
                assert_eq!(error.retry, retry, "{number}");
                assert!(matches!(error.cause, Cause::Grpc { code: got, .. } if got == code));
            }
            other => panic!("{number}: {other:?}"),
        }
    }
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    let now = httpdate::parse_http_date("Tue, 24 Nov 2026 10:00:00 GMT").expect("date");
    for (value, expected) in [
        ("0", Some(0)),
        ("120", Some(120)),
        (" 7 ", Some(7)),
        ("Tue, 24 Nov 2026 10:00:30 GMT", Some(30)),
        ("Tue, 24 Nov 2026 09:00:00 GMT", Some(0)),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
    ] {
        let headers = headers(&[("retry-after", value)]);
        let expected = expected.map(Duration::from_secs);
        for status in [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::SERVICE_UNAVAILABLE,
        ] {
            match http(Signal::Logs, status, &headers, None, now) {
                Outcome::Retry { after, .. } => assert_eq!(after, expected, "{value}"),
                other => panic!("{value}: {other:?}"),
            }
        }
        let refused = http(Signal::Logs, StatusCode::BAD_REQUEST, &headers, None, now);
        assert!(matches!(refused, Outcome::Permanent { .. }));
    }
}

#[test]
fn successes_are_read_in_both_words() {
    for (rejected, message, expected) in [
        (0, "", Outcome::Accepted),
        (
            0,
            "slow down",
            Outcome::Warning {
                message: "slow down".to_owned(),
            },
        ),
        (
            2,
            "old",
            Outcome::Partial {
                rejected: 2,
                message: "old".to_owned(),
            },
        ),
        (-2, "", Outcome::Accepted),
    ] {
        let message = message.to_owned();
        let response = ExportResponse {
            partial: Some(PartialSuccess { rejected, message }),
        };
        for media in [Media::Json, Media::Protobuf] {
            let headers = headers(&[("content-type", media.content_type())]);
            let body = response.to_body(media, Signal::Metrics);
            let got = http(
                Signal::Metrics,
                StatusCode::OK,
                &headers,
                Some(&body),
                UNIX_EPOCH,
            );
            assert_eq!(got, expected);
        }
        let ok = headers(&[("grpc-status", "0")]);
        let body = response.to_body(Media::Protobuf, Signal::Metrics);
        let none = HeaderMap::new();
        let got = grpc(Signal::Metrics, StatusCode::OK, &none, &ok, Some(&body));
        assert_eq!(got, expected);
        let got = grpc(Signal::Metrics, StatusCode::OK, &ok, &none, Some(&body));
        assert_eq!(got, expected, "headers alone");
    }
}

#[test]
fn strange_successes_are_still_successes() {
    let html = headers(&[("content-type", "text/html")]);
    let json = headers(&[("content-type", "application/json")]);
    let none = HeaderMap::new();
    let (page, empty) = (Bytes::from("<p>hi</p>"), Bytes::new());
    for (status, headers, body, warned) in [
        (200, &none, Some(&empty), false),
        (204, &none, Some(&empty), false),
        (202, &json, Some(&empty), false),
        (200, &html, Some(&page), true),
        (200, &json, Some(&page), true),
        (200, &json, None, true),
    ] {
        let status = StatusCode::from_u16(status).expect("status");
        let got = http(Signal::Logs, status, headers, body, UNIX_EPOCH);
        assert_eq!(matches!(got, Outcome::Warning { .. }), warned, "{got:?}");
        assert_eq!(got == Outcome::Accepted, !warned);
    }
}

#[test]
fn the_servers_words_are_kept_and_cut() {
    let told = RpcStatus::new(GrpcCode::InvalidArgument, "span 3 has no id", None);
    let long = "é".repeat(2_000);
    for (content_type, body, expected) in [
        (
            "application/x-protobuf",
            told.to_body(Media::Protobuf),
            "span 3 has no id",
        ),
        (
            "application/json",
            told.to_body(Media::Json),
            "span 3 has no id",
        ),
        (
            "application/json",
            Bytes::from("{\"error\":1}"),
            "{\"error\":1}",
        ),
        ("text/plain", Bytes::from(" no \n"), "no"),
        ("text/plain", Bytes::from(long.clone()), &long[..1_024]),
    ] {
        let headers = headers(&[("content-type", content_type)]);
        let status = StatusCode::BAD_REQUEST;
        let got = http(Signal::Logs, status, &headers, Some(&body), UNIX_EPOCH);
        let message = expected.to_owned();
        let error = SendError::peer(Cause::Http { status, message }, false);
        assert_eq!(got, Outcome::Permanent { error });
    }
}
