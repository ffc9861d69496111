use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http_body_util::BodyExt as _;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::Builder;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::*;
use crate::status::{GrpcCode, RpcStatus};
use crate::{Answer, Export, ServerOptions, Side, handler, serve};

mod tls;

const PROTOCOLS: [Protocol; 3] = Protocol::ALL;

fn config(address: SocketAddr, protocol: Protocol) -> ClientConfig {
    ClientConfig {
        endpoint: Endpoint::base(&format!("http://{address}")).expect("endpoint"),
        protocol,
        compression: Compression::None,
        headers: Vec::new(),
        timeout: Duration::from_secs(5),
        tls: ClientTls::default(),
        bearer: None,
    }
}

fn client(config: ClientConfig) -> Client {
    Client::new(config, || SystemTime::UNIX_EPOCH).expect("client")
}

fn body(protocol: Protocol) -> Body {
    Body::new(protocol.media(), Bytes::from_static(b"{\"anything\":1}"))
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("port");
    let address = listener.local_addr().expect("address");
    (listener, address)
}

type Seen = Arc<Mutex<Vec<Export>>>;

/// The server of this crate, for as long as the test runs.
async fn own_server(answer: Answer, options: ServerOptions) -> (SocketAddr, Seen) {
    let (listener, address) = listener().await;
    let seen = Seen::default();
    let log = Arc::clone(&seen);
    let handler = handler(move |export| {
        log.lock().expect("lock").push(export);
        let answer = answer.clone();
        async move { answer }
    });
    tokio::spawn(serve(listener, options, handler, std::future::pending()));
    (address, seen)
}

type Reply = (u16, Vec<(&'static str, String)>, Bytes);

/// A server that gives every request the same reply; counts requests and connections.
async fn scripted(reply: Reply) -> (SocketAddr, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let (listener, address) = listener().await;
    let (requests, connections) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let counts = (Arc::clone(&requests), Arc::clone(&connections));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counts.1.fetch_add(1, Ordering::Relaxed);
            let (reply, requests) = (reply.clone(), Arc::clone(&counts.0));
            tokio::spawn(async move {
                let service = service_fn(move |request: Request<Incoming>| {
                    requests.fetch_add(1, Ordering::Relaxed);
                    let (status, headers, body) = reply.clone();
                    async move {
                        let _ = request.into_body().collect().await;
                        let mut response = Response::builder().status(status);
                        for (name, value) in headers {
                            response = response.header(name, value);
                        }
                        let body = Pieces::whole(body);
                        Ok::<_, Infallible>(response.body(body).expect("response"))
                    }
                });
                let builder = Builder::new(TokioExecutor::new());
                let _ = builder
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    (address, requests, connections)
}

#[tokio::test]
async fn requests_arrive_whatever_the_protocol_and_the_packing() {
    let (address, seen) = own_server(Answer::Accepted, ServerOptions::default()).await;
    for protocol in PROTOCOLS {
        for compression in Compression::ALL {
            let client = client(ClientConfig {
                compression,
                ..config(address, protocol)
            });
            for signal in Signal::ALL {
                let outcome = client.send(signal, body(protocol)).await;
                assert_eq!(
                    outcome,
                    Outcome::Accepted,
                    "{protocol:?} {compression:?} {signal}"
                );
                let export = seen.lock().expect("lock").pop().expect("export");
                assert_eq!((export.signal, export.body), (signal, body(protocol)));
            }
        }
    }
}

#[tokio::test]
async fn answers_of_the_own_server_come_back() {
    let message = || "why".to_owned();
    let delay = Duration::from_secs(3);
    for (answer, expected) in [
        (
            Answer::Partial {
                rejected: 4,
                message: message(),
            },
            Outcome::Partial {
                rejected: 4,
                message: message(),
            },
        ),
        (
            Answer::Partial {
                rejected: 0,
                message: message(),
            },
            Outcome::Warning { message: message() },
        ),
    ] {
        let (address, _) = own_server(answer, ServerOptions::default()).await;
        for protocol in PROTOCOLS {
            let outcome = client(config(address, protocol))
                .send(Signal::Logs, body(protocol))
                .await;
            assert_eq!(outcome, expected, "{protocol:?}");
        }
    }
    let overloaded = Answer::Overloaded { retry_after: delay };
    let (address, _) = own_server(overloaded, ServerOptions::default()).await;
    for protocol in PROTOCOLS {
        let outcome = client(config(address, protocol))
            .send(Signal::Logs, body(protocol))
            .await;
        let after = matches!(outcome, Outcome::Retry { after, .. } if after == Some(delay));
        assert!(after, "{protocol:?}: {outcome:?}");
    }
    let (address, _) = own_server(
        Answer::Invalid { message: message() },
        ServerOptions::default(),
    )
    .await;
    for protocol in PROTOCOLS {
        match client(config(address, protocol))
            .send(Signal::Logs, body(protocol))
            .await
        {
            Outcome::Permanent { error } => {
                assert_eq!((error.side, error.retry), (Side::Peer, false));
                assert!(error.to_string().ends_with("why"), "{error}");
            }
            other => panic!("{protocol:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn every_grpc_code_over_the_wire() {
    for code in GrpcCode::ALL {
        for after in [None, Some(Duration::from_millis(1_500))] {
            let mut headers = vec![
                ("content-type", "application/grpc".to_owned()),
                ("grpc-status", code.number().to_string()),
                ("grpc-message", "told".to_owned()),
            ];
            if after.is_some() {
                let details = RpcStatus::new(code, "told", after).to_header();
                headers.push(("grpc-status-details-bin", details));
            }
            let (address, ..) = scripted((200, headers, Bytes::new())).await;
            let client = client(config(address, Protocol::Grpc));
            let outcome = client.send(Signal::Traces, body(Protocol::Grpc)).await;
            let retry = match code.number() {
                1 | 4 | 10 | 11 | 14 | 15 => true,
                8 => after.is_some(),
                _ => false,
            };
            match outcome {
                Outcome::Warning { .. } => assert_eq!(code, GrpcCode::Ok),
                Outcome::Retry { after: got, error } => {
                    assert!(retry && error.retry && got == after, "{code} {got:?}");
                }
                Outcome::Permanent { error } => assert!(!retry && !error.retry, "{code}"),
                other => panic!("{code}: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn every_relevant_http_status_over_the_wire() {
    for (status, retry) in [
        (301, false),
        (307, false),
        (400, false),
        (401, false),
        (403, false),
        (404, false),
        (408, false),
        (413, false),
        (415, false),
        (429, true),
        (500, false),
        (501, false),
        (502, true),
        (503, true),
        (504, true),
        (505, false),
    ] {
        let headers = vec![
            ("retry-after", "9".to_owned()),
            ("location", "http://127.0.0.1:1/".to_owned()),
        ];
        let (address, requests, _) = scripted((status, headers, Bytes::from("told"))).await;
        let client = client(config(address, Protocol::HttpProtobuf));
        match client
            .send(Signal::Metrics, body(Protocol::HttpProtobuf))
            .await
        {
            Outcome::Retry { after, error } => {
                assert!(retry && error.retry, "{status}");
                assert_eq!(after, Some(Duration::from_secs(9)));
            }
            Outcome::Permanent { error } => assert!(!retry && !error.retry, "{status}"),
            other => panic!("{status}: {other:?}"),
        }
        assert_eq!(
            requests.load(Ordering::Relaxed),
            1,
            "redirects are not followed"
        );
    }
}

#[tokio::test]
async fn responses_beyond_the_limit_are_not_read_to_the_end() {
    let body_of = |bytes: usize| Bytes::from(vec![b' '; bytes]);
    let json = vec![("content-type", "application/json".to_owned())];
    let (address, ..) = scripted((200, json.clone(), body_of(RESPONSE_BYTES_MAX + 1))).await;
    let http = client(config(address, Protocol::HttpJson));
    let outcome = http.send(Signal::Logs, body(Protocol::HttpJson)).await;
    assert!(matches!(outcome, Outcome::Warning { .. }), "{outcome:?}");
    let (address, ..) = scripted((503, json, body_of(RESPONSE_BYTES_MAX + 1))).await;
    let http = client(config(address, Protocol::HttpJson));
    let outcome = http.send(Signal::Logs, body(Protocol::HttpJson)).await;
    assert!(matches!(outcome, Outcome::Retry { .. }), "{outcome:?}");
    let grpc = vec![("content-type", "application/grpc".to_owned())];
    let (address, ..) = scripted((200, grpc, body_of(RESPONSE_BYTES_MAX + 1))).await;
    let grpc = client(config(address, Protocol::Grpc));
    let outcome = grpc.send(Signal::Logs, body(Protocol::Grpc)).await;
    assert!(matches!(outcome, Outcome::Permanent { .. }), "{outcome:?}");
}

#[tokio::test]
async fn connections_are_reused() {
    let (address, requests, connections) = scripted((200, Vec::new(), Bytes::new())).await;
    let client = client(config(address, Protocol::HttpProtobuf));
    for _ in 0..5 {
        let outcome = client
            .send(Signal::Logs, body(Protocol::HttpProtobuf))
            .await;
        assert_eq!(outcome, Outcome::Accepted);
    }
    assert_eq!(requests.load(Ordering::Relaxed), 5);
    assert_eq!(connections.load(Ordering::Relaxed), 1);
}

#[track_caller]
fn assert_network(outcome: &Outcome, expected: fn(&Cause) -> bool) {
    match outcome {
        Outcome::Retry { after: None, error } => {
            assert!(
                error.side == Side::Network && error.retry && expected(&error.cause),
                "{error:?}"
            );
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn networks_that_fail_are_tried_again() {
    for protocol in PROTOCOLS {
        let (refusing, address) = listener().await;
        drop(refusing);
        let outcome = client(config(address, protocol))
            .send(Signal::Logs, body(protocol))
            .await;
        assert_network(&outcome, |cause| matches!(cause, Cause::Connect { .. }));

        let (silent, address) = listener().await;
        let timeout = Duration::from_millis(50);
        let silent_config = ClientConfig {
            timeout,
            ..config(address, protocol)
        };
        let outcome = client(silent_config)
            .send(Signal::Logs, body(protocol))
            .await;
        assert_network(&outcome, |cause| matches!(cause, Cause::Timeout { .. }));
        drop(silent);
    }
    for words in [
        "",
        "nonsense\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort",
    ] {
        let (listener, address) = listener().await;
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.readable().await;
                let _ = stream.write_all(words.as_bytes()).await;
            }
        });
        for protocol in PROTOCOLS {
            let outcome = client(config(address, protocol))
                .send(Signal::Logs, body(protocol))
                .await;
            assert_network(&outcome, |cause| !matches!(cause, Cause::Timeout { .. }));
        }
    }
}

/// Guarantees: a gRPC message beyond 4 MiB is not read, and does not make the data be sent again: the
/// server has taken it, whatever it has to say so long about. What is no message is an error.
#[tokio::test]
async fn a_message_beyond_the_limit_is_an_answer_all_the_same() {
    let long = Bytes::from(vec![b' '; RESPONSE_BYTES_MAX + 1]);
    let length = u32::try_from(long.len()).expect("a length");
    let framed = Bytes::from([&frame::header(false, length)[..], &long].concat());
    for (status, content_type, sent, expected) in [
        (200, "application/grpc", &framed, "taken"),
        (200, "application/grpc", &long, "permanent"),
        (200, "text/html", &framed, "permanent"),
        (503, "text/html", &long, "retry"),
    ] {
        let headers = vec![("content-type", content_type.to_owned())];
        let (address, requests, _) = scripted((status, headers, sent.clone())).await;
        let outcome = client(config(address, Protocol::Grpc))
            .send(Signal::Logs, body(Protocol::Grpc))
            .await;
        let found = match outcome {
            Outcome::Warning { .. } => "taken",
            Outcome::Permanent { .. } => "permanent",
            Outcome::Retry { .. } => "retry",
            other => panic!("{other:?}"),
        };
        assert_eq!(found, expected, "{status} {content_type}");
        assert_eq!(requests.load(Ordering::Relaxed), 1);
    }
}

#[tokio::test]
async fn headers_and_tokens_travel() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("token");
    let tokens = ["first", "second"].map(Token::new).to_vec();
    let options = ServerOptions {
        tokens,
        ..ServerOptions::default()
    };
    let (address, seen) = own_server(Answer::Accepted, options).await;
    for protocol in PROTOCOLS {
        let bearer = Some(Bearer::File(path.clone()));
        let client = client(ClientConfig {
            bearer,
            ..config(address, protocol)
        });
        let _ = std::fs::remove_file(&path);
        match client.send(Signal::Logs, body(protocol)).await {
            Outcome::Retry { error, .. } => assert_eq!(error.side, Side::Local),
            other => panic!("{other:?}"),
        }
        for token in ["first", "second"] {
            std::fs::write(&path, format!("{token}\n")).expect("written");
            assert_eq!(
                client.send(Signal::Logs, body(protocol)).await,
                Outcome::Accepted
            );
            let export = seen.lock().expect("lock").pop().expect("export");
            assert_eq!(export.token.expect("token").reveal(), token);
        }
    }
    let headers = vec![("Authorization".to_owned(), "Bearer first".to_owned())];
    let with_header = client(ClientConfig {
        headers,
        ..config(address, Protocol::Grpc)
    });
    let outcome = with_header.send(Signal::Logs, body(Protocol::Grpc)).await;
    assert_eq!(outcome, Outcome::Accepted);
    let headers = vec![("bad name".to_owned(), "x".to_owned())];
    let bad = Client::new(
        ClientConfig {
            headers,
            ..config(address, Protocol::Grpc)
        },
        || SystemTime::UNIX_EPOCH,
    );
    assert_eq!(
        bad.err(),
        Some(ConfigError::Header {
            name: "bad name".to_owned()
        })
    );
}

#[tokio::test]
async fn bodies_in_other_words_are_refused_here() {
    let (_listener, address) = listener().await;
    let client = client(config(address, Protocol::HttpJson));
    match client
        .send(Signal::Logs, Body::Protobuf(Bytes::new()))
        .await
    {
        Outcome::Permanent { error } => assert_eq!((error.side, error.retry), (Side::Local, false)),
        other => panic!("{other:?}"),
    }
}
