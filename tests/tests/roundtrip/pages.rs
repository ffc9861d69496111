//! Pages that stand still, each served at an address of its own to whoever asks.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::native;

/// How long a client may take to ask.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longest head of a request.
const HEAD_BYTES_MAX: usize = 16 << 10;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROTOBUF: &str = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; \
                        encoding=delimited";

/// One page, whose body can be changed while it is served.
pub(super) struct Page {
    /// `host:port`.
    pub(super) authority: String,
    content_type: &'static str,
    whole: Vec<u8>,
    /// What is served; without a body, an error.
    served: Arc<Mutex<Option<Vec<u8>>>>,
}

impl Page {
    /// Serves a page; its thread ends with the test's process.
    pub(super) fn serve(content_type: &'static str, whole: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let authority = listener.local_addr().expect("an address").to_string();
        let served = Arc::new(Mutex::new(Some(whole.clone())));
        let body = Arc::clone(&served);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let body = body.lock().expect("no panic").clone();
                // A client that went away is no concern of a page's.
                let _ = answer(stream, content_type, body.as_deref());
            }
        });
        Self {
            authority,
            content_type,
            whole,
            served,
        }
    }

    pub(super) fn restore(&self) {
        self.set(Some(self.whole.clone()));
    }

    /// Serves an error from now on.
    pub(super) fn fail(&self) {
        self.set(None);
    }

    /// Serves every second family from now on.
    pub(super) fn thin(&self) {
        let families = match self.content_type {
            PROTOBUF => messages(&self.whole),
            _ => blocks(&self.whole),
        };
        let (mut body, mut number) = (Vec::new(), 0);
        for family in families {
            number += 1;
            if number % 2 == 0 || family.starts_with(b"# EOF") {
                body.extend_from_slice(family);
            }
        }
        self.set(Some(body));
    }

    fn set(&self, body: Option<Vec<u8>>) {
        *self.served.lock().expect("no panic") = body;
    }
}

fn answer(mut stream: TcpStream, content_type: &str, body: Option<&[u8]>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let (mut head, mut part) = (Vec::new(), [0; 1024]);
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        let read = stream.read(&mut part)?;
        if read == 0 || head.len() > HEAD_BYTES_MAX {
            return Ok(());
        }
        head.extend_from_slice(&part[..read]);
    }
    let (status, body) = match body {
        Some(body) => ("200 OK", body),
        None => ("503 Service Unavailable", &b"gone\n"[..]),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)
}

/// The families of a text page: a block begins where lines of `#` begin.
fn blocks(page: &[u8]) -> Vec<&[u8]> {
    let (mut starts, mut at, mut in_head) = (Vec::new(), 0, false);
    for line in page.split_inclusive(|byte| *byte == b'\n') {
        let is_head = line.starts_with(b"#");
        if (is_head && !in_head) || line.starts_with(b"# EOF") {
            starts.push(at);
        }
        in_head = is_head;
        at += line.len();
    }
    let ends = starts.iter().skip(1).copied().chain([page.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(start, end)| &page[*start..end])
        .collect()
}

/// The families of a protobuf page, each with its length before it.
fn messages(mut page: &[u8]) -> Vec<&[u8]> {
    let mut messages = Vec::new();
    while !page.is_empty() {
        let mut rest = page;
        let length = prost::encoding::decode_varint(&mut rest).expect("a length");
        let (message, after) = page.split_at(page.len() - rest.len() + length as usize);
        messages.push(message);
        page = after;
    }
    messages
}

/// The pages of real programs in the tree, and two with what they lack.
pub(super) fn all() -> Vec<Page> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpora");
    let mut pages = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the corpora") {
        let path = entry.expect("a file").path();
        let content_type = match path.extension().and_then(|extension| extension.to_str()) {
            Some("om") => OPEN_METRICS,
            Some("pb") => PROTOBUF,
            Some("prom") => TEXT,
            _ => continue,
        };
        pages.push(Page::serve(
            content_type,
            std::fs::read(path).expect("a page"),
        ));
    }
    assert!(pages.len() >= 11);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a date");
    // A second that is over, so that the sample is not in the future of either side.
    let stamp = format!("{}.250", now.as_secs() - 1);
    pages.push(Page::serve(
        OPEN_METRICS,
        RARE.replace("STAMP", &stamp).into_bytes(),
    ));
    pages.push(Page::serve(PROTOBUF, native::page()));
    pages
}

/// What the corpora lack: every type of OpenMetrics, scopes, a target, labels that backends set
/// themselves, odd numbers and bounds, timestamps.
const RARE: &str = r#"# TYPE target info
target_info{host_name="lamp-1",os_type="linux"} 1
# TYPE job_runs counter
# HELP job_runs Runs, by the app's own idea of jobs.
job_runs_total{instance="a",job="mail"} 5
job_runs_total{instance="b",job="mail"} 6
job_runs_total{instance="a",job="backup"} 7.5 # {trace_id="4bf92f3577b34da6a3ce929d0e0e4736",span_id="00f067aa0ba902b7",who="me"} 2.5 STAMP
job_runs_total{exported_job="kept",instance="c",job="x"} 8
# TYPE scoped gauge
scoped{otel_scope_name="net/http",otel_scope_version="1.2",route="/"} 1
scoped{otel_scope_name="database/sql",otel_scope_schema_url="https://example.com/1",otel_scope_pool="main",route="/"} 2
# TYPE build info
build_info{version="v1",commit="4f1c2d9"} 1
# TYPE mode stateset
mode{mode="on"} 1
mode{mode="off"} 0
# TYPE depth gaugehistogram
depth_bucket{le="1.0"} 1
depth_bucket{le="+Inf"} 2
depth_gcount 2
depth_gsum 3
# TYPE wait_seconds histogram
# UNIT wait_seconds seconds
# HELP wait_seconds Bounds that are written in more than one way.
wait_seconds_bucket{queue="a",le="1e-09"} 0
wait_seconds_bucket{queue="a",le="0.1"} 1
wait_seconds_bucket{queue="a",le="1.0"} 2
wait_seconds_bucket{queue="a",le="1e+20"} 3
wait_seconds_bucket{queue="a",le="+Inf"} 9
wait_seconds_count{queue="a"} 9
wait_seconds_sum{queue="a"} 1e+21
wait_seconds_created{queue="a"} 1600000000.5
wait_seconds_bucket{queue="no sum",le="2.0"} 2
wait_seconds_bucket{queue="no sum",le="+Inf"} 4
wait_seconds_count{queue="no sum"} 4
# TYPE size_bytes summary
# UNIT size_bytes bytes
size_bytes{kind="a",quantile="0.5"} 10
size_bytes{kind="a",quantile="0.999"} NaN
size_bytes{kind="a",quantile="1.0"} 20
size_bytes_count{kind="a"} 3
size_bytes_sum{kind="a"} 40.25
size_bytes_count{kind="no sum"} 3
# TYPE "fläche.m²" gauge
{"fläche.m²","größe"="klein \"x\" \\ \n y"} -0.0
{"fläche.m²","größe"="groß"} 1.7976931348623157e+308
{"fläche.m²","größe"="endlos"} +Inf
{"fläche.m²","größe"="keine"} NaN
{"fläche.m²","größe"="winzig"} 5e-324
# TYPE stamped gauge
stamped 7 STAMP
# TYPE odd unknown
odd{empty="",full="x"} 0.1
# TYPE last counter
last_total 1
last_created 1600000000
# EOF
"#;
