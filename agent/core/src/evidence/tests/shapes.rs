//! Exponential histograms: differences across scales, and which histogram is taken first.

use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint,
};

use super::*;

fn native(time: UnixNanos, scale: i32, zero: u64, offset: i32, counts: &[u64]) -> Metric {
    let point = ExponentialHistogramDataPoint {
        attributes: labels(&[("route", "/a"), ("code", "200")]),
        time_unix_nano: time.nanos(),
        count: zero + counts.iter().sum::<u64>(),
        scale,
        zero_count: zero,
        positive: Some(Buckets {
            offset,
            bucket_counts: counts.to_vec(),
        }),
        ..ExponentialHistogramDataPoint::default()
    };
    metric(
        "http_request_duration_seconds",
        Data::ExponentialHistogram(ExponentialHistogram {
            data_points: vec![point],
            aggregation_temporality: AggregationTemporality::Cumulative as i32,
        }),
    )
}

#[track_caller]
fn check_difference(before: (i32, i32, &[u64]), after: (i32, i32, &[u64]), expected: &str) {
    let mut e = evidence();
    for (second, (scale, offset, counts)) in [(5, before), (10, after)] {
        let native = native(at(second), scale, 0, offset, counts);
        e.observe_metrics(&page(vec![native]), PAGE, at(second));
        if second == 5 {
            e.close(at(5));
        }
    }
    let expected = format!("5..10 http.server.request.duration [/a 200] {expected}");
    check(&mut e, 10, &[&expected]);
}

#[test]
fn exponential_buckets_are_differenced() {
    check_difference(
        (5, -3, &[1, 2]),
        (5, -3, &[1, 3]),
        "scale 5 zero 0 from -2 [1]",
    );
    check_difference(
        (5, -3, &[1, 2]),
        (5, -5, &[4, 0, 1, 2, 0, 9]),
        "scale 5 zero 0 from -5 [4, 0, 0, 0, 0, 9]",
    );
}

#[test]
fn a_coarser_scale_goes_on_from_the_finer_one() {
    // Buckets -3, -2, -1, 0 of scale 5 are -2, -1, -1, 0 of scale 4.
    check_difference(
        (5, -3, &[1, 1, 1, 1]),
        (4, -2, &[1, 3, 1]),
        "scale 4 zero 0 from -1 [1]",
    );
}

#[test]
fn a_finer_scale_or_a_missing_bucket_is_a_reset() {
    check_difference(
        (4, 0, &[5]),
        (5, 0, &[2, 7]),
        "scale 5 zero 0 from 0 [2, 7]",
    );
    check_difference((5, 0, &[5]), (5, 1, &[2]), "scale 5 zero 0 from 1 [2]");
}

#[test]
fn hostile_buckets_are_refused() {
    let mut e = evidence();
    let metrics = vec![
        native(at(5), 5, 0, i32::MAX, &[1, 1, 1]),
        native(at(5), 99, 0, 0, &[1]),
        native(at(5), 5, 0, 0, &vec![1; 5_000]),
    ];
    e.observe_metrics(&page(metrics), PAGE, at(5));
    assert_eq!(
        e.close(at(5)).report.refused.get(&Refusal::Buckets),
        Some(&3)
    );
}

#[test]
fn series_of_far_apart_scales_and_offsets_merge_within_bounds() {
    let mut e = evidence();
    e.observe_metrics(&page(vec![gauge("up", 1.0)]), PAGE, at(5));
    e.close(at(5));
    let far = |zone: &str, offset| {
        let mut metric = native(at(10), 20, 0, offset, &[1]);
        if let Some(Data::ExponentialHistogram(histogram)) = &mut metric.data {
            histogram.data_points[0]
                .attributes
                .push(attributes::string("zone", zone));
        }
        metric
    };
    e.observe_metrics(
        &page(vec![far("x", 1 << 29), far("y", -(1 << 29))]),
        PAGE,
        at(10),
    );
    let request = e.close(at(10)).request.expect("a request");
    let metric = &request.resource_metrics[0].scope_metrics[0].metrics[0];
    let Some(Data::ExponentialHistogram(histogram)) = &metric.data else {
        panic!("a histogram")
    };
    let point = &histogram.data_points[0];
    assert_eq!(point.count, 2);
    assert!(
        point
            .positive
            .as_ref()
            .expect("buckets")
            .bucket_counts
            .len()
            <= 4096
    );
}

#[test]
fn an_exponential_histogram_is_taken_before_a_classic_one() {
    let mut e = evidence();
    for (second, n) in [(5, 1), (10, 4)] {
        let pairs: &[(&str, &str)] = &[("route", "/a"), ("code", "200")];
        let metrics = vec![
            classic(
                "http_request_duration_seconds",
                at(second),
                &[(pairs, [n, 0, 0])],
            ),
            native(at(second), 5, 0, 0, &[n]),
        ];
        e.observe_metrics(&page(metrics), PAGE, at(second));
        if second == 5 {
            e.close(at(5));
        }
    }
    let expected = "5..10 http.server.request.duration [/a 200] scale 5 zero 0 from 0 [3]";
    let closed = check(&mut e, 10, &[expected]);
    let chosen = closed.report.latency.values().next().expect("a choice");
    assert_eq!((chosen.kind, chosen.scale), (Kind::Exponential, Some(5)));
}
