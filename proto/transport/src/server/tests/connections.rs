use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;

/// Sends bytes on a fresh connection and reads all that comes back until it is closed.
async fn raw(address: SocketAddr, sent: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connection");
    stream.write_all(sent).await.expect("sent");
    let mut got = Vec::new();
    // A reset ends the reading like a close does.
    let _ = stream.read_to_end(&mut got).await;
    String::from_utf8_lossy(&got).into_owned()
}

#[tokio::test]
async fn peers_that_stall_are_cut_off() {
    let moment = Duration::from_millis(50);
    let options = ServerOptions {
        header_timeout: moment,
        body_timeout: moment,
        ..options()
    };
    let server = Fixture::start(Answer::Accepted, options).await;
    // Each of these never ends by itself: getting back here is the test.
    for sent in [
        "",
        "PRI * HT",
        "POST /v1/tr",
        "POST /v1/traces HTTP/1.1\r\nhost: a\r\n",
    ] {
        let got = raw(server.address, sent.as_bytes()).await;
        assert!(!got.contains("200 OK"), "{sent:?}: {got}");
    }
    let stalled = "POST /v1/traces HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
                   content-length: 10\r\n\r\n{";
    let got = raw(server.address, stalled.as_bytes()).await;
    assert!(got.starts_with("HTTP/1.1 408"), "{got}");
}

#[tokio::test]
async fn malformed_and_oversized_heads_are_refused() {
    let server = Fixture::accepting().await;
    let long = format!("POST / HTTP/1.1\r\na: {}\r\n\r\n", "x".repeat(100 << 10));
    for (sent, status) in [("nonsense\r\n\r\n", "400"), (long.as_str(), "431")] {
        let got = raw(server.address, sent.as_bytes()).await;
        assert!(got.is_empty() || got.contains(status), "{got}");
    }
    let lied = "POST /v1/traces HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\n\
                content-type: application/json\r\ncontent-length: 99999999\r\n\r\n";
    let got = raw(server.address, lied.as_bytes()).await;
    assert!(got.starts_with("HTTP/1.1 413"), "{got}");
}

#[tokio::test]
async fn a_slow_answer_is_a_timeout() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("port");
    let address = listener.local_addr().expect("address");
    let (end, ended) = oneshot::channel::<()>();
    let options = ServerOptions {
        answer_timeout: Duration::from_millis(20),
        ..options()
    };
    let never = handler(|_| std::future::pending());
    let shutdown = async move {
        let _ = ended.await;
    };
    let served = tokio::spawn(serve(listener, options, never, shutdown));
    let seen = Arc::default();
    let server = Fixture {
        address,
        seen,
        _end: end,
        served,
    };
    let reply = server.http("POST", TRACES, &[PROTOBUF], b"").await;
    reply.assert_http(504, GrpcCode::DeadlineExceeded);
    let path = grpc::path(Signal::Traces);
    let reply = server
        .grpc(path, &[("grpc-timeout", "1m")], &framed(false, b""))
        .await;
    reply.assert_grpc(GrpcCode::DeadlineExceeded);
    assert!(reply.header("grpc-message").contains("0.001 s"));
}

#[tokio::test]
async fn connections_are_kept_and_bounded() {
    let options = ServerOptions {
        connections_max: 1,
        ..options()
    };
    let server = Fixture::start(Answer::Accepted, options).await;
    let request = "POST /v1/traces HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
                   content-length: 2\r\n\r\n{}";
    let mut first = TcpStream::connect(server.address)
        .await
        .expect("connection");
    let mut buffer = [0; 1024];
    for _ in 0..2 {
        first.write_all(request.as_bytes()).await.expect("sent");
        let n = first.read(&mut buffer).await.expect("reply");
        assert!(buffer[..n].starts_with(b"HTTP/1.1 200"));
    }
    let mut second = TcpStream::connect(server.address).await.expect("backlog");
    second.write_all(request.as_bytes()).await.expect("sent");
    let waiting = tokio::time::timeout(Duration::from_millis(50), second.read(&mut buffer)).await;
    assert!(waiting.is_err(), "served beyond the bound");
    drop(first);
    let n = second.read(&mut buffer).await.expect("reply");
    assert!(buffer[..n].starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn requests_under_way_end_before_the_server() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("port");
    let address = listener.local_addr().expect("address");
    let (end, ended) = oneshot::channel::<()>();
    let (asked, was_asked) = oneshot::channel::<()>();
    let asked = Mutex::new(Some(asked));
    let slow = handler(move |_| {
        let asked = asked.lock().expect("lock").take();
        async move {
            let _ = asked.map(|asked| asked.send(()));
            tokio::time::sleep(Duration::from_millis(50)).await;
            Answer::Accepted
        }
    });
    let shutdown = async move {
        let _ = ended.await;
    };
    let served = tokio::spawn(serve(listener, options(), slow, shutdown));
    let server = Fixture {
        address,
        seen: Arc::default(),
        _end: oneshot::channel().0,
        served,
    };
    let body = framed(false, b"");
    let asking = server.grpc(grpc::path(Signal::Traces), &[], &body);
    let ending = async {
        was_asked.await.expect("asked");
        end.send(()).expect("server is there");
    };
    let (reply, ()) = tokio::join!(asking, ending);
    reply.assert_grpc(GrpcCode::Ok);
    server.served.await.expect("server ends");
    let refused = TcpStream::connect(address).await;
    assert!(refused.is_err(), "port is given back");
}
