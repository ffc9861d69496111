//! One component of counts in the mixture: its e-processes and the memory they are corrected for.

use serde::{Deserialize, Serialize};

use crate::combine::log_mixture;
use crate::evalue::counts::{self, Family};
use crate::evalue::exposure::{Comparison, Draw};
use crate::evalue::table::Table;
use crate::kappa::{Curve, IndicatorThreshold, Kappa, Learnt, Prior, Use};

/// A component: one e-process a tilt, and one curve of memory.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Component {
    /// Number in the keys of thinning.
    objective: u64,
    family: Family,
    weights: Vec<f64>,
    log_e: Vec<f64>,
    kappa: Kappa,
    threshold: IndicatorThreshold,
    /// κ now.
    divisor: f64,
    /// ln of the weighted sum of e-values now.
    mixture: f64,
}

/// What a component can't know from its configuration.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Saved {
    log_e: Vec<f64>,
    learnt: Learnt,
    threshold: Option<IndicatorThreshold>,
}

impl Component {
    /// A component without evidence, with these weights by tilt.
    pub(super) fn new(objective: u64, family: Family, weights: Vec<f64>, used: Use) -> Self {
        Self {
            objective,
            family,
            log_e: vec![0.0; weights.len()],
            weights,
            kappa: Kappa::new(used),
            threshold: IndicatorThreshold::default(),
            divisor: 1.0,
            mixture: f64::NEG_INFINITY,
        }
    }

    pub(super) fn is_indicator(&self) -> bool {
        matches!(self.family, Family::Indicator(_))
    }

    /// Multiplies all weights, before the first judged cell.
    pub(super) fn scale_weights(&mut self, factor: f64) {
        self.weights.iter_mut().for_each(|weight| *weight *= factor);
    }

    /// Fixes the form of κ, at the first judged cell.
    pub(super) fn begin(&mut self, one_pod: bool) {
        self.kappa.begin(one_pod);
    }

    /// Learns memory from one cell: events at the unshifted threshold, of the baseline by slot,
    /// and of the canary where the cell is judged. Pods that sit out are `None`.
    pub(super) fn learn(&mut self, baseline: &[Option<u64>], canary: Option<&[u64]>) {
        if let Family::Indicator(m) = &mut self.family {
            *m = self.threshold.value();
            self.threshold.add(baseline.iter().flatten().copied());
        }
        let family = self.family;
        let scores = baseline.iter().map(|k| k.map(|k| family.of(k)));
        let mean = canary.filter(|c| !c.is_empty()).map(|c| {
            let sum: f64 = c.iter().map(|&k| family.of(k)).sum();
            sum / c.len() as f64
        });
        self.kappa.learn(scores, mean);
    }

    /// Judges one cell: `k` events as `comparison` makes them comparable.
    pub(super) fn step(&mut self, k: &Table, comparison: &mut Comparison<'_>, draw: Draw) {
        let draw = Draw {
            objective: self.objective,
            ..draw
        };
        counts::step(&mut self.log_e, self.family, k, comparison, draw);
    }

    /// Brings κ and the mixture up to date after `t` judged cells.
    pub(super) fn refresh(&mut self, prior: Option<Prior>, t: u64) {
        self.divisor = self.kappa.curve(prior).at(t);
        self.mixture = log_mixture(self.parts());
    }

    /// The curve under another prior: of a test whose scores are the same.
    pub(super) fn curve(&self, prior: Option<Prior>) -> Curve {
        self.kappa.curve(prior)
    }

    /// κ as last brought up to date.
    pub(super) fn divisor(&self) -> f64 {
        self.divisor
    }

    /// ln of its weighted sum of e-values, each divided by κ, as last brought up to date.
    pub(super) fn mixture(&self) -> f64 {
        self.mixture
    }

    /// (ln E / κ, weight) of each tilt.
    fn parts(&self) -> impl Iterator<Item = (f64, f64)> + Clone {
        let each = self.log_e.iter().map(|log_e| log_e / self.divisor);
        each.zip(self.weights.iter().copied())
    }

    /// Sum of weights.
    pub(super) fn weight(&self) -> f64 {
        self.weights.iter().sum()
    }

    pub(super) fn save(&self) -> Saved {
        Saved {
            log_e: self.log_e.clone(),
            learnt: self.kappa.learnt().clone(),
            threshold: self.is_indicator().then(|| self.threshold.clone()),
        }
    }

    /// Goes on from what was saved; false when that is of another configuration.
    #[must_use]
    pub(super) fn restore(&mut self, saved: Saved) -> bool {
        let fits = saved.log_e.len() == self.log_e.len()
            && saved.threshold.is_some() == self.is_indicator();
        self.log_e = saved.log_e;
        self.kappa.restore(saved.learnt);
        self.threshold = saved.threshold.unwrap_or_default();
        fits
    }
}
