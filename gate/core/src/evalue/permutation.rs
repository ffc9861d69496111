//! Whose pod is it? The e-value of a labelling of pods given their scores.
//!
//! E = ∏ over canary pods of e^u / mean over all choices S of as many pods of ∏ over S of e^u.
//! The mean is an elementary symmetric polynomial over a binomial coefficient. It is computed in
//! linear space, each arm scaled by its highest term: all terms are positive, so nothing cancels.
//! The polynomials of two arms join as e_n(B ∪ C) = Σ_j e_j(B) e_{n−j}(C), so what an arm shares
//! between ratios is computed once.
//!
//! Source: docs/statistics.md, section 3 (1); Koning, arXiv 2310.01153; the conditional likelihood
//! ratio of Cox, anytime-valid by ter Schure et al., arXiv 2011.06931.
//! Assumption: given the past, scores are exchangeable over pods, or the canary's are so after
//! being raised. Nothing about distribution or dependence within the cell.
//! Reference: `tests/reference/rollouts.json`, section `perm_log_e`.

use crate::combine::log_mixture;
use crate::elementary::{exp, ln};

/// One arm's pods in one cell by their scores.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    pods: usize,
    highest: f64,
    /// Σ (u − highest).
    sum: f64,
    /// Elementary symmetric polynomials of e^(u − highest): degree 0, 1, …
    terms: Vec<f64>,
    /// The scores themselves where those could vanish; else empty.
    wide: Vec<f64>,
}

/// Scores that lie further apart than this, times the pods chosen, are joined in logarithms: a
/// double holds e^±708.
const WIDEST: f64 = 600.0;

impl Scores {
    /// Takes the scores of an arm, tilt included, for choices of at most `chosen` pods: as many as
    /// the canary has.
    ///
    /// # Complexity
    /// O(pods · chosen).
    pub fn set(&mut self, scores: impl Iterator<Item = f64> + Clone, chosen: usize) {
        self.highest = scores.clone().fold(f64::NEG_INFINITY, f64::max);
        let lowest = scores.clone().fold(f64::INFINITY, f64::min);
        (self.pods, self.sum) = (0, 0.0);
        self.wide.clear();
        if (self.highest - lowest) * chosen as f64 > WIDEST {
            self.wide.extend(scores.clone());
        }
        self.terms.clear();
        self.terms.push(1.0);
        for score in scores {
            let less = score - self.highest;
            self.pods += 1;
            self.sum += less;
            if self.terms.len() <= chosen {
                self.terms.push(0.0);
            }
            let weight = if less == 0.0 { 1.0 } else { exp(less) };
            for i in (1..self.terms.len()).rev() {
                self.terms[i] += self.terms[i - 1] * weight;
            }
        }
    }
}

impl Scores {
    /// ln of the elementary symmetric polynomials up to degree `chosen`, of scores raised by `by`.
    fn log_terms(&self, chosen: usize, by: f64) -> Vec<f64> {
        if self.wide.is_empty() {
            let degrees = self.terms.iter().zip(0u32..);
            let term =
                |(term, degree): (&f64, u32)| ln(*term) + f64::from(degree) * (self.highest + by);
            let mut terms: Vec<f64> = degrees.map(term).collect();
            terms.resize(chosen + 1, f64::NEG_INFINITY);
            return terms;
        }
        let mut terms = vec![f64::NEG_INFINITY; chosen + 1];
        terms[0] = 0.0;
        for score in &self.wide {
            for degree in (1..=chosen).rev() {
                let more = terms[degree - 1] + score + by;
                terms[degree] = log_mixture([(terms[degree], 1.0), (more, 1.0)].into_iter());
            }
        }
        terms
    }
}

/// ln E of both arms' scores; 0 where an arm has no pod. `choices` is ln C(P, P_c) of P pods, P_c
/// of them the canary's ([`log_choose`]): the most that one cell is worth.
///
/// # Complexity
/// O(P_c).
pub fn log_e(baseline: &Scores, canary: &Scores, choices: f64) -> f64 {
    log_e_raised(baseline, canary, 0.0, choices)
}

/// [`log_e`] with `by` added to each score of the canary.
pub fn log_e_raised(baseline: &Scores, canary: &Scores, by: f64, choices: f64) -> f64 {
    if baseline.pods == 0 || canary.pods == 0 {
        return 0.0;
    }
    let raised = canary.highest + by;
    let apart = (baseline.highest - raised).abs() * canary.pods as f64;
    if apart > WIDEST || !(baseline.wide.is_empty() && canary.wide.is_empty()) {
        return log_e_wide(baseline, canary, by, choices);
    }
    let highest = baseline.highest.max(raised);
    let lower = baseline.highest.min(raised) - highest;
    let scale = if lower == 0.0 { 1.0 } else { exp(lower) };
    let n = canary.pods;
    let term = |of: &Scores, degree: usize| of.terms.get(degree).copied().unwrap_or(0.0);
    // Horner's scheme in the scale of the lower arm, by how many pods are chosen of it.
    let (high, low) = if baseline.highest >= raised {
        (baseline, canary)
    } else {
        (canary, baseline)
    };
    let all = (0..=n).rev().fold(0.0, |sum: f64, of_low| {
        sum * scale + term(low, of_low) * term(high, n - of_low)
    });
    let chosen = canary.sum + n as f64 * (raised - highest);
    chosen - ln(all.max(super::SMALLEST)) + choices
}

/// The same where the terms of an arm could vanish beside each other.
fn log_e_wide(baseline: &Scores, canary: &Scores, by: f64, choices: f64) -> f64 {
    let n = canary.pods;
    let own = (baseline.log_terms(n, 0.0), canary.log_terms(n, by));
    let joined = own.0.iter().zip(own.1.iter().rev());
    let all = log_mixture(joined.map(|(one, other)| (one + other, 1.0)));
    let chosen = canary.highest * n as f64 + canary.sum + n as f64 * by;
    chosen - all + choices
}

/// ln C(n, k) of k in [0, n].
pub fn log_choose(n: usize, k: usize) -> f64 {
    let k = k.min(n.saturating_sub(k));
    let choose: f64 = (0..k).map(|i| (n - i) as f64 / (i + 1) as f64).product();
    libm::log(choose)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guarantees: counts so far apart that products of their weights vanish are compared all the
    /// same.
    #[test]
    fn scores_far_apart_are_joined_in_logarithms() {
        let (mut baseline, mut canary) = (Scores::default(), Scores::default());
        baseline.set([3.0, 5.0].into_iter(), 3);
        canary.set([900.0, 10.0, 20.0].into_iter(), 3);
        // The canary's own choice is by far the most likely one.
        let found = log_e(&baseline, &canary, log_choose(5, 3));
        let others: f64 = [5.0 - 10.0, 3.0 - 10.0, 5.0 - 20.0, 3.0 - 20.0, 8.0 - 30.0]
            .iter()
            .map(|&less| libm::exp(less))
            .sum();
        let expected = log_choose(5, 3) - libm::log1p(others);
        assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");
    }
}
