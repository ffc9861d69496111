//! The ladder of ratios that bounds the ratio of quantiles, at the top level.

use super::super::interval::Interval;
use super::super::tails::{Grid, Tails, moved};
use super::{COARSE, LADDER_OBJECTIVE, Latency, SAFE_OBJECTIVE, explicit};
use crate::evalue::counts::{Baseline, Family};
use crate::evalue::exposure::{Comparison, Draw, Participants};
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
        baseline: &mut Baseline,
    ) {
        let Some(edge) = self.thresholds.pooled(self.top()) else {
            return;
        };
        let mut comparison = Comparison::new(who, n, 1.0, &self.tilts.ladder);
        let mut k = tails.exceedances(0, |_| Some(edge));
        baseline.set(Family::Count, &k, &mut comparison);
        let mut rung = |sums: &mut [f64], edge: i32, from: usize, objective: u64| {
            tails.canary_above(edge, &mut k);
            let draw = Draw { objective, ..draw };
            baseline.step((sums, from), &k, &comparison, draw);
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
