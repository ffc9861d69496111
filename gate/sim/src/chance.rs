//! Chance as an argument: a seeded generator and the few distributions that traffic is made of.
//!
//! Own code rather than `rand` and `rand_distr`: together they bring a dozen crates into
//! `davy-gate` for what is a page here, and `rand_distr` promises no stable values between its
//! versions, which recorded runs need.
//!
//! Sources: xoshiro256++ 1.0 (Blackman and Vigna 2018), seeded by splitmix64 as its authors say;
//! the polar method (Marsaglia and Bray 1964); PTRS (Hörmann, "The transformed rejection method for
//! generating Poisson random variables", 1993); the alias method (Walker 1977, Vose 1991).

use davy_gate_core::evalue::thinning::mix64;

mod alias;

pub use alias::Alias;

/// A generator of xoshiro256++.
#[derive(Clone, Debug, PartialEq)]
pub struct Chance {
    state: [u64; 4],
    spare: Option<f64>,
}

impl Chance {
    /// The generator of `stream` under `seed`: different streams are independent.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut at = mix64(seed) ^ mix64(stream.wrapping_add(0x5851_F42D_4C95_7F2D));
        let state = std::array::from_fn(|_| {
            at = at.wrapping_add(0x9E37_79B9_7F4A_7C15);
            mix64(at)
        });
        Self { state, spare: None }
    }

    /// 64 bits.
    pub fn bits(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        result
    }

    /// Uniform in (0, 1), never an end.
    pub fn uniform(&mut self) -> f64 {
        ((self.bits() >> 12) as f64 + 0.5) / (1u64 << 52) as f64
    }

    /// True with probability `p`.
    pub fn happens(&mut self, p: f64) -> bool {
        self.uniform() < p
    }

    /// Normal, mean 0 and variance 1.
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let (x, y) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let square = x * x + y * y;
            if square < 1.0 && square > 0.0 {
                let scale = (-2.0 * libm::log(square) / square).sqrt();
                self.spare = Some(y * scale);
                return x * scale;
            }
        }
    }

    /// Exponential of mean 1.
    pub fn exponential(&mut self) -> f64 {
        -libm::log(self.uniform())
    }

    /// Poisson of `mean` ≥ 0; 0 of what is not a number.
    pub fn poisson(&mut self, mean: f64) -> u64 {
        if mean.is_nan() || mean <= 0.0 {
            return 0;
        }
        if mean < 10.0 {
            return self.few(mean);
        }
        let root = mean.sqrt();
        let b = 0.931 + 2.53 * root;
        let a = -0.059 + 0.02483 * b;
        let inverse = 1.1239 + 1.1328 / (b - 3.4);
        let quick = 0.9277 - 3.6224 / (b - 2.0);
        let log_mean = libm::log(mean);
        loop {
            let u = self.uniform() - 0.5;
            let v = self.uniform();
            let us = 0.5 - u.abs();
            let k = ((2.0 * a / us + b) * u + mean + 0.43).floor();
            if us >= 0.07 && v <= quick {
                return k as u64;
            }
            if k < 0.0 || (us < 0.013 && v > us) {
                continue;
            }
            let left = libm::log(v) + libm::log(inverse) - libm::log(a / (us * us) + b);
            if left <= k * log_mean - mean - libm::lgamma(k + 1.0) {
                return k as u64;
            }
        }
    }

    /// Poisson of a small mean, by counting arrivals (Knuth, volume 2, 3.4.1).
    fn few(&mut self, mean: f64) -> u64 {
        let end = libm::exp(-mean);
        let (mut count, mut product) = (0, self.uniform());
        while product > end {
            count += 1;
            product *= self.uniform();
        }
        count
    }
}

#[cfg(test)]
mod tests;
