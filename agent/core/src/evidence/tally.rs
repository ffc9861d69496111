//! What a window has gathered so far.

use std::collections::BTreeMap;

use davy_proto::indicator::{self, Protocol};
use hdrhistogram::Histogram as Hdr;

use super::attributes::{Outcome, Route};
use super::choice::Role;
use super::distribution::{Distribution, Exponential};
use super::{Evidence, Refusal};

/// Scale of exponential histograms made of spans: 32 buckets an octave, 2.2 % wide, which is what
/// an HDR histogram of two significant digits resolves.
const SPAN_SCALE: i32 = 5;
/// Longest latency that is told apart: a minute, in microseconds.
const SPAN_MICROS_MAX: u64 = 60_000_000;

/// What a window has gathered so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) protocols: BTreeMap<Protocol, BTreeMap<Route, RouteTally>>,
    pub(super) cpu_seconds: Option<f64>,
}

/// What was gathered of one route.
#[derive(Debug, Default)]
pub(super) struct RouteTally {
    pub(super) latency: BTreeMap<Outcome, Distribution>,
    pub(super) requests: BTreeMap<Outcome, f64>,
    pub(super) spans: BTreeMap<Outcome, SpanTally>,
}

/// Span latencies of one route and outcome.
#[derive(Debug)]
pub(super) struct SpanTally {
    micros: Option<Hdr<u64>>,
    /// Weight that is not yet a whole request.
    carry: f64,
}

impl SpanTally {
    pub(super) fn new() -> Self {
        let micros = Hdr::new_with_bounds(1, SPAN_MICROS_MAX, 2).ok();
        Self { micros, carry: 0.0 }
    }

    /// Records a latency that stands for `weight` requests; fractions are carried over to the next.
    pub(super) fn record(&mut self, micros: u64, weight: f64) {
        self.carry += weight;
        let whole = self.carry.floor();
        self.carry -= whole;
        if let Some(hdr) = &mut self.micros {
            hdr.saturating_record_n(micros.max(1), whole as u64);
        }
    }

    /// The exponential histogram of what was recorded, in seconds.
    pub(super) fn distribution(&self) -> Distribution {
        let mut buckets = Exponential::empty(SPAN_SCALE);
        let mut sum = 0.0;
        for bucket in self.micros.iter().flat_map(|hdr| hdr.iter_recorded()) {
            let (micros, count) = (
                bucket.value_iterated_to(),
                bucket.count_since_last_iteration(),
            );
            let middle = self
                .micros
                .as_ref()
                .map_or(micros, |hdr| hdr.median_equivalent(micros));
            let seconds = middle as f64 / 1e6;
            sum += seconds * count as f64;
            let index = (seconds.log2() * 2_f64.powi(SPAN_SCALE)).ceil() - 1.0;
            buckets.record(index as i32, count);
        }
        buckets.sum = Some(sum);
        Distribution::Exponential(buckets)
    }
}

impl Tally {
    /// Drops what was gathered under another choice.
    pub(super) fn discard(&mut self, role: Role) {
        match role {
            Role::Duration(protocol) => {
                for route in self.protocols.entry(protocol).or_default().values_mut() {
                    route.latency.clear();
                }
            }
            Role::Requests(protocol) => {
                for route in self.protocols.entry(protocol).or_default().values_mut() {
                    route.requests.clear();
                }
            }
            Role::Cpu => self.cpu_seconds = None,
        }
    }
}

impl Evidence {
    /// Where a route's evidence is gathered; none when the route is excluded.
    pub(super) fn route_tally(
        &mut self,
        protocol: Protocol,
        route: Route,
    ) -> Option<&mut RouteTally> {
        if self.is_excluded(protocol, &route) {
            self.refuse(Refusal::Excluded);
            return None;
        }
        let known = self.routes.entry(protocol).or_default();
        let over = !known.contains(&route) && known.len() >= self.settings.max_routes;
        let key = if over {
            Route {
                route: indicator::ROUTE_OTHER.to_owned(),
                qualifier: String::new(),
            }
        } else {
            known.insert(route.clone());
            route
        };
        if over {
            self.refuse(Refusal::RouteLimit);
        }
        let routes = self.tally.protocols.entry(protocol).or_default();
        Some(routes.entry(key).or_default())
    }

    /// Whether a route is no evidence by configuration.
    pub(super) fn is_excluded(&self, protocol: Protocol, route: &Route) -> bool {
        let patterns = &self.settings.exclude_routes;
        protocol == Protocol::Http && indicator::is_excluded(&route.route, patterns)
    }
}
