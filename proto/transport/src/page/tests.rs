//! Pages of a real server on loopback, in the clear and over TLS.

use std::convert::Infallible;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use http::Response;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::{ClientTls, Compression, ServerTls, TlsError, compress};

const SECOND: Duration = Duration::from_secs(1);
const LIMIT: usize = 10_000;

/// What the server answers, and what it was asked.
#[derive(Default)]
struct Served {
    status: u16,
    encoding: &'static str,
    body: Bytes,
    asked: Mutex<Vec<HeaderMap>>,
}

impl Served {
    fn page(encoding: &'static str, body: Bytes) -> Arc<Self> {
        let status = 200;
        Arc::new(Self {
            status,
            encoding,
            body,
            ..Self::default()
        })
    }

    fn plain() -> Arc<Self> {
        Self::page("", Bytes::from_static(b"a 1\n"))
    }

    fn asked(&self, name: &str) -> Vec<String> {
        let asked = self.asked.lock().expect("lock");
        let value = |headers: &HeaderMap| headers.get(name)?.to_str().map(str::to_owned).ok();
        asked.iter().filter_map(value).collect()
    }
}

async fn serve(served: &Arc<Served>, tls: Option<ServerTls>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.expect("a port");
    let address = listener.local_addr().expect("an address");
    let acceptor = tls.map(|tls| TlsAcceptor::from(tls.load().expect("TLS").current()));
    let served = Arc::clone(served);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (served, acceptor) = (Arc::clone(&served), acceptor.clone());
            tokio::spawn(answer(stream, acceptor, served));
        }
    });
    address
}

async fn answer(stream: TcpStream, acceptor: Option<TlsAcceptor>, served: Arc<Served>) {
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let served = Arc::clone(&served);
        async move {
            let asked = request.headers().clone();
            served.asked.lock().expect("lock").push(asked);
            let response = Response::builder()
                .status(served.status)
                .header("content-type", "text/plain")
                .header("content-encoding", served.encoding)
                .body(Full::new(served.body.clone()));
            Ok::<_, Infallible>(response.expect("a response"))
        }
    });
    let builder = http1::Builder::new();
    // A client that breaks off is what some tests are about.
    let _ = match acceptor {
        None => {
            builder
                .serve_connection(TokioIo::new(stream), service)
                .await
        }
        Some(acceptor) => match acceptor.accept(stream).await {
            Ok(stream) => {
                builder
                    .serve_connection(TokioIo::new(stream), service)
                    .await
            }
            Err(_) => return,
        },
    };
}

fn client(access: Access) -> PageClient {
    PageClient::new(options(access)).expect("a client")
}

fn options(access: Access) -> PageOptions {
    PageOptions {
        accept: "text/plain",
        user_agent: "test/1",
        body_bytes_max: LIMIT,
        connect_timeout: SECOND,
        access,
        socket: None,
    }
}

fn url(scheme: &str, address: SocketAddr) -> PageUrl {
    PageUrl::parse(&format!("{scheme}://{address}")).expect("a URL")
}

async fn fetch(served: &Arc<Served>) -> Result<Page, FetchError> {
    let address = serve(served, None).await;
    let client = client(Access::default());
    client.fetch(&url("http", address), 5 * SECOND).await
}

fn packed(encoding: &str, text: &[u8]) -> Bytes {
    let bytes = Bytes::copy_from_slice(text);
    match encoding {
        "gzip" | "x-gzip" => compress(bytes, Compression::Gzip).expect("packed"),
        "zstd" => compress(bytes, Compression::Zstd).expect("packed"),
        "deflate" => {
            let fast = flate2::Compression::fast();
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), fast);
            encoder.write_all(text).expect("packed");
            encoder.finish().expect("packed").into()
        }
        _ => bytes,
    }
}

/// Guarantees: each encoding that is asked for is undone, and its pages are bounded by what comes
/// out: a bomb of a few hundred bytes is not unpacked beyond the limit.
#[tokio::test]
async fn encodings_are_undone_within_the_limit() {
    let text = vec![b'#'; LIMIT];
    let bomb = vec![b'#'; 100 * LIMIT];
    for encoding in ["", "identity", "gzip", "x-gzip", "zstd", "deflate"] {
        let page = fetch(&Served::page(encoding, packed(encoding, &text))).await;
        assert_eq!(page.expect("a page").body, text, "{encoding}");
        let page = fetch(&Served::page(encoding, packed(encoding, &bomb))).await;
        assert_eq!(
            page,
            Err(FetchError::TooLarge { limit: LIMIT }),
            "{encoding}"
        );
        if !matches!(encoding, "" | "identity") {
            let packed = packed(encoding, b"a 1\nb 2\nc 3\n");
            let short = packed.slice(..packed.len() - 3);
            let page = fetch(&Served::page(encoding, short)).await;
            let encoding = encoding.to_owned();
            assert_eq!(page, Err(FetchError::Corrupt { encoding }));
        }
    }
    let encoding = "br".to_owned();
    let page = fetch(&Served::page("br", Bytes::from_static(b"a 1\n"))).await;
    assert_eq!(page, Err(FetchError::Encoding { encoding }));
}

#[tokio::test]
async fn what_is_asked_and_what_comes_back() {
    let served = Served::plain();
    let page = fetch(&served).await.expect("a page");
    assert_eq!(page.content_type.as_deref(), Some("text/plain"));
    for (name, expected) in [
        ("accept", "text/plain"),
        ("accept-encoding", "identity"),
        ("user-agent", "test/1"),
        ("x-prometheus-scrape-timeout-seconds", "5"),
    ] {
        assert_eq!(served.asked(name), [expected], "{name}");
    }
    let far = PageUrl::parse("http://10.0.0.1/metrics").expect("a URL");
    let request = client(Access::default()).request(&far, SECOND);
    let request = request.expect("a request");
    assert_eq!(request.headers()[ACCEPT_ENCODING], PACKED);
}

#[tokio::test]
async fn failures_say_why() {
    let gone = Served {
        status: 503,
        ..Served::default()
    };
    let gone = fetch(&Arc::new(gone)).await;
    assert_eq!(gone, Err(FetchError::Status { status: 503 }));
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let silent = silent.expect("a port");
    let address = silent.local_addr().expect("an address");
    let timeout = Duration::from_millis(20);
    let (client, url) = (client(Access::default()), url("http", address));
    let page = client.fetch(&url, timeout).await;
    assert_eq!(page, Err(FetchError::Timeout { timeout }));
    drop(silent);
    let page = client.fetch(&url, SECOND).await;
    let error = page.expect_err("nobody listens");
    assert_eq!(error.to_string(), "Connection refused (os error 111)");
}

/// Guarantees: a page that was given back lends its memory to the next one, unless it is held.
#[tokio::test]
async fn memory_of_a_page_is_used_again() {
    let served = Served::page("", Bytes::from(vec![b'a'; LIMIT]));
    let url = url("http", serve(&served, None).await);
    let client = client(Access::default());
    let first = client.fetch(&url, SECOND).await.expect("a page");
    let memory = first.body.as_ptr();
    client.give_back(first);
    let second = client.fetch(&url, SECOND).await.expect("a page");
    assert_eq!((second.body.as_ptr(), second.body.len()), (memory, LIMIT));
    let held = second.body.clone();
    client.give_back(second);
    let third = client.fetch(&url, SECOND).await.expect("a page");
    assert_ne!(third.body.as_ptr(), memory);
    assert_eq!(third.body, held);
}

#[tokio::test]
async fn credentials_are_sent_and_files_are_read_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    let write = |text: &str| std::fs::write(&file, text).expect("written");
    write("first\n");
    let served = Served::plain();
    let address = serve(&served, None).await;
    let url = url("http", address);
    let text = |text: &str| Secret::Text(text.to_owned());
    let with = |authorization: Authorization| Access {
        authorization: Some(authorization),
        headers: vec![("X-Key".to_owned(), text("k"))],
        ..Access::default()
    };
    let basic = client(with(Authorization::Basic {
        username: "Aladdin".to_owned(),
        password: text("open sesame"),
    }));
    basic.fetch(&url, SECOND).await.expect("a page");
    let bearer = with(Authorization::Token {
        scheme: "Bearer".to_owned(),
        credentials: Secret::File(file.clone()),
    });
    assert!(bearer.has_secrets() && !format!("{bearer:?}").contains("\"k\""));
    let bearer = client(bearer);
    bearer.fetch(&url, SECOND).await.expect("a page");
    write("second");
    bearer.fetch(&url, SECOND).await.expect("a page");
    assert_eq!(
        served.asked("authorization"),
        // The example of RFC 7617.
        [
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "Bearer first",
            "Bearer second"
        ]
    );
    assert_eq!(served.asked("x-key"), ["k", "k", "k"]);
    std::fs::remove_file(&file).expect("removed");
    let error = bearer.fetch(&url, SECOND).await.expect_err("no token");
    let path = file.display();
    let expected = format!("credentials: {path}: No such file or directory (os error 2)");
    assert_eq!(error.to_string(), expected);
    write("two\nlines");
    let error = bearer.fetch(&url, SECOND).await.expect_err("no header");
    assert!(!error.to_string().contains("lines"), "{error}");
}

#[test]
fn headers_that_cannot_be_sent_are_refused() {
    let of = |name: &str, value: &str, authorization| {
        let headers = vec![(name.to_owned(), Secret::Text(value.to_owned()))];
        let tls = ClientTls::default();
        PageClient::new(options(Access {
            tls,
            authorization,
            headers,
        }))
    };
    let name = || "Accept".to_owned();
    let error = of("Accept", "x", None).expect_err("refused");
    assert_eq!(error, ConfigError::ReservedHeader { name: name() });
    let error = of("a b", "x", None).expect_err("refused");
    let name = "a b".to_owned();
    assert_eq!(error, ConfigError::Header { name });
    assert!(of("x", "two\nlines", None).is_err());
    let token = |text: &str| {
        let scheme = "Bearer".to_owned();
        let credentials = Secret::Text(text.to_owned());
        Some(Authorization::Token {
            scheme,
            credentials,
        })
    };
    assert!(of("Authorization", "x", None).is_ok());
    assert!(of("Authorization", "x", token("y")).is_err());
    assert!(of("x", "x", token("two\nlines")).is_err());
}

fn pem(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    folder.join(name)
}

/// Guarantees: a page over TLS is got from whom the authority vouches for by name, and from no one
/// else unless that is said; a certificate of our own is shown where it is asked for.
#[tokio::test]
async fn tls_checks_both_ends() {
    let server = |client_ca| ServerTls {
        cert: pem("server.pem"),
        key: pem("server.key"),
        client_ca,
    };
    let served = Served::plain();
    let open = serve(&served, Some(server(None))).await;
    let mutual = serve(&served, Some(server(Some(pem("authority.pem"))))).await;
    let trusting = ClientTls {
        ca: Some(pem("authority.pem")),
        ..ClientTls::default()
    };
    let named = |name: &str| ClientTls {
        server_name: Some(name.to_owned()),
        ..trusting.clone()
    };
    let identified = ClientTls {
        cert: Some(pem("client.pem")),
        key: Some(pem("client.key")),
        ..trusting.clone()
    };
    let stranger = ClientTls {
        ca: Some(pem("stranger.pem")),
        ..ClientTls::default()
    };
    let careless = ClientTls {
        insecure_skip_verify: true,
        ..stranger.clone()
    };
    let unknown = Err("invalid peer certificate: UnknownIssuer");
    let other = Err("invalid peer certificate: certificate not valid for name \"other.test\"");
    for (address, tls, expected) in [
        (open, trusting.clone(), Ok(())),
        (open, named("otlp.test"), Ok(())),
        (open, named("other.test"), other),
        (open, stranger, unknown),
        (open, ClientTls::default(), unknown),
        (open, careless, Ok(())),
        (mutual, identified, Ok(())),
        (
            mutual,
            trusting,
            Err("received fatal alert: CertificateRequired"),
        ),
    ] {
        let access = Access {
            tls: tls.clone(),
            ..Access::default()
        };
        let page = client(access)
            .fetch(&url("https", address), 5 * SECOND)
            .await;
        let found = page.map(|_| ()).map_err(|error| error.to_string());
        match (&found, expected) {
            (Ok(()), Ok(())) => {}
            (Err(found), Err(expected)) if found.starts_with(expected) => {}
            _ => panic!("{found:?}, expected {expected:?}: {tls:?}"),
        }
    }
    let half = Access {
        tls: ClientTls {
            cert: Some(pem("client.pem")),
            ..ClientTls::default()
        },
        ..Access::default()
    };
    let error = PageClient::new(options(half)).expect_err("refused");
    assert_eq!(error, ConfigError::Tls(TlsError::HalfIdentity));
}
