//! Chance from a seed.

/// A generator (SplitMix64, Steele, Lea and Flood 2014).
#[derive(Clone, Debug)]
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    /// Returns true once in `n` times.
    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len())]
    }

    /// Returns any float but NaN of other bits.
    pub(crate) fn float(&mut self) -> f64 {
        match self.below(8) {
            0 => *self.pick(&[0.0, -0.0, 1.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN]),
            1 => *self.pick(&[
                f64::MAX,
                f64::MIN_POSITIVE,
                5e-324,
                1e21,
                9_007_199_254_740_993.0,
            ]),
            2 | 3 => self.below(1_000_000) as f64,
            4 => {
                let any = f64::from_bits(self.next());
                if any.is_nan() { 0.5 } else { any }
            }
            _ => (self.next() >> 11) as f64 / (1u64 << 53) as f64 * 1000.0,
        }
    }
}
