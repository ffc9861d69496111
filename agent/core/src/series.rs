//! What must be remembered of a target's series from one scrape to the next.
//!
//! Two things: which series there were, so that one that vanished gets its marker ("no recorded
//! value"), and, for series with a known start, the value and start, so that a reset moves the
//! start. Where start times are to be synthesized, every cumulative series has one. The series
//! themselves are not kept a second time: the encoded request of the last scrape is (the queue has
//! it anyway), and it is decoded only when something vanished.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics, ScopeMetrics};
use prost::Message;

/// `FLAG_NO_RECORDED_VALUE` of OTLP: the series was there before and is not now.
pub const NO_RECORDED_VALUE: u32 = 1;

/// How far before the point that shows a reset the new start lies: one millisecond, as in
/// Prometheus's synthesis of start times.
const RESET_LEAD_NANOS: u64 = 1_000_000;

/// Where the start times of cumulative points come from.
///
/// Source: OpenTelemetry's data model, "Cumulative streams: handling unknown start time" and
/// "inserting true reset points".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartTimes {
    /// From the page (`_created`), or they are unset.
    #[default]
    Reported,
    /// Where the page tells none of a series: the start of the program, if it tells that, else the
    /// time of the series' first point, which then has no duration; a moment before the point that
    /// shows a reset.
    Synthesized,
}

/// When a page was scraped, and how its points began.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Unix nanoseconds.
    pub at: u64,
    /// When the program started, Unix nanoseconds; 0 when that is not known.
    pub process_start: u64,
    /// Where start times come from.
    pub start_times: StartTimes,
}

impl Clock {
    /// Only what the page tells of its points.
    pub fn reported(at: u64) -> Self {
        Self {
            at,
            process_start: 0,
            start_times: StartTimes::Reported,
        }
    }
}

/// The series of a target's last scrape.
#[derive(Clone, Debug, Default)]
pub struct Series {
    encoded: Bytes,
    points: Vec<Point>,
    resource: u64,
    ended: bool,
}

/// A cumulative point of the last scrape, by the hash of its identity.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Point {
    hash: u64,
    value: f64,
    start: u64,
}

/// A point of the last scrape as far as it tells a reset.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Before {
    /// A sum's value, or a count.
    pub(crate) value: f64,
    /// Unix nanoseconds, 0 without one.
    pub(crate) start: u64,
}

/// Returns the start of a point that was there before, in Unix nanoseconds: what the page reports
/// unless that goes back, or a moment ago when the value fell.
pub(crate) fn start_after(before: Before, value: f64, reported: u64, at: u64) -> u64 {
    match reported <= before.start && value < before.value {
        true => at.saturating_sub(RESET_LEAD_NANOS).max(before.start),
        false => reported.max(before.start),
    }
}

/// Returns the start of a cumulative point where one has to be found, at most its own time.
fn synthesized(
    before: Option<Before>,
    value: f64,
    reported: u64,
    time: u64,
    process_start: u64,
) -> u64 {
    let told = match reported {
        0 if process_start <= time => process_start,
        _ => reported,
    };
    let start = match before.filter(|before| before.start > 0) {
        Some(before) => start_after(before, value, told, time),
        None if told > 0 => told,
        None => time,
    };
    start.min(time)
}

impl Series {
    /// Moves the start of every point that was reset since the last scrape, and returns what
    /// `remember` and `vanished` need to know of this scrape.
    pub fn observe(&self, metrics: &mut ResourceMetrics, clock: &Clock) -> Observed {
        let resource = metrics.resource.as_ref();
        let resource = resource.map_or(0, |resource| hash_attributes(0, &resource.attributes));
        let mut points = Vec::new();
        for_each_metric(metrics, |scope, metric| {
            let identity = hash_metric(scope, metric);
            visit(metric, identity, |hash, value, start, time| {
                let before = self.before(hash, resource);
                *start = match (clock.start_times, time) {
                    (StartTimes::Synthesized, Some(time)) => {
                        synthesized(before, value, *start, time, clock.process_start)
                    }
                    _ => match before.filter(|_| *start > 0) {
                        Some(before) => start_after(before, value, *start, clock.at),
                        None => *start,
                    },
                };
                points.push(Point {
                    hash,
                    value,
                    start: *start,
                });
            });
        });
        points.sort_unstable_by_key(|point| point.hash);
        Observed { points, resource }
    }

    fn before(&self, hash: u64, resource: u64) -> Option<Before> {
        if resource != self.resource {
            return None;
        }
        let found = self.points.binary_search_by(|point| point.hash.cmp(&hash));
        let point = self.points.get(found.ok()?)?;
        Some(Before {
            value: point.value,
            start: point.start,
        })
    }

    /// Returns, marked, the series of the last scrape that this one has not.
    pub fn vanished(&self, now: &Observed, at: u64) -> Option<ResourceMetrics> {
        if self.ended {
            return None;
        }
        let same = now.resource == self.resource;
        let is_there =
            |hash: &u64| same && now.points.binary_search_by(|p| p.hash.cmp(hash)).is_ok();
        let mut gone: Vec<u64> = self.points.iter().map(|point| point.hash).collect();
        gone.retain(|hash| !is_there(hash));
        gone.dedup();
        if gone.is_empty() {
            return None;
        }
        let request = ExportMetricsServiceRequest::decode(self.encoded.clone()).ok()?;
        let mut metrics = request.resource_metrics.into_iter().next()?;
        let mut taken = vec![false; gone.len()];
        for_each_metric(&mut metrics, |scope, metric| {
            let identity = hash_metric(scope, metric);
            mark(metric, identity, at, |hash| {
                match gone.binary_search(&hash) {
                    Ok(index) => taken
                        .get_mut(index)
                        .is_some_and(|t| !std::mem::replace(t, true)),
                    Err(_) => false,
                }
            });
        });
        for scope in &mut metrics.scope_metrics {
            scope.metrics.retain(|metric| points_of(metric) > 0);
        }
        metrics
            .scope_metrics
            .retain(|scope| !scope.metrics.is_empty());
        (!metrics.scope_metrics.is_empty()).then_some(metrics)
    }

    /// Keeps this scrape for the next; `encoded` is its request, with its resource first.
    pub fn remember(&mut self, now: Observed, encoded: Bytes) {
        self.points = now.points;
        self.resource = now.resource;
        self.encoded = encoded;
        self.ended = false;
    }

    /// Returns how many series of this scrape the last one had not.
    pub fn added(&self, now: &Observed) -> usize {
        let known = |p: &&Point| {
            !self.ended
                && self
                    .points
                    .binary_search_by(|q| q.hash.cmp(&p.hash))
                    .is_ok()
        };
        now.points.len() - now.points.iter().filter(known).count()
    }

    /// Notes that every series has its marker, as after a failed scrape. Starts are kept: the
    /// program may have been there all the time.
    pub fn end(&mut self) {
        self.encoded = Bytes::new();
        self.ended = true;
    }
}

/// The identities of one scrape's points.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    points: Vec<Point>,
    resource: u64,
}

fn for_each_metric(metrics: &mut ResourceMetrics, mut act: impl FnMut(u64, &mut Metric)) {
    for scope in &mut metrics.scope_metrics {
        let identity = hash_scope(scope);
        for metric in &mut scope.metrics {
            act(identity, metric);
        }
    }
}

fn hash_scope(scope: &ScopeMetrics) -> u64 {
    let url = hash_text(0, &scope.schema_url);
    scope.scope.as_ref().map_or(url, |scope| {
        let named = hash_text(hash_text(url, &scope.name), &scope.version);
        hash_attributes(named, &scope.attributes)
    })
}

fn hash_metric(scope: u64, metric: &Metric) -> u64 {
    let kind = metric.data.as_ref().map_or(0, |data| match data {
        Data::Gauge(_) => 1,
        Data::Sum(sum) => 2 + u64::from(sum.is_monotonic),
        Data::Histogram(_) => 4,
        Data::ExponentialHistogram(_) => 5,
        Data::Summary(_) => 6,
    });
    mix(hash_text(scope, &metric.name), kind)
}

fn hash_attributes(seed: u64, attributes: &[KeyValue]) -> u64 {
    attributes.iter().fold(seed, |state, attribute| {
        let state = hash_text(state, &attribute.key);
        match attribute.value.as_ref() {
            Some(AnyValue {
                value: Some(any_value::Value::StringValue(text)),
            }) => hash_text(state, text),
            // Scraped attributes are strings; others are told apart by their encoding.
            Some(other) => hash_bytes(state, &other.encode_to_vec()),
            None => state,
        }
    })
}

/// Calls `act` with identity, cumulative value and start of every point, and with the time of those
/// that only grow until a reset.
fn visit(metric: &mut Metric, identity: u64, mut act: impl FnMut(u64, f64, &mut u64, Option<u64>)) {
    match &mut metric.data {
        Some(Data::Gauge(gauge)) => {
            for point in &mut gauge.data_points {
                let mut no_start = 0;
                act(
                    hash_attributes(identity, &point.attributes),
                    0.0,
                    &mut no_start,
                    None,
                );
            }
        }
        Some(Data::Sum(sum)) => {
            let grows = sum.is_monotonic;
            for point in &mut sum.data_points {
                let value = match point.value {
                    Some(Value::AsDouble(value)) => value,
                    Some(Value::AsInt(value)) => value as f64,
                    None => 0.0,
                };
                let hash = hash_attributes(identity, &point.attributes);
                let time = grows.then_some(point.time_unix_nano);
                act(hash, value, &mut point.start_time_unix_nano, time);
            }
        }
        Some(Data::Histogram(histogram)) => {
            for point in &mut histogram.data_points {
                let hash = hash_attributes(identity, &point.attributes);
                let (count, time) = (point.count as f64, Some(point.time_unix_nano));
                act(hash, count, &mut point.start_time_unix_nano, time);
            }
        }
        Some(Data::ExponentialHistogram(histogram)) => {
            for point in &mut histogram.data_points {
                let hash = hash_attributes(identity, &point.attributes);
                let (count, time) = (point.count as f64, Some(point.time_unix_nano));
                act(hash, count, &mut point.start_time_unix_nano, time);
            }
        }
        Some(Data::Summary(summary)) => {
            for point in &mut summary.data_points {
                let hash = hash_attributes(identity, &point.attributes);
                let (count, time) = (point.count as f64, Some(point.time_unix_nano));
                act(hash, count, &mut point.start_time_unix_nano, time);
            }
        }
        None => {}
    }
}

/// Keeps the points that `is_gone` names and turns each into a marker. Bounds and quantiles stay:
/// a backend that makes a series of each can end only those that the marker names.
fn mark(metric: &mut Metric, identity: u64, at: u64, mut is_gone: impl FnMut(u64) -> bool) {
    macro_rules! markers {
        ($points:expr $(, $kept:ident)*) => {{
            $points.retain(|point| is_gone(hash_attributes(identity, &point.attributes)));
            for point in &mut $points {
                let before = std::mem::take(point);
                point.attributes = before.attributes;
                point.time_unix_nano = at;
                point.flags = NO_RECORDED_VALUE;
                $(point.$kept = before.$kept;)*
            }
        }};
    }
    match &mut metric.data {
        Some(Data::Gauge(gauge)) => markers!(gauge.data_points),
        Some(Data::Sum(sum)) => markers!(sum.data_points),
        Some(Data::Histogram(histogram)) => {
            let points = &mut histogram.data_points;
            markers!(*points, bucket_counts, explicit_bounds, sum);
            for point in points {
                point.bucket_counts.fill(0);
                point.sum = point.sum.map(|_| 0.0);
            }
        }
        Some(Data::ExponentialHistogram(histogram)) => markers!(histogram.data_points),
        Some(Data::Summary(summary)) => {
            let points = &mut summary.data_points;
            markers!(*points, quantile_values);
            let values = points
                .iter_mut()
                .flat_map(|point| &mut point.quantile_values);
            values.for_each(|quantile| quantile.value = 0.0);
        }
        None => {}
    }
}

/// Returns how many points a metric has.
pub fn points_of(metric: &Metric) -> usize {
    metric.data.as_ref().map_or(0, |data| match data {
        Data::Gauge(gauge) => gauge.data_points.len(),
        Data::Sum(sum) => sum.data_points.len(),
        Data::Histogram(histogram) => histogram.data_points.len(),
        Data::ExponentialHistogram(histogram) => histogram.data_points.len(),
        Data::Summary(summary) => summary.data_points.len(),
    })
}

/// Mixes a word into a hash: the folded product of Wyhash.
pub(crate) fn mix(state: u64, word: u64) -> u64 {
    let (a, b) = (state ^ 0x9E37_79B9_7F4A_7C15, word ^ 0xE703_7ED1_A0B4_28DB);
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

/// Mixes a text and its length into a hash, eight bytes at a time.
pub(crate) fn hash_text(state: u64, text: &str) -> u64 {
    hash_bytes(state, text.as_bytes())
}

fn hash_bytes(mut state: u64, bytes: &[u8]) -> u64 {
    let (words, tail) = bytes.as_chunks::<8>();
    for word in words {
        state = mix(state, u64::from_le_bytes(*word));
    }
    let last = tail
        .iter()
        .fold(0u64, |word, byte| word << 8 | u64::from(*byte));
    mix(state, last ^ (bytes.len() as u64) << 56)
}
