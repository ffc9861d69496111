//! The capped binomial likelihood ratio of two counts, for proving a rate ratio below a limit.
//!
//! Given their sum, the canary's count is binomial with θ(r) = r·n_c / (r·n_c + n_b).
//!
//! Source: docs/statistics.md, section 6.2. Capping by ln 5 keeps E[E] ≤ 1 and bounds what one
//! cluster of errors can do.
//! Assumption: counts are Poisson given the past; what they have beyond is divided out as φ.
//! Reference: `tests/reference/rollouts.json`, section `lr_log_e`.

use crate::elementary::ln;

/// ln 5: the most that one cell may say.
pub const CAP: f64 = 1.609_437_912_434_100_3;

/// Counts of both arms in one cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// Events of the canary.
    pub canary_events: f64,
    /// Requests of the canary, above 0.
    pub canary_requests: f64,
    /// Events of the baseline.
    pub baseline_events: f64,
    /// Requests of the baseline, above 0.
    pub baseline_requests: f64,
}

/// An alternative to a ratio: a factor of it and that factor's logarithm.
pub type Alternative = (f64, f64);

/// Adds to `log_e` the ln E of each alternative to `ratio`.
pub fn add(pair: Pair, ratio: f64, alternatives: &[Alternative], log_e: &mut [f64]) {
    for (sum, &alternative) in log_e.iter_mut().zip(alternatives) {
        *sum += self::log_e(pair, ratio, alternative);
    }
}

/// ln E of an alternative to `ratio`.
///
/// With D(ρ) = ρ·n_c + n_b, θ(ρ')/θ(ρ) is ρ'/ρ · D(ρ)/D(ρ') and the complement's ratio is
/// D(ρ)/D(ρ'), which leaves one logarithm.
pub fn log_e(pair: Pair, ratio: f64, (factor, tilt): Alternative) -> f64 {
    let expected = |ratio: f64| ratio * pair.canary_requests + pair.baseline_requests;
    let others = ln(expected(ratio) / expected(ratio * factor));
    let canary = pair.canary_events * (tilt + others);
    CAP.min(canary + pair.baseline_events * others)
}

/// θ: the share of all events that the canary is expected to have at a rate ratio.
pub fn canary_share(canary_requests: f64, baseline_requests: f64, ratio: f64) -> f64 {
    ratio * canary_requests / (ratio * canary_requests + baseline_requests)
}

/// Kullback-Leibler divergence of Bernoulli(p) from Bernoulli(q), p and q in (0, 1).
pub fn divergence(p: f64, q: f64) -> f64 {
    p * libm::log(p / q) + (1.0 - p) * libm::log((1.0 - p) / (1.0 - q))
}
