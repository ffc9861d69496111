//! Thinning a count to Binomial(k, q) without a generator: the draw is a pure function of what is
//! drawn, so the same evidence gives the same verdict on every machine and after every restart.
//!
//! Source: the finaliser of splitmix64 (Steele, Lea, Flood 2014); docs/statistics.md, section 5.2.
//! Assumption: its low-order structure is independent of the evidence.
//! Reference: `tests/reference/rollouts.json`, sections `mix64` and `thin`.

/// Counts over this are thinned by the normal approximation: drawing one by one would let a
/// busy service slow the judge, and the error of the approximation is far below a count's noise.
const EXACT_MAX: u64 = 1 << 16;

/// What is drawn: two draws with the same key are the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Key {
    /// Seed of the rollout.
    pub seed: u64,
    /// Number of the objective's component.
    pub objective: u64,
    /// Number of the cell since the first judged one.
    pub cell: u64,
    /// Slot of the pod times 4096, plus the column of the route.
    pub pod_route: u64,
    /// Number of the draw.
    pub draw: u64,
}

/// One step of splitmix64.
pub fn mix64(z: u64) -> u64 {
    let z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Binomial(`k`, `q`) as drawn for `key`; `q` in [0, 1].
///
/// # Complexity
/// O(min(k, 65,536)).
pub fn thin(k: u64, q: f64, key: Key) -> u64 {
    let mut hash = mix64(key.seed);
    for part in [key.objective, key.cell, key.pod_route, key.draw] {
        hash = mix64(hash ^ part);
    }
    let mut uniform = || {
        hash = mix64(hash);
        (hash >> 11) as f64 * libm::ldexp(1.0, -53)
    };
    if k > EXACT_MAX {
        // The sum of twelve uniforms less 6 is close to a standard normal.
        let normal = (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
        let kept = k as f64 * q + normal * (k as f64 * q * (1.0 - q)).max(0.0).sqrt();
        return (libm::round(kept).max(0.0) as u64).min(k);
    }
    (0..k).map(|_| u64::from(uniform() < q)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_counts_keep_their_share() {
        for draw in 0..8 {
            let key = Key {
                seed: 1,
                objective: 2,
                cell: 3,
                pod_route: 4,
                draw,
            };
            let kept = thin(1_000_000, 0.8, key);
            assert!((798_000..802_000).contains(&kept), "{kept}");
        }
    }
}
