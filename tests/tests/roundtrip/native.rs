//! A protobuf page with what the corpora's native histograms lack: both sides, zeros, gaps.
//!
//! The messages are those of `io/prometheus/client/metrics.proto`, as far as they are written here.

use prost::Message;

/// `MetricType.HISTOGRAM`.
const HISTOGRAM: i32 = 4;

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

#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(uint64, optional, tag = "1")]
    count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    sum: Option<f64>,
    #[prost(sint32, optional, tag = "5")]
    schema: Option<i32>,
    #[prost(double, optional, tag = "6")]
    zero_threshold: Option<f64>,
    #[prost(uint64, optional, tag = "7")]
    zero_count: Option<u64>,
    #[prost(message, repeated, tag = "9")]
    negative_span: Vec<Span>,
    #[prost(sint64, repeated, tag = "10")]
    negative_delta: Vec<i64>,
    #[prost(message, repeated, tag = "12")]
    positive_span: Vec<Span>,
    #[prost(sint64, repeated, tag = "13")]
    positive_delta: Vec<i64>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Span {
    #[prost(sint32, optional, tag = "1")]
    offset: Option<i32>,
    #[prost(uint32, optional, tag = "2")]
    length: Option<u32>,
}

fn spans(spans: &[(i32, u32)]) -> Vec<Span> {
    let span = |&(offset, length)| Span {
        offset: Some(offset),
        length: Some(length),
    };
    spans.iter().map(span).collect()
}

/// A whole page: two families, the second for a page of every second one.
pub(super) fn page() -> Vec<u8> {
    let histogram = Histogram {
        count: Some(17),
        sum: Some(-2.5),
        schema: Some(2),
        zero_threshold: Some(0.001),
        zero_count: Some(3),
        negative_span: spans(&[(-3, 2)]),
        negative_delta: vec![4, -1],
        positive_span: spans(&[(0, 2), (40, 1), (3, 1)]),
        positive_delta: vec![1, 1, 0, 0],
    };
    let family = |name: &str| Family {
        name: Some(name.to_owned()),
        kind: Some(HISTOGRAM),
        metric: vec![Metric {
            histogram: Some(histogram.clone()),
        }],
    };
    let families = ["both_sides", "both_sides_again"].map(family);
    families
        .iter()
        .flat_map(Message::encode_length_delimited_to_vec)
        .collect()
}
