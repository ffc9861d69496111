//! exp and ln as the judge needs them thousands of times a cell: libm's own algorithm without its
//! special cases, short enough to be inlined.
//!
//! Source: FreeBSD's `e_exp.c` and `e_log.c` (Sun Microsystems 1993), as the crate libm has them.
//! The results are libm's to the bit, on every machine: only what libm does for arguments that do
//! not occur here is left to it.

/// ln 2 in two parts: multiples of the first up to 2^10 are exact.
const LN2_HI: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
const LN2_LO: f64 = f64::from_bits(0x3dea_39ef_3579_3c76);
/// Coefficients of x·coth(x/2), in x².
const P: [f64; 5] = [
    f64::from_bits(0x3fc5_5555_5555_553e),
    f64::from_bits(0xbf66_c16c_16be_bd93),
    f64::from_bits(0x3f11_566a_af25_de2c),
    f64::from_bits(0xbebb_bd41_c5d2_6bf1),
    f64::from_bits(0x3e66_3769_72be_a4d0),
];
/// Coefficients of ln((1 + s) / (1 − s)), in s².
const LG: [f64; 7] = [
    f64::from_bits(0x3fe5_5555_5555_5593),
    f64::from_bits(0x3fd9_9999_9997_fa04),
    f64::from_bits(0x3fd2_4924_9422_9359),
    f64::from_bits(0x3fcc_71c5_1d8e_78af),
    f64::from_bits(0x3fc7_4664_96cb_03de),
    f64::from_bits(0x3fc3_9a09_d078_c69f),
    f64::from_bits(0x3fc2_f112_df3e_5244),
];
/// 2^-28: below it e^x is 1 + x.
const SMALL: f64 = f64::from_bits(0x3e30_0000_ffff_ffff);
/// The upper half of ½ ln 2's bits: up to there an argument needs no reduction.
const HALF_LN2: u64 = 0x3fd6_2e42;

/// e^x.
#[inline]
pub(crate) fn exp(x: f64) -> f64 {
    // Beyond these the result is not a normal number; a NaN is neither.
    if !(-708.0..=709.0).contains(&x) {
        return libm::exp(x);
    }
    if x.abs() <= SMALL {
        return 1.0 + x;
    }
    let k = if (x.abs().to_bits() >> 32) > HALF_LN2 {
        (std::f64::consts::LOG2_E * x + 0.5_f64.copysign(x)) as i32
    } else {
        0
    };
    let high = x - f64::from(k) * LN2_HI;
    let low = f64::from(k) * LN2_LO;
    let x = high - low;
    let square = x * x;
    let [p1, p2, p3, p4, p5] = P;
    let c = x - square * (p1 + square * (p2 + square * (p3 + square * (p4 + square * p5))));
    let y = 1.0 + (x * c / (2.0 - c) - low + high);
    y * f64::from_bits(((1023 + k) as u64) << 52)
}

/// ln x.
#[inline]
pub(crate) fn ln(x: f64) -> f64 {
    if !(f64::MIN_POSITIVE..=f64::MAX).contains(&x) {
        return libm::log(x);
    }
    // x is 2^k·m, m in [√½, √2].
    const SQRT_HALF: u64 = 0x3fe6_a09e << 32;
    const ONE: u64 = 0x3ff0_0000 << 32;
    let bits = x.to_bits() + (ONE - SQRT_HALF);
    let k = (bits >> 52) as f64 - 1023.0;
    let m = f64::from_bits((bits & ((1 << 52) - 1)) + SQRT_HALF);
    let f = m - 1.0;
    let half = 0.5 * f * f;
    let s = f / (2.0 + f);
    let z = s * s;
    let w = z * z;
    let [l1, l2, l3, l4, l5, l6, l7] = LG;
    let even = w * (l2 + w * (l4 + w * l6));
    let odd = z * (l1 + w * (l3 + w * (l5 + w * l7)));
    s * (half + (odd + even)) + k * LN2_LO - half + f + k * LN2_HI
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guarantees: libm's bits, near and far from the edges of each branch.
    #[test]
    fn results_are_libms_to_the_bit() {
        let mut arguments = vec![
            0.0,
            -0.0,
            1.0,
            0.5 * std::f64::consts::LN_2,
            -0.5 * std::f64::consts::LN_2,
            1.5 * std::f64::consts::LN_2,
            1e-12,
            -1e-300,
            f64::MIN_POSITIVE,
            5e-324,
            1e-300,
            -708.0,
            -708.5,
            -746.0,
            709.0,
            709.7,
            710.0,
            f64::MAX,
            f64::INFINITY,
            f64::NEG_INFINITY,
        ];
        let mut at = 1;
        for _ in 0..200_000 {
            at = crate::evalue::thinning::mix64(at);
            let unit = (at >> 11) as f64 / (1_u64 << 53) as f64;
            for scale in [1.0, 30.0, 1500.0] {
                arguments.push((unit - 0.5) * scale);
            }
            arguments.push(f64::from_bits(at));
        }
        for x in arguments.into_iter().filter(|x| !x.is_nan()) {
            let (found, expected) = (exp(x), libm::exp(x));
            assert_eq!(found.to_bits(), expected.to_bits(), "exp({x:e})");
            let (found, expected) = (ln(x), libm::log(x));
            let same = found.to_bits() == expected.to_bits() || (x < 0.0 && found.is_nan());
            assert!(same, "ln({x:e}): {found:e}, not {expected:e}");
        }
        assert!(exp(f64::NAN).is_nan() && ln(f64::NAN).is_nan());
    }
}
