//! [`super::permutation`]'s e-value at up to eight tilts at once, of counts.
//!
//! A count's weight is a power, ψ^k, so nothing but products is needed where these stay far from
//! the ends of a double's range: [`fits`] says when. Eight numbers side by side are what a
//! compiler turns into vector instructions; that each of them is rounded by itself keeps the
//! result the same on every machine.

/// Tilts at once.
pub(super) const LANES: usize = 8;

/// A number a tilt; 1 where there is no tilt.
pub(super) type Lanes = [f64; LANES];

/// ln of the largest product that is let happen: a double holds e^±708.
const LOG_LARGEST: f64 = 600.0;

/// Whether products of `pods` weights of at most e^±`log_weight` each, in as many ways as there
/// are (`choices`, their logarithm), stay within a double's range.
pub(super) fn fits(pods: usize, log_weight: f64, choices: f64) -> bool {
    pods as f64 * log_weight + choices <= LOG_LARGEST
}

/// base^k.
pub(super) fn power(base: &Lanes, k: u64) -> Lanes {
    let (mut result, mut square, mut left) = ([1.0; LANES], *base, k);
    while left > 0 {
        if left & 1 == 1 {
            result = product(&result, &square);
        }
        left >>= 1;
        if left > 0 {
            square = product(&square, &square);
        }
    }
    result
}

/// a·b.
pub(super) fn product(a: &Lanes, b: &Lanes) -> Lanes {
    let mut result = *a;
    for (result, b) in result.iter_mut().zip(b) {
        *result *= b;
    }
    result
}

/// One arm's pods by their weights.
#[derive(Clone, Debug, Default)]
pub(super) struct Weights {
    pods: usize,
    product: Lanes,
    /// Elementary symmetric polynomials: degree 0, 1, …
    terms: Vec<Lanes>,
}

impl Weights {
    /// Takes the weights of an arm, for choices of at most `chosen` pods: `ones` pods whose weight
    /// is 1, as those without events have it, and the others'.
    ///
    /// # Complexity
    /// O(chosen · (1 + others)).
    pub(super) fn set(&mut self, ones: usize, others: impl Iterator<Item = Lanes>, chosen: usize) {
        (self.pods, self.product) = (ones, [1.0; LANES]);
        self.terms.clear();
        self.terms.reserve(chosen + 1);
        // Those of ones alone are binomial coefficients.
        let mut ways = 1.0;
        for degree in 0..=chosen {
            self.terms.push([ways; LANES]);
            ways *= ones.saturating_sub(degree) as f64 / (degree + 1) as f64;
        }
        for weight in others {
            self.pods += 1;
            self.product = product(&self.product, &weight);
            // From the highest degree down, so that a pod is chosen once.
            for degree in (1..self.terms.len()).rev() {
                let (lower, upper) = self.terms.split_at_mut(degree);
                if let (Some(below), Some(term)) = (lower.last(), upper.first_mut()) {
                    for ((term, below), weight) in term.iter_mut().zip(below).zip(&weight) {
                        *term += below * weight;
                    }
                }
            }
        }
    }
}

/// E of both arms' weights, `ways` to choose as many pods of all as the canary has; 1 where an arm
/// has no pod.
pub(super) fn e(baseline: &Weights, canary: &Weights, ways: f64) -> Lanes {
    if baseline.pods == 0 || canary.pods == 0 {
        return [1.0; LANES];
    }
    let mut all = [0.0; LANES];
    // So many of the canary's pods, and the rest of the baseline's.
    let theirs = canary.terms.iter().rev();
    for (own, theirs) in baseline.terms.iter().zip(theirs) {
        for ((all, own), theirs) in all.iter_mut().zip(own).zip(theirs) {
            *all += own * theirs;
        }
    }
    let mut e = canary.product;
    for (e, all) in e.iter_mut().zip(all) {
        *e *= ways / all;
    }
    e
}

#[cfg(test)]
mod tests {
    use super::super::permutation::{self, Scores};
    use super::super::thinning::mix64;
    use super::*;

    /// Guarantees: products give what logarithms give.
    #[test]
    fn agrees_with_scores() {
        let uniform = |key: u64| (mix64(mix64(key)) >> 11) as f64 / (1u64 << 53) as f64;
        for case in 0..500 {
            let pods = (1 + case as usize % 9, 1 + case as usize / 9 % 4);
            let base: Lanes =
                std::array::from_fn(|lane| 0.1 + 4.0 * uniform(case * 100 + lane as u64));
            let count = |pod: usize| (20.0 * uniform(case * 100 + 50 + pod as u64) - 6.0) as u64;
            let (mut baseline, mut canary) = (Weights::default(), Weights::default());
            let all = pods.0 + pods.1;
            let set = |arm: &mut Weights, range: std::ops::Range<usize>| {
                let ones = range.clone().filter(|&pod| count(pod) == 0).count();
                let others = range.filter(|&pod| count(pod) > 0);
                arm.set(ones, others.map(|pod| power(&base, count(pod))), pods.1);
            };
            set(&mut baseline, 0..pods.0);
            set(&mut canary, pods.0..all);
            let choices = permutation::log_choose(all, pods.1);
            let found = e(&baseline, &canary, libm::exp(choices));
            for (found, base) in found.into_iter().zip(base) {
                let scores = |pods: std::ops::Range<usize>| {
                    pods.map(|pod| count(pod) as f64 * libm::log(base))
                };
                let mut arms = (Scores::default(), Scores::default());
                arms.0.set(scores(0..pods.0), pods.1);
                arms.1.set(scores(pods.0..all), pods.1);
                let expected = permutation::log_e(&arms.0, &arms.1, choices);
                let found = libm::log(found);
                assert!((found - expected).abs() < 1e-10, "{found}, not {expected}");
            }
        }
    }
}
