//! Latency: no quantile from P90 to the objective's is beyond the limit.
//!
//! Scores are requests above a threshold that the baseline sets: counts at each level; at the top
//! level also min(k, 2) and the indicator, which see stalls; and, of several routes, counts by
//! route at the lowest and the top level. Source: docs/statistics.md, sections 5.1 and 6.

use std::sync::Arc;

use super::component::Component;
use super::frame::Frame;
use super::interval::{Interval, Ladder};
use super::rolling::{Rolling, Thresholds};
use super::tails::{Grid, Tails};
use super::{LatencyLimits, logs};
use crate::combine::log_mixture;
use crate::evalue::counts::{self, Baseline, Family};
use crate::evalue::exposure::{Comparison, Draw, Exposure, Participants};
use crate::evalue::table::Table;
use crate::kappa::{Assume, Curve, Prior, Use};
use crate::sketch::Sketch;

mod explicit;
mod ladder;
mod outlook;
mod state;

pub(super) use state::Saved;

/// ψ of counts.
const UP: [f64; 7] = [1.2, 1.35, 1.6, 2.0, 3.0, 5.0, 10.0];
/// ψ of the indicator.
const INDICATOR: [f64; 5] = [1.6, 2.0, 3.0, 5.0, 10.0];
/// 1/ψ of safety.
const DOWN: [f64; 6] = [1.2, 1.35, 1.6, 2.0, 3.0, 5.0];
/// ψ of the ladder, which informs and does not decide.
const COARSE: [f64; 3] = [1.35, 2.0, 5.0];
/// Weight of latency in the harm mixture: counts, capped, indicator.
pub(super) const WEIGHT: f64 = 0.18;
const WEIGHT_COUNTS: f64 = 0.12;
const WEIGHT_SHAPES: f64 = 0.03;
/// Weights of safety, by family.
const SAFE: [(Family, f64); 2] = [(Family::Count, 0.7), (Family::Capped(2), 0.3)];
/// Share of all weight that goes to routes where there are several.
pub(super) const ROUTES_WEIGHT: f64 = 0.2;
/// Numbers of safety and of the ladder's harm in the keys of thinning.
const SAFE_OBJECTIVE: u64 = 20;
const LADDER_OBJECTIVE: u64 = 21;

/// A component and its level.
#[derive(Clone, Debug, PartialEq)]
struct Leveled {
    level: usize,
    counts: Component,
}

/// Tilts, ln ψ.
#[derive(Clone, Debug, PartialEq)]
struct Tilts {
    up: Vec<f64>,
    indicator: Vec<f64>,
    down: Vec<f64>,
    /// Those of the ladder: harm's, then safety's.
    ladder: Vec<f64>,
}

/// The state of the latency objective.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Latency {
    limits: LatencyLimits,
    seed: u64,
    levels: Vec<f64>,
    /// Indices into `levels` that routes are judged at.
    route_levels: Vec<usize>,
    tilts: Tilts,
    rolling: Rolling,
    thresholds: Thresholds,
    harm: Vec<Leveled>,
    /// ln E of safety by family and tilt. Its scores are those of the top level's components, and
    /// so is its memory.
    safe: Vec<Vec<f64>>,
    routes: Vec<Vec<Leveled>>,
    ladder: Ladder,
    exposure: Exposure,
    route_exposures: Vec<Exposure>,
    several_routes: bool,
    priors: (Option<Prior>, Option<Prior>),
    safe_curves: [Curve; 2],
    cells: u64,
    cells_of_step: u64,
    /// Latency since the first judged cell: baseline, canary.
    pub(super) observed: (Sketch, Sketch),
    traffic: (f64, f64),
    pods: (usize, usize),
}

impl Latency {
    pub(super) fn new(limits: LatencyLimits, seed: u64, scale: f64) -> Self {
        let levels = levels(&limits);
        let top = levels.len() - 1;
        let harm = |level, family, tilts: usize, weight: f64| Leveled {
            level,
            counts: Component::new(
                level as u64,
                family,
                vec![weight * scale / tilts as f64; tilts],
                Use::RollbackLatency,
            ),
        };
        let count_weight = WEIGHT_COUNTS / levels.len() as f64;
        let mut all: Vec<Leveled> = (0..levels.len())
            .map(|l| harm(l, Family::Count, UP.len(), count_weight))
            .collect();
        all.push(harm(top, Family::Capped(2), UP.len(), WEIGHT_SHAPES));
        let indicator = Family::Indicator(None);
        all.push(harm(top, indicator, INDICATOR.len(), WEIGHT_SHAPES));
        let down = |psi: &[f64]| logs(psi).into_iter().map(|tilt| -tilt);
        Self {
            seed,
            route_levels: if top == 0 { vec![0] } else { vec![0, top] },
            levels,
            tilts: Tilts {
                up: logs(&UP),
                indicator: logs(&INDICATOR),
                down: down(&DOWN).collect(),
                ladder: logs(&COARSE).into_iter().chain(down(&COARSE)).collect(),
            },
            rolling: Rolling::default(),
            thresholds: Thresholds::default(),
            harm: all,
            safe: vec![vec![0.0; DOWN.len()]; SAFE.len()],
            routes: Vec::new(),
            ladder: Ladder::new(COARSE.len(), COARSE.len()),
            exposure: Exposure::default(),
            route_exposures: Vec::new(),
            limits,
            several_routes: false,
            priors: priors(Assume::Vary, false),
            safe_curves: [Curve::default(); 2],
            cells: 0,
            cells_of_step: 0,
            observed: (Sketch::Empty, Sketch::Empty),
            traffic: (0.0, 0.0),
            pods: (1, 1),
        }
    }

    fn top(&self) -> usize {
        self.levels.len() - 1
    }

    /// Adds components for routes that have got a column.
    pub(super) fn add_routes(&mut self, routes: usize) {
        while self.routes.len() < routes {
            let route = self.routes.len() as u64;
            let counts = self.route_levels.iter().zip(0u64..).map(|(&level, i)| {
                let weights = vec![1.0 / UP.len() as f64; UP.len()];
                let objective = 100 + route * 4 + i;
                Leveled {
                    level,
                    counts: Component::new(objective, Family::Count, weights, Use::RollbackLatency),
                }
            });
            let counts = counts.collect();
            self.routes.push(counts);
            self.route_exposures.push(Exposure::default());
        }
    }

    /// Fixes the form of κ and the weights of routes, at the first judged cell.
    pub(super) fn begin(&mut self, one_pod: bool, assume: Assume) {
        self.several_routes = self.routes.len() > 1;
        let each = ROUTES_WEIGHT / (self.route_levels.len() * self.routes.len().max(1)) as f64;
        self.priors = priors(assume, one_pod);
        for component in &mut self.harm {
            if self.several_routes {
                component.counts.scale_weights(1.0 - ROUTES_WEIGHT);
            }
            component.counts.begin(one_pod);
        }
        for route in self.routes.iter_mut().flatten() {
            route.counts.scale_weights(each);
            route.counts.begin(one_pod);
        }
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
        let mut warm = Warm::default();
        for level in 0..self.levels.len() {
            let edge = self.thresholds.pooled(level);
            warm.take(frame, &tails.exceedances(0, |_| edge), 0..frame.columns);
            for component in self.harm.iter_mut().filter(|c| c.level == level) {
                let canary = judged.then_some(warm.canary.as_slice());
                component.counts.learn(&warm.baseline, canary);
            }
        }
        // From the first judged cell on a single route is no other than the pool.
        let by_route = self.several_routes || !judged;
        for i in (0..self.route_levels.len()).filter(|_| by_route) {
            let table = tails.exceedances(0, |column| self.thresholds.route(column, i));
            for (column, route) in self.routes.iter_mut().enumerate() {
                warm.take(frame, &table, column..column + 1);
                if let Some(component) = route.get_mut(i) {
                    let canary = judged.then_some(warm.canary.as_slice());
                    component.counts.learn(&warm.baseline, canary);
                }
            }
        }
        Some(tails)
    }

    /// Moves thresholds on.
    pub(super) fn push(&mut self, frame: &Frame<'_>, judged: bool) {
        let observed = &mut self.observed.0;
        self.rolling.push(frame, |sketch| {
            // What does not merge was marked as broken when the cell was read.
            let _ = judged.then(|| observed.merge(sketch));
        });
    }

    /// Takes note of buckets without learning: warm-up.
    pub(super) fn skip(&mut self, frame: &Frame<'_>) {
        self.rolling.read(frame);
        self.rolling.push(frame, |_| {});
    }

    /// Judges a cell; `known` is what is proved of the ratio.
    pub(super) fn step(&mut self, frame: &Frame<'_>, tails: &Tails, known: Interval) {
        let Some(grid) = self.rolling.grid().cloned() else {
            return;
        };
        let n = tails.totals();
        let draw = Draw {
            seed: self.seed,
            objective: 0,
            cell: self.cells,
        };
        self.cells += 1;
        self.cells_of_step += 1;
        // Explicit bounds can't be moved by a ratio: the tolerance is on the share above a bound.
        let rates = match grid {
            Grid::Explicit(_) => (self.limits.exceedance_above, self.limits.exceedance_below),
            Grid::Exponential(_) => (1.0, 1.0),
        };
        let pooled = self.exposure.step(&n, 0..frame.columns, frame.layout);
        let shift = grid.shift(self.limits.rollback_above, true);
        let room = &mut Baseline::default();
        if let Some(who) = &pooled {
            self.step_harm(who, (&n, tails), (rates.0, shift), draw, room);
            self.step_safe(who, (&n, tails), (rates.1, &grid), draw, room);
            self.step_ladder(who, (&n, tails), (&grid, known), draw, room);
        }
        if self.several_routes {
            self.step_routes(frame, (&n, tails), (rates.0, shift), draw, room);
        }
        self.observe(frame, &n);
    }

    fn step_harm(
        &mut self,
        who: &Participants,
        (n, tails): (&Table, &Tails),
        (rate, shift): (f64, i32),
        draw: Draw,
        room: &mut Baseline,
    ) {
        let mut counts = Comparison::new(who, n, rate, &self.tilts.up).within(room);
        let mut stalls = Comparison::new(who, n, rate, &self.tilts.indicator);
        for level in 0..self.levels.len() {
            let edge = self.thresholds.pooled(level);
            let k = tails.exceedances(shift, |_| edge);
            for component in self.harm.iter_mut().filter(|c| c.level == level) {
                let comparison = if component.counts.is_indicator() {
                    &mut stalls
                } else {
                    &mut counts
                };
                component.counts.step(&k, comparison, draw);
            }
        }
        *room = counts.room();
    }

    fn step_routes(
        &mut self,
        frame: &Frame<'_>,
        (n, tails): (&Table, &Tails),
        (rate, shift): (f64, i32),
        draw: Draw,
        room: &mut Baseline,
    ) {
        let tables: Vec<Table> = (0..self.route_levels.len())
            .map(|i| tails.exceedances(shift, |column| self.thresholds.route(column, i)))
            .collect();
        let routes = self.routes.iter_mut().zip(&mut self.route_exposures);
        for (column, (route, exposure)) in routes.enumerate() {
            let Some(who) = exposure.step(n, column..column + 1, frame.layout) else {
                continue;
            };
            let mut comparison = Comparison::new(&who, n, rate, &self.tilts.up).within(room);
            for (component, k) in route.iter_mut().zip(&tables) {
                component.counts.step(k, &mut comparison, draw);
            }
            *room = comparison.room();
        }
    }

    fn step_safe(
        &mut self,
        who: &Participants,
        (n, tails): (&Table, &Tails),
        (rate, grid): (f64, &Grid),
        draw: Draw,
        room: &mut Baseline,
    ) {
        let mut comparison = Comparison::new(who, n, rate, &self.tilts.down).within(room);
        let edge = self.thresholds.pooled(self.top());
        let shift = grid.shift(self.limits.approve_below, false);
        let k = tails.exceedances(shift, |_| edge);
        let draw = Draw {
            objective: SAFE_OBJECTIVE,
            ..draw
        };
        for (log_e, (family, _)) in self.safe.iter_mut().zip(SAFE) {
            counts::step(log_e, family, &k, &mut comparison, draw);
        }
        *room = comparison.room();
    }

    fn observe(&mut self, frame: &Frame<'_>, n: &Table) {
        let fade = |past: &mut f64, now: u64| *past = super::faded(*past, now as f64);
        let sum = |pods: std::ops::Range<usize>| pods.map(|p| n.sum(p, 0..frame.columns)).sum();
        fade(&mut self.traffic.0, sum(frame.baseline()));
        fade(&mut self.traffic.1, sum(frame.canary()));
        let warm = |pods: std::ops::Range<usize>| pods.filter(|&p| frame.is_warm(p)).count().max(1);
        self.pods = (warm(frame.baseline()), warm(frame.canary()));
        for (i, sketch) in frame.latency.iter().enumerate() {
            let pod = i / frame.columns;
            let is_canary = pod >= frame.layout.baseline;
            if is_canary && frame.is_warm(pod) && self.observed.1.merge(sketch).is_err() {
                return; // Marked as broken when the cell was read.
            }
        }
    }

    /// Starts safety anew.
    pub(super) fn restart_safety(&mut self) {
        self.cells_of_step = 0;
        self.safe.iter_mut().for_each(|sums| sums.fill(0.0));
        self.ladder.restart_safety();
    }

    /// Brings κ up to date.
    pub(super) fn refresh(&mut self) {
        let (prior, cells) = (self.priors.0, self.cells.max(1));
        let routes = self.routes.iter_mut().flatten();
        for component in self.harm.iter_mut().chain(routes) {
            component.counts.refresh(prior, cells);
        }
        // Counts of the top level, and the same capped.
        let alike = self.harm.iter().skip(self.levels.len() - 1);
        for (curve, component) in self.safe_curves.iter_mut().zip(alike) {
            *curve = component.counts.curve(self.priors.1);
        }
    }

    /// Components of the harm mixture, each with its route's column where it is of one.
    fn components(&self) -> impl Iterator<Item = (&Leveled, Option<usize>)> + Clone {
        let pooled = self.harm.iter().map(|c| (c, None));
        let routes = self.routes.iter().enumerate();
        let routes = routes.filter(|_| self.several_routes);
        pooled.chain(routes.flat_map(|(i, r)| r.iter().map(move |c| (c, Some(i)))))
    }

    /// ln of its part of the harm mixture, and the weight of that.
    pub(super) fn harm(&self) -> (f64, f64) {
        let all = self.components().map(|(c, _)| &c.counts);
        (
            log_mixture(all.clone().map(|counts| (counts.mixture(), 1.0))),
            all.map(Component::weight).sum(),
        )
    }

    /// The component that speaks loudest: its level, its route's column, ln of weight times E.
    pub(super) fn leading(&self) -> Option<(f64, Option<usize>, f64)> {
        let each = self.components().filter_map(|(c, route)| {
            let level = *self.levels.get(c.level)?;
            Some((level, route, c.counts.mixture()))
        });
        each.max_by(|a, b| a.2.total_cmp(&b.2))
    }

    /// ln E of safety.
    pub(super) fn safe_log_e(&self) -> f64 {
        let families = self.safe.iter().zip(&self.safe_curves).zip(SAFE);
        log_mixture(families.flat_map(|((sums, curve), (_, weight))| {
            let kappa = curve.at(self.cells_of_step);
            let weight = weight / sums.len() as f64;
            sums.iter().map(move |e| (e / kappa, weight))
        }))
    }

    /// Whether a proof bounds the ratio of quantiles; with explicit bounds it is one of shares.
    pub(super) fn is_ratio(&self) -> bool {
        matches!(self.rolling.grid(), Some(Grid::Exponential(_)))
    }
}

/// Counts of the pods whose latency is judged: of the baseline by slot.
#[derive(Debug, Default)]
struct Warm {
    baseline: Vec<Option<u64>>,
    canary: Vec<u64>,
}

impl Warm {
    fn take(&mut self, frame: &Frame<'_>, table: &Table, columns: std::ops::Range<usize>) {
        let k = |pod| table.sum(pod, columns.clone());
        let is_warm = |&pod: &usize| frame.is_warm(pod);
        let baseline = frame.baseline().map(|pod| is_warm(&pod).then(|| k(pod)));
        self.baseline.clear();
        self.baseline.extend(baseline);
        self.canary.clear();
        self.canary.extend(frame.canary().filter(is_warm).map(k));
    }
}

/// The priors of κ: of rollback, of approval.
fn priors(assume: Assume, one_pod: bool) -> (Option<Prior>, Option<Prior>) {
    (
        Use::RollbackLatency.prior(assume, one_pod),
        Use::ApproveLatency.prior(assume, one_pod),
    )
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
