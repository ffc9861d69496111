//! Counted points of a pod become windows: one for each pair of start and end.

use std::collections::{BTreeMap, BTreeSet};

use davy_proto::UnixNanos;
use davy_proto::indicator::{Protocol, first_of, is_excluded, route_key};
use davy_proto::limits::{CODES_MAX, ROUTE_BYTES_MAX, ROUTES_MAX};
use davy_proto::semconv::ERROR_TYPE;
use davy_proto::window::{Cpu, Route, Version, Window};

use super::Settings;
use super::choice::{Chosen, Role};
use super::identity::{Identity, text};
use super::latency::latency_of;
use super::point::{Point, Value};
use super::refusal::{Refusal, Report};
use crate::sketch::Sketch;

const OTHER: &str = davy_proto::indicator::ROUTE_OTHER;

/// Collects the points of one resource.
pub(super) struct Builder<'a> {
    identity: &'a Identity,
    settings: &'a Settings,
    /// Protocols of which a histogram of this pod ever had a status.
    status_seen: BTreeSet<Protocol>,
    started: Option<UnixNanos>,
    limit_cores: Option<f64>,
    parts: BTreeMap<(UnixNanos, UnixNanos), Part>,
}

#[derive(Default)]
struct Part {
    histograms: BTreeMap<Protocol, Tallies>,
    counters: BTreeMap<Protocol, Tallies>,
    cpu_seconds: Option<f64>,
}

/// What is counted by route.
type Tallies = BTreeMap<String, Tally>;

/// What is counted of a route.
#[derive(Default)]
struct Tally {
    requests: u64,
    errors: u64,
    codes: BTreeMap<String, u64>,
    latency: Sketch,
}

impl<'a> Builder<'a> {
    pub(super) fn new(identity: &'a Identity, settings: &'a Settings, chosen: &Chosen) -> Self {
        Self {
            identity,
            settings,
            status_seen: chosen.status_seen.clone(),
            started: identity.started,
            limit_cores: None,
            parts: BTreeMap::new(),
        }
    }

    pub(super) fn status_seen(&self) -> impl Iterator<Item = Protocol> {
        self.status_seen.iter().copied()
    }

    pub(super) fn add(
        &mut self,
        role: Role,
        point: &Point<'_>,
        report: &mut Report,
        place: &dyn Fn() -> String,
    ) {
        match (role, &point.value) {
            (Role::Duration(protocol), Value::Histogram { count, sketch }) => {
                let merged = self.histogram(protocol, point, *count, sketch);
                if !merged {
                    report.refuse(Refusal::BoundsDiffer, &place());
                }
            }
            (Role::Requests(protocol), Value::Number(count)) => {
                self.counter(protocol, point, *count as u64);
            }
            (Role::Cpu, Value::Number(seconds)) => {
                *self.part(point).cpu_seconds.get_or_insert(0.0) += seconds;
            }
            (Role::CpuLimit, Value::Number(cores)) if *cores > 0.0 => {
                self.limit_cores = Some(*cores);
            }
            (Role::Started, Value::Number(seconds)) => {
                let nanos = UnixNanos::new((seconds * 1e9) as u64);
                self.started = self.started.or(Some(nanos));
            }
            _ => {}
        }
    }

    /// Closes the windows.
    pub(super) fn finish(self, windows: &mut Vec<Window>, report: &mut Report, place: &str) {
        let Self {
            identity,
            status_seen,
            started,
            limit_cores,
            parts,
            ..
        } = self;
        for ((start, end), part) in parts {
            let routes = routes(part.histograms, part.counters, &status_seen);
            let cpu = part.cpu_seconds.map(|seconds| Cpu {
                seconds,
                limit_cores,
            });
            let window = Window {
                version: Version,
                start,
                end,
                service: identity.key.service.clone(),
                namespace: identity.key.namespace.clone(),
                arm: identity.key.arm.clone(),
                pod: identity.key.pod.clone(),
                started,
                source: identity.source,
                routes,
                cpu,
                build: identity.build.clone(),
            };
            match window.checked() {
                Ok(window) => windows.push(window),
                Err(error) => report.refuse(Refusal::Contradiction, &format!("{place}: {error}")),
            }
        }
    }

    fn histogram(&mut self, protocol: Protocol, point: &Point<'_>, count: u64, s: &Sketch) -> bool {
        // Probes alone make a window without routes: the pod is there.
        self.part(point);
        let Some(seen) = self.seen(protocol, point) else {
            return true;
        };
        if seen.status.is_some() {
            self.status_seen.insert(protocol);
        }
        let tallies = self.part(point).histograms.entry(protocol).or_default();
        let tally = tally(tallies, seen.route);
        tally.count(count, seen.status, seen.is_error);
        seen.is_error || tally.latency.merge(s).is_ok()
    }

    fn counter(&mut self, protocol: Protocol, point: &Point<'_>, count: u64) {
        if let Some(seen) = self.seen(protocol, point) {
            let tallies = self.part(point).counters.entry(protocol).or_default();
            let tally = tally(tallies, seen.route);
            tally.count(count, seen.status, seen.is_error);
        }
    }

    fn part(&mut self, point: &Point<'_>) -> &mut Part {
        self.parts.entry((point.start, point.end)).or_default()
    }

    /// Route, status and outcome of a point; none of an excluded route.
    fn seen(&self, protocol: Protocol, point: &Point<'_>) -> Option<Seen> {
        let values: BTreeMap<&str, String> = point
            .attributes
            .iter()
            .map(|kv| (kv.key.as_str(), text(kv)))
            .collect();
        let find = |name: &str| {
            values
                .get(name)
                .map(String::as_str)
                .filter(|v| !v.is_empty())
        };
        let names = protocol.names();
        let first = |list: &[&str]| first_of(list, find);
        let mut route = route_key(protocol, first(names.qualifier), first(names.route));
        if is_excluded(&route, &self.settings.exclude_routes) {
            return None;
        }
        if route.len() > ROUTE_BYTES_MAX {
            OTHER.clone_into(&mut route);
        }
        let status = first(names.status).map(str::to_owned);
        let failed = find(ERROR_TYPE).is_some();
        let rules = &self.settings.errors;
        let is_error = match (&status, protocol) {
            _ if self.identity.marks_errors => failed,
            (None, _) => failed,
            (Some(status), Protocol::Http) => rules.is_http_error(status),
            (Some(status), Protocol::Rpc) => rules.is_rpc_error(status),
        };
        Some(Seen {
            route,
            status,
            is_error,
        })
    }
}

struct Seen {
    route: String,
    status: Option<String>,
    is_error: bool,
}

impl Tally {
    fn count(&mut self, requests: u64, status: Option<String>, is_error: bool) {
        self.requests = self.requests.saturating_add(requests);
        if is_error {
            self.errors = self.errors.saturating_add(requests);
        }
        let Some(status) = status.filter(|status| status.len() <= 64 && requests > 0) else {
            return;
        };
        if self.codes.len() < CODES_MAX || self.codes.contains_key(&status) {
            let code = self.codes.entry(status).or_default();
            *code = code.saturating_add(requests);
        }
    }
}

impl Tally {
    /// Adds a route of the same name, `other`, of another protocol.
    fn absorb(&mut self, more: Self) {
        self.requests = self.requests.saturating_add(more.requests);
        self.errors = self.errors.saturating_add(more.errors);
        for (status, count) in more.codes {
            let code = self.codes.entry(status).or_default();
            *code = code.saturating_add(count);
        }
        // Of two kinds of buckets the first counts: `other` is no route to compare.
        let _ = self.latency.merge(&more.latency);
    }
}

/// The tally of a route; of `other` when there are too many routes.
fn tally(tallies: &mut Tallies, route: String) -> &mut Tally {
    let full = tallies.len() >= ROUTES_MAX - 1 && !tallies.contains_key(&route);
    tallies
        .entry(if full { OTHER.to_owned() } else { route })
        .or_default()
}

/// The routes of a window, each protocol's on its own: gRPC histograms without a status stand
/// beside HTTP ones with it.
fn routes(
    mut histograms: BTreeMap<Protocol, Tallies>,
    mut counters: BTreeMap<Protocol, Tallies>,
    status_seen: &BTreeSet<Protocol>,
) -> Vec<Route> {
    let mut all = Tallies::new();
    for protocol in Protocol::ALL {
        let mut tallies = histograms.remove(&protocol).unwrap_or_default();
        let counted = counters.remove(&protocol).unwrap_or_default();
        if !status_seen.contains(&protocol) {
            merge(&mut tallies, counted);
        }
        for (route, tally_of) in tallies {
            tally(&mut all, route).absorb(tally_of);
        }
    }
    let route = |(route, tally): (String, Tally)| Route {
        route,
        requests: tally.requests,
        errors: tally.errors,
        codes: tally.codes,
        latency: latency_of(&tally.latency),
    };
    all.into_iter().map(route).collect()
}

/// Histograms with a status count for themselves; without one the counters beside them say how many
/// requests there were and how they ended.
fn merge(histograms: &mut Tallies, counters: Tallies) {
    // Counters that know none of the routes count the same requests by other labels: what they add
    // is how many failed.
    let is_apart =
        !histograms.is_empty() && !counters.keys().any(|route| histograms.contains_key(route));
    for (route, counted) in counters {
        let tally = tally(histograms, route);
        if is_apart {
            tally.requests = tally.requests.saturating_add(counted.errors);
            tally.errors = tally.errors.saturating_add(counted.errors);
            continue;
        }
        // The counter and the histogram are read one after the other: the larger is later.
        tally.requests = tally.requests.max(counted.requests);
        tally.errors = counted.errors;
        tally.codes = counted.codes;
    }
}
