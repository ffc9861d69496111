//! The generator against its authors' values, the distributions against their moments.

use super::*;

/// Mean and variance of `n` draws.
fn moments(n: u32, mut draw: impl FnMut() -> f64) -> (f64, f64) {
    let (mut sum, mut squares) = (0.0, 0.0);
    for _ in 0..n {
        let x = draw();
        sum += x;
        squares += x * x;
    }
    let mean = sum / f64::from(n);
    (mean, squares / f64::from(n) - mean * mean)
}

/// Values of the C program of xoshiro256++ from the state 1, 2, 3, 4.
#[test]
fn bits_are_those_of_xoshiro256_plus_plus() {
    let mut chance = Chance {
        state: [1, 2, 3, 4],
        spare: None,
    };
    let expected = [
        41_943_041,
        58_720_359,
        3_588_806_011_781_223,
        3_591_011_842_654_386,
        9_228_616_714_210_784_205,
        9_973_669_472_204_895_162,
        14_011_001_112_246_962_877,
        12_406_186_145_184_390_807,
        15_849_039_046_786_891_736,
        10_450_023_813_501_588_000,
    ];
    for value in expected {
        assert_eq!(chance.bits(), value);
    }
}

#[test]
fn streams_differ_and_repeat() {
    let first = |seed, stream| Chance::new(seed, stream).bits();
    assert_eq!(first(1, 2), first(1, 2));
    assert_ne!(first(1, 2), first(1, 3));
    assert_ne!(first(1, 2), first(2, 2));
    assert_ne!(first(1, 2), first(2, 1));
}

/// Tolerances are five standard errors of the mean, and of the variance of a distribution whose
/// fourth moment is that of a Poisson, an exponential or a normal.
#[test]
fn distributions_have_their_moments() {
    const N: u32 = 200_000;
    let mut chance = Chance::new(7, 0);
    let check = |name: &str, mean: f64, variance: f64, fourth: f64, found: (f64, f64)| {
        let n = f64::from(N);
        let (of_mean, of_variance) = (
            5.0 * (variance / n).sqrt(),
            5.0 * ((fourth - variance * variance) / n).sqrt(),
        );
        assert!((found.0 - mean).abs() < of_mean, "{name}: mean {}", found.0);
        assert!(
            (found.1 - variance).abs() < of_variance,
            "{name}: variance {}",
            found.1
        );
    };
    for mean in [0.05, 1.0, 9.9, 10.0, 11.5, 40.0, 200.0, 5_000.0] {
        let found = moments(N, || chance.poisson(mean) as f64);
        let fourth = mean * (1.0 + 3.0 * mean);
        check(&format!("Poisson {mean}"), mean, mean, fourth, found);
    }
    let found = moments(N, || chance.normal());
    check("normal", 0.0, 1.0, 3.0, found);
    let found = moments(N, || chance.exponential());
    check("exponential", 1.0, 1.0, 9.0, found);
    let found = moments(N, || chance.uniform());
    check("uniform", 0.5, 1.0 / 12.0, 1.0 / 80.0, found);
    assert_eq!(chance.poisson(0.0) + chance.poisson(f64::NAN), 0);
}

/// The share of zeros and of the mode, which moments alone would not show to be wrong.
#[test]
fn poisson_has_its_probabilities() {
    const N: u32 = 200_000;
    let mut chance = Chance::new(8, 0);
    for (mean, value, probability) in [
        (0.5, 0, 0.606_530_660),
        (2.0, 2, 0.270_670_566),
        (12.0, 12, 0.114_367_916),
        (12.0, 5, 0.012_740_639),
        (200.0, 200, 0.028_197_727),
    ] {
        let hits = (0..N).filter(|_| chance.poisson(mean) == value).count();
        let share = hits as f64 / f64::from(N);
        let error = (probability * (1.0 - probability) / f64::from(N)).sqrt();
        assert!(
            (share - probability).abs() < 5.0 * error,
            "P({value} | {mean}) = {share}"
        );
    }
}

#[test]
fn an_alias_table_keeps_its_weights() {
    let weights = [1.0, 0.0, 3.0, 0.5, 5.5];
    let table = Alias::new(&weights);
    let mut chance = Chance::new(9, 0);
    let mut counts = [0u32; 5];
    for _ in 0..200_000 {
        counts[table.draw(&mut chance)] += 1;
    }
    for (count, weight) in counts.iter().zip(weights) {
        let expected = weight / 10.0 * 200_000.0;
        let error = (expected + 1.0).sqrt();
        assert!(
            (f64::from(*count) - expected).abs() < 5.0 * error,
            "{counts:?}"
        );
    }
    assert_eq!(counts[1], 0);
}
