use proptest::prelude::*;

use super::*;

fn buckets(scale: i32, offset: i32, counts: &[u64]) -> Exponential {
    Exponential {
        offset,
        counts: counts.to_vec(),
        ..Exponential::empty(scale)
    }
}

#[test]
fn milliseconds_shift_exponential_buckets_to_seconds() {
    // 230 ms lies in bucket floor(log2(230) · 32) of scale 5; 0.230 s in the one of log2(0.230).
    let index = |value: f64| ((value.log2() * 32.0).ceil() - 1.0) as i32;
    let point = ExponentialHistogramDataPoint {
        scale: 5,
        positive: Some(
            opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets {
                offset: index(230.0),
                bucket_counts: vec![1],
            },
        ),
        ..ExponentialHistogramDataPoint::default()
    };
    let Ok(Distribution::Exponential(read)) = Distribution::exponential(&point, 1e-3) else {
        panic!("readable")
    };
    assert!(
        (read.offset - index(0.230)).abs() <= 1,
        "{} {}",
        read.offset,
        index(0.230)
    );
}

#[test]
fn a_wider_zero_bucket_swallows_small_ones() {
    // Scale 0: buckets (1, 2], (2, 4], (4, 8]; a threshold of 2 swallows the first.
    let earlier = buckets(0, 0, &[1, 2, 3]);
    let mut later = buckets(0, 1, &[2, 4]);
    (later.zero_threshold, later.zero_count) = (2.0, 5);
    let delta = later.since(&earlier).expect("a continuation");
    assert_eq!(
        (delta.zero_count, delta.offset, delta.counts),
        (4, 2, vec![1])
    );
}

#[test]
fn bounds_that_contradict_the_counts_are_refused() {
    let read = |bounds: &[f64], counts: &[u64]| {
        let point = HistogramDataPoint {
            explicit_bounds: bounds.to_vec(),
            bucket_counts: counts.to_vec(),
            ..HistogramDataPoint::default()
        };
        Distribution::explicit(&point, 1.0).map(|d| d.count())
    };
    assert_eq!(read(&[0.1], &[1, 2]), Ok(3));
    assert_eq!(read(&[0.1], &[1]), Err(Refusal::Buckets));
    assert_eq!(read(&[0.2, 0.1], &[1, 2, 3]), Err(Refusal::Buckets));
    assert_eq!(read(&[f64::NAN], &[1, 2]), Err(Refusal::Buckets));
    assert_eq!(read(&[], &[]), Ok(0));
}

proptest! {
    /// What is added in any order and then taken back is what was there before.
    #[test]
    fn since_undoes_add(
        offset_a in -300..300_i32, a in prop::collection::vec(0..9_u64, 0..40),
        offset_b in -300..300_i32, b in prop::collection::vec(0..9_u64, 0..40),
        scale in 0..8_i32, coarser in 0..4_i32,
    ) {
        let mut a = buckets(scale, offset_a, &a);
        let b = buckets(scale + coarser, offset_b, &b);
        a.trim();
        let mut sum = a.clone();
        sum.add(&b);
        let count = |e: &Exponential| e.counts.iter().sum::<u64>();
        prop_assert_eq!(count(&sum), count(&a) + count(&b));
        let mut expected = b.clone();
        expected.coarsen(scale);
        expected.trim();
        let delta = sum.since(&a).expect("a continuation");
        prop_assert_eq!(&delta.counts, &expected.counts);
        prop_assert!(delta.counts.is_empty() || delta.offset == expected.offset);
    }
}
