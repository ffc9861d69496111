//! The ladder of ratios that bounds the ratio of quantiles, at the top level.

use super::super::interval::Interval;
use super::super::tails::{Grid, Tails, moved};
use super::{COARSE, LADDER_OBJECTIVE, Latency, SAFE_OBJECTIVE, explicit};
use crate::evalue::counts;
use crate::evalue::exposure::{Comparison, Draw, Participants};
use crate::evalue::permutation::{self, Scores};
use crate::evalue::table::Table;

impl Latency {
    /// The same tests at each ratio of the ladder: what the baseline's pods show is the same at
    /// all of them, and computed once.
    pub(super) fn step_ladder(
        &mut self,
        who: &Participants,
        (n, tails): (&Table, &Tails),
        (grid, known): (&Grid, Interval),
        draw: Draw,
    ) {
        let Some(edge) = self.thresholds.pooled(self.top()) else {
            return;
        };
        let mut comparison = Comparison::new(who, n, 1.0, &self.tilts.ladder);
        let mut k = tails.exceedances(0, |_| Some(edge));
        let pods = who.canary.len();
        let baseline = |tilt| {
            let each = (0..who.baseline.len()).map(|at| comparison.score(&k, at, tilt));
            let each: Vec<f64> = each.collect();
            let mut scores = Scores::default();
            scores.set(each.iter().copied(), pods);
            scores
        };
        let baseline: Vec<Scores> = (0..self.tilts.ladder.len()).map(baseline).collect();
        let (mut canary, mut kept) = (Scores::default(), Vec::new());
        let mut rung = |sums: &mut [f64], edge: i32, from: usize, objective: u64| {
            tails.canary_above(edge, &mut k);
            comparison.keep(&k, Draw { objective, ..draw }, &mut kept);
            let tilts = self.tilts.ladder.iter().zip(&baseline).skip(from);
            for (sum, (tilt, baseline)) in sums.iter_mut().zip(tilts) {
                *sum += counts::mean_of_draws(kept.chunks(pods), |kept| {
                    canary.set(kept.iter().map(|&k| k as f64 * tilt), pods);
                    permutation::log_e(baseline, &canary, who.choices)
                });
            }
        };
        for (ratio, sums) in self.ladder.harm(known) {
            if let Some(edge) = edge_beyond(grid, edge, ratio, true) {
                rung(sums, edge, 0, LADDER_OBJECTIVE);
            }
        }
        for (ratio, sums) in self.ladder.safe(known) {
            if let Some(edge) = edge_beyond(grid, edge, ratio, false) {
                rung(sums, edge, COARSE.len(), SAFE_OBJECTIVE);
            }
        }
    }

    /// Takes the ladder into `interval`.
    pub(in crate::judge) fn bound(&self, interval: &mut Interval, wanted: (f64, f64)) {
        let kappa = self.harm.get(self.top());
        let kappa = kappa.map_or(1.0, |top| top.counts.divisor());
        let safe = self.safe_curves[0].at(self.cells_of_step);
        self.ladder.bound(interval, (kappa, safe), wanted);
    }
}

/// Where the canary is compared for a ratio, the baseline being compared at `edge`.
fn edge_beyond(grid: &Grid, edge: i32, ratio: f64, harm: bool) -> Option<i32> {
    match grid {
        Grid::Exponential(_) => Some(moved(edge, grid.shift(ratio, harm))),
        Grid::Explicit(bounds) => explicit::bound_beyond(bounds, edge, ratio, harm),
    }
}
