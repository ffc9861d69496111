//! Native histograms: those of real programs, and tables of spans and differences.

use opentelemetry_proto::tonic::metrics::v1::ExponentialHistogramDataPoint;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message;

use super::*;
use crate::exposition::{self, Options};
use crate::template::Template;

const GOAPP: &[u8] = include_bytes!("../../../../../tests/corpora/goapp.pb");
const PROMETHEUS: &[u8] = include_bytes!("../../../../../tests/corpora/prometheus.pb");

/// What is sent of a page's histograms: name, and the points of either form.
struct Sent {
    native: Vec<(String, ExponentialHistogramDataPoint)>,
    classic: Vec<String>,
    notes: Notes,
}

fn sent(bytes: &[u8]) -> Sent {
    let page = exposition::parse(bytes, None, &Options::LENIENT).unwrap();
    assert_eq!(page.tally.first_bad, None);
    let (metrics, notes) = convert(&page, &Identity::default(), AT);
    let mut sent = Sent {
        native: Vec::new(),
        classic: Vec::new(),
        notes,
    };
    let scopes = metrics.scope_metrics.into_iter();
    for metric in scopes.flat_map(|scope| scope.metrics) {
        match metric.data {
            Some(Data::ExponentialHistogram(data)) => {
                assert_eq!(data.aggregation_temporality, 2);
                let points = data.data_points.into_iter();
                sent.native
                    .extend(points.map(|point| (metric.name.clone(), point)));
            }
            Some(Data::Histogram(_)) => sent.classic.push(metric.name),
            _ => {}
        }
    }
    sent
}

/// One real point: offset, buckets, their sum, the sum of each times its place from 1; start; sum;
/// exemplars.
type Real = ((i32, usize, u64, u64), u64, f64, usize);

#[track_caller]
fn check_real(bytes: &[u8], family: &str, expected: &[Real]) {
    let sent = sent(bytes);
    assert_eq!(sent.notes, Notes::default());
    assert!(!sent.classic.iter().any(|name| name == family));
    let points = sent.native.iter().filter(|(name, _)| name == family);
    let points: Vec<Real> = points
        .map(|(_, point)| {
            assert_eq!(
                (point.scale, point.zero_count, &point.negative),
                (3, 0, &None)
            );
            assert_eq!(point.zero_threshold, 2f64.powi(-128));
            let Buckets {
                offset,
                bucket_counts,
            } = point.positive.as_ref().unwrap();
            let total: u64 = bucket_counts.iter().sum();
            assert_eq!(point.count, total);
            let placed = (1..).zip(bucket_counts).map(|(place, count)| place * count);
            (
                (*offset, bucket_counts.len(), total, placed.sum()),
                point.start_time_unix_nano,
                point.sum.unwrap(),
                point.exemplars.len(),
            )
        })
        .collect();
    assert_eq!(points, expected);
}

/// Source of the numbers: the same pages decoded in Python by field numbers, without this code.
#[test]
fn real_pages() {
    check_real(
        GOAPP,
        "http_request_duration_seconds",
        &[
            (
                (-122, 116, 932, 75_438),
                1_795_503_859_541_567_739,
                46.504_764_438_658_92,
                10,
            ),
            (
                (-120, 107, 941, 74_507),
                1_795_503_859_548_140_364,
                46.745_952_758_746_59,
                10,
            ),
            (
                (-128, 118, 948, 82_878),
                1_795_503_859_543_761_132,
                48.606_314_173_480_875,
                10,
            ),
            (
                (-116, 102, 879, 65_465),
                1_795_503_859_542_675_046,
                42.581_104_564_765_48,
                10,
            ),
        ],
    );
    check_real(
        GOAPP,
        "native_only_seconds",
        &[(
            (-128, 122, 3700, 321_956),
            1_795_503_859_541_337_257,
            184.438_135_935_651_6,
            0,
        )],
    );
    check_real(
        PROMETHEUS,
        "prometheus_http_request_duration_seconds",
        &[
            (
                (-100, 10, 20, 76),
                1_795_502_306_794_021_881,
                0.004_629_612,
                0,
            ),
            (
                (-72, 18, 8, 54),
                1_795_502_299_424_179_602,
                0.032_282_153,
                0,
            ),
        ],
    );
}

/// `io.prometheus.client.Histogram`, as far as these tests write it.
#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(uint64, optional, tag = "1")]
    count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    sum: Option<f64>,
    #[prost(message, repeated, tag = "3")]
    bucket: Vec<Bucket>,
    #[prost(double, optional, tag = "4")]
    count_float: Option<f64>,
    #[prost(sint32, optional, tag = "5")]
    schema: Option<i32>,
    #[prost(double, optional, tag = "6")]
    zero_threshold: Option<f64>,
    #[prost(uint64, optional, tag = "7")]
    zero_count: Option<u64>,
    #[prost(message, repeated, tag = "9")]
    negative_span: Vec<Span>,
    #[prost(sint64, repeated, packed = "false", tag = "10")]
    negative_delta: Vec<i64>,
    #[prost(message, repeated, tag = "12")]
    positive_span: Vec<Span>,
    #[prost(sint64, repeated, tag = "13")]
    positive_delta: Vec<i64>,
    #[prost(double, repeated, tag = "14")]
    positive_count: Vec<f64>,
}

#[derive(Clone, PartialEq, Message)]
struct Bucket {
    #[prost(uint64, optional, tag = "1")]
    count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    bound: Option<f64>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Span {
    #[prost(sint32, optional, tag = "1")]
    offset: Option<i32>,
    #[prost(uint32, optional, tag = "2")]
    length: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
struct Family {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(int32, optional, tag = "3")]
    kind: Option<i32>,
    #[prost(message, repeated, tag = "4")]
    metric: Vec<Metric>,
}

#[derive(Clone, PartialEq, Message)]
struct Metric {
    #[prost(message, optional, tag = "7")]
    histogram: Option<Histogram>,
}

const HISTOGRAM: i32 = 4;
const GAUGE_HISTOGRAM: i32 = 5;

fn page(kind: i32, histogram: Histogram) -> Vec<u8> {
    let metric = vec![Metric {
        histogram: Some(histogram),
    }];
    let family = Family {
        name: Some("h".to_owned()),
        kind: Some(kind),
        metric,
    };
    family.encode_length_delimited_to_vec()
}

fn spans(spans: &[(i32, u32)]) -> Vec<Span> {
    let span = |(offset, length): &(i32, u32)| Span {
        offset: Some(*offset),
        length: Some(*length),
    };
    spans.iter().map(span).collect()
}

fn positive(schema: i32, at: &[(i32, u32)], deltas: &[i64]) -> Histogram {
    Histogram {
        schema: Some(schema),
        positive_span: spans(at),
        positive_delta: deltas.to_vec(),
        sum: Some(1.0),
        ..Histogram::default()
    }
}

#[track_caller]
fn only_native(histogram: Histogram) -> ExponentialHistogramDataPoint {
    let Sent {
        mut native,
        classic,
        notes,
    } = sent(&page(HISTOGRAM, histogram));
    assert_eq!(
        (native.len(), classic.len(), notes),
        (1, 0, Notes::default())
    );
    native.remove(0).1
}

/// Checks scale, offset, buckets and count.
#[track_caller]
fn check(histogram: Histogram, expected: (i32, i32, &[u64], u64)) {
    let point = only_native(histogram);
    let buckets = point.positive.unwrap_or_default();
    let (scale, offset, counts) = (point.scale, buckets.offset, buckets.bucket_counts);
    assert_eq!((scale, offset, counts.as_slice(), point.count), expected);
}

#[test]
fn spans_gaps_and_differences() {
    check(positive(0, &[(0, 3)], &[1, 1, -2]), (0, -1, &[1, 2, 0], 3));
    check(
        positive(5, &[(-2, 1), (3, 2)], &[4, -1, 2]),
        (5, -3, &[4, 0, 0, 0, 3, 5], 12),
    );
    // An empty span carries its offset on.
    check(
        positive(0, &[(1, 1), (1, 0), (1, 1)], &[1, 0]),
        (0, 0, &[1, 0, 0, 1], 2),
    );
    // client_golang's mark of a native histogram without observations.
    check(positive(3, &[(0, 0)], &[]), (3, 0, &[], 0));
    check(positive(-4, &[(1, 1)], &[7]), (-4, 0, &[7], 7));
    check(positive(8, &[(-274_944, 1)], &[7]), (8, -274_945, &[7], 7));
    // Beyond the largest number: in no bucket, not in the count.
    check(positive(0, &[(1024, 2)], &[7, 1]), (0, 1023, &[7], 7));
    check(positive(8, &[(i32::MAX, 1)], &[7]), (8, 0, &[], 0));
}

#[test]
fn both_sides_and_zero() {
    let point = only_native(Histogram {
        negative_span: spans(&[(1, 2)]),
        negative_delta: vec![2, 3],
        zero_count: Some(9),
        zero_threshold: Some(0.5),
        ..positive(1, &[(0, 1)], &[1])
    });
    assert_eq!(
        (point.count, point.zero_count, point.zero_threshold),
        (17, 9, 0.5)
    );
    let (negative, positive) = (point.negative.unwrap(), point.positive.unwrap());
    assert_eq!((negative.offset, negative.bucket_counts), (0, vec![2, 5]));
    assert_eq!((positive.offset, positive.bucket_counts), (-1, vec![1]));
}

/// Guarantees: 78 bytes cannot become gigabytes; a long gap lowers the scale and loses nothing.
#[test]
fn gaps_beyond_the_bound_lower_the_scale() {
    check(
        positive(8, &[(1, 1), (4094, 1)], &[1, 1]),
        (8, 0, &gap(4096, 1, 2), 3),
    );
    check(
        positive(8, &[(1, 1), (4095, 1)], &[1, 1]),
        (7, 0, &gap(2049, 1, 2), 3),
    );
    let point = only_native(positive(8, &[(-270_000, 1), (530_000, 1)], &[1, 1]));
    let buckets = point.positive.unwrap();
    assert_eq!((point.scale, point.count), (0, 3));
    assert_eq!((buckets.offset, buckets.bucket_counts.len()), (-1055, 2071));
    assert_eq!(buckets.bucket_counts.iter().sum::<u64>(), 3);
    // Both sides share the scale.
    let point = only_native(Histogram {
        negative_span: spans(&[(5, 1)]),
        negative_delta: vec![4],
        ..positive(8, &[(1, 1), (4095, 1)], &[1, 1])
    });
    assert_eq!((point.scale, point.negative.unwrap().offset), (7, 2));
}

/// Guarantees: a page of histograms that are little more than gaps cannot become gigabytes; none
/// loses an observation, and buckets that hold something are not merged beyond the bound.
#[test]
fn a_page_of_gaps_is_bounded() {
    let wide = Histogram {
        negative_span: spans(&[(1, 1), (4000, 1)]),
        negative_delta: vec![1, 1],
        ..positive(8, &[(1, 1), (4000, 1)], &[1, 1])
    };
    let dense = positive(8, &[(1, 500)], &[1; 500]);
    let family = |(number, histogram): (usize, &Histogram)| {
        let family = Family {
            name: Some(format!("h{number}")),
            kind: Some(HISTOGRAM),
            metric: vec![Metric {
                histogram: Some(histogram.clone()),
            }],
        };
        family.encode_length_delimited_to_vec()
    };
    let histograms = std::iter::repeat_n(&wide, 20_000).chain([&dense]);
    let bytes = histograms
        .enumerate()
        .map(family)
        .collect::<Vec<_>>()
        .concat();
    assert!(bytes.len() < 60 * 20_000, "{} bytes", bytes.len());
    let points = sent(&bytes).native;
    assert_eq!(points.len(), 20_001);
    let buckets = |point: &ExponentialHistogramDataPoint| {
        let sides = [&point.positive, &point.negative].into_iter().flatten();
        sides.map(|side| side.bucket_counts.len()).sum::<usize>()
    };
    let total: usize = points.iter().map(|(_, point)| buckets(point)).sum();
    let most = crate::translate::native::PAGE_BUCKETS_MAX + 20_000 * 64 + 500;
    assert!(total <= most, "{total} buckets");
    assert_eq!(buckets(&points[0].1), 8004);
    assert!(points[19_999].1.scale < 8);
    assert!(points[..20_000].iter().all(|(_, point)| point.count == 6));
    assert_eq!(
        (points[20_000].1.scale, buckets(&points[20_000].1)),
        (8, 500)
    );
    // The page's bound is the page's where its families are kept one by one.
    let scrape = ScrapeStats::default();
    let mut template = Template::new(Identity::default());
    let fast = template.translate(&bytes, None, &Options::LENIENT, AT, &scrape);
    let page = exposition::parse(&bytes, None, &Options::LENIENT).unwrap();
    let slow = Translator::new(Identity::default()).translate(&page, AT, &scrape);
    assert!(fast.unwrap().payload.bytes == slow.payload.bytes);
}

fn gap(length: usize, first: u64, last: u64) -> Vec<u64> {
    let mut counts = vec![0; length];
    counts[0] = first;
    counts[length - 1] = last;
    counts
}

#[track_caller]
fn check_left_out(kind: i32, histogram: Histogram, expected: &Notes) {
    let bytes = page(kind, histogram.clone());
    let Sent {
        native,
        classic,
        notes,
    } = sent(&bytes);
    assert_eq!((native.len(), classic.len(), &notes), (0, 0, expected));
    // With classic buckets these are sent, unless OTLP has no form for the family at all.
    let bucket = vec![Bucket {
        count: Some(0),
        bound: Some(1.0),
    }];
    let beside = sent(&page(
        kind,
        Histogram {
            bucket,
            ..histogram
        },
    ));
    assert_eq!(&beside.notes, expected);
    let sent = (beside.native.len(), beside.classic.len());
    assert_eq!(sent, (0, usize::from(kind == HISTOGRAM)));
}

#[test]
fn what_otlp_has_not_is_left_out_and_counted() {
    let bad = Notes {
        bad_natives: 1,
        ..Notes::default()
    };
    let unsupported = Notes {
        unsupported_natives: 1,
        ..Notes::default()
    };
    for schema in [-53, -5, 9, i32::MIN, i32::MAX] {
        let histogram = positive(schema, &[(0, 1)], &[1]);
        check_left_out(HISTOGRAM, histogram, &unsupported);
    }
    let float = Histogram {
        count_float: Some(1.5),
        positive_count: vec![1.5],
        ..positive(0, &[(0, 1)], &[])
    };
    check_left_out(HISTOGRAM, float, &unsupported);
    for (at, deltas) in [
        (&[(0, 2)][..], &[1][..]),
        (&[(0, 1)], &[1, 1]),
        (&[(0, 2)], &[1, -2]),
        (&[(5, 1), (-1, 1)], &[1, 1]),
        (&[(0, u32::MAX)], &[1, 1]),
        (&[(i32::MIN, 1)], &[1]),
        (&[(0, 2)], &[i64::MAX, i64::MAX]),
        (&[(0, 3)], &[i64::MAX, 0, 0]),
    ] {
        check_left_out(HISTOGRAM, positive(0, at, deltas), &bad);
    }
    let gauges = Notes {
        gauge_histograms: 1,
        ..Notes::default()
    };
    check_left_out(GAUGE_HISTOGRAM, positive(0, &[(0, 1)], &[1]), &gauges);
}

#[test]
fn a_stale_sum_marks_the_point() {
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    let point = only_native(Histogram {
        sum: Some(stale),
        ..positive(0, &[(0, 1)], &[1])
    });
    assert_eq!((point.flags, point.sum), (1, None));
}
