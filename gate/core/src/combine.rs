//! Mixtures of e-values in log space.
//!
//! An average of e-processes with fixed weights is one again, however they depend on each other
//! (docs/statistics.md, section 6.1); a product is not.

use crate::elementary::{exp, ln};

/// ln Σ wᵢ exp(xᵢ) over (xᵢ, wᵢ) in the given order; −∞ of nothing.
pub fn log_mixture(parts: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let highest = parts
        .clone()
        .map(|(x, _)| x)
        .fold(f64::NEG_INFINITY, f64::max);
    if highest == f64::NEG_INFINITY {
        return highest;
    }
    let sum: f64 = parts.map(|(x, w)| w * exp(x - highest)).sum();
    highest + ln(sum)
}

/// ln of the unweighted average of exp(xᵢ / κ); −∞ of nothing.
pub fn log_mean(x: &[f64], kappa: f64) -> f64 {
    let weight = 1.0 / x.len() as f64;
    log_mixture(x.iter().map(|&x| (x / kappa, weight)))
}

/// 1 − 1/E, bounded to [0, 1]: how sure an e-value of ln E = `log_e` is.
pub fn confidence(log_e: f64) -> f64 {
    1.0 - libm::exp(-log_e).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixtures_stay_finite_where_their_parts_overflow() {
        let mixed = log_mixture([(1000.0, 0.25), (-1000.0, 0.75)].into_iter());
        assert!((mixed - (1000.0 + libm::log(0.25))).abs() < 1e-9, "{mixed}");
        assert!(log_mean(&[0.0; 6], 2.0).abs() < 1e-12);
        assert_eq!(log_mixture(std::iter::empty()), f64::NEG_INFINITY);
        assert_eq!((confidence(-3.0), confidence(f64::INFINITY)), (0.0, 1.0));
    }
}
