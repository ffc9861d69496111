//! Latency: no quantile from P90 to the objective's is beyond the limit.
//!
//! Scores are requests above a threshold that the baseline sets: counts at each level; at the top
//! level also min(k, 2) and the indicator, which see stalls; and, of several routes, counts by
//! route at the lowest and the top level. Source: statistics.md sections 3 to 5.

use std::sync::Arc;

use super::assessment::Unavailable;
use super::frame::Frame;
use super::interval::{HARM, Interval, SAFETY};
use super::tails::{Grid, Rolling, Tails, Thresholds};
use super::{LatencyLimits, logs};
use crate::combine::log_mixture;
use crate::eta::{self, Eta};
use crate::evalue::counts::{Counts, Family, Plan};
use crate::evalue::likelihood::{canary_share, divergence};
use crate::evalue::permutation;
use crate::kappa::{Assume, Use};
use crate::sketch::Sketch;

/// ψ of counts.
const UP: [f64; 7] = [1.2, 1.35, 1.6, 2.0, 3.0, 5.0, 10.0];
/// ψ of the indicator.
const INDICATOR: [f64; 5] = [1.6, 2.0, 3.0, 5.0, 10.0];
/// 1/ψ of safety.
const DOWN: [f64; 6] = [1.2, 1.35, 1.6, 2.0, 3.0, 5.0];
/// ψ of the grid, which informs and does not decide.
const COARSE: [f64; 3] = [1.35, 2.0, 5.0];
/// Weight of latency in the harm mixture: counts, capped, indicator.
pub(super) const WEIGHT: f64 = 0.18;
const WEIGHT_COUNTS: f64 = 0.12;
const WEIGHT_SHAPES: f64 = 0.03;
/// Share of all weight that goes to routes where there are several.
pub(super) const ROUTES_WEIGHT: f64 = 0.2;

/// A component and its level.
#[derive(Clone, Debug, PartialEq)]
struct Leveled {
    level: usize,
    counts: Counts,
}

/// The state of the latency objective.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Latency {
    limits: LatencyLimits,
    seed: u64,
    levels: Vec<f64>,
    /// Indices into `levels` that routes are judged at.
    route_levels: Vec<usize>,
    rolling: Rolling,
    thresholds: Thresholds,
    harm: Vec<Leveled>,
    safe: Vec<Counts>,
    routes: Vec<Vec<Leveled>>,
    grid: Vec<Counts>,
    safe_grid: Vec<Counts>,
    rates_set: bool,
    several_routes: bool,
    /// Latency since the first judged cell: baseline, canary.
    pub(super) observed: (Sketch, Sketch),
    traffic: (f64, f64),
    pods: (usize, usize),
}

impl Latency {
    pub(super) fn new(limits: LatencyLimits, seed: u64, scale: f64) -> Self {
        let levels = levels(&limits);
        let top = levels.len() - 1;
        let each = |x: f64, n: usize| vec![x / n as f64; n];
        let plan = |objective: usize, family, tilts: Vec<f64>, weight: f64| Plan {
            objective: objective as u64,
            family,
            rate: 1.0,
            seed,
            weights: each(weight, tilts.len()),
            tilts,
        };
        let harm = |level, family, psi: &[f64], weight| Leveled {
            level,
            counts: Counts::new(
                plan(level, family, logs(psi), weight * scale),
                Use::RollbackLatency,
            ),
        };
        let count_weight = WEIGHT_COUNTS / levels.len() as f64;
        let mut all: Vec<Leveled> = (0..levels.len())
            .map(|l| harm(l, Family::Count, &UP, count_weight))
            .collect();
        all.push(harm(top, Family::Capped(2), &UP, WEIGHT_SHAPES));
        all.push(harm(top, Family::Indicator, &INDICATOR, WEIGHT_SHAPES));
        let down: Vec<f64> = logs(&DOWN).iter().map(|tilt| -tilt).collect();
        let down_coarse: Vec<f64> = logs(&COARSE).iter().map(|tilt| -tilt).collect();
        let safe = |family, tilts: &[f64], weight| {
            Counts::new(
                plan(20, family, tilts.to_vec(), weight),
                Use::ApproveLatency,
            )
        };
        let coarse = |_| {
            Counts::new(
                plan(21, Family::Count, logs(&COARSE), 1.0),
                Use::RollbackLatency,
            )
        };
        Self {
            seed,
            route_levels: if top == 0 { vec![0] } else { vec![0, top] },
            levels,
            rolling: Rolling::default(),
            thresholds: Thresholds::default(),
            harm: all,
            safe: vec![
                safe(Family::Count, &down, 0.7),
                safe(Family::Capped(2), &down, 0.3),
            ],
            routes: Vec::new(),
            grid: HARM.iter().map(coarse).collect(),
            safe_grid: SAFETY
                .iter()
                .map(|_| safe(Family::Count, &down_coarse, 1.0))
                .collect(),
            limits,
            rates_set: false,
            several_routes: false,
            observed: (Sketch::Empty, Sketch::Empty),
            traffic: (0.0, 0.0),
            pods: (1, 1),
        }
    }

    /// Adds components for routes that have got a column.
    pub(super) fn add_routes(&mut self, routes: usize) {
        while self.routes.len() < routes {
            let route = self.routes.len() as u64;
            let counts = self.route_levels.iter().zip(0u64..).map(|(&level, i)| {
                let objective = 100 + route * 4 + i;
                let tilts = logs(&UP);
                let weights = vec![1.0 / UP.len() as f64; UP.len()];
                let Self { seed, .. } = *self;
                let plan = Plan {
                    objective,
                    family: Family::Count,
                    rate: 1.0,
                    seed,
                    tilts,
                    weights,
                };
                Leveled {
                    level,
                    counts: Counts::new(plan, Use::RollbackLatency),
                }
            });
            let counts = counts.collect();
            self.routes.push(counts);
        }
    }

    /// Fixes the form of κ and the weights of routes, at the first judged cell.
    pub(super) fn begin(&mut self, one_pod: bool, assume: Assume) {
        self.several_routes = self.routes.len() > 1;
        let each = ROUTES_WEIGHT / (self.route_levels.len() * self.routes.len().max(1)) as f64;
        let rollback = Use::RollbackLatency.prior(assume, one_pod);
        if self.several_routes {
            self.harm
                .iter_mut()
                .for_each(|c| c.counts.scale_weights(1.0 - ROUTES_WEIGHT));
        }
        for route in self.routes.iter_mut().flatten() {
            route.counts.scale_weights(each);
            route.counts.kappa_mut().begin(one_pod, rollback);
        }
        self.harm
            .iter_mut()
            .for_each(|c| c.counts.kappa_mut().begin(one_pod, rollback));
        let approve = Use::ApproveLatency.prior(assume, one_pod);
        self.safe
            .iter_mut()
            .for_each(|c| c.kappa_mut().begin(one_pod, approve));
    }

    /// Learns from a cell of history or a judged one, before it sets thresholds.
    pub(super) fn learn(&mut self, frame: &Frame<'_>, judged: bool) -> Option<Tails> {
        let tails = self.rolling.read(frame)?;
        let route_levels: Vec<f64> = self
            .route_levels
            .iter()
            .filter_map(|&l| self.levels.get(l).copied())
            .collect();
        self.thresholds = self
            .rolling
            .thresholds(&self.levels, &route_levels, frame.columns);
        let taking_part = |table: &super::Table, columns: std::ops::Range<usize>| {
            let k = |pod| table.sum(pod, columns.clone());
            let baseline: Vec<Option<u64>> = frame
                .baseline()
                .map(|pod| frame.is_warm(pod).then(|| k(pod)))
                .collect();
            let canary: Vec<u64> = frame
                .canary()
                .filter(|&p| frame.is_warm(p))
                .map(k)
                .collect();
            (baseline, canary)
        };
        for level in 0..self.levels.len() {
            let edge = self.thresholds.pooled(level);
            let table = tails.exceedances(0, |_| edge);
            let (baseline, canary) = taking_part(&table, 0..frame.columns);
            let canary = judged.then_some(canary.as_slice());
            for component in self.harm.iter_mut().filter(|c| c.level == level) {
                component.counts.learn(&baseline, canary);
            }
            if level + 1 == self.levels.len() {
                self.safe
                    .iter_mut()
                    .for_each(|c| c.learn(&baseline, canary));
            }
        }
        for i in 0..self.route_levels.len() {
            let table = tails.exceedances(0, |column| self.thresholds.route(column, i));
            for (column, route) in self.routes.iter_mut().enumerate() {
                let (baseline, canary) = taking_part(&table, column..column + 1);
                if let Some(component) = route.get_mut(i) {
                    component
                        .counts
                        .learn(&baseline, judged.then_some(canary.as_slice()));
                }
            }
        }
        Some(tails)
    }

    /// Moves thresholds on.
    pub(super) fn push(&mut self, frame: &Frame<'_>) {
        self.rolling.push(frame);
    }

    /// Takes note of buckets without learning: warm-up.
    pub(super) fn skip(&mut self, frame: &Frame<'_>) {
        self.rolling.read(frame);
        self.rolling.push(frame);
    }

    /// Judges a cell.
    pub(super) fn step(&mut self, frame: &Frame<'_>, tails: &Tails) {
        let Some(grid) = self.rolling.grid().cloned() else {
            return;
        };
        self.set_rates(&grid);
        let (n, layout, all) = (tails.totals(), frame.layout, 0..frame.columns);
        let shift = grid.shift(self.limits.rollback_above, true);
        for level in 0..self.levels.len() {
            let edge = self.thresholds.pooled(level);
            let k = tails.exceedances(shift, |_| edge);
            for component in self.harm.iter_mut().filter(|c| c.level == level) {
                component.counts.step(&k, &n, all.clone(), layout);
            }
        }
        if self.several_routes {
            for i in 0..self.route_levels.len() {
                let k = tails.exceedances(shift, |column| self.thresholds.route(column, i));
                for (column, route) in self.routes.iter_mut().enumerate() {
                    if let Some(component) = route.get_mut(i) {
                        component.counts.step(&k, &n, column..column + 1, layout);
                    }
                }
            }
        }
        let top = self.thresholds.pooled(self.levels.len() - 1);
        let k = tails.exceedances(grid.shift(self.limits.approve_below, false), |_| top);
        self.safe
            .iter_mut()
            .for_each(|c| c.step(&k, &n, all.clone(), layout));
        if matches!(grid, Grid::Exponential(_)) {
            let harm = self.grid.iter_mut().zip(HARM).map(|(c, r)| (c, r, true));
            let safe = self
                .safe_grid
                .iter_mut()
                .zip(SAFETY)
                .map(|(c, r)| (c, r, false));
            for (component, ratio, is_harm) in harm.chain(safe) {
                let k = tails.exceedances(grid.shift(ratio, is_harm), |_| top);
                component.step(&k, &n, all.clone(), layout);
            }
        }
        self.observe(frame, &n);
    }

    /// Explicit bounds can't be moved by a ratio: the tolerance is on the share above a bound.
    fn set_rates(&mut self, grid: &Grid) {
        if !self.rates_set && matches!(grid, Grid::Explicit(_)) {
            let harm = self.harm.iter_mut().chain(self.routes.iter_mut().flatten());
            harm.for_each(|c| c.counts.set_rate(self.limits.exceedance_above));
            self.safe
                .iter_mut()
                .for_each(|c| c.set_rate(self.limits.exceedance_below));
        }
        self.rates_set = true;
    }

    fn observe(&mut self, frame: &Frame<'_>, n: &super::Table) {
        let fade = |past: &mut f64, now: u64| *past = super::faded(*past, now as f64);
        let sum = |pods: std::ops::Range<usize>| pods.map(|p| n.sum(p, 0..frame.columns)).sum();
        fade(&mut self.traffic.0, sum(frame.baseline()));
        fade(&mut self.traffic.1, sum(frame.canary()));
        let warm = |pods: std::ops::Range<usize>| pods.filter(|&p| frame.is_warm(p)).count().max(1);
        self.pods = (warm(frame.baseline()), warm(frame.canary()));
        for (i, sketch) in frame.latency.iter().enumerate() {
            let pod = i / frame.columns;
            let is_baseline = pod < frame.layout.baseline;
            let to = if is_baseline {
                &mut self.observed.0
            } else {
                &mut self.observed.1
            };
            if frame.is_warm(pod) && to.merge(sketch).is_err() {
                return; // Marked as broken when the cell was read.
            }
        }
    }

    /// Starts safety anew.
    pub(super) fn restart_safety(&mut self) {
        self.safe
            .iter_mut()
            .chain(&mut self.safe_grid)
            .for_each(Counts::reset);
    }

    /// Parts of the harm mixture: (ln E, weight), pooled.
    pub(super) fn parts(&self) -> impl Iterator<Item = (f64, f64)> + Clone {
        self.harm.iter().flat_map(|c| c.counts.parts())
    }

    /// Parts of the harm mixture, by route.
    pub(super) fn route_parts(&self) -> impl Iterator<Item = (f64, f64)> + Clone {
        let routes = self.routes.iter().filter(|_| self.several_routes);
        routes.flatten().flat_map(|c| c.counts.parts())
    }

    /// The component that speaks loudest: its level, its route's column, ln of weight times E.
    pub(super) fn leading(&self) -> Option<(f64, Option<usize>, f64)> {
        let pooled = self.harm.iter().map(|c| (c, None));
        let routes = self
            .routes
            .iter()
            .enumerate()
            .filter(|_| self.several_routes);
        let routes = routes.flat_map(|(i, r)| r.iter().map(move |c| (c, Some(i))));
        let each = pooled.chain(routes).filter_map(|(c, route)| {
            Some((
                *self.levels.get(c.level)?,
                route,
                log_mixture(c.counts.parts()),
            ))
        });
        each.max_by(|a, b| a.2.total_cmp(&b.2))
    }

    /// ln E of safety.
    pub(super) fn safe_log_e(&self) -> f64 {
        log_mixture(self.safe.iter().flat_map(Counts::parts))
    }

    /// Takes the grid into `interval`.
    pub(super) fn bound(&self, interval: &mut Interval, wanted: (f64, f64)) {
        let (Some(top), Some(safe)) = (self.harm.get(self.levels.len() - 1), self.safe.first())
        else {
            return;
        };
        let mean = |c: &Counts, kappa: f64| {
            let weight = 1.0 / COARSE.len() as f64;
            log_mixture(c.raw_log_e().iter().map(|e| (e / kappa, weight)))
        };
        let (kappa, kappa_safe) = (top.counts.kappa_now(), safe.kappa_now());
        let harm = self.grid.iter().map(|c| mean(c, kappa));
        let safety = self.safe_grid.iter().map(|c| mean(c, kappa_safe));
        interval.update(harm, safety, wanted);
    }

    /// Whether a proof bounds the ratio of quantiles; with explicit bounds it is one of shares.
    pub(super) fn is_ratio(&self) -> bool {
        matches!(self.rolling.grid(), Some(Grid::Exponential(_)))
    }

    /// Why latency can't be judged.
    pub(super) fn unavailable(&self) -> Option<Unavailable> {
        if let Some(broken) = self.rolling.broken() {
            return Some(broken);
        }
        if self.rolling.is_empty() {
            return Some(Unavailable::NoBaseline);
        }
        if self.observed.1.total() == 0 {
            return Some(Unavailable::NoCanary);
        }
        let top = self.observed.0.quantile(self.limits.quantile)?;
        top.high.is_infinite().then_some(Unavailable::OpenBucket)
    }

    /// The objective's quantile of an arm, in seconds.
    pub(super) fn value(&self, sketch: &Sketch) -> Option<f64> {
        sketch.quantile(self.limits.quantile).map(|q| q.value)
    }

    /// Expected time until proved safe at ratio 1.
    pub(super) fn eta(&self, now: u64, wanted: f64) -> Eta {
        let Some(safe) = self.safe.first() else {
            return Eta::NoGrowth;
        };
        let growth = self.growth().unwrap_or(0.0);
        let raw = self.safe_log_e() * safe.kappa_now();
        eta::expect(raw, growth, now, wanted, |t| self.safe_kappa(t))
    }

    fn safe_kappa(&self, t: u64) -> f64 {
        self.safe.first().map_or(1.0, |safe| safe.kappa_at(t))
    }

    /// Expected growth of ln E a cell: expected events times KL of their shares.
    fn growth(&self) -> Option<f64> {
        let (edge, share) = self.thresholds.pooled_share(self.levels.len() - 1)?;
        let grid = self.rolling.grid()?;
        let shift = grid.shift(self.limits.approve_below, false);
        let beyond = match grid {
            Grid::Explicit(_) => share / self.limits.exceedance_below,
            Grid::Exponential(_) => {
                let total = self.observed.0.total().max(1) as f64;
                self.observed.0.count_above(edge.saturating_add(shift)) as f64 / total
            }
        };
        let psi = (beyond / share).max(0.02);
        let (b, c) = self.traffic;
        if share <= 0.0 || b <= 0.0 || c <= 0.0 || psi >= 1.0 {
            return None;
        }
        // Exposure is a pod's: with as many requests a pod, shares of events are shares of pods.
        let kl = divergence(canary_share(c, b, psi), canary_share(c, b, 1.0));
        let most = permutation::log_choose(self.pods.0 + self.pods.1, self.pods.1);
        Some(((c * psi + b) * share * kl).min(most))
    }
}

/// Quantiles judged: from P90 up to the objective's, or that one alone.
fn levels(limits: &LatencyLimits) -> Vec<f64> {
    let lower = [0.90, 0.95, 0.99]
        .into_iter()
        .filter(|&q| !limits.strict && q < limits.quantile);
    let mut levels: Vec<f64> = lower.collect();
    levels.push(limits.quantile);
    levels
}

/// Names a route by its column.
pub(super) fn route_name(routes: &[Arc<str>], column: Option<usize>) -> Option<Arc<str>> {
    column.and_then(|column| routes.get(column).cloned())
}
