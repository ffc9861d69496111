//! Absolute limits: the canary alone, whatever the baseline does.
//!
//! A limit on success or latency bounds the share of requests that fail, or take longer; a limit on
//! CPU bounds a mean. Each is an e-process against "the canary's mean so far is within the limit",
//! divided by what events have of clusters and pods of memory, both learnt from the baseline.
//! Source: docs/statistics.md, section 6.5.

use serde::{Deserialize, Serialize};

use super::assessment::{LimitAssessment, Unavailable};
use super::config::{Bound, Limit};
use super::frame::Frame;
use super::phi;
use crate::cell::{CELL_SECONDS, Cell, PodCell, RouteCell};
use crate::combine::log_mean;
use crate::evalue::bernoulli::Bernoulli;
use crate::evalue::betting::Betting;
use crate::kappa::{Assume, Kappa, Learnt, Prior, Use};
use crate::sketch::Sketch;

/// Share of all weight that goes to absolute limits, evenly, where there are comparisons too. It
/// costs those ln 1.25 of the evidence that they need.
pub(crate) const WEIGHT: f64 = 0.2;
/// Alternatives to a share: how many times its odds.
pub(crate) const FACTORS: [f64; 6] = [1.2, 1.5, 2.0, 3.0, 5.0, 10.0];
/// The curve of utilization before there is data. Bets on a bounded mean take no spread to be
/// known, so they are due less than the comparison of CPU.
pub(crate) const UTILIZATION: Prior = Prior {
    a: 1.25,
    b: 48.0,
    blocks: 10.0,
    margin: 0.0,
};
/// A pod whose windows cover less of a cell has no utilization in it.
const COVERAGE_MIN: f64 = 0.4;

/// One limit and what speaks against it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Watched {
    limit: Limit,
    test: Test,
    /// φ of events, κ of utilization.
    memory: Kappa,
    /// The form of its prior: of one pod until a baseline of several is seen.
    one_pod: bool,
    /// φ or κ now.
    divisor: f64,
    seen: Seen,
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    Mean(Betting),
    Share(Bernoulli),
}

/// What was seen of the canary.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
struct Seen {
    cells: u64,
    /// Events and requests, of a share.
    counted: (u64, u64),
    /// The edge above which requests were counted last, in seconds.
    edge: Option<f64>,
    latency: Sketch,
    /// Sum and number of values, of a mean.
    summed: (f64, u64),
    /// Why the last cell could not be judged.
    unavailable: Option<Unavailable>,
    proved: bool,
}

/// The saved state of a limit.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Saved {
    log_e: Vec<f64>,
    memory: Learnt,
    seen: Seen,
}

impl Watched {
    pub(super) fn new(limit: Limit) -> Self {
        let share = |of| Test::Share(Bernoulli::by_odds(of, &FACTORS));
        let (test, used) = match limit.bound {
            Bound::Success(least) => (share(1.0 - least), Use::ApproveErrors),
            Bound::Latency { quantile, .. } => (share(1.0 - quantile), Use::ApproveErrors),
            Bound::Utilization(most) => (Test::Mean(Betting::new(most)), Use::RollbackCpu),
        };
        let mut new = Self {
            limit,
            test,
            memory: Kappa::new(used),
            one_pod: true,
            divisor: 1.0,
            seen: Seen::default(),
        };
        new.refresh();
        new
    }

    /// Fixes the form of φ or κ, at the first cell that has both arms.
    pub(super) fn begin(&mut self, one_pod: bool) {
        self.memory.begin(one_pod);
        self.one_pod = one_pod;
    }

    /// Learns memory from a cell of history or, `with` the canary, a judged one.
    pub(super) fn learn(&mut self, frame: &Frame<'_>, with: Option<&Cell>) {
        let pods = frame.baseline().map(|slot| frame.pod(slot));
        if let Test::Mean(_) = self.test {
            let pods = pods.map(|pod| pod.filter(|pod| pod.warm).and_then(utilization));
            let values: Vec<Option<f64>> = pods.collect();
            self.memory.learn(values.iter().copied(), with.map(|_| 0.0));
            return;
        }
        let active = |(slot, pod): (usize, Option<&PodCell>)| {
            pod.filter(|_| frame.is_active(slot))
                .filter(|pod| self.takes(pod))
                .map(|pod| self.count(pod).of())
        };
        let baseline: Vec<_> = pods.enumerate().map(active).collect();
        let canary = with.map(|cell| {
            let pods = cell.canary.iter().filter(|pod| self.takes(pod));
            let events: Vec<u64> = pods.map(|pod| self.count(pod).events).collect();
            events.into_iter()
        });
        phi::learn(&mut self.memory, &baseline, canary);
    }

    /// Judges the canary's pods of a cell; `wanted` is ln E at which it is proved beyond its limit.
    pub(super) fn step(&mut self, canary: &[PodCell], wanted: f64) {
        self.seen.cells += u64::from(!canary.is_empty());
        match self.test {
            _ if canary.is_empty() => {}
            Test::Mean(_) => self.step_mean(canary),
            Test::Share(_) => self.step_share(canary),
        }
        self.refresh();
        self.seen.proved |= self.log_e() >= wanted;
    }

    fn step_share(&mut self, canary: &[PodCell]) {
        let (mut sum, mut latency) = (Count::default(), std::mem::take(&mut self.seen.latency));
        for pod in canary.iter().filter(|pod| self.takes(pod)) {
            sum.add(self.count(pod));
            if let Bound::Latency { .. } = self.limit.bound {
                // What does not merge is counted, and has no part in the quantile that is shown.
                let merge = |route: &RouteCell| drop(latency.merge(&route.latency));
                self.routes(pod).for_each(merge);
            }
        }
        self.seen.latency = latency;
        if sum.requests == 0 {
            return;
        }
        if let Test::Share(test) = &mut self.test {
            test.step(sum.events, sum.requests);
        }
        let (events, requests) = &mut self.seen.counted;
        *events += sum.events;
        *requests += sum.requests;
        self.seen.edge = sum.edge;
        self.seen.unavailable = sum.open.then_some(Unavailable::LimitAboveBounds);
    }

    fn step_mean(&mut self, canary: &[PodCell]) {
        let warm = || canary.iter().filter(|pod| pod.warm);
        let (mut sum, mut pods) = (0.0, 0.0);
        for value in warm().filter_map(utilization) {
            sum += value.min(1.0);
            pods += 1.0;
        }
        if pods == 0.0 {
            let told = warm().any(|pod| pod.cpu_seconds.is_some());
            let known = self.seen.summed.1 > 0;
            self.seen.unavailable = (told && !known).then_some(Unavailable::NoCpuLimit);
            return;
        }
        let value = sum / pods;
        if let Test::Mean(test) = &mut self.test {
            test.step(value);
        }
        self.seen.summed.0 += value;
        self.seen.summed.1 += 1;
        self.seen.unavailable = None;
    }

    /// Whether a pod is judged: errors of its first seconds count, its latency doesn't.
    fn takes(&self, pod: &PodCell) -> bool {
        pod.warm || matches!(self.limit.bound, Bound::Success(_))
    }

    fn routes<'a>(&'a self, pod: &'a PodCell) -> impl Iterator<Item = &'a RouteCell> {
        let wanted = &self.limit.routes;
        let routes = pod.routes.iter();
        let routes = routes.filter(|(route, _)| wanted.is_empty() || wanted.contains(route));
        routes.map(|(_, counts)| counts)
    }

    /// Events and requests of a pod on the limit's routes.
    fn count(&self, pod: &PodCell) -> Count {
        let mut sum = Count::default();
        for route in self.routes(pod) {
            sum.add(match self.limit.bound {
                Bound::Latency { seconds, .. } => Count::longer(&route.latency, seconds),
                _ => Count {
                    events: route.errors.min(route.requests),
                    requests: route.requests,
                    ..Count::default()
                },
            });
        }
        sum
    }

    /// Brings φ or κ up to date.
    fn refresh(&mut self) {
        let prior = match self.test {
            Test::Mean(_) => Some(UTILIZATION),
            Test::Share(_) => Use::ApproveErrors.prior(Assume::Vary, self.one_pod),
        };
        self.divisor = self.memory.curve(prior).at(self.seen.cells);
    }

    /// ln E against "the canary's mean so far is within the limit".
    pub(super) fn log_e(&self) -> f64 {
        let log_e = match &self.test {
            Test::Mean(test) => test.log_e(),
            Test::Share(test) => test.log_e(),
        };
        log_mean(log_e, self.divisor)
    }

    pub(super) fn assess(&self) -> LimitAssessment {
        let (events, requests) = self.seen.counted;
        let (sum, values) = self.seen.summed;
        let some = |n: u64, value: f64| (n > 0).then_some(value);
        let value = match self.limit.bound {
            Bound::Latency { quantile, .. } => {
                self.seen.latency.quantile(quantile).map(|q| q.value)
            }
            Bound::Success(_) => some(requests, 1.0 - events as f64 / requests as f64),
            Bound::Utilization(_) => some(values, sum / values as f64),
        };
        let none = requests == 0 && values == 0;
        LimitAssessment {
            value,
            counted: self.seen.counted,
            edge_seconds: self.seen.edge,
            harm_log_e: self.log_e(),
            harm_proved: self.seen.proved,
            unavailable: self
                .seen
                .unavailable
                .or(none.then_some(Unavailable::NoCanary)),
        }
    }

    pub(super) fn save(&self) -> Saved {
        let log_e = match &self.test {
            Test::Mean(test) => test.log_e(),
            Test::Share(test) => test.log_e(),
        };
        Saved {
            log_e: log_e.to_vec(),
            memory: self.memory.learnt().clone(),
            seen: self.seen.clone(),
        }
    }

    /// Goes on from what was saved; false when that is of another configuration.
    #[must_use]
    pub(super) fn restore(&mut self, saved: Saved) -> bool {
        self.memory.restore(saved.memory);
        self.seen = saved.seen;
        let fits = match &mut self.test {
            Test::Mean(test) => test.restore(saved.log_e),
            Test::Share(test) => test.restore(saved.log_e),
        };
        self.refresh();
        fits
    }
}

/// Events among requests.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    events: u64,
    requests: u64,
    /// The edge above which they were counted.
    edge: Option<f64>,
    /// Whether some could not be counted.
    open: bool,
}

impl Count {
    fn longer(latency: &Sketch, seconds: f64) -> Self {
        let requests = latency.total();
        let found = latency.longer_than(seconds).filter(|_| requests > 0);
        Self {
            events: found.map_or(0, |(count, _)| count),
            requests,
            edge: found.map(|(_, edge)| edge),
            open: found.is_none() && requests > 0,
        }
    }

    fn add(&mut self, other: Self) {
        self.events = self.events.saturating_add(other.events);
        self.requests = self.requests.saturating_add(other.requests);
        self.edge = [self.edge, other.edge]
            .into_iter()
            .flatten()
            .reduce(f64::max);
        self.open |= other.open;
    }

    fn of(self) -> (u64, u64) {
        (self.events, self.requests)
    }
}

/// CPU seconds of a pod over what its limit allows in the part of the cell that was reported.
fn utilization(pod: &PodCell) -> Option<f64> {
    let (seconds, cores) = (pod.cpu_seconds?, pod.cpu_limit_cores?);
    let reported = CELL_SECONDS as f64 * pod.coverage.min(1.0);
    let value = seconds / (cores * reported);
    (pod.coverage >= COVERAGE_MIN && value.is_finite() && value >= 0.0).then_some(value)
}
