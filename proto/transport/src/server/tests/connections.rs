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
    let options = ServerOptions {
        answer_timeout: Duration::from_millis(20),
        ..options()
    };
    let never = handler(|_| std::future::pending());
    let server = Fixture::serving(never, options).await;
    let reply = server.http("POST", TRACES, &[PROTOBUF], b"").await;
    reply.assert_http(504, GrpcCode::DeadlineExceeded);
    let path = grpc::path(Signal::Traces);
    let reply = server
        .grpc(path, &[("grpc-timeout", "1m")], &framed(false, b""))
        .await;
    reply.assert_grpc(GrpcCode::DeadlineExceeded);
    assert!(reply.header("grpc-message").contains("0.001 s"));
}

const REQUEST: &str = "POST /v1/traces HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
                       content-length: 2\r\n\r\n{}";

/// Sends a request on a connection that is kept, and reads the answer.
async fn ask(stream: &mut TcpStream) -> std::io::Result<bool> {
    let mut buffer = [0; 1024];
    stream.write_all(REQUEST.as_bytes()).await?;
    let n = stream.read(&mut buffer).await?;
    Ok(buffer[..n].starts_with(b"HTTP/1.1 200"))
}

/// What was told of connections and requests.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<&'static str>>);

impl Refusals for Told {
    fn refused(&self, reason: &'static str) {
        self.0.lock().expect("lock").push(reason);
    }
}

impl Told {
    fn count(&self, reason: &str) -> usize {
        let told = self.0.lock().expect("lock");
        told.iter().filter(|it| **it == reason).count()
    }
}

#[tokio::test]
async fn who_has_been_quiet_longest_goes_for_the_next() {
    let told = Arc::new(Told::default());
    let options = ServerOptions {
        connections_max: 3,
        refusals: Some(Arc::clone(&told) as _),
        ..options()
    };
    let server = Fixture::start(Answer::Accepted, options).await;
    let connect = || TcpStream::connect(server.address);
    let mut asker = connect().await.expect("connection");
    let mut half = connect().await.expect("connection");
    let sent = half.write_all(b"POST /v1/traces HTTP/1.1\r\nhost: a").await;
    sent.expect("sent");
    let mut kept = connect().await.expect("connection");
    for _ in 0..2 {
        assert!(ask(&mut kept).await.expect("an answer"), "it is kept");
    }
    // Whoever asks anew goes to the end of the line.
    assert!(ask(&mut asker).await.expect("an answer"));
    let mut fourth = connect().await.expect("connection");
    assert!(ask(&mut fourth).await.expect("an answer"));
    assert_eq!(half.read(&mut [0; 64]).await.unwrap_or(0), 0, "half a head");
    assert!(ask(&mut kept).await.expect("an answer"));
    let mut fifth = connect().await.expect("connection");
    assert!(ask(&mut fifth).await.expect("an answer"));
    assert!(
        !ask(&mut asker).await.unwrap_or(false),
        "it was the longest"
    );
    assert!(ask(&mut kept).await.expect("an answer"));
    assert_eq!(told.count("displaced"), 2);
}

#[tokio::test]
async fn a_request_under_way_is_never_cut_for_another() {
    let (go, gone) = tokio::sync::watch::channel(false);
    let (begun, mut beginnings) = tokio::sync::mpsc::unbounded_channel();
    let slow = handler(move |_| {
        let mut gone = gone.clone();
        begun.send(()).expect("the test listens");
        async move {
            let _ = gone.wait_for(|gone| *gone).await;
            Answer::Accepted
        }
    });
    let options = ServerOptions {
        connections_max: 1,
        header_timeout: Duration::from_millis(50),
        idle_timeout: Duration::from_millis(50),
        ..options()
    };
    let server = Fixture::serving(slow, options).await;
    let mut first = TcpStream::connect(server.address)
        .await
        .expect("connection");
    let mut second = TcpStream::connect(server.address)
        .await
        .expect("connection");
    first.write_all(REQUEST.as_bytes()).await.expect("sent");
    beginnings.recv().await.expect("it begins");
    second.write_all(REQUEST.as_bytes()).await.expect("sent");
    let waiting = tokio::time::timeout(Duration::from_millis(200), beginnings.recv()).await;
    assert!(waiting.is_err(), "served beyond the bound");
    go.send_replace(true);
    for stream in [&mut first, &mut second] {
        let mut buffer = [0; 1024];
        let n = stream.read(&mut buffer).await.expect("an answer");
        assert!(buffer[..n].starts_with(b"HTTP/1.1 200"));
    }
}

#[tokio::test]
async fn connections_without_a_request_are_ended_and_told_apart() {
    let told = Arc::new(Told::default());
    let moment = Duration::from_millis(50);
    let identity = tls();
    for tls in [None, Some(identity.clone())] {
        let options = ServerOptions {
            header_timeout: moment,
            idle_timeout: moment,
            tls: tls.clone(),
            refusals: Some(Arc::clone(&told) as _),
            ..options()
        };
        let server = Fixture::start(Answer::Accepted, options).await;
        // Neither ends by itself: getting past them is the test.
        raw(server.address, b"").await;
        let before = told.count("handshake");
        raw(server.address, b"\x16\x03\x01").await;
        raw(server.address, b"nonsense, not TLS\r\n\r\n").await;
        let failed = told.count("handshake") - before;
        assert_eq!(failed, usize::from(tls.is_some()));
        if tls.is_none() {
            let mut kept = TcpStream::connect(server.address)
                .await
                .expect("connection");
            assert!(ask(&mut kept).await.expect("an answer"));
            let n = kept.read(&mut [0; 64]).await.unwrap_or(0);
            assert_eq!(n, 0, "it is quiet for too long");
        }
    }
    // Half a handshake is silence, half a word of HTTP an error; who had asked is no refusal.
    assert_eq!(told.count("silent"), 3);
}

#[tokio::test]
async fn who_does_not_read_the_answer_is_let_go() {
    let options = ServerOptions {
        idle_timeout: Duration::from_millis(100),
        ..options()
    };
    let server = Fixture::start(Answer::Accepted, options).await;
    let socket = tokio::net::TcpSocket::new_v4().expect("socket");
    socket
        .set_recv_buffer_size(4 << 10)
        .expect("a small buffer");
    let mut stream = socket.connect(server.address).await.expect("connection");
    // Asks until the buffers of both ends are full of answers that nobody reads.
    let all = async {
        loop {
            if stream.write_all(REQUEST.as_bytes()).await.is_err() {
                break;
            }
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(20), all).await;
    assert!(ended.is_ok(), "it is held for ever");
}

fn tls() -> crate::ServerIdentity {
    let file = |name: &str| {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
        folder.join(name)
    };
    let files = crate::ServerTls {
        cert: file("server.pem"),
        key: file("server.key"),
        client_ca: None,
    };
    files.load().expect("TLS")
}

#[tokio::test]
async fn requests_under_way_end_before_the_server() {
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
    let mut server = Fixture::serving(slow, options()).await;
    let end = std::mem::replace(&mut server.end, oneshot::channel().0);
    let mut quiet = TcpStream::connect(server.address)
        .await
        .expect("connection");
    let body = framed(false, b"");
    let asking = server.grpc(grpc::path(Signal::Traces), &[], &body);
    let ending = async {
        was_asked.await.expect("asked");
        end.send(()).expect("server is there");
    };
    let (reply, ()) = tokio::join!(asking, ending);
    reply.assert_grpc(GrpcCode::Ok);
    let grace = options().shutdown_grace;
    let ended = tokio::time::timeout(grace / 2, server.served).await;
    ended
        .expect("who says nothing holds nobody up")
        .expect("server ends");
    assert_eq!(quiet.read(&mut [0; 8]).await.unwrap_or(0), 0);
    let refused = TcpStream::connect(server.address).await;
    assert!(refused.is_err(), "port is given back");
}
