//! Pages into OTLP metrics, by the rules of OpenTelemetry's "Prometheus and OpenMetrics
//! Compatibility", section "Prometheus Metric points to OTLP".
//!
//! * Names stay as they are, `_total` and unit suffix included. HELP is the description, UNIT the
//!   unit ([`unit`]), TYPE goes to `metric.metadata["prometheus.type"]` too.
//! * Counters are monotonic cumulative sums; gauges and untyped samples gauges; infos and statesets
//!   non-monotonic cumulative sums. Histograms and summaries are put together from their samples
//!   ([`histogram`], [`summary`]); native histograms become exponential ones ([`native`]). Gauge
//!   histograms have no form in OTLP and are dropped, counted.
//! * Start times are those the page tells (`_created`), else unset, as the rules ask, unless they
//!   are to be synthesized ([`StartTimes`]).
//! * `otel_scope_*` labels become scopes ([`scope`]), `target_info` the resource ([`resource`]).
//!
//! [`Translator`] also knows the scrape before: it adds `up` and `scrape_*`, and one marker ("no
//! recorded value") for each series that vanished or whose scrape failed.

use bytes::Bytes;
use davy_proto::Signal;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use crate::exposition::{Page, Sample};
use crate::payload::Payload;
use crate::series::{Clock, Observed, Series, StartTimes, points_of};

pub(crate) use attributes::is_of_target;
pub(crate) use histogram::whole;
pub(crate) use metric::{is_about_scope, is_about_target};
pub(crate) use native::PAGE_BUCKETS_ROOM;
pub(crate) use number::start as start_of_seconds;
pub use resource::Identity;
pub(crate) use scope::is_scope_label;
pub use scrape::ScrapeStats;
pub(crate) use scrape::is_reserved;
pub(crate) use unit::ucum;

mod attributes;
mod exemplar;
mod histogram;
mod metric;
mod native;
mod number;
pub mod print;
mod resource;
mod scope;
mod scrape;
mod summary;
#[cfg(test)]
mod tests;
mod unit;

/// The name of the scope of metrics that name none.
pub const SCOPE_NAME: &str = "davy-agent";

/// What was left out or set right in a translation, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Points whose count is not a number that OTLP holds.
    pub bad_counts: u64,
    /// Native histograms whose buckets do not add up; their classic buckets are sent, if any.
    pub bad_natives: u64,
    /// Histograms whose `+Inf` bucket is not their `_count`; the bucket counts.
    pub count_mismatches: u64,
    /// Histograms with a bucket smaller than the one before it; dropped.
    pub decreasing_histograms: u64,
    /// Gauge histograms; dropped, since OTLP has none.
    pub gauge_histograms: u64,
    /// Series named like those that the scrape itself adds; dropped.
    pub reserved_names: u64,
    /// Native histograms of floats or of a schema OTLP has not; their classic buckets are sent,
    /// if any.
    pub unsupported_natives: u64,
    /// Histograms and summaries without `_count`; dropped.
    pub without_count: u64,
}

impl Notes {
    /// Adds what was left out elsewhere.
    pub(crate) fn add(&mut self, other: &Self) {
        // Without `..`: a counter that is new must be added here.
        let Self {
            bad_counts,
            bad_natives,
            count_mismatches,
            decreasing_histograms,
            gauge_histograms,
            reserved_names,
            unsupported_natives,
            without_count,
        } = other;
        self.bad_counts += bad_counts;
        self.bad_natives += bad_natives;
        self.count_mismatches += count_mismatches;
        self.decreasing_histograms += decreasing_histograms;
        self.gauge_histograms += gauge_histograms;
        self.reserved_names += reserved_names;
        self.unsupported_natives += unsupported_natives;
        self.without_count += without_count;
    }
}

/// One scrape as OTLP.
#[derive(Clone, Debug)]
pub struct Translated {
    /// What is sent; the first [`ResourceMetrics`] holds this scrape, another may hold markers.
    pub request: ExportMetricsServiceRequest,
    /// The same, encoded.
    pub payload: Payload,
    /// What was left out.
    pub notes: Notes,
}

/// Translates a page on its own: no `up`, no markers, nothing remembered.
/// `at` is the scrape's time in Unix nanoseconds.
pub fn convert(page: &Page<'_>, identity: &Identity, at: u64) -> (ResourceMetrics, Notes) {
    let mut draft = metric::Draft::new(page, identity, at);
    draft.families();
    draft.finish()
}

/// What samples of a page are by themselves.
pub(crate) struct Converted {
    pub(crate) scopes: Vec<ScopeMetrics>,
    pub(crate) notes: Notes,
    /// Buckets of native histograms, gaps included.
    pub(crate) native_buckets: usize,
}

/// Translates samples of a page by themselves, without what the scrape's own series are named like.
pub(crate) fn convert_samples<'p>(
    page: &'p Page<'p>,
    identity: &'p Identity,
    at: u64,
    samples: &'p [Sample],
) -> Converted {
    let mut draft = metric::Draft::new(page, identity, at);
    draft.samples(samples);
    let native_buckets = draft.native_buckets;
    let (mut metrics, mut notes) = draft.finish();
    scrape::drop_reserved(&mut metrics, &mut notes);
    Converted {
        scopes: metrics.scope_metrics,
        notes,
        native_buckets,
    }
}

/// Returns the scope of metrics that name none, without metrics.
pub(crate) fn own_scope(identity: &Identity) -> ScopeMetrics {
    scope::own(&identity.agent_version)
}

/// Translates the scrapes of one target, one after the other.
#[derive(Debug)]
pub struct Translator {
    identity: Identity,
    series: Series,
    resource: Option<Resource>,
    start_times: StartTimes,
}

impl Translator {
    /// Creates a translator for a target that was not scraped before.
    pub fn new(identity: Identity) -> Self {
        Self {
            identity,
            series: Series::default(),
            resource: None,
            start_times: StartTimes::default(),
        }
    }

    /// The same with start times as `start_times` says.
    #[must_use]
    pub fn started(mut self, start_times: StartTimes) -> Self {
        self.start_times = start_times;
        self
    }

    /// Translates a scraped page. `at` is the scrape's time in Unix nanoseconds.
    pub fn translate(&mut self, page: &Page<'_>, at: u64, scrape: &ScrapeStats) -> Translated {
        let process_start = match self.start_times {
            StartTimes::Reported => 0,
            StartTimes::Synthesized => page.process_start(),
        };
        self.translate_started(page, process_start, at, scrape)
    }

    /// The same, where the page said before it was changed when its program started.
    pub(crate) fn translate_started(
        &mut self,
        page: &Page<'_>,
        process_start: u64,
        at: u64,
        scrape: &ScrapeStats,
    ) -> Translated {
        let (mut metrics, mut notes) = convert(page, &self.identity, at);
        scrape::drop_reserved(&mut metrics, &mut notes);
        let clock = Clock {
            at,
            process_start,
            start_times: self.start_times,
        };
        let observed = self.series.observe(&mut metrics, &clock);
        let vanished = self.series.vanished(&observed, at);
        let samples = page.counts();
        let health = scrape.series(&self.identity, at, samples, self.series.added(&observed));
        self.resource = metrics.resource.clone();
        scrape::add(&mut metrics, health);
        let translated = translated(metrics, vanished, notes);
        // What is sent is remembered; of it only what was observed can vanish, so neither the
        // scrape's own series nor this scrape's markers are ever marked.
        self.series
            .remember(observed, translated.payload.bytes.clone());
        translated
    }

    /// Returns whether no scrape has succeeded so far.
    pub(crate) fn is_new(&self) -> bool {
        self.resource.is_none()
    }

    /// Goes on from a scrape that was translated elsewhere: `page` is its request without the
    /// scrape's own series; `ended` says that the one after it failed.
    pub(crate) fn restore(&mut self, page: Bytes, ended: bool) {
        self.forget();
        let Ok(request) = ExportMetricsServiceRequest::decode(page.clone()) else {
            return;
        };
        let Some(mut metrics) = request.resource_metrics.into_iter().next() else {
            return;
        };
        let observed = self.series.observe(&mut metrics, &Clock::reported(0));
        self.series.remember(observed, page);
        if ended {
            self.series.end();
        }
        self.resource = metrics.resource;
    }

    /// Forgets the scrape before: it goes on elsewhere.
    pub(crate) fn forget(&mut self) {
        self.series = Series::default();
        self.resource = None;
    }

    /// Says that a scrape failed: `up` is 0, and every series of the scrape before gets its marker.
    pub fn failed(&mut self, at: u64, scrape: &ScrapeStats) -> Translated {
        let vanished = self.series.vanished(&Observed::default(), at);
        self.series.end();
        let known = self.resource.clone();
        let resource = Some(known.unwrap_or_else(|| self.identity.resource(&[])));
        let mut metrics = ResourceMetrics {
            resource,
            ..ResourceMetrics::default()
        };
        scrape::add(&mut metrics, scrape.failure(&self.identity, at));
        translated(metrics, vanished, Notes::default())
    }
}

fn translated(
    mut metrics: ResourceMetrics,
    vanished: Option<ResourceMetrics>,
    notes: Notes,
) -> Translated {
    let mut resource_metrics = Vec::with_capacity(2);
    match vanished {
        Some(vanished) if vanished.resource == metrics.resource => {
            scope::merge(&mut metrics.scope_metrics, vanished.scope_metrics);
            resource_metrics.push(metrics);
        }
        other => {
            resource_metrics.push(metrics);
            resource_metrics.extend(other);
        }
    }
    let request = ExportMetricsServiceRequest { resource_metrics };
    let bytes = Bytes::from(request.encode_to_vec());
    let payload = Payload {
        signal: Signal::Metrics,
        bytes,
        items: items(&request),
    };
    Translated {
        request,
        payload,
        notes,
    }
}

/// Returns the number of data points in a request.
pub fn items(request: &ExportMetricsServiceRequest) -> u64 {
    let scopes = request
        .resource_metrics
        .iter()
        .flat_map(|metrics| &metrics.scope_metrics);
    scopes
        .flat_map(|scope| &scope.metrics)
        .map(|metric| points_of(metric) as u64)
        .sum()
}
