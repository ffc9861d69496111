//! The curve as a prior and the data have it.
//!
//! Source: docs/statistics.md, section 4, formulas and table of priors.

use serde::{Deserialize, Serialize};

use super::{BLOCKS, LONGEST};

/// The curve a + m/b before there is data, worth `blocks` blocks of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prior {
    /// Level.
    pub a: f64,
    /// Cells in which the curve grows by 1.
    pub b: f64,
    /// Weight in blocks.
    pub blocks: f64,
    /// Standard errors that are added to what is learnt; negative ones are taken off.
    pub margin: f64,
}

/// Standard errors by which the learnt curve of rollback is moved where pods were watched: noise in
/// what was learnt of errors only costs time, and of CPU the prior says more than is seen. Why
/// latency has none: docs/statistics.md, section 8.4.
const MARGIN_ERRORS: f64 = -1.0;
const MARGIN_CPU: f64 = -0.5;

/// Whether a pod may be slow for minutes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Assume {
    /// No: faster, and assumes more.
    Alike,
    /// `Alike` once several pods have ten minutes of history, else `Vary`.
    Auto,
    /// Yes.
    Vary,
    /// No, for several pods were watched for ten minutes: `Alike`, with margins.
    Watched,
}

/// What a curve belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Approval by CPU.
    ApproveCpu,
    /// Approval by errors: φ, over the binomial variance.
    ApproveErrors,
    /// Approval by latency.
    ApproveLatency,
    /// Rollback by CPU.
    RollbackCpu,
    /// Rollback by errors.
    RollbackErrors,
    /// Rollback by latency.
    RollbackLatency,
}

impl Use {
    /// The prior of docs/statistics.md, section 4; none: κ = 1, as the pods are assumed alike.
    pub fn prior(self, assume: Assume, one_pod: bool) -> Option<Prior> {
        let alike = matches!(assume, Assume::Alike | Assume::Watched);
        let (a, b, blocks) = match (self, one_pod) {
            (Self::RollbackLatency | Self::RollbackErrors, true) if alike => return None,
            (Self::RollbackLatency, true) => (2.5, 48.0, 40.0),
            (Self::RollbackLatency, false) if alike => (1.5, 24.0, 4.0),
            (Self::RollbackLatency, false) => (4.0, 24.0, 160.0),
            (Self::RollbackErrors, _) => (1.25, 48.0, 10.0),
            (Self::RollbackCpu, true) => (5.0, 24.0, 12.0),
            (Self::RollbackCpu, false) => (5.0, 12.0, 12.0),
            (Self::ApproveLatency, _) => (4.0, 24.0, 20.0),
            (Self::ApproveErrors, true) => (2.0, 48.0, 16.0),
            (Self::ApproveErrors, false) => (1.5, 48.0, 20.0),
            (Self::ApproveCpu, true) => (5.0, 24.0, 12.0),
            (Self::ApproveCpu, false) => (6.0, 12.0, 24.0),
        };
        let margin = match self {
            _ if assume != Assume::Watched || one_pod => 0.0,
            Self::RollbackErrors => MARGIN_ERRORS,
            Self::RollbackCpu => MARGIN_CPU,
            _ => 0.0,
        };
        Some(Prior {
            a,
            b,
            blocks,
            margin,
        })
    }

    /// Whether its scores are counts.
    pub(super) fn is_count(self) -> bool {
        matches!(self, Self::RollbackErrors | Self::RollbackLatency)
    }
}

impl Prior {
    /// The curve of data: (variance ratio − 1, weight in blocks) by block length, where known.
    pub(crate) fn curve(self, data: impl Iterator<Item = Option<(f64, f64)>>) -> Curve {
        let mut curve = Curve::default();
        let mut excess = 0.0_f64;
        let mut before: Option<f64> = None; // The prior at the block length before.
        for ((place, data), m) in curve.excess.iter_mut().zip(data).zip(BLOCKS) {
            let shape = self.a - 1.0 + m as f64 / self.b;
            // The prior's shape, at the level learnt so far.
            let guess = before.map_or(shape, |before| excess * shape / before);
            let learnt = data.map_or(guess, |(ratio, weight)| {
                let blocks = self.blocks + weight;
                let learnt = (self.blocks * guess + weight * ratio.max(0.0)) / blocks;
                if self.margin == 0.0 {
                    return learnt;
                }
                // A variance from so many blocks, as of independent Gaussian sums.
                let error = (1.0 + learnt) * (2.0 / blocks).sqrt();
                (learnt + self.margin * error).max(0.0)
            });
            excess = excess.max(learnt);
            *place = excess;
            before = Some(shape);
        }
        curve
    }
}

/// κ − 1 at each block length; without data or prior, 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Curve {
    excess: [f64; 6],
}

impl Curve {
    /// κ after `t` judged cells; at least 1. Constant below the shortest block, linear between
    /// lengths, in proportion to t beyond the longest.
    pub fn at(&self, t: u64) -> f64 {
        let t = t.max(1) as f64;
        let mut last: Option<(f64, f64)> = None;
        for (&excess, m) in self.excess.iter().zip(BLOCKS) {
            let m = m as f64;
            if t <= m {
                return 1.0
                    + last.map_or(excess, |(start, before)| {
                        before + (excess - before) * (t - start) / (m - start)
                    });
            }
            last = Some((m, excess));
        }
        let excess = last.map_or(0.0, |(_, excess)| excess);
        1.0 + excess + excess / LONGEST as f64 * (t - LONGEST as f64)
    }
}
