//! A metrics page of a thousand series that grow with every scrape, and the server of it.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};

/// Series on a page.
pub(super) const SERIES: usize = 1000;
/// Data points that they are in OTLP, where a histogram's series are one.
pub(super) const POINTS: u64 = (ROUTES * STATUSES.len() + COUNTERS + GAUGES + 1) as u64;

/// What the metrics of the page begin with, to tell them from a scraper's own.
pub(super) const PREFIXES: [&str; 3] = ["http_server_", "process_cpu_", "shop_"];

const ROUTES: usize = 20;
const STATUSES: [&str; 2] = ["200", "500"];
const BOUNDS: [&str; 12] = [
    "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf",
];
const COUNTERS: usize = 300;
const GAUGES: usize = 139;
/// How long a scraper may take to send its request.
const REQUEST: Duration = Duration::from_secs(5);
/// Longest request.
const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// A server on loopback, for as long as the program runs.
#[derive(Debug)]
pub(super) struct Page {
    /// Where it listens.
    pub(super) address: SocketAddr,
    served: Arc<AtomicU64>,
}

impl Page {
    /// Starts it on a free port.
    ///
    /// # Errors
    ///
    /// When no port can be bound, or the page has not its thousand series.
    pub(super) fn start() -> anyhow::Result<Self> {
        let page = text(0);
        let series = page.lines().filter(|line| !line.starts_with('#')).count();
        ensure!(series == SERIES, "the page has {series} series");
        let listener = TcpListener::bind("127.0.0.1:0").context("bind the page")?;
        let address = listener.local_addr()?;
        let served = Arc::<AtomicU64>::default();
        let counting = Arc::clone(&served);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let n = counting.load(Ordering::Relaxed);
                match serve(stream, &text(n)) {
                    Ok(()) => drop(counting.fetch_add(1, Ordering::Relaxed)),
                    Err(error) => eprintln!("page: {error:#}"),
                }
            }
        });
        Ok(Self { address, served })
    }

    /// Pages served so far.
    pub(super) fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }
}

/// Answers one request, a connection each.
fn serve(mut stream: TcpStream, page: &str) -> anyhow::Result<()> {
    stream.set_read_timeout(Some(REQUEST))?;
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        let n = stream.read(&mut chunk).context("read the request")?;
        ensure!(
            n > 0 && request.len() < REQUEST_BYTES_MAX,
            "no whole request"
        );
        request.extend_from_slice(chunk.get(..n).unwrap_or_default());
    }
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n",
        page.len()
    );
    stream
        .write_all(head.as_bytes())
        .context("send the header")?;
    stream.write_all(page.as_bytes()).context("send the page")
}

/// The page after `n` scrapes.
fn text(n: u64) -> String {
    // Writing to a string never fails.
    let mut page = String::new();
    let _ = histogram(&mut page, n);
    let _ = rest(&mut page, n);
    page
}

fn histogram(page: &mut String, n: u64) -> std::fmt::Result {
    let name = "http_server_request_duration_seconds";
    writeln!(
        page,
        "# HELP {name} Time to answer.\n# TYPE {name} histogram"
    )?;
    for route in 0..ROUTES {
        for status in STATUSES {
            let labels = format!(
                "http_route=\"/api/v1/things{route}/{{id}}\",http_request_method=\"GET\",\
                 http_response_status_code=\"{status}\""
            );
            for (bucket, bound) in BOUNDS.iter().enumerate() {
                let count = (n + 1) * (bucket as u64 + 1) * (route as u64 + 1);
                writeln!(page, "{name}_bucket{{{labels},le=\"{bound}\"}} {count}")?;
            }
            let count = (n + 1) * BOUNDS.len() as u64 * (route as u64 + 1);
            writeln!(page, "{name}_sum{{{labels}}} {}", count as f64 * 0.073)?;
            writeln!(page, "{name}_count{{{labels}}} {count}")?;
        }
    }
    Ok(())
}

fn rest(page: &mut String, n: u64) -> std::fmt::Result {
    writeln!(page, "# TYPE process_cpu_seconds_total counter")?;
    writeln!(page, "process_cpu_seconds_total {}", n as f64 * 0.35)?;
    writeln!(
        page,
        "# HELP shop_events_total Events by kind.\n# TYPE shop_events_total counter"
    )?;
    for kind in 0..COUNTERS as u64 {
        let labels = format!(
            "kind=\"kind-{kind}\",queue=\"queue-{}\",zone=\"a\"",
            kind % 7
        );
        writeln!(page, "shop_events_total{{{labels}}} {}", n * (kind + 1))?;
    }
    writeln!(
        page,
        "# HELP shop_pool_size Connections.\n# TYPE shop_pool_size gauge"
    )?;
    for pool in 0..GAUGES as u64 {
        let value = (n + pool) % 11;
        writeln!(
            page,
            "shop_pool_size{{pool=\"pool-{pool}\",host=\"db-1\"}} {value}"
        )?;
    }
    Ok(())
}
