//! Evidence for the gate, made from what the app says about itself.
//!
//! The agent watches the metrics it forwards (scraped pages, and what the app's SDK sends) and,
//! where there is no histogram, its SERVER spans. At the end of each window it makes one OTLP
//! metrics request of increments; any collector could send the same. What travels:
//!
//! | metric | kind | attributes |
//! |---|---|---|
//! | `http.server.request.duration`, s | (exponential) histogram, delta | H |
//! | `rpc.server.call.duration`, s | (exponential) histogram, delta | R |
//! | `http.server.requests` · `rpc.server.requests` | sum, delta, monotonic | H · R |
//! | `process.cpu.time`, s | sum, delta, monotonic | none |
//! | `davy.cpu.limit`, cores | gauge | none |
//! | `go.*` | gauge, or sum, delta | none |
//!
//! H: `http.route`, `http.request.method`, `http.response.status_code` (an integer, or a class such
//! as `5xx` as text), `error.type`. R: `rpc.service`, `rpc.method`, `rpc.response.status_code` (a
//! name such as `UNAVAILABLE`), `error.type`. What is unknown is left out.
//!
//! The resource has `service.*`, `k8s.*`, the arm, `process.creation.time` and
//! `davy.evidence.source` (`histogram` or `spans`).
//!
//! **Status beside the histogram.** Where the app's histogram has no status, its points carry no
//! `http.response.status_code`, and `http.server.requests` (or the rpc one) counts the requests by
//! route, method and status, from the counter beside it. A reader takes requests, errors and codes
//! from these counts, and the latency from the histogram, which then holds failed requests too.
//! Where the histogram has the status, the counts are not sent.
//!
//! **Errors.** A point of a request that failed, by the configured list, carries `error.type` (the
//! code as text, or what the span said). Without a status, `error.type` alone says it.
//!
//! **Windows.** A window is `[end − w, end)`. Scrapes are aligned on window ends by their source,
//! and [`Evidence::close`] is called after them: what was observed since the last call belongs to
//! the window that is closed. The points start where the last observation of their source was
//! closed into, so after a missed scrape they span two windows or more, truthfully: nothing is
//! interpolated. After more than [`GAP_WINDOWS_MAX`] windows the difference is dropped and counted.
//! A window in which the source was seen but no request ended has a point with count 0.
//!
//! **Cumulative points** are differenced for each series. A reset is seen by the start time, by a
//! decrease, and for scraped pages by `process_start_time_seconds`; after it the value counts from
//! zero. The first point of an unknown series counts when its start time says that it began in the
//! window, or when an earlier snapshot of the same stream and process did not have it: that is how
//! the first 503 of an hour gets counted.

mod attributes;
mod choice;
mod distribution;
mod emit;
mod observe;
mod points;
mod report;
mod runtime;
mod select;
mod series;
mod settings;
mod spans;
mod tally;

use std::collections::{BTreeMap, BTreeSet};

use davy_proto::UnixNanos;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;

pub use choice::{Chosen, Kind, Protocol};
pub use report::{Judgeable, Report};
pub use settings::{
    DEFAULT_MAX_ROUTES, DEFAULT_MAX_SERIES, DEFAULT_WINDOW, EvidenceSettings, Names, SourceMode,
};

use attributes::Route;
use choice::Choices;
use observe::{Idle, Stream};
use runtime::Runtime;
use series::Series;
use tally::Tally;

/// Longest span of a point, in windows: an SDK exports every minute by default (12 windows of 5 s);
/// what lies longer back says little about a rollout under way.
pub const GAP_WINDOWS_MAX: u32 = 24;

/// Windows without a histogram before spans are taken (`source: auto`): a histogram often shows up
/// with the first request only, and a change of source in mid-rollout costs comparisons.
pub const SPANS_AFTER_WINDOWS: u32 = 6;

/// Where observed metrics come from.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Origin {
    /// A scraped page: a full snapshot of the process.
    Scrape {
        /// Place of the target in the configuration.
        target: u16,
    },
    /// The app's SDK, by OTLP.
    Otlp,
}

/// Why something observed is not evidence. Each is counted in [`Report::refused`].
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Refusal {
    /// Buckets and bounds that contradict each other, or more than the limit.
    Buckets,
    /// The same point again.
    Duplicate,
    /// The route is excluded by configuration.
    Excluded,
    /// More windows without an observation than [`GAP_WINDOWS_MAX`].
    Gap,
    /// Bounds that differ from those of the same route and status in the window.
    MixedBounds,
    /// A point older than one already seen, or one that overlaps it.
    OutOfOrder,
    /// A route beyond `max_routes`; counted under `other`.
    RouteLimit,
    /// A series beyond the limit.
    SeriesLimit,
    /// A span that ends before it starts, or without times.
    SpanTime,
}

impl Refusal {
    /// The name in reports and metric labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Buckets => "buckets",
            Self::Duplicate => "duplicate",
            Self::Excluded => "excluded_route",
            Self::Gap => "gap",
            Self::MixedBounds => "mixed_bounds",
            Self::OutOfOrder => "out_of_order",
            Self::RouteLimit => "route_limit",
            Self::SeriesLimit => "series_limit",
            Self::SpanTime => "span_time",
        }
    }
}

/// One closed window.
#[derive(Clone, Debug)]
pub struct Closed {
    /// What the gate is sent; none when nothing was observed in the window.
    pub request: Option<ExportMetricsServiceRequest>,
    /// What was chosen, and what can be judged.
    pub report: Report,
}

/// Watches metrics and spans and makes windows of evidence. Memory is bounded by
/// [`EvidenceSettings::max_series`] and [`EvidenceSettings::max_routes`].
#[derive(Debug)]
pub struct Evidence {
    settings: EvidenceSettings,
    choices: Choices,
    series: Series,
    streams: BTreeMap<Origin, Stream>,
    tally: Tally,
    runtime: Runtime,
    idle: BTreeMap<Protocol, Idle>,
    /// The routes that are told apart: the first ones seen, for good.
    routes: BTreeMap<Protocol, BTreeSet<Route>>,
    /// `service.*` of the app's SDK, which win over the configured ones.
    learnt: BTreeMap<String, KeyValue>,
    creation: Option<UnixNanos>,
    open_from: Option<UnixNanos>,
    windows_without_histogram: u32,
    refused: BTreeMap<Refusal, u64>,
}

impl Evidence {
    /// Evidence of one app by these settings.
    pub fn new(settings: EvidenceSettings) -> Self {
        Self {
            series: Series::new(settings.max_series),
            choices: Choices::new(&settings),
            idle: BTreeMap::new(),
            routes: BTreeMap::new(),
            settings,
            streams: BTreeMap::new(),
            tally: Tally::default(),
            runtime: Runtime::default(),
            learnt: BTreeMap::new(),
            creation: None,
            open_from: None,
            windows_without_histogram: 0,
            refused: BTreeMap::new(),
        }
    }

    /// Whether spans may be needed: not once a histogram has been found.
    pub fn wants_spans(&self) -> bool {
        match self.settings.source {
            SourceMode::Histogram => false,
            SourceMode::Spans => true,
            SourceMode::Auto => !self.choices.has_histogram(),
        }
    }

    /// Observes the app's spans: its SERVER spans become latencies, where they are the source.
    pub fn observe_spans(&mut self, request: &ExportTraceServiceRequest) {
        if self.wants_spans() {
            self.count_spans(request);
        }
    }

    /// Closes the window that ends at `window_end` (a multiple of the window) and starts the next.
    pub fn close(&mut self, window_end: UnixNanos) -> Closed {
        self.age();
        let request = self.request(window_end);
        let report = self.report();
        for stream in self.streams.values_mut() {
            stream.close(window_end);
        }
        self.open_from = Some(window_end);
        self.tally = Tally::default();
        Closed { request, report }
    }

    /// What was chosen so far, and what can be judged with it.
    pub fn report(&self) -> Report {
        report::report(self)
    }

    fn refuse(&mut self, reason: Refusal) {
        *self.refused.entry(reason).or_default() += 1;
    }

    fn age(&mut self) {
        self.series.age();
        self.choices.age();
        if self.choices.has_histogram() {
            self.windows_without_histogram = 0;
        } else {
            self.windows_without_histogram = self.windows_without_histogram.saturating_add(1);
        }
    }

    /// Whether span latencies are what is sent now.
    fn spans_are_source(&self) -> bool {
        match self.settings.source {
            SourceMode::Histogram => false,
            SourceMode::Spans => true,
            SourceMode::Auto => {
                !self.choices.has_histogram()
                    && self.windows_without_histogram >= SPANS_AFTER_WINDOWS
            }
        }
    }
}

#[cfg(test)]
mod tests;
