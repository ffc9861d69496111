//! The process that serves pages: the same bytes for every subject, each value new each time.
//!
//! Every target of a subject has a path of its own, and counts its scrapes by itself: its n-th
//! scrape gets page n, which is made once for all.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use anyhow::Context;
use davy_benches::ring::shop_page;
use serde::{Deserialize, Serialize};

use super::count::{Count, page};
use super::http::{Body, Request, Response, chunked, serve};

/// Pages that are kept: subjects are about as far as each other.
const PAGES_MAX: usize = 4;
const TEXT: &str = "content-type: text/plain; version=0.0.4; charset=utf-8\r\n";

/// What a subject was given.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(super) struct Served {
    /// Pages.
    pub(super) scrapes: u64,
    /// Bytes of them, unpacked.
    pub(super) bytes: u64,
    /// What of them is sent over OTLP.
    pub(super) points: Count,
    /// What of them is sent over remote write.
    pub(super) samples: Count,
}

struct Numbered {
    text: Vec<u8>,
    /// The text in chunks, and the packed text.
    chunks: Arc<[u8]>,
    points: Count,
    samples: Count,
    packed: OnceLock<Arc<[u8]>>,
}

#[derive(Default)]
struct State {
    pages: BTreeMap<usize, Arc<Numbered>>,
    /// Pages served by path.
    steps: BTreeMap<String, usize>,
    served: BTreeMap<String, Served>,
    is_over: bool,
}

/// Serves pages of so many series; packed where a client asks for it, if `gzip`.
///
/// # Errors
///
/// When it can't.
pub(super) fn run(file: &Path, series: usize, gzip: bool) -> anyhow::Result<()> {
    let state = Arc::<Mutex<State>>::default();
    serve(file, move |request| answer(&state, &request, series, gzip))
}

fn answer(
    state: &Arc<Mutex<State>>,
    request: &Request,
    series: usize,
    gzip: bool,
) -> anyhow::Result<Response> {
    let path = request.path.as_str();
    match path {
        "/served" => return Response::json(&lock(state).served),
        "/over" => {
            lock(state).is_over = true;
            return Ok(Response::empty(204));
        }
        _ if lock(state).is_over => return Ok(Response::empty(503)),
        _ => {}
    }
    let subject = path.split('/').nth(1).unwrap_or_default().to_owned();
    let page = next_page(state, path, series)?;
    let packed = gzip && request.accept_encoding.contains("gzip");
    let (head, body) = match packed {
        true => (format!("{TEXT}content-encoding: gzip\r\n"), page.packed()?),
        false => (TEXT.to_owned(), Arc::clone(&page.chunks)),
    };
    let served = Served {
        scrapes: 1,
        bytes: page.text.len() as u64,
        points: page.points,
        samples: page.samples,
    };
    lock(state).begin(path, &subject, &served);
    let state = Arc::clone(state);
    // Counted before it is sent, or a subject could be ahead of the count.
    let then = move |is_sent: bool| {
        if !is_sent {
            lock(&state).take_back(&subject, &served);
        }
    };
    Ok(Response {
        status: 200,
        head,
        body: Body::Chunked(body),
        then: Some(Box::new(then)),
    })
}

impl State {
    fn begin(&mut self, path: &str, subject: &str, page: &Served) {
        *self.steps.entry(path.to_owned()).or_default() += 1;
        let served = self.served.entry(subject.to_owned()).or_default();
        served.scrapes += page.scrapes;
        served.bytes += page.bytes;
        served.points.add(page.points);
        served.samples.add(page.samples);
    }

    /// Takes back what was not sent to its end.
    fn take_back(&mut self, subject: &str, page: &Served) {
        if let Some(served) = self.served.get_mut(subject) {
            served.scrapes -= page.scrapes;
            served.bytes -= page.bytes;
            served.points.subtract(page.points);
            served.samples.subtract(page.samples);
        }
    }
}

/// The page that a path gets next, made unless it is there.
fn next_page(state: &Mutex<State>, path: &str, series: usize) -> anyhow::Result<Arc<Numbered>> {
    let mut state = lock(state);
    let step = state.steps.get(path).copied().unwrap_or_default();
    if let Some(page) = state.pages.get(&step) {
        return Ok(Arc::clone(page));
    }
    let page = Arc::new(Numbered::new(series, step)?);
    state.pages.insert(step, Arc::clone(&page));
    if state.pages.len() > PAGES_MAX {
        state.pages.pop_first();
    }
    Ok(page)
}

impl Numbered {
    fn new(series: usize, step: usize) -> anyhow::Result<Self> {
        let text = shop_page(series, 0, step);
        let (points, samples) = page(&text)?;
        anyhow::ensure!(
            samples.items == series as u64,
            "the page has {} series",
            samples.items
        );
        Ok(Self {
            chunks: chunked(&text),
            text,
            points,
            samples,
            packed: OnceLock::new(),
        })
    }

    /// The page as `promhttp` of client_golang packs it.
    fn packed(&self) -> anyhow::Result<Arc<[u8]>> {
        if let Some(packed) = self.packed.get() {
            return Ok(Arc::clone(packed));
        }
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        encoder.write_all(&self.text).context("pack a page")?;
        let packed = chunked(&encoder.finish().context("pack a page")?);
        Ok(Arc::clone(self.packed.get_or_init(|| packed)))
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
