//! Each test's kernel against values of another implementation, and each comparator on cells made
//! by hand.
//!
//! Values marked scipy were computed with scipy 1.17.1 and numpy 2.4.6, each by the call named.

use davy_gate_core::sketch::Sketch;

use super::repeated_z::{Shares, z_of_ratio};
use super::sequential_mean::{Sample, uplift};
use super::{cdf_band, mann_whitney, *};

#[track_caller]
fn near(found: f64, expected: f64) {
    let off = (found - expected).abs();
    assert!(
        off < 1e-9 * expected.abs().max(1.0),
        "{found}, not {expected}"
    );
}

fn sorted(points: &[f64]) -> Vec<f64> {
    let mut points = points.to_vec();
    points.sort_by(f64::total_cmp);
    points
}

const X: [f64; 9] = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30];
const Y: [f64; 9] = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.13, 1.29];

/// scipy: the z of `mannwhitneyu(x - shift, y, method="asymptotic", use_continuity=True)`, which
/// corrects for ties too.
#[test]
fn mann_whitney_z_is_scipys() {
    let tied = (
        [0.0, 0.0, 0.01, 0.02, 0.02, 0.03],
        [0.0, 0.0, 0.0, 0.0, 0.01, 0.01, 0.02],
    );
    let z = |x: &[f64], y: &[f64], shift| {
        mann_whitney::z_at(&sorted(x), &sorted(y), shift).expect("not all tied")
    };
    near(z(&X, &Y, 0.0), 1.502_688_234_205_554_8);
    near(z(&X, &Y, 0.5), 0.265_180_276_624_509_8);
    near(z(&Y, &X, 0.0), -1.502_688_234_205_554_8);
    near(z(&tied.0, &tied.1, 0.0), 1.140_936_303_011_715_4);
    near(z(&tied.0, &tied.1, 0.005), 0.218_217_890_235_992_3);
    assert_eq!(mann_whitney::z_at(&[1.0, 1.0], &[1.0], 0.0), None);
}

/// scipy: the roots of the same z (ranks by `rankdata`) at the 99 % quantile and at 0; the estimate
/// is the median of all differences.
#[test]
fn mann_whitney_difference_is_hodges_and_lehmanns() {
    let found = mann_whitney::difference(&sorted(&X), &sorted(&Y)).expect("points");
    near(found.low, -0.56);
    near(found.estimate, 0.56);
    let found =
        mann_whitney::difference(&sorted(&X.map(|x| x + 2.0)), &sorted(&Y)).expect("points");
    near(found.low, 1.44);
    near(found.estimate, 2.56);
    assert_eq!(mann_whitney::difference(&[], &Y), None);
}

/// Guarantees: error rates that are mostly 0 in both arms differ by nothing, though z jumps at 0.
#[test]
fn tied_zeros_are_no_difference() {
    let mut canary = vec![0.0; 30];
    canary.extend([0.002, 0.004, 0.006]);
    let found = mann_whitney::difference(&canary, &[0.0; 33]).expect("points");
    assert!(found.low <= 0.0, "{found:?}");
}

/// The formulas of gbstats, written again in Python: a latency of 50 ms against 60, errors of
/// 0.12 % against 0.45, and the first at 5 %.
#[test]
fn uplift_is_growthbooks() {
    let sample = |n, sum, squares| Sample { n, sum, squares };
    let (slow, slower) = (sample(4_000.0, 200.0, 14.0), sample(1_000.0, 60.0, 5.0));
    let (few, more) = (sample(1e5, 120.0, 120.0), sample(25e3, 112.0, 112.0));
    for (canary, baseline, alpha, mean, width) in [
        (slower, slow, 0.01, 0.2, 0.089_061_189_889_240_42),
        (
            more,
            few,
            0.01,
            2.733_333_333_333_333,
            1.793_326_997_019_020_7,
        ),
        (slower, slow, 0.05, 0.2, 0.073_768_938_731_321_93),
    ] {
        let found = uplift(canary, baseline, alpha).expect("variance");
        near(found.0, mean);
        near(found.1, width);
    }
    assert_eq!(uplift(Sample::default(), slow, 0.01), None);
}

/// At the ratio 1 the square of z is Pearson's χ² without correction (scipy:
/// `chi2_contingency([[20, 980], [40, 3960]], correction=False)`); at others by the formula.
#[test]
fn z_of_a_ratio_is_the_score_test() {
    let z = |canary_events, canary, baseline_events, baseline, ratio| {
        let shares = Shares {
            canary_events,
            canary,
            baseline_events,
            baseline,
        };
        z_of_ratio(shares, ratio)
    };
    near(z(20, 1_000, 40, 4_000, 1.0), 2.597_621_667_330_655_4);
    near(z(45, 10_000, 48, 40_000, 1.25), 5.570_743_762_674_034);
    near(z(12, 10_000, 48, 40_000, 3.0), -3.580_998_947_996_071_5);
    near(z(10, 1_000, 40, 4_000, 1.0), 0.0);
    near(z(0, 1_000, 0, 4_000, 1.0), 0.0);
}

/// `confseq`'s own test: `empirical_process_lil_bound(1000, .05, 100, 0.85)` is 0.08204769, whose C
/// is 8.12272; ours is at 0.5 %.
#[test]
fn the_band_is_confseqs() {
    let found = cdf_band::half_width(1_000, 8.122_719_345_952_646);
    assert!((found - 0.082_047_69).abs() < 1e-6, "{found}");
    near(
        cdf_band::half_width(100_000, 9.783_365_215_422_236),
        0.009_253_377_020_521_938,
    );
    assert_eq!(cdf_band::half_width(99, 9.0), f64::INFINITY);
}

const LIMITS: AllLimits = AllLimits {
    latency: Limits {
        above: 1.10,
        below: 1.25,
    },
    exceedance: Limits {
        above: 1.5,
        below: 3.0,
    },
    errors: Limits {
        above: 1.25,
        below: 3.0,
    },
    cpu: Limits {
        above: 1.10,
        below: 1.15,
    },
};

/// An arm of `requests` at 100 ms, but for 5 % at `slow` seconds.
fn arm(requests: u64, slow: f64, errors: u64) -> Arm {
    let mut sketch = Sketch::Empty;
    for i in 0..requests {
        sketch.add(if i % 20 == 0 { slow } else { 0.1 }, 5);
    }
    let mut latency = Histogram::default();
    latency.add(&sketch);
    Arm {
        requests,
        errors,
        latency,
        cpu_seconds: 0.004 * requests as f64,
        cpu_of_pods: vec![0.004],
    }
}

/// The verdict of a method, and after how many of 360 cells that are all alike.
fn run(method: Method, canary: &Arm, baseline: &Arm) -> (Verdict, usize) {
    let mut comparator = method.comparator(LIMITS).expect("a comparator");
    let cell = Observed {
        baseline: baseline.clone(),
        canary: canary.clone(),
    };
    for cells in 1..=360 {
        let verdict = comparator.step(&cell);
        if verdict != Verdict::Undecided {
            return (verdict, cells);
        }
    }
    (comparator.end(), 360)
}

#[test]
fn a_canary_that_is_twice_as_slow_is_rolled_back() {
    let (baseline, canary) = (arm(800, 0.3, 1), arm(200, 0.6, 0));
    for (method, cells) in [
        (Method::ThresholdOnce, 12),
        (Method::ThresholdThrice, 36),
        (Method::MannWhitney, 12),
    ] {
        assert_eq!(run(method, &canary, &baseline), (Verdict::Rollback, cells));
    }
    for method in [Method::RepeatedZ, Method::CdfBand] {
        assert_eq!(
            run(method, &canary, &baseline).0,
            Verdict::Rollback,
            "{method:?}"
        );
    }
}

#[test]
fn equal_arms_are_approved_at_the_end_or_never() {
    let (baseline, canary) = (arm(800, 0.3, 4), arm(200, 0.3, 1));
    for (method, verdict) in [
        (Method::ThresholdOnce, Verdict::Approve),
        (Method::ThresholdThrice, Verdict::Approve),
        (Method::MannWhitney, Verdict::Approve),
        (Method::CdfBand, Verdict::Undecided),
    ] {
        assert_eq!(
            run(method, &canary, &baseline),
            (verdict, 360),
            "{method:?}"
        );
    }
}

#[test]
fn a_failure_in_between_starts_the_count_anew() {
    let (baseline, good, bad) = (arm(800, 0.3, 4), arm(200, 0.3, 1), arm(200, 0.6, 1));
    let mut threshold = Threshold::new(LIMITS, 3);
    let mut minute = |canary: &Arm| {
        let cell = Observed {
            baseline: baseline.clone(),
            canary: canary.clone(),
        };
        (0..12).map(|_| threshold.step(&cell)).last()
    };
    for canary in [&bad, &bad, &good, &bad, &bad] {
        assert_eq!(minute(canary), Some(Verdict::Undecided));
    }
    assert_eq!(minute(&bad), Some(Verdict::Rollback));
}

#[test]
fn a_histogram_finds_its_quantiles() {
    let mut sketch = Sketch::explicit(vec![0.1, 0.2, 0.4], vec![50, 40, 9, 1]).expect("fits");
    let mut histogram = Histogram::default();
    histogram.add(&sketch);
    assert_eq!(
        (histogram.total(), histogram.above(0), histogram.above(2)),
        (100, 50, 1)
    );
    assert_eq!(histogram.edge(0.01), Some(2));
    near(histogram.quantile_above(0.10).expect("requests"), 0.2);
    near(histogram.quantile_above(0.055).expect("requests"), 0.3);
    assert_eq!(histogram.shift(1.25, true), 0);
    sketch = Sketch::exponential(0, 0, -2, vec![3, 1]).expect("fits");
    let mut histogram = Histogram::default();
    histogram.add(&sketch);
    histogram.add(&Sketch::exponential(0, 0, -4, vec![4]).expect("fits"));
    assert_eq!(
        (histogram.total(), histogram.above(-4), histogram.edge(0.2)),
        (8, 4, Some(-2))
    );
    near(histogram.quantile_above(0.125).expect("requests"), 0.5);
    assert_eq!(
        (histogram.shift(1.5, true), histogram.shift(1.5, false)),
        (1, 0)
    );
}
