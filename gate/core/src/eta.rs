//! How long until safety is proved, were the canary no different and traffic as it is.
//!
//! Source: docs/statistics.md, section 8.1: the smallest t with (S + g·(t − now))/κ(t) ≥ ln 1/β.

/// How far ahead an expectation looks, in cells: a day.
pub const HORIZON: u64 = 17_280;

/// Expected cells until a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eta {
    /// So many more cells; 0 when proved.
    Cells(u64),
    /// Not within [`HORIZON`]: there is no traffic, or no information in it.
    NoGrowth,
    /// Not within [`HORIZON`], or never: pods of the baseline differ by more than the tolerance.
    PodsDiffer,
}

impl Eta {
    /// The later of two.
    pub fn later(self, other: Self) -> Self {
        match (self, other) {
            (Self::Cells(a), Self::Cells(b)) => Self::Cells(a.max(b)),
            (Self::Cells(_), none) | (none, _) => none,
        }
    }

    /// Cells, where there is an answer.
    pub fn cells(self) -> Option<u64> {
        match self {
            Self::Cells(cells) => Some(cells),
            Self::NoGrowth | Self::PodsDiffer => None,
        }
    }
}

/// Expects a proof of ln E = `wanted` from `log_e`, uncorrected, after `now` cells, when it grows
/// by `growth` a cell and is divided by `kappa` (t).
///
/// # Complexity
/// O(ln [`HORIZON`]) of `kappa`: evidence over κ is monotone where κ is linear.
pub fn expect(log_e: f64, growth: f64, now: u64, wanted: f64, kappa: impl Fn(u64) -> f64) -> Eta {
    let proved = |t: u64| (log_e + growth * (t - now) as f64) / kappa(t.max(1)) >= wanted;
    if proved(now) {
        return Eta::Cells(0);
    }
    if growth.is_nan() || growth <= 0.0 {
        return Eta::NoGrowth;
    }
    let (mut no, mut step) = (now, 1);
    let yes = loop {
        let t = now + step;
        if proved(t) {
            break t;
        }
        if step >= HORIZON {
            let alike = log_e + growth * step as f64 >= wanted;
            return if alike {
                Eta::PodsDiffer
            } else {
                Eta::NoGrowth
            };
        }
        (no, step) = (t, (step * 2).min(HORIZON));
    };
    let mut range = (no, yes);
    while range.1 - range.0 > 1 {
        let middle = range.0 + (range.1 - range.0) / 2;
        if proved(middle) {
            range.1 = middle;
        } else {
            range.0 = middle;
        }
    }
    Eta::Cells(range.1 - now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expectations_follow_growth_and_memory() {
        assert_eq!(expect(5.0, 0.1, 10, 4.6, |_| 1.0), Eta::Cells(0));
        assert_eq!(expect(0.0, 0.1, 10, 4.6, |_| 1.0), Eta::Cells(46));
        assert_eq!(expect(0.0, 0.1, 10, 4.6, |_| 2.0), Eta::Cells(92));
        assert_eq!(expect(0.0, 0.0, 10, 4.6, |_| 1.0), Eta::NoGrowth);
        assert_eq!(expect(0.0, 0.1, 10, 4.6, |t| t as f64), Eta::PodsDiffer);
        assert_eq!(Eta::Cells(3).later(Eta::NoGrowth).cells(), None);
        assert_eq!(Eta::Cells(3).later(Eta::Cells(5)).cells(), Some(5));
    }
}
