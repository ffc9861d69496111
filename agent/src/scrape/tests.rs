//! A real server on loopback, scraped.

use std::convert::Infallible;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use davy_agent_core::queue::WhenFull;
use davy_agent_core::translate::print;
use http::Response;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use prost::Message as _;
use tokio::net::TcpListener;

use super::*;

/// What the server answers, and what it was asked.
#[derive(Default)]
struct Page {
    status: u16,
    body: Vec<u8>,
    gzip: bool,
    delay: Duration,
    asked: Mutex<Vec<http::HeaderMap>>,
    under_way: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl Page {
    fn of(body: &str) -> Self {
        Self {
            status: 200,
            body: body.as_bytes().to_vec(),
            ..Self::default()
        }
    }
}

async fn answer(page: &Page, headers: http::HeaderMap) -> Response<Full<Bytes>> {
    let now = page.under_way.fetch_add(1, Ordering::SeqCst) + 1;
    page.most_at_once.fetch_max(now, Ordering::SeqCst);
    tokio::time::sleep(page.delay).await;
    page.asked.lock().unwrap().push(headers);
    page.under_way.fetch_sub(1, Ordering::SeqCst);
    let builder = Response::builder().status(page.status);
    let builder = match page.gzip {
        true => builder.header("Content-Encoding", "gzip"),
        false => builder,
    };
    builder
        .body(Full::new(Bytes::from(page.body.clone())))
        .unwrap()
}

async fn serve(page: Page) -> (SocketAddr, Arc<Page>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let page = Arc::new(page);
    let shared = Arc::clone(&page);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let page = Arc::clone(&shared);
            let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let page = Arc::clone(&page);
                async move { Ok::<_, Infallible>(answer(&page, request.headers().clone()).await) }
            });
            let connection = hyper::server::conn::http1::Builder::new();
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
        }
    });
    (address, page)
}

fn target(address: SocketAddr, interval: Duration, timeout: Duration) -> Target {
    let resource = [("service.name".to_owned(), "shop".to_owned())];
    let url = format!("http://{address}/metrics");
    Target::new(&url, (interval, timeout), &resource, &[]).unwrap()
}

const SECOND: Duration = Duration::from_secs(1);

fn block_on<F: Future>(future: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(future)
}

#[test]
fn a_page_becomes_a_request() {
    block_on(async {
        let (address, page) = serve(Page::of("# TYPE a counter\na{x=\"}\"} 3\nbad line\n")).await;
        let scraped = scrape_once(target(address, SECOND, SECOND)).await.unwrap();
        let request = ExportMetricsServiceRequest::decode(scraped.payload.bytes).unwrap();
        let lines = print::lines(&request);
        assert!(lines.contains("a{x=\"}\"} counter 3\n"), "{lines}");
        assert!(lines.contains("service.name=\"shop\""), "{lines}");
        assert!(
            lines.contains(&format!("service.instance.id=\"{address}\"")),
            "{lines}"
        );
        assert!(lines.contains("up gauge 1"), "{lines}");
        assert_eq!(scraped.tally.bad_lines, 1);
        let asked = page.asked.lock().unwrap();
        assert!(asked[0]["accept"].to_str().unwrap().starts_with(
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily"
        ));
        assert_eq!(asked[0]["accept-encoding"], "identity");
        assert_eq!(asked[0]["x-prometheus-scrape-timeout-seconds"], "1");
    });
}

fn gzipped(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// Guarantees: a compressed page is bounded after decompression, not before.
#[test]
fn gzip_is_undone_within_the_limit() {
    block_on(async {
        let text = format!("a 1\n# {}\n", "x".repeat(10_000));
        let page = || Page {
            body: gzipped(&text),
            gzip: true,
            ..Page::of("")
        };
        let (address, _) = serve(page()).await;
        let mut target = target(address, SECOND, SECOND);
        assert!(scrape_once(target.clone()).await.is_ok());
        target.limits.body_bytes = 5_000;
        let error = scrape_once(target).await.unwrap_err();
        assert_eq!(error.outcome(), "too_large");
    });
}

#[test]
fn failures_say_why() {
    block_on(async {
        let outcome = async |page: Page, timeout: Duration| {
            let (address, _) = serve(page).await;
            scrape_once(target(address, SECOND, timeout))
                .await
                .unwrap_err()
                .to_string()
        };
        let broken = Page {
            status: 503,
            ..Page::of("a 1\n")
        };
        assert_eq!(outcome(broken, SECOND).await, "answered 503");
        let slow = Page {
            delay: SECOND,
            ..Page::of("a 1\n")
        };
        assert_eq!(
            outcome(slow, Duration::from_millis(20)).await,
            "no answer within 20ms"
        );
        let garbled = Page {
            gzip: true,
            ..Page::of("a 1\n")
        };
        assert_eq!(
            outcome(garbled, SECOND).await,
            "gzip body is corrupt or cut short"
        );
        let nobody = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        let error = scrape_once(target(nobody, SECOND, SECOND))
            .await
            .unwrap_err();
        assert_eq!(error.outcome(), "unreachable");
    });
}

/// Scenario: a target slower than its interval, asked for a scrape out of turn as well.
/// Guarantees: never two scrapes at once; what is scraped reaches the pipeline; ticks are multiples.
#[test]
fn scrapes_never_overlap_and_fall_on_multiples() {
    block_on(async {
        let slow = Page {
            delay: Duration::from_millis(60),
            ..Page::of("a 1\n")
        };
        let (address, page) = serve(slow).await;
        let intake = Intake::new(1 << 20, WhenFull::DropOldest, Telemetry::new());
        let (sender, mut observed) = mpsc::channel(16);
        intake.set_evidence(Some(sender));
        let interval = Duration::from_millis(50);
        let mut slow_target = target(address, interval, interval);
        slow_target.timeout = SECOND;
        let scrape = Scrape::start(slow_target, intake).expect("a client");
        let mut ticks = Vec::new();
        while ticks.len() < 3 {
            if let Some(Observation::Scraped { at, bytes }) = observed.recv().await {
                assert!(!bytes.is_empty());
                ticks.push(at.nanos());
            }
        }
        scrape.scrape_now().await;
        assert!(ticks.iter().all(|tick| tick % 50_000_000 == 0), "{ticks:?}");
        assert!(ticks.is_sorted_by(|a, b| a < b), "{ticks:?}");
        assert_eq!(page.most_at_once.load(Ordering::SeqCst), 1);
        assert!(scrape.status().last_success.is_some());
        assert_eq!(scrape.status().last_error, None);
        scrape.stop().await;
    });
}

#[test]
fn ticks_are_never_repeated_and_a_clock_set_back_starts_anew() {
    let at = |seconds: f64| UnixNanos::new((seconds * 1e9) as u64);
    let five = Duration::from_secs(5);
    for (now, last, expected) in [
        (12.0, 0.0, 15.0),
        (15.0, 15.0, 20.0),
        (14.999, 15.0, 20.0),
        (22.0, 15.0, 25.0),
        (100.0, 1000.0, 105.0),
    ] {
        assert_eq!(
            next_tick(at(now), at(last), five),
            at(expected),
            "{now} {last}"
        );
    }
}

#[test]
fn urls() {
    let every = (SECOND, SECOND);
    let of = |url: &str| Target::new(url, every, &[], &[]);
    let target = of("https://app").unwrap();
    assert_eq!(target.name, "app:443");
    assert_eq!(target.url.to_string(), "https://app/metrics");
    for (url, expected) in [
        (
            "",
            "\"\" is not a URL such as http://127.0.0.1:8080/metrics",
        ),
        ("ftp://app/m", "\"ftp://app/m\" is neither http nor https"),
        (
            "http://me:secret@app/m",
            "a name and password in a URL can't be used; `basic_auth` is for them",
        ),
    ] {
        assert_eq!(of(url).unwrap_err().to_string(), expected);
    }
}
