use std::io::Write as _;
use std::net::Ipv4Addr;
use std::sync::Mutex;

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::*;
use crate::encoding::Encoding;
use crate::frame;
use crate::status::{ExportResponse, GrpcCode, RpcStatus};
use crate::{Compression, Media, compress};

mod connections;
mod refusals;

const LIMIT: usize = 64 << 10;

/// A real server on loopback that answers what it is told and remembers what it was sent.
struct Fixture {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Export>>>,
    end: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<()>,
}

impl Fixture {
    async fn start(answer: Answer, options: ServerOptions) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let handler = handler(move |export| {
            log.lock().expect("lock").push(export);
            let answer = answer.clone();
            async move { answer }
        });
        Self {
            seen,
            ..Self::serving(handler, options).await
        }
    }

    async fn serving(handler: Handler, options: ServerOptions) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("port");
        let address = listener.local_addr().expect("address");
        let (end, ended) = oneshot::channel();
        let shutdown = async move {
            let _ = ended.await;
        };
        let served = tokio::spawn(serve(listener, options, handler, shutdown));
        Self {
            address,
            seen: Arc::default(),
            end,
            served,
        }
    }

    async fn accepting() -> Self {
        Self::start(Answer::Accepted, options()).await
    }

    fn bodies(&self) -> Vec<(Signal, Media, Bytes)> {
        let seen = self.seen.lock().expect("lock");
        let body = |it: &Export| (it.signal, it.body.media(), it.body.bytes().clone());
        seen.iter().map(body).collect()
    }

    async fn http(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let uri = format!("http://{}{path}", self.address);
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = Full::new(Bytes::copy_from_slice(body));
        Reply::of(
            client
                .request(request.body(body).expect("request"))
                .await
                .expect("reply"),
        )
        .await
    }

    async fn grpc(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let client = Client::builder(TokioExecutor::new())
            .http2_only(true)
            .build_http();
        let uri = format!("http://{}{path}", self.address);
        let mut request = Request::builder().method(Method::POST).uri(uri);
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/grpc");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = Full::new(Bytes::copy_from_slice(body));
        Reply::of(
            client
                .request(request.body(body).expect("request"))
                .await
                .expect("reply"),
        )
        .await
    }
}

struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    trailers: HeaderMap,
    body: Bytes,
}

impl Reply {
    async fn of(response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let body = body.collect().await.expect("body");
        let trailers = body.trailers().cloned().unwrap_or_default();
        Self {
            status: head.status,
            headers: head.headers,
            trailers,
            body: body.to_bytes(),
        }
    }

    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).or_else(|| self.trailers.get(name));
        value.map_or("", |value| value.to_str().expect("text"))
    }

    #[track_caller]
    fn assert_http(&self, status: u16, code: GrpcCode) {
        assert_eq!(self.status.as_u16(), status, "{:?}", self.body);
        let media = Media::of(&self.headers).expect("content type");
        let told = RpcStatus::from_body(media, &self.body).expect("google.rpc.Status");
        assert_eq!(told.code, code.number(), "{}", told.message);
        assert!(!told.message.is_empty());
    }

    #[track_caller]
    fn assert_grpc(&self, code: GrpcCode) {
        assert_eq!(self.status, StatusCode::OK);
        assert_eq!(self.header("content-type"), "application/grpc");
        let told = (self.header("grpc-status"), self.header("grpc-message"));
        assert_eq!(told.0, code.number().to_string(), "{}", told.1);
    }
}

fn options() -> ServerOptions {
    ServerOptions {
        body_bytes_max: LIMIT,
        ..ServerOptions::default()
    }
}

fn framed(flag: bool, message: &[u8]) -> Vec<u8> {
    [&frame::header(flag, message.len() as u32), message].concat()
}

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");
const TRACES: &str = "/v1/traces";

#[tokio::test]
async fn every_signal_arrives_by_every_protocol() {
    let server = Fixture::accepting().await;
    let mut expected = Vec::new();
    for signal in Signal::ALL {
        let path = signal.http_path();
        let reply = server.http("POST", path, &[PROTOBUF], b"abc").await;
        assert_eq!((reply.status, &reply.body[..]), (StatusCode::OK, &b""[..]));
        assert_eq!(reply.header("content-type"), "application/x-protobuf");
        let reply = server.http("POST", path, &[JSON], b"{}").await;
        assert_eq!(
            (reply.status, &reply.body[..]),
            (StatusCode::OK, &b"{}"[..])
        );
        assert_eq!(reply.header("content-type"), "application/json");
        let reply = server
            .grpc(grpc::path(signal), &[], &framed(false, b"xyz"))
            .await;
        reply.assert_grpc(GrpcCode::Ok);
        assert_eq!(&reply.body[..], [0; 5]);
        let reply = server
            .grpc(grpc::path(signal), &[], &framed(false, b""))
            .await;
        reply.assert_grpc(GrpcCode::Ok);
        let empty = server.http("POST", path, &[PROTOBUF], b"").await;
        assert_eq!(empty.status, StatusCode::OK);
        expected.extend([
            (signal, Media::Protobuf, Bytes::from("abc")),
            (signal, Media::Json, Bytes::from("{}")),
            (signal, Media::Protobuf, Bytes::from("xyz")),
            (signal, Media::Protobuf, Bytes::new()),
            (signal, Media::Protobuf, Bytes::new()),
        ]);
    }
    assert_eq!(server.bodies(), expected);
}

#[tokio::test]
async fn packed_bodies_arrive_unpacked() {
    let server = Fixture::accepting().await;
    let text = Bytes::from(vec![b'a'; 5_000]);
    let mut deflate = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    deflate.write_all(&text).expect("memory");
    let packed = [
        (
            "gzip",
            compress(text.clone(), Compression::Gzip).expect("memory"),
        ),
        (
            "zstd",
            compress(text.clone(), Compression::Zstd).expect("memory"),
        ),
        ("deflate", Bytes::from(deflate.finish().expect("memory"))),
        ("identity", text.clone()),
    ];
    let mut sent = 0;
    for (name, packed) in &packed {
        let headers = [PROTOBUF, ("content-encoding", name)];
        let reply = server.http("POST", TRACES, &headers, packed).await;
        assert_eq!(reply.status, StatusCode::OK, "{name}");
        sent += 1;
        if Encoding::from_grpc(name).is_some() {
            let headers = [("grpc-encoding", *name)];
            let body = framed(*name != "identity", packed);
            let reply = server.grpc(grpc::path(Signal::Logs), &headers, &body).await;
            reply.assert_grpc(GrpcCode::Ok);
            sent += 1;
        }
    }
    let bodies = server.bodies();
    assert_eq!(bodies.len(), sent);
    assert!(bodies.iter().all(|(_, _, body)| *body == text));
}

#[tokio::test]
async fn answers_become_the_responses_of_the_specification() {
    let message = || "déjà 100 %".to_owned();
    let retry_after = Duration::from_millis(1_200);
    for (answer, status, code) in [
        (
            Answer::Forbidden { message: message() },
            403,
            GrpcCode::PermissionDenied,
        ),
        (
            Answer::Internal { message: message() },
            500,
            GrpcCode::Internal,
        ),
        (
            Answer::Invalid { message: message() },
            400,
            GrpcCode::InvalidArgument,
        ),
        (
            Answer::Overloaded { retry_after },
            503,
            GrpcCode::Unavailable,
        ),
        (
            Answer::TooLarge { message: message() },
            413,
            GrpcCode::ResourceExhausted,
        ),
        (
            Answer::Unauthenticated { message: message() },
            401,
            GrpcCode::Unauthenticated,
        ),
        (
            Answer::Unimplemented { message: message() },
            404,
            GrpcCode::Unimplemented,
        ),
    ] {
        let overloaded = answer == Answer::Overloaded { retry_after };
        let server = Fixture::start(answer, options()).await;
        for headers in [[PROTOBUF], [JSON]] {
            let reply = server.http("POST", TRACES, &headers, b"").await;
            reply.assert_http(status, code);
            assert_eq!(
                reply.header("retry-after"),
                if overloaded { "2" } else { "" }
            );
            let challenge = if status == 401 { "Bearer" } else { "" };
            assert_eq!(reply.header("www-authenticate"), challenge);
        }
        let reply = server
            .grpc(grpc::path(Signal::Traces), &[], &framed(false, b""))
            .await;
        reply.assert_grpc(code);
        let details = RpcStatus::from_header(reply.header("grpc-status-details-bin").as_bytes());
        let details = details.expect("details");
        assert_eq!(details.code, code.number());
        assert_eq!(details.retry_after(), overloaded.then_some(retry_after));
        if !overloaded {
            assert_eq!(reply.header("grpc-message"), "d%C3%A9j%C3%A0 100 %25");
        }
    }
}

#[tokio::test]
async fn partial_success_names_the_items_of_its_signal() {
    let answer = Answer::Partial {
        rejected: 3,
        message: "too old".to_owned(),
    };
    let server = Fixture::start(answer, options()).await;
    for (signal, key) in [
        (Signal::Traces, "rejectedSpans"),
        (Signal::Metrics, "rejectedDataPoints"),
        (Signal::Logs, "rejectedLogRecords"),
    ] {
        let reply = server
            .http("POST", signal.http_path(), &[JSON], b"{}")
            .await;
        let body: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
        let expected = serde_json::json!({"errorMessage": "too old", key: "3"});
        assert_eq!(body, serde_json::json!({"partialSuccess": expected}));
        let reply = server
            .grpc(grpc::path(signal), &[], &framed(false, b""))
            .await;
        reply.assert_grpc(GrpcCode::Ok);
        let told = ExportResponse::from_body(Media::Protobuf, signal, &reply.body[5..]);
        let told = told.and_then(|told| told.partial).expect("partial success");
        assert_eq!((told.rejected, told.message.as_str()), (3, "too old"));
    }
}
