//! Status codes and the small messages of answers: `google.rpc.Status`, `RetryInfo`, and the
//! response of an export, each as protobuf and as JSON.
//!
//! The three `Export*ServiceResponse` messages have the same field numbers, so one type serves all;
//! only the JSON name of the rejected count differs.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use davy_proto::Signal;
use prost::Message as _;
use serde_json::{Value, json};

use crate::Media;

/// Type of [`RetryInfo`] in the details of a status.
const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// Binary metadata: written without padding, read with or without it (gRPC over HTTP/2).
const BINARY_METADATA: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A gRPC status code (<https://grpc.io/docs/guides/status-codes/>), in the standard's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum GrpcCode {
    /// 0: success.
    Ok = 0,
    /// 1: the caller gave up.
    Cancelled = 1,
    /// 2: no code, or one that is not known.
    Unknown = 2,
    /// 3: the request is wrong whatever the server's state.
    InvalidArgument = 3,
    /// 4: no answer in time.
    DeadlineExceeded = 4,
    /// 5: something named does not exist.
    NotFound = 5,
    /// 6: something to be made exists.
    AlreadyExists = 6,
    /// 7: the caller is known and may not.
    PermissionDenied = 7,
    /// 8: a quota or a size limit.
    ResourceExhausted = 8,
    /// 9: the server's state forbids it.
    FailedPrecondition = 9,
    /// 10: a conflict.
    Aborted = 10,
    /// 11: past the valid range.
    OutOfRange = 11,
    /// 12: not supported here.
    Unimplemented = 12,
    /// 13: broken.
    Internal = 13,
    /// 14: try again later.
    Unavailable = 14,
    /// 15: data lost or corrupt.
    DataLoss = 15,
    /// 16: the caller is not known.
    Unauthenticated = 16,
}

impl GrpcCode {
    /// All codes, by number.
    pub const ALL: [Self; 17] = [
        Self::Ok,
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    /// The code of that number; an unheard-of number is `UNKNOWN`, as gRPC requires.
    pub fn from_number(number: i32) -> Self {
        usize::try_from(number)
            .ok()
            .and_then(|index| Self::ALL.get(index).copied())
            .unwrap_or(Self::Unknown)
    }

    /// The number on the wire.
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// The name the standard gives it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Cancelled => "CANCELLED",
            Self::Unknown => "UNKNOWN",
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::Aborted => "ABORTED",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::DataLoss => "DATA_LOSS",
            Self::Unauthenticated => "UNAUTHENTICATED",
        }
    }

    /// Whether an export so refused may be sent again (OTLP specification, "Failures" of
    /// OTLP/gRPC); `with_retry_info`: whether the server said when.
    pub const fn is_retryable(self, with_retry_info: bool) -> bool {
        match self {
            Self::Cancelled
            | Self::DeadlineExceeded
            | Self::Aborted
            | Self::OutOfRange
            | Self::Unavailable
            | Self::DataLoss => true,
            Self::ResourceExhausted => with_retry_info,
            _ => false,
        }
    }
}

impl fmt::Display for GrpcCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `google.rpc.Status`: the body of every refusal.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, prost::Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

impl RpcStatus {
    /// A status, with a `RetryInfo` when the delay is known.
    pub(crate) fn new(code: GrpcCode, message: &str, retry_after: Option<Duration>) -> Self {
        let detail = |delay: Duration| Any {
            type_url: RETRY_INFO.to_owned(),
            value: RetryInfo {
                retry_delay: Some(Delay {
                    seconds: i64::try_from(delay.as_secs()).unwrap_or(i64::MAX),
                    nanos: i32::try_from(delay.subsec_nanos()).unwrap_or_default(),
                }),
            }
            .encode_to_vec(),
        };
        Self {
            code: code.number(),
            message: message.to_owned(),
            details: retry_after.map(detail).into_iter().collect(),
        }
    }

    /// The status in a `grpc-status-details-bin` header.
    pub(crate) fn from_header(value: &[u8]) -> Option<Self> {
        let bytes = BINARY_METADATA.decode(value).ok()?;
        Self::decode(bytes.as_slice()).ok()
    }

    /// The value of `grpc-status-details-bin`.
    pub(crate) fn to_header(&self) -> String {
        BINARY_METADATA.encode(self.encode_to_vec())
    }

    /// The status in the body of an OTLP/HTTP refusal.
    pub(crate) fn from_body(media: Media, bytes: &[u8]) -> Option<Self> {
        match media {
            Media::Protobuf => Self::decode(bytes).ok(),
            Media::Json => {
                let value: Value = serde_json::from_slice(bytes).ok()?;
                Some(Self {
                    code: integer(value.get("code")?)?.try_into().ok()?,
                    message: value.get("message")?.as_str()?.to_owned(),
                    details: Vec::new(),
                })
            }
        }
    }

    /// The body of an OTLP/HTTP refusal.
    pub(crate) fn to_body(&self, media: Media) -> Bytes {
        match media {
            Media::Protobuf => self.encode_to_vec().into(),
            Media::Json => {
                let mut value = json!({"code": self.code, "message": self.message});
                if let Some(delay) = self.retry_after() {
                    let delay = format!("{}s", delay.as_secs_f64());
                    value["details"] = json!([{"@type": RETRY_INFO, "retryDelay": delay}]);
                }
                value.to_string().into()
            }
        }
    }

    /// The delay of a `RetryInfo` among the details; a negative one is none at all, so zero.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let info = self.details.iter().find(|any| any.type_url == RETRY_INFO)?;
        let info = RetryInfo::decode(info.value.as_slice()).ok()?;
        let delay = info.retry_delay.unwrap_or_default();
        let seconds = u64::try_from(delay.seconds).unwrap_or_default();
        let nanos = u32::try_from(delay.nanos).unwrap_or_default();
        Some(Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanos.into())))
    }
}

/// `Export{Trace,Metrics,Logs}ServiceResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) partial: Option<PartialSuccess>,
}

/// `Export{Trace,Metrics,Logs}PartialSuccess`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PartialSuccess {
    #[prost(int64, tag = "1")]
    pub(crate) rejected: i64,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
}

impl ExportResponse {
    /// The body of an answer, in the words of the request.
    pub(crate) fn to_body(&self, media: Media, signal: Signal) -> Bytes {
        match (media, &self.partial) {
            (Media::Protobuf, _) => self.encode_to_vec().into(),
            (Media::Json, None) => Bytes::from_static(b"{}"),
            (Media::Json, Some(partial)) => {
                let mut value = json!({"errorMessage": partial.message});
                value[rejected_key(signal)] = json!(partial.rejected.to_string());
                json!({ "partialSuccess": value }).to_string().into()
            }
        }
    }

    /// The response in a body, `None` when it is not one.
    pub(crate) fn from_body(media: Media, signal: Signal, bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self::default());
        }
        match media {
            Media::Protobuf => Self::decode(bytes).ok(),
            Media::Json => {
                let value: Value = serde_json::from_slice(bytes).ok()?;
                let partial = value.as_object()?.get("partialSuccess");
                let partial = partial.and_then(Value::as_object).map(|it| PartialSuccess {
                    rejected: it
                        .get(rejected_key(signal))
                        .and_then(integer)
                        .unwrap_or_default(),
                    message: it
                        .get("errorMessage")
                        .and_then(Value::as_str)
                        .unwrap_or_default()
                        .to_owned(),
                });
                Some(Self { partial })
            }
        }
    }
}

/// The JSON name of the count of rejected items.
const fn rejected_key(signal: Signal) -> &'static str {
    match signal {
        Signal::Logs => "rejectedLogRecords",
        Signal::Metrics => "rejectedDataPoints",
        Signal::Traces => "rejectedSpans",
    }
}

/// An integer of protobuf's JSON: a number or a decimal string.
fn integer(value: &Value) -> Option<i64> {
    value
        .as_i64()
        .or_else(|| value.as_str().and_then(|text| text.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_survive_the_header_and_both_bodies() {
        for delay in [
            None,
            Some(Duration::ZERO),
            Some(Duration::from_millis(1_500)),
        ] {
            let status = RpcStatus::new(GrpcCode::Unavailable, "full: 100 %", delay);
            let header = RpcStatus::from_header(status.to_header().as_bytes()).expect("header");
            assert_eq!(header, status);
            assert_eq!(header.retry_after(), delay);
            let padded = format!("{}==", RpcStatus::new(GrpcCode::Ok, "ab", None).to_header());
            assert!(RpcStatus::from_header(padded.trim_end_matches('=').as_bytes()).is_some());
            let body = status.to_body(Media::Protobuf);
            assert_eq!(
                RpcStatus::from_body(Media::Protobuf, &body),
                Some(status.clone())
            );
            let body = status.to_body(Media::Json);
            let read = RpcStatus::from_body(Media::Json, &body).expect("JSON");
            assert_eq!((read.code, read.message), (14, "full: 100 %".to_owned()));
        }
    }

    #[test]
    fn responses_survive_both_bodies() {
        let partial = PartialSuccess {
            rejected: 3,
            message: "too old".to_owned(),
        };
        for partial in [None, Some(partial)] {
            let response = ExportResponse { partial };
            for (media, signal) in [Media::Json, Media::Protobuf]
                .into_iter()
                .flat_map(|media| Signal::ALL.map(|signal| (media, signal)))
            {
                let body = response.to_body(media, signal);
                let read = ExportResponse::from_body(media, signal, &body);
                assert_eq!(read.as_ref(), Some(&response), "{media:?} {signal}");
            }
        }
    }

    #[test]
    fn negative_delays_are_none() {
        let info = RetryInfo {
            retry_delay: Some(Delay {
                seconds: -5,
                nanos: -1,
            }),
        };
        let any = Any {
            type_url: RETRY_INFO.to_owned(),
            value: info.encode_to_vec(),
        };
        let status = RpcStatus {
            code: 8,
            message: String::new(),
            details: vec![any],
        };
        assert_eq!(status.retry_after(), Some(Duration::ZERO));
    }

    #[test]
    fn unheard_of_codes_are_unknown() {
        assert_eq!(GrpcCode::from_number(16), GrpcCode::Unauthenticated);
        assert_eq!(GrpcCode::from_number(17), GrpcCode::Unknown);
        assert_eq!(GrpcCode::from_number(-1), GrpcCode::Unknown);
        for (number, code) in GrpcCode::ALL.into_iter().enumerate() {
            assert_eq!(code.number(), number as i32);
        }
    }
}
