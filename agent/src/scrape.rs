//! The scrape source: one task a target, from its page to the pipeline.
//!
//! A target is scraped at every multiple of its interval on the wall clock, so a scrape falls on
//! the end of the evidence window that it closes, and points carry that time. There are never two
//! scrapes of a target at once: one that takes longer than the interval is cut off by its timeout,
//! and [`Scrape::scrape_now`] waits for the one under way.
//!
//! A scrape that fails is data too: `up` is 0 and every series of the scrape before gets its
//! marker. When the agent itself stops there is a last scrape; one that fails sends nothing, or
//! each restart, and each end of a pod whose app is gone already, would look like an outage.
//!
//! What a scrape gives is shown to the evidence at once and exported a moment later, the same
//! moment each time: it is a share of the interval by a hash of the instance, so that of many
//! agents that scrape at the same ticks not all send at the same instant ([`jitter`]). A scrape
//! out of turn and the last one are exported at once.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use davy_agent_core::Payload;
use davy_agent_core::exposition::{Options, PageError, Tally};
use davy_agent_core::template::{Scraped, Template};
use davy_agent_core::translate::{Notes, ScrapeStats};
use davy_proto::{Signal, UnixNanos};
use davy_transport::{ConfigError, FetchError, Page, PageClient};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::alarm::Alarm;
use crate::clock;
use crate::pipeline::{Intake, Observation, Offer};
use crate::telemetry::{DropReason, Telemetry};

pub use error::ScrapeError;
pub use target::{Target, TargetError};

mod error;
mod jitter;
mod target;
#[cfg(test)]
mod tests;

/// Requests for a scrape out of turn that may wait.
const REQUESTS_MAX: usize = 4;

/// What is known of a target, for `/status`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScrapeStatus {
    /// When a scrape last succeeded.
    pub last_success: Option<UnixNanos>,
    /// Why the last scrape failed; none when it succeeded.
    pub last_error: Option<String>,
    /// Samples of the last page that was read.
    pub samples: u64,
    /// How long the last scrape took.
    pub duration: Duration,
    /// What was left out of the last page.
    pub tally: Tally,
}

/// A target's task.
#[derive(Debug)]
pub struct Scrape {
    url: String,
    requests: mpsc::Sender<Request>,
    status: Arc<Mutex<ScrapeStatus>>,
    task: JoinHandle<()>,
}

/// A scrape out of turn.
#[derive(Debug)]
struct Request {
    /// Told when what was scraped is in the pipeline.
    done: oneshot::Sender<()>,
    /// No other follows, and it has no longer than this.
    last: Option<Duration>,
}

impl Scrape {
    /// Starts the task of a target, which hands what it scrapes to the pipeline.
    ///
    /// # Errors
    ///
    /// TLS files that can't be read any more.
    pub fn start(target: Target, intake: Intake) -> Result<Self, ConfigError> {
        let (requests, receiver) = mpsc::channel(REQUESTS_MAX);
        let url = target.url.to_string();
        let scraper = Scraper::new(target)?;
        let status = Arc::clone(&scraper.status);
        let task = tokio::spawn(scraper.run(intake, receiver));
        Ok(Self {
            url,
            requests,
            status,
            task,
        })
    }

    /// Returns the target's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns what is known of the target.
    pub fn status(&self) -> ScrapeStatus {
        lock(&self.status).clone()
    }

    /// Scrapes out of turn; returns when what was scraped is in the pipeline.
    pub async fn scrape_now(&self) {
        self.request(None).await;
    }

    /// Scrapes for the last time, within `patience`, and ends the task; returns whether what was
    /// scraped, if anything, is in the pipeline. Cancel-safe in that a scrape under way is finished.
    pub async fn last(&self, patience: Duration) -> bool {
        let requested = self.request(Some(patience));
        // A scrape under way comes first, and may take its own time.
        let ended = tokio::time::timeout(patience * 2, requested).await.is_ok();
        if !ended {
            tracing::warn!(target_url = %self.url, "no time for a last scrape");
            // What it would still hand over nobody would deliver, or count.
            self.task.abort();
        }
        ended
    }

    async fn request(&self, last: Option<Duration>) {
        let (done, told) = oneshot::channel();
        if self.requests.send(Request { done, last }).await.is_ok() {
            // An error means that the task has ended: there is nothing to wait for.
            let _ = told.await;
        }
    }

    /// Ends the task; a scrape under way is finished first.
    pub async fn stop(self) {
        drop(self.requests);
        let _ = self.task.await;
    }
}

/// Scrapes a target once, as its first scrape.
///
/// # Errors
///
/// Whatever made the scrape fail.
pub async fn scrape_once(target: Target) -> Result<Scraped, ScrapeError> {
    let mut scraper = Scraper::new(target).map_err(ScrapeError::Client)?;
    let (at, started) = (clock::now(), clock::monotonic());
    let timeout = scraper.target.timeout;
    let fetched = scraper.fetch(timeout).await?;
    scraper
        .read(&fetched, at, clock::monotonic().duration_since(started))
        .map_err(ScrapeError::Page)
}

struct Scraper {
    target: Target,
    client: PageClient,
    template: Template,
    status: Arc<Mutex<ScrapeStatus>>,
    /// For the next tick, and while there is a page to come for its timeout.
    alarm: Alarm,
}

impl Scraper {
    fn new(target: Target) -> Result<Self, ConfigError> {
        Ok(Self {
            client: target.client()?,
            template: target.template(),
            status: Arc::default(),
            alarm: Alarm::new(),
            target,
        })
    }

    async fn run(mut self, intake: Intake, mut requests: mpsc::Receiver<Request>) {
        let mut last = UnixNanos::new(0);
        let mut held = None;
        let wait = jitter::wait(&self.target);
        loop {
            let now = clock::now();
            let tick = next_tick(now, last, self.target.interval);
            let release = held.as_ref().map(|_| last.plus(wait));
            let due = release.map_or(tick, |release| release.min(tick));
            // Both branches are cancel-safe: a timer, and a channel's `recv`.
            let request = tokio::select! {
                () = self.alarm.after(due.since(now)) => None,
                request = requests.recv() => match request {
                    Some(request) => Some(request),
                    None => break,
                },
            };
            if let Some(payload) = held.take() {
                // Before anything that was scraped later.
                offer(&intake, payload);
            }
            match request {
                Some(Request { done, last: limit }) => {
                    let timeout = limit.unwrap_or(self.target.timeout);
                    let (payload, is_up) = self.scrape(&intake, clock::now(), timeout).await;
                    if is_up || limit.is_none() {
                        offer(&intake, payload);
                    }
                    // Whoever asked may have given up waiting.
                    let _ = done.send(());
                    if limit.is_some() {
                        return;
                    }
                }
                None if due < tick => {}
                None => {
                    last = tick;
                    let (payload, _) = self.scrape(&intake, tick, self.target.timeout).await;
                    match wait.is_zero() {
                        true => offer(&intake, payload),
                        false => held = Some(payload),
                    }
                }
            }
        }
        if let Some(payload) = held {
            offer(&intake, payload);
        }
    }

    /// Scrapes; returns what is to be sent, and whether the target was up.
    async fn scrape(
        &mut self,
        intake: &Intake,
        at: UnixNanos,
        timeout: Duration,
    ) -> (Payload, bool) {
        let started = clock::monotonic();
        let fetched = self.fetch(timeout).await;
        let took = clock::monotonic().duration_since(started);
        let read = fetched.and_then(|fetched| {
            let read = self.read(&fetched, at, took);
            self.client.give_back(fetched);
            read.map_err(ScrapeError::Page)
        });
        let failed = read
            .as_ref()
            .err()
            .map(|error| (error.outcome(), error.to_string()));
        let scraped = match read {
            Ok(scraped) => {
                self.note_success(intake.telemetry(), at, took, &scraped);
                scraped
            }
            Err(_) => self.template.failed(at.nanos(), &stats(took)),
        };
        let is_up = failed.is_none();
        if let Some((outcome, error)) = failed {
            self.note_failure(intake.telemetry(), took, outcome, error);
        }
        observe(intake, at, &scraped.payload, is_up);
        (scraped.payload, is_up)
    }

    async fn fetch(&mut self, timeout: Duration) -> Result<Page, ScrapeError> {
        let timeout = timeout.min(self.target.timeout);
        // Dropping the exchange ends it.
        let fetched = tokio::select! {
            biased;
            fetched = self.client.exchange(&self.target.url, timeout) => fetched,
            () = self.alarm.after(timeout) => Err(FetchError::Timeout { timeout }),
        };
        fetched.map_err(ScrapeError::Fetch)
    }

    fn read(
        &mut self,
        fetched: &Page,
        at: UnixNanos,
        took: Duration,
    ) -> Result<Scraped, PageError> {
        let options = Options {
            limits: self.target.limits,
            strict: false,
            honor_timestamps: self.target.honor_timestamps,
        };
        let content_type = fetched.content_type.as_deref();
        let (body, at) = (&fetched.body, at.nanos());
        self.template
            .translate(body, content_type, &options, at, &stats(took))
    }

    fn note_success(
        &self,
        telemetry: &Telemetry,
        at: UnixNanos,
        took: Duration,
        scraped: &Scraped,
    ) {
        let (tally, items) = (scraped.tally.clone(), scraped.payload.items);
        count_anomalies(telemetry, &tally, &scraped.notes);
        telemetry.scrape(&self.target.name, "ok");
        telemetry.received(Signal::Metrics, &self.target.name, items);
        let mut status = lock(&self.status);
        if status.last_error.is_some() {
            tracing::info!(target_url = %self.target.url, "scrape succeeds again");
        }
        if tally.first_bad != status.tally.first_bad
            && let Some(first) = tally.first_bad
        {
            let pieces = tally.bad_lines;
            tracing::warn!(target_url = %self.target.url, %first, pieces, "parts not read");
        }
        *status = ScrapeStatus {
            last_success: Some(at),
            last_error: None,
            samples: items,
            duration: took,
            tally,
        };
    }

    fn note_failure(
        &self,
        telemetry: &Telemetry,
        took: Duration,
        outcome: &'static str,
        error: String,
    ) {
        telemetry.scrape(&self.target.name, outcome);
        let mut status = lock(&self.status);
        if status.last_error.as_ref() != Some(&error) {
            tracing::warn!(target_url = %self.target.url, error, "scrape failed");
        }
        status.last_error = Some(error);
        status.duration = took;
    }
}

fn stats(took: Duration) -> ScrapeStats {
    ScrapeStats {
        duration_seconds: took.as_secs_f64(),
    }
}

/// Returns the next multiple of the interval that was not scraped yet. A timer that fires a moment
/// early on the wall clock must not scrape the same tick twice; a clock set back starts anew.
fn next_tick(now: UnixNanos, last: UnixNanos, interval: Duration) -> UnixNanos {
    let tick = now.plus(clock::until_next_multiple(interval, now));
    let set_back = last.since(tick) > interval;
    if tick > last || set_back {
        tick
    } else {
        last.plus(interval)
    }
}

/// Shows what was scraped to the evidence.
fn observe(intake: &Intake, at: UnixNanos, payload: &Payload, is_up: bool) {
    if intake.is_observed() {
        // What a failed scrape sends are markers; to evidence it is a gap.
        let bytes = if is_up {
            payload.bytes.clone()
        } else {
            Bytes::new()
        };
        intake.observe(Observation::Scraped { at, bytes });
    }
}

/// Queues what was scraped for export.
fn offer(intake: &Intake, payload: Payload) {
    let items = payload.items;
    // The app is not asked again for what it said at this moment: a scrape without room is lost.
    let reason = match intake.offer(payload) {
        Offer::Accepted => return,
        Offer::Full { .. } => DropReason::QueueFull,
        Offer::TooLarge { .. } => DropReason::LargerThanQueue,
    };
    let telemetry = intake.telemetry();
    telemetry.dropped(Signal::Metrics, "all", reason, items);
}

fn count_anomalies(telemetry: &Telemetry, tally: &Tally, notes: &Notes) {
    for (kind, count) in [
        ("bad_lines", tally.bad_lines),
        ("duplicate_samples", tally.duplicates),
        ("unholdable_timestamps", tally.unholdable_timestamps),
        ("bad_counts", notes.bad_counts),
        ("bad_natives", notes.bad_natives),
        ("count_mismatches", notes.count_mismatches),
        ("decreasing_histograms", notes.decreasing_histograms),
        ("gauge_histograms", notes.gauge_histograms),
        ("reserved_names", notes.reserved_names),
        ("unsupported_natives", notes.unsupported_natives),
        ("without_count", notes.without_count),
    ] {
        telemetry.anomaly("scrape", kind, count);
    }
}

fn lock(status: &Mutex<ScrapeStatus>) -> std::sync::MutexGuard<'_, ScrapeStatus> {
    status.lock().unwrap_or_else(PoisonError::into_inner)
}
