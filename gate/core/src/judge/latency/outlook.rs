//! What is seen of latency, why it can't be judged, and how long a proof will take.

use super::super::assessment::Unavailable;
use super::super::tails::Grid;
use super::Latency;
use crate::eta::{self, Eta};
use crate::evalue::likelihood::{canary_share, divergence};
use crate::evalue::permutation;
use crate::sketch::Sketch;

impl Latency {
    /// Why latency can't be judged.
    pub(in crate::judge) fn unavailable(&self) -> Option<Unavailable> {
        if let Some(broken) = self.rolling.broken() {
            return Some(broken);
        }
        if self.rolling.is_empty() {
            return Some(Unavailable::NoBaseline);
        }
        if self.observed.1.total() == 0 {
            return Some(Unavailable::NoCanary);
        }
        let Sketch::Explicit(_) = self.observed.0 else {
            return None;
        };
        let top = self.observed.0.quantile(self.limits.quantile)?;
        top.high.is_infinite().then_some(Unavailable::OpenBucket)
    }

    /// The objective's quantile of an arm, in seconds.
    pub(in crate::judge) fn value(&self, sketch: &Sketch) -> Option<f64> {
        sketch.quantile(self.limits.quantile).map(|q| q.value)
    }

    /// Expected time until proved safe at ratio 1; `safe_log_e` as it is now.
    pub(in crate::judge) fn eta(&self, safe_log_e: f64, wanted: f64) -> Eta {
        let now = self.cells_of_step;
        let growth = self.growth().unwrap_or(0.0);
        let curve = self.safe_curves[0];
        let raw = safe_log_e * curve.at(now);
        eta::expect(raw, growth, now, wanted, |t| curve.at(t))
    }

    /// Expected growth of ln E a cell: expected events times KL of their shares.
    fn growth(&self) -> Option<f64> {
        let (edge, share) = self.thresholds.pooled_share(self.top())?;
        let grid = self.rolling.grid()?;
        let beyond = match grid {
            Grid::Explicit(_) => share / self.limits.exceedance_below,
            Grid::Exponential(_) => {
                let shift = grid.shift(self.limits.approve_below, false);
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
