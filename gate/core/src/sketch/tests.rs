//! What sketches promise: exact merging, bounded memory, quantiles inside their bucket.

use proptest::prelude::*;

use super::*;
use crate::normalize::{latency_of, sketch_of};

fn exponential(scale: i32, offset: i32, counts: &[u64]) -> Sketch {
    Sketch::exponential(scale, 0, offset, counts.to_vec()).expect("fits")
}

#[track_caller]
fn check_merge(a: &Sketch, b: &Sketch, expected: &Result<&Sketch, SketchError>) {
    let mut merged = a.clone();
    let result = merged.merge(b);
    assert_eq!(&result.map(|()| &merged), expected);
}

#[test]
fn scales_reconcile_by_downscaling_and_other_differences_are_refused() {
    let fine = exponential(1, -1, &[1, 2, 4]); // buckets -1, 0, 1
    check_merge(
        &fine,
        &exponential(0, 0, &[8]),
        &Ok(&exponential(0, -1, &[1, 14])),
    );
    check_merge(&Sketch::Empty, &fine, &Ok(&fine));
    check_merge(&fine, &Sketch::Empty, &Ok(&fine));
    let explicit = Sketch::explicit(vec![0.1, 0.2], vec![1, 2, 3]).expect("fits");
    let other = Sketch::explicit(vec![0.1, 0.3], vec![1, 2, 3]).expect("fits");
    check_merge(&explicit, &other, &Err(SketchError::BoundsDiffer));
    check_merge(&explicit, &fine, &Err(SketchError::KindsDiffer));
    let twice = Sketch::explicit(vec![0.1, 0.2], vec![2, 4, 6]).expect("fits");
    check_merge(&explicit, &explicit, &Ok(&twice));
}

#[test]
fn what_does_not_fit_is_refused() {
    let misfit = |bounds: &[f64], counts: &[u64]| {
        Sketch::explicit(bounds.to_vec(), counts.to_vec()).expect_err("must be refused")
    };
    assert_eq!(
        misfit(&[0.1], &[1]),
        SketchError::Misfit {
            bounds: 1,
            counts: 1
        }
    );
    assert_eq!(
        misfit(&[0.2, 0.1], &[1, 1, 1]),
        SketchError::Misfit {
            bounds: 2,
            counts: 3
        }
    );
    assert_eq!(
        misfit(&[f64::NAN], &[1, 1]),
        SketchError::Misfit {
            bounds: 1,
            counts: 2
        }
    );
    // 2^(2^21) s, which no float holds: one more would need a scale below -10.
    for (scale, offset) in [(3, 1 << 24), (0, 1 << 29), (-10, 1 << 20), (-10, -4)] {
        let far = Sketch::exponential(scale, 0, offset, vec![1]);
        assert_eq!(
            far,
            Err(SketchError::TooLarge { buckets: 1 }),
            "{scale}, {offset}"
        );
    }
    for scale in -10..=20 {
        let mut widest = Sketch::Empty;
        widest.add(f64::MIN_POSITIVE, scale);
        widest.add(f64::MAX, scale);
        let again = sketch_of(&latency_of(&widest).expect("two requests"));
        assert_eq!(again.map(|sketch| sketch.total()), Ok(2), "{scale}");
    }
    let scale = Sketch::exponential(21, 0, 0, vec![]);
    assert_eq!(scale, Err(SketchError::Scale { scale: 21 }));
    let far = Sketch::exponential(0, 0, i32::MAX, vec![1]);
    assert_eq!(far, Err(SketchError::TooLarge { buckets: 1 }));
}

#[test]
fn buckets_are_open_below_and_closed_above() {
    let mut sketch = Sketch::Empty;
    for seconds in [0.5, 1.0, 1.5, 2.0, 2.5] {
        sketch.add(seconds, 0);
    }
    assert_eq!(sketch, exponential(0, -2, &[1, 1, 2, 1]));
    assert_eq!(
        (
            sketch.count_above(-1),
            sketch.count_above(0),
            sketch.total()
        ),
        (3, 1, 5)
    );
}

#[test]
fn quantile_of_the_open_bucket_says_so() {
    let sketch = Sketch::explicit(vec![0.1, 0.2], vec![10, 80, 10]).expect("fits");
    let open = QuantileEstimate {
        value: 0.2,
        low: 0.2,
        high: f64::INFINITY,
    };
    assert_eq!(sketch.quantile(0.99), Some(open));
    let half = sketch.quantile(0.5).expect("not empty");
    assert!((half.value - 0.15).abs() < 1e-12, "{half:?}");
    assert_eq!(Sketch::Empty.quantile(0.5), None);
}

proptest! {
    #[test]
    fn merging_loses_nothing_and_memory_is_bounded(
        values in proptest::collection::vec((1e-9f64..1e9, 0i32..12), 1..200)
    ) {
        let (mut one, mut sum) = (Sketch::Empty, Sketch::Empty);
        for &(seconds, scale) in &values {
            one.add(seconds, 8);
            let mut part = Sketch::Empty;
            part.add(seconds, scale);
            sum.merge(&part).expect("same kind");
        }
        prop_assert_eq!(one.total(), values.len() as u64);
        prop_assert_eq!(sum.total(), values.len() as u64);
        let Sketch::Exponential(kept) = &one else { unreachable!() };
        prop_assert!(kept.counts().len() <= MAX_BUCKETS);
        let q = one.quantile(0.99).expect("not empty");
        prop_assert!(q.low <= q.value && q.value <= q.high);
        let mut sorted: Vec<f64> = values.iter().map(|v| v.0).collect();
        sorted.sort_by(f64::total_cmp);
        let rank = (0.99 * sorted.len() as f64).ceil() as usize - 1;
        prop_assert!(q.low * (1.0 - 1e-9) <= sorted[rank] && sorted[rank] <= q.high * (1.0 + 1e-9));
    }
}

/// What is counted as longer took longer, and as few as possible are left out.
#[test]
fn requests_are_counted_above_the_lowest_edge_that_is_no_less() {
    let octaves = exponential(0, -3, &[1, 2, 4, 8]); // above 1/8, 1/4, 1/2 and 1 s
    let explicit = Sketch::explicit(vec![0.1, 0.25, 0.5], vec![1, 2, 4, 8]).expect("fits");
    let check = |sketch: &Sketch, seconds, expected: Option<(u64, f64)>| {
        assert_eq!(sketch.longer_than(seconds), expected, "{seconds}");
    };
    check(&octaves, 0.25, Some((14, 0.25)));
    check(&octaves, 0.25 + 1e-6, Some((12, 0.5)));
    check(&octaves, 0.01, Some((15, 0.015_625)));
    check(&octaves, 3.0, Some((0, 4.0)));
    check(&explicit, 0.25, Some((12, 0.25)));
    check(&explicit, 0.3, Some((8, 0.5)));
    check(&explicit, 0.51, None);
    check(&Sketch::Empty, 0.3, Some((0, 0.3)));
}
