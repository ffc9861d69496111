//! One cell laid out by slot and column, as the components read it.
//!
//! Pods come and go by name. Each takes a slot of its arm when it is first seen; the slot of a pod
//! that was absent for the longest block of κ may be taken by another. Routes take a column until
//! the first judged cell; those seen later share the last column, which is pooled only.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::cell::{Cell, PodCell};
use crate::evalue::table::{Layout, Table};
use crate::kappa::LONGEST;
use crate::sketch::Sketch;

/// The most pods of an arm that are judged; the rest sit out and are counted.
pub const PODS_MAX: usize = 64;
/// The most routes with a component of their own.
pub const ROUTES_MAX: usize = 50;
/// A pod whose windows cover less of a cell sits it out.
const COVERAGE_MIN: f64 = 0.4;
/// The latency of a slot without requests.
static EMPTY: Sketch = Sketch::Empty;

/// Slots of one arm.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
struct Slots {
    by_name: BTreeMap<Arc<str>, usize>,
    last_seen: Vec<u64>,
}

impl Slots {
    /// The slot of `pod`, a new one if need be; none when all are taken.
    fn take(&mut self, pod: &Arc<str>, cell: u64) -> Option<usize> {
        let known = self.by_name.get(pod).copied();
        let slot = known.or_else(|| self.free(cell))?;
        if known.is_none() {
            self.by_name.retain(|_, &mut taken| taken != slot);
            self.by_name.insert(Arc::clone(pod), slot);
        }
        if slot == self.last_seen.len() {
            self.last_seen.push(cell);
        }
        if let Some(seen) = self.last_seen.get_mut(slot) {
            *seen = cell;
        }
        Some(slot)
    }

    fn free(&self, cell: u64) -> Option<usize> {
        let stale = self
            .last_seen
            .iter()
            .position(|&seen| cell - seen > LONGEST as u64);
        let next = self.last_seen.len();
        stale.or((next < PODS_MAX).then_some(next))
    }
}

/// Where pods and routes are laid out, kept from cell to cell.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(super) struct Places {
    baseline: Slots,
    canary: Slots,
    routes: Vec<Arc<str>>,
    frozen: Option<u64>,
    cells: u64,
    /// Pod-cells left out because an arm had more than [`PODS_MAX`] pods.
    pub(super) pods_left_out: u64,
}

/// One cell, laid out.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    pub(super) layout: Layout,
    /// Columns of routes, the last one for those without a column of their own.
    pub(super) columns: usize,
    pub(super) requests: Table,
    pub(super) errors: Table,
    /// Slots that take part: present, and at least 40 % of their arm's mean exposure.
    pub(super) active: Vec<bool>,
    /// Slots whose latency and CPU are judged: active and past warm-up.
    pub(super) warm: Vec<bool>,
    /// CPU seconds by slot.
    pub(super) cpu: Vec<Option<f64>>,
    /// Latency by slot and column.
    pub(super) latency: Vec<Cow<'a, Sketch>>,
    /// The pods themselves, by slot; none of those that sit out for want of coverage.
    pods: Vec<Option<&'a PodCell>>,
    /// Sketches that did not merge within a pod's shared column.
    pub(super) misfits: u64,
}

impl Places {
    /// Routes with a column of their own.
    pub(super) fn routes(&self) -> &[Arc<str>] {
        &self.routes
    }

    /// Fixes routes and the canary's keys, at the first judged cell.
    pub(super) fn freeze(&mut self) {
        self.frozen = Some(self.baseline.last_seen.len() as u64);
    }

    /// Gives places to the pods and routes of `cell` and lays it out.
    pub(super) fn lay_out<'a>(&mut self, cell: &'a Cell, with_canary: bool) -> Frame<'a> {
        self.cells += 1;
        let canary: &[PodCell] = if with_canary { &cell.canary } else { &[] };
        if self.frozen.is_none() {
            self.learn_routes(cell.baseline.iter().chain(canary));
        }
        let cells = self.cells;
        let placed = |slots: &mut Slots, pods: &'a [PodCell]| {
            let mut sorted: Vec<&PodCell> = pods.iter().collect();
            sorted.sort_by(|a, b| a.pod.cmp(&b.pod));
            sorted.dedup_by(|a, b| a.pod == b.pod);
            let take = |pod: &'a PodCell| (pod, slots.take(&pod.pod, cells));
            sorted.into_iter().map(take).collect::<Vec<_>>()
        };
        let first = placed(&mut self.baseline, &cell.baseline);
        let second = placed(&mut self.canary, canary);
        let all = first.iter().chain(&second);
        self.pods_left_out += all.filter(|(_, slot)| slot.is_none()).count() as u64;
        let layout = Layout {
            baseline: self.baseline.last_seen.len(),
            canary: self.canary.last_seen.len(),
            canary_key: self.frozen.unwrap_or(self.baseline.last_seen.len() as u64),
        };
        let mut frame = Frame::new(layout, self.routes.len() + 1);
        for (pods, offset) in [(first, 0), (second, layout.baseline)] {
            for (pod, slot) in pods {
                if let Some(slot) = slot.filter(|_| pod.coverage >= COVERAGE_MIN) {
                    frame.place(pod, offset + slot, &self.routes);
                }
            }
        }
        frame.settle();
        frame
    }

    fn learn_routes<'a>(&mut self, pods: impl Iterator<Item = &'a PodCell>) {
        let mut new: Vec<&Arc<str>> = pods.flat_map(|pod| pod.routes.keys()).collect();
        new.sort();
        new.dedup();
        for route in new {
            if self.routes.len() < ROUTES_MAX && !self.routes.contains(route) {
                self.routes.push(Arc::clone(route));
            }
        }
    }
}

impl<'a> Frame<'a> {
    fn new(layout: Layout, columns: usize) -> Self {
        let pods = layout.baseline + layout.canary;
        Self {
            layout,
            columns,
            requests: Table::new(pods, columns),
            errors: Table::new(pods, columns),
            active: vec![false; pods],
            warm: vec![false; pods],
            cpu: vec![None; pods],
            latency: vec![Cow::Borrowed(&EMPTY); pods * columns],
            pods: vec![None; pods],
            misfits: 0,
        }
    }

    fn place(&mut self, pod: &'a PodCell, slot: usize, routes: &[Arc<str>]) {
        let other = routes.len();
        for (name, route) in &pod.routes {
            let column = routes
                .iter()
                .position(|known| known == name)
                .unwrap_or(other);
            let requests = self
                .requests
                .at(slot, column)
                .saturating_add(route.requests);
            let errors = self.errors.at(slot, column).saturating_add(route.errors);
            self.requests.set(slot, column, requests);
            self.errors.set(slot, column, errors.min(requests));
            if let Some(sketch) = self.latency.get_mut(slot * self.columns + column) {
                if column < other {
                    *sketch = Cow::Borrowed(&route.latency);
                } else if sketch.to_mut().merge(&route.latency).is_err() {
                    self.misfits += 1;
                }
            }
        }
        if let Some(cpu) = self.cpu.get_mut(slot) {
            *cpu = pod.cpu_seconds.filter(|s| s.is_finite() && *s > 0.0);
        }
        if let Some(warm) = self.warm.get_mut(slot) {
            *warm = pod.warm;
        }
        if let Some(place) = self.pods.get_mut(slot) {
            *place = Some(pod);
        }
    }

    fn settle(&mut self) {
        for pod in self
            .layout
            .active(|pod| self.requests.sum(pod, 0..self.columns))
        {
            if let Some(active) = self.active.get_mut(pod) {
                *active = true;
            }
        }
        for (warm, active) in self.warm.iter_mut().zip(&self.active) {
            *warm &= active;
        }
    }

    /// The pod of a slot, where it reported enough of the cell.
    pub(super) fn pod(&self, slot: usize) -> Option<&'a PodCell> {
        self.pods.get(slot).copied().flatten()
    }

    /// Slots of the baseline.
    pub(super) fn baseline(&self) -> Range<usize> {
        0..self.layout.baseline
    }

    /// Slots of the canary.
    pub(super) fn canary(&self) -> Range<usize> {
        self.layout.baseline..self.layout.baseline + self.layout.canary
    }

    /// All requests of a slot.
    pub(super) fn requests_of(&self, pod: usize) -> u64 {
        self.requests.sum(pod, 0..self.columns)
    }

    /// All errors of a slot.
    pub(super) fn errors_of(&self, pod: usize) -> u64 {
        self.errors.sum(pod, 0..self.columns)
    }

    /// Whether a slot takes part.
    pub(super) fn is_active(&self, pod: usize) -> bool {
        self.active.get(pod).copied().unwrap_or(false)
    }

    /// Whether the latency and CPU of a slot are judged.
    pub(super) fn is_warm(&self, pod: usize) -> bool {
        self.warm.get(pod).copied().unwrap_or(false)
    }
}
