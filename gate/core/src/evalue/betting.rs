//! A limit on a bounded mean, judged on the canary alone: a gambler who stakes fixed shares of what
//! he has.
//!
//! In each cell a share c of the wealth is put on x/m, x in [0, 1] being what was seen and m the
//! limit of its mean, so that the wealth is multiplied by 1 − c + c·x/m.
//!
//! Source: Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by betting";
//! docs/statistics.md, section 6.5.
//! Assumption: none but the bounds. With μ the mean of x given the past, the wealth over
//! ∏ (1 − c + c·μ/m) has mean 1, and as the logarithm is concave that product is at most 1 wherever
//! the mean of μ so far is at most m. This needs c to be the same in every cell.
//! Reference: `tests/check/limits.py`.

/// Shares of the wealth that are staked; all weigh the same. None is 1, which one idle cell ruins.
pub const SHARES: [f64; 4] = [0.1, 0.3, 0.6, 0.9];

/// ln E, by share, of values in [0, 1] against a limit of their mean.
#[derive(Clone, Debug, PartialEq)]
pub struct Betting {
    limit: f64,
    log_e: Vec<f64>,
}

impl Betting {
    /// Tests whether the mean is above `limit`, in (0, 1].
    pub fn new(limit: f64) -> Self {
        Self {
            limit: limit.clamp(1e-6, 1.0),
            log_e: vec![0.0; SHARES.len()],
        }
    }

    /// Judges one cell. What is above 1 counts as 1, which only lowers the mean.
    pub fn step(&mut self, x: f64) {
        let x = x.clamp(0.0, 1.0);
        for (sum, share) in self.log_e.iter_mut().zip(SHARES) {
            *sum += libm::log1p(share * (x / self.limit - 1.0));
        }
    }

    /// Goes on from the ln E of an earlier one; false when that had other shares.
    #[must_use]
    pub fn restore(&mut self, log_e: Vec<f64>) -> bool {
        let fits = log_e.len() == self.log_e.len();
        self.log_e = log_e;
        fits
    }

    /// ln E of each share so far.
    pub fn log_e(&self) -> &[f64] {
        &self.log_e
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wealth_is_that_of_the_closed_form() {
        let mut test = Betting::new(0.8);
        for x in [1.0, 0.5, 2.0, -1.0] {
            test.step(x);
        }
        for (log_e, c) in test.log_e().iter().zip(SHARES) {
            let up = 1.0 - c + c / 0.8;
            let expected = libm::log(up * (1.0 - c + c * 0.5 / 0.8) * up * (1.0 - c));
            assert!((log_e - expected).abs() < 1e-12, "{c}: {log_e}");
        }
    }

    /// Whatever the values do, they don't speak against a limit that their own mean keeps.
    #[test]
    fn a_mean_within_the_limit_is_never_evidence() {
        let mut test = Betting::new(0.5);
        for cell in 0..400 {
            test.step(if cell % 40 < 20 { 0.0 } else { 1.0 });
            let most = test.log_e().iter().copied().fold(f64::MIN, f64::max);
            assert!(most <= 1e-12, "cell {cell}: {most}");
        }
    }
}
