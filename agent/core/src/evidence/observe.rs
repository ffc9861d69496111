//! Observing metrics: choosing among them, differencing their points, filling the window.

use std::collections::BTreeMap;
use std::time::Duration;

use davy_proto::indicator::{self, Protocol};
use davy_proto::{UnixNanos, semconv};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics};

use super::attributes::{self, Outcome, Route};
use super::choice::{Candidate, Chosen, Kind, Offer, Role};
use super::distribution::Distribution;
use super::points::{self, Reading};
use super::series::{Context, Value};
use super::settings::SourceMode;
use super::{Evidence, GAP_WINDOWS_MAX, Origin, Refusal};

/// Starts of a process that differ by less are the same one: the value has a resolution of 10 ms,
/// and clocks step.
const SAME_START: Duration = Duration::from_secs(1);

/// What is known of one origin.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// End of the window that its last observation was closed into.
    pub(super) covered_to: Option<UnixNanos>,
    /// Whether it was observed in the open window.
    pub(super) observed: bool,
    /// Observations so far.
    observations: u64,
    /// The last page had more series than are watched, so absence from it says nothing.
    overflowed: bool,
    process_start: Option<UnixNanos>,
    /// Cumulative metrics of an SDK: start and time of their first snapshot.
    snapshots: BTreeMap<String, (u64, u64)>,
}

/// The shape of a latency point, for windows without requests.
pub(super) type Idle = (Route, Outcome, Distribution);

impl Stream {
    /// The open window ends.
    pub(super) fn close(&mut self, window_end: UnixNanos) {
        if self.observed {
            self.covered_to = Some(window_end);
        }
        self.observed = false;
    }
}

/// Most metrics of SDKs whose snapshots are remembered.
const SNAPSHOTS_MAX: usize = 1_000;

/// One observed metric with where it stands.
struct Observed<'a> {
    metric: &'a Metric,
    role: Role,
    candidate: Candidate,
    resource: &'a str,
    factor: f64,
}

impl Evidence {
    /// Observes metrics of the app at time `at`: a translated page, or what its SDK sent.
    pub fn observe_metrics(&mut self, metrics: &[ResourceMetrics], origin: Origin, at: UnixNanos) {
        let scraped = matches!(origin, Origin::Scrape { .. });
        if scraped && points::gauge(metrics, "up") == Some(0.0) {
            return;
        }
        self.bridge_gap(origin, at);
        let restarted = self.learn_process(metrics, origin);
        self.learn_resource(metrics, origin);
        let resources: Vec<String> = metrics.iter().map(resource_identity).collect();
        let observed = self.candidates(metrics, &resources, origin);
        for seen in &observed {
            if self.choices.offer(seen.role, &seen.candidate) == Offer::Changed {
                self.tally.discard(seen.role);
            }
        }
        let open_from = self
            .open_from
            .unwrap_or_else(|| at.minus(self.settings.window));
        let stream = self.streams.entry(origin).or_default();
        stream.observed = true;
        stream.observations += 1;
        let mark = stream.observations;
        let known_page = scraped && mark > 1 && !stream.overflowed;
        let young = stream.process_start.is_some_and(|start| start >= open_from);
        stream.overflowed = false;
        let context = Context {
            first_counts: known_page || young,
            restarted,
            mark,
        };
        for seen in &observed {
            self.count_metric(seen, context, (open_from, at));
        }
        self.runtime
            .observe(metrics, origin, &mut self.series, context, at);
        if scraped {
            self.series.keep(origin, mark);
        }
    }

    /// After too long a gap the origin is a stranger again.
    fn bridge_gap(&mut self, origin: Origin, at: UnixNanos) {
        let longest = self.settings.window.saturating_mul(GAP_WINDOWS_MAX);
        let covered = self
            .streams
            .get(&origin)
            .and_then(|stream| stream.covered_to);
        if covered.is_some_and(|covered| at.since(covered) > longest) {
            self.streams.remove(&origin);
            self.series.forget_origin(origin);
            self.refuse(Refusal::Gap);
        }
    }

    /// Learns when the process was started; says whether that was since the last observation.
    fn learn_process(&mut self, metrics: &[ResourceMetrics], origin: Origin) -> bool {
        let gauge = indicator::START_TIME
            .iter()
            .find_map(|name| points::gauge(metrics, name));
        let nanos = gauge
            .filter(|s| s.is_finite() && *s > 0.0)
            .map(|s| (s * 1e9) as u64);
        let stated = || {
            let resource = metrics.iter().find_map(|m| m.resource.as_ref())?;
            let text = attributes::named(&resource.attributes, semconv::PROCESS_CREATION_TIME)?;
            UnixNanos::parse_rfc3339(&text).ok()
        };
        let Some(start) = nanos.map(UnixNanos::new).or_else(stated) else {
            return false;
        };
        let stream = self.streams.entry(origin).or_default();
        let before = stream.process_start.replace(start);
        if !matches!(origin, Origin::Scrape { target: 1.. }) {
            self.creation = Some(start);
        }
        before.is_some_and(|before| start.since(before) > SAME_START)
    }

    /// What the app's SDK says of the service wins, except `unknown_service…`.
    fn learn_resource(&mut self, metrics: &[ResourceMetrics], origin: Origin) {
        if origin != Origin::Otlp {
            return;
        }
        for attribute in metrics
            .iter()
            .filter_map(|m| m.resource.as_ref())
            .flat_map(|r| &r.attributes)
        {
            let known = [
                semconv::SERVICE_NAME,
                semconv::SERVICE_NAMESPACE,
                semconv::SERVICE_VERSION,
                semconv::SERVICE_INSTANCE_ID,
            ];
            let value = attribute.value.as_ref().and_then(attributes::text);
            let unknown = value
                .is_none_or(|text| text.is_empty() || text.starts_with(semconv::UNKNOWN_SERVICE));
            if known.contains(&attribute.key.as_str()) && !unknown {
                self.learnt.insert(attribute.key.clone(), attribute.clone());
            }
        }
    }

    fn candidates<'a>(
        &mut self,
        metrics: &'a [ResourceMetrics],
        resources: &'a [String],
        origin: Origin,
    ) -> Vec<Observed<'a>> {
        let mut found = Vec::new();
        for (of, resource) in metrics.iter().zip(resources) {
            for metric in of.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
                let Some((role, rank)) = self.choices.role(&metric.name) else {
                    continue;
                };
                let duration = matches!(role, Role::Duration(_));
                let kind = match (&metric.data, role) {
                    (Some(Data::ExponentialHistogram(_)), Role::Duration(_)) => Kind::Exponential,
                    (Some(Data::Histogram(_)), Role::Duration(_)) => Kind::Classic,
                    (Some(Data::Sum(sum)), Role::Requests(_) | Role::Cpu) if sum.is_monotonic => {
                        Kind::Classic
                    }
                    (Some(Data::Summary(_)), Role::Duration(protocol)) => {
                        self.choices.summaries.insert(protocol, metric.name.clone());
                        continue;
                    }
                    _ => continue,
                };
                if duration && self.settings.source == SourceMode::Spans {
                    continue;
                }
                let unit = if duration { metric.unit.as_str() } else { "s" };
                let Some(factor) = indicator::seconds_per_unit(&metric.name, unit) else {
                    continue;
                };
                let candidate = Candidate {
                    kind,
                    origin,
                    rank,
                    metric: metric.name.clone(),
                };
                found.push(Observed {
                    metric,
                    role,
                    candidate,
                    resource,
                    factor,
                });
            }
        }
        found
    }

    fn count_metric(
        &mut self,
        seen: &Observed<'_>,
        context: Context,
        (open_from, at): (UnixNanos, UnixNanos),
    ) {
        let origin = seen.candidate.origin;
        let kind = u8::from(seen.candidate.kind == Kind::Classic);
        let taken = self.choices.is_taken(seen.role, &seen.candidate);
        let readings = points::readings(seen.metric, seen.factor, at);
        if let (true, Role::Duration(protocol)) = (taken, seen.role) {
            self.describe(protocol, seen, &readings);
        }
        for reading in readings {
            let Reading {
                attributes,
                point,
                ended,
            } = reading;
            let identity = attributes::identity(&seen.metric.name, kind, seen.resource, attributes);
            let key = (origin, identity);
            if ended {
                self.series.forget(&key);
                continue;
            }
            let mut point = match point {
                Ok(point) => point,
                Err(reason) => {
                    self.refuse(reason);
                    continue;
                }
            };
            if point.time == 0 {
                point.time = at.nanos();
            }
            let mut context = context;
            context.first_counts |= point.start != 0 && point.start >= open_from.nanos();
            context.first_counts |= origin == Origin::Otlp && self.later_snapshot(seen, &point);
            let shape = point.value.clone();
            match self.series.advance(key, point, context) {
                Ok(increment) if taken => self.count(seen.role, attributes, increment, &shape),
                Ok(_) => {}
                Err(reason) => {
                    if let (Refusal::SeriesLimit, Some(stream)) =
                        (reason, self.streams.get_mut(&origin))
                    {
                        stream.overflowed = true;
                    }
                    self.refuse(reason);
                }
            }
        }
    }

    /// Whether an earlier snapshot of the same cumulative metric was seen, so that a series which
    /// is new now did not exist then.
    fn later_snapshot(&mut self, seen: &Observed<'_>, point: &super::series::Point) -> bool {
        let Some(stream) = self.streams.get_mut(&seen.candidate.origin) else {
            return false;
        };
        if point.delta || stream.snapshots.len() >= SNAPSHOTS_MAX {
            return false;
        }
        let key = format!("{}\u{1f}{}", seen.metric.name, seen.resource);
        let (start, time) = stream
            .snapshots
            .entry(key)
            .or_insert((point.start, point.time));
        if *start != point.start {
            (*start, *time) = (point.start, point.time);
        }
        *start != 0 && *time < point.time
    }

    fn count(
        &mut self,
        role: Role,
        point: &[opentelemetry_proto::tonic::common::v1::KeyValue],
        increment: Option<Value>,
        shape: &Value,
    ) {
        let protocol = match role {
            Role::Duration(protocol) | Role::Requests(protocol) => protocol,
            Role::Cpu => {
                if let Some(Value::Number(seconds)) = increment {
                    *self.tally.cpu_seconds.get_or_insert(0.0) += seconds;
                }
                return;
            }
        };
        let route = attributes::route(point, self.settings.names(protocol));
        let outcome = attributes::outcome(point, protocol, &self.settings);
        if let Value::Distribution(shape) = shape
            && !self.is_excluded(protocol, &route)
        {
            let idle = (route.clone(), outcome.clone(), shape.emptied());
            self.idle.insert(protocol, idle);
        }
        match increment {
            Some(Value::Distribution(delta)) if delta.count() > 0 => {
                let Some(tally) = self.route_tally(protocol, route) else {
                    return;
                };
                let added = match tally.latency.get_mut(&outcome) {
                    Some(sum) => sum.add(&delta),
                    None => {
                        tally.latency.insert(outcome, delta);
                        Ok(())
                    }
                };
                if let Err(reason) = added {
                    self.refuse(reason);
                }
            }
            Some(Value::Number(delta)) if delta > 0.0 => {
                if let Some(tally) = self.route_tally(protocol, route) {
                    *tally.requests.entry(outcome).or_default() += delta;
                }
            }
            _ => {}
        }
    }

    fn describe(&mut self, protocol: Protocol, seen: &Observed<'_>, readings: &[Reading<'_>]) {
        let names = self.settings.names(protocol);
        let of = |list: &[String]| {
            let found = readings
                .iter()
                .find_map(|r| attributes::first(r.attributes, list));
            found.map(|(name, _)| name.to_owned())
        };
        let shape = readings
            .iter()
            .find_map(|r| match r.point.as_ref().ok()?.value {
                Value::Distribution(ref shape) => Some(shape),
                Value::Number(_) => None,
            });
        let (scale, bounds) = match shape {
            Some(Distribution::Exponential(buckets)) => (Some(buckets.scale), None),
            Some(Distribution::Explicit(explicit)) => (None, Some(explicit.bounds.len())),
            None => (None, None),
        };
        let details = Chosen {
            metric: seen.metric.name.clone(),
            origin: seen.candidate.origin,
            kind: seen.candidate.kind,
            route: of(&names.route),
            status: of(&names.status),
            scale,
            bounds,
        };
        self.choices.describe(protocol, details);
    }
}

fn resource_identity(metrics: &ResourceMetrics) -> String {
    let attributes = metrics.resource.as_ref().map(|r| r.attributes.as_slice());
    attributes::identity("", 0, "", attributes.unwrap_or_default())
}
