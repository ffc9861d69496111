//! An absolute limit on a rate, judged on the canary alone: a Bernoulli likelihood ratio.
//!
//! Source: Wald 1945; docs/statistics.md, section 6.3.
//! Assumption: requests fail independently given the past; what errors have of memory and clusters
//! is divided out as φ, and one cell says at most ln 5.
//! Reference: none in the tables; the tests below compare with the closed form.

use super::likelihood::CAP;

/// ln E of an alternative that can't be true any more.
const REFUTED: f64 = -1e300;

/// ln E, by alternative, of events among requests against a rate that is the limit.
#[derive(Clone, Debug, PartialEq)]
pub struct Bernoulli {
    limit: f64,
    alternatives: Vec<f64>,
    log_e: Vec<f64>,
}

impl Bernoulli {
    /// Tests whether the rate is beyond `limit`, in (0, 1); the alternatives are `factors` of it.
    pub fn new(limit: f64, factors: &[f64]) -> Self {
        let limit = limit.clamp(1e-9, 0.999);
        let alternatives = factors
            .iter()
            .map(|f| (f * limit).clamp(0.0, 0.9995))
            .collect();
        Self {
            limit,
            alternatives,
            log_e: vec![0.0; factors.len()],
        }
    }

    /// Tests whether the rate is above `limit`, in (0, 1); the alternatives have so many times its
    /// odds. Of a small limit odds are the rate, and of one near 1 the alternatives stay below 1.
    pub fn by_odds(limit: f64, factors: &[f64]) -> Self {
        let mut test = Self::new(limit, factors);
        let odds = test.limit / (1.0 - test.limit);
        let rate = |factor: &f64| odds * factor / (1.0 + odds * factor);
        test.alternatives = factors.iter().map(rate).collect();
        test
    }

    /// Judges one cell: `events` of `requests`.
    pub fn step(&mut self, events: u64, requests: u64) {
        let (hits, misses) = (events as f64, requests.saturating_sub(events) as f64);
        for (sum, &p) in self.log_e.iter_mut().zip(&self.alternatives) {
            let hit = if events == 0 {
                0.0
            } else {
                hits * libm::log(p / self.limit)
            };
            let miss = misses * (libm::log1p(-p) - libm::log1p(-self.limit));
            // A finite floor: not all formats know infinity, and it is as good as one.
            *sum = (*sum + CAP.min(hit + miss)).max(REFUTED);
        }
    }

    /// Starts anew.
    pub fn reset(&mut self) {
        self.log_e.fill(0.0);
    }

    /// Goes on from the ln E of an earlier one; false when that had other alternatives.
    #[must_use]
    pub fn restore(&mut self, log_e: Vec<f64>) -> bool {
        let fits = log_e.len() == self.log_e.len();
        self.log_e = log_e;
        fits
    }

    /// ln E of each alternative so far.
    pub fn log_e(&self) -> &[f64] {
        &self.log_e
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_events_the_evidence_is_that_of_the_closed_form() {
        let mut floor = Bernoulli::new(0.001, &[0.0, 0.5]);
        for _ in 0..46 {
            floor.step(0, 100);
        }
        let zero = -4600.0 * libm::log(0.999);
        let half = 4600.0 * libm::log(0.9995 / 0.999);
        assert!((floor.log_e()[0] - zero).abs() < 1e-9, "{floor:?}");
        assert!((floor.log_e()[1] - half).abs() < 1e-9, "{floor:?}");
        floor.step(1, 100);
        assert_eq!(floor.log_e()[0], REFUTED, "an error refutes a rate of zero");
    }

    #[test]
    fn alternatives_by_odds_stay_below_one() {
        let mut rare = Bernoulli::by_odds(0.001, &[2.0]);
        let mut even = Bernoulli::by_odds(0.5, &[2.0]);
        rare.step(3, 1000);
        even.step(5, 6);
        let of = |p: f64, limit: f64, k: f64, n: f64| {
            k * libm::log(p / limit) + (n - k) * libm::log((1.0 - p) / (1.0 - limit))
        };
        let p = 0.002 / 1.001;
        assert!((rare.log_e()[0] - of(p, 0.001, 3.0, 1000.0)).abs() < 1e-9);
        assert!((even.log_e()[0] - of(2.0 / 3.0, 0.5, 5.0, 6.0)).abs() < 1e-9);
    }

    #[test]
    fn one_cluster_says_at_most_ln_5() {
        let mut limit = Bernoulli::new(0.0005, &[3.0]);
        limit.step(500, 1000);
        assert_eq!(limit.log_e(), [CAP]);
    }
}
