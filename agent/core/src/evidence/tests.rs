mod histograms;
mod pages;
mod sdk;
mod select;
mod shapes;

use davy_proto::UnixNanos;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, number_data_point::Value as Number,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::*;

/// A time long after the epoch, on a multiple of every window used here.
const T0: u64 = 1_795_500_000;

/// The labels of a histogram's series and its counts.
type Counted<'a> = (&'a [(&'a str, &'a str)], [u64; 3]);

const PAGE: Origin = Origin::Scrape { target: 0 };

fn at(seconds: u64) -> UnixNanos {
    UnixNanos::from_seconds(T0 + seconds)
}

fn labels(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    pairs
        .iter()
        .map(|(key, value)| attributes::string(key, value))
        .collect()
}

fn evidence() -> Evidence {
    Evidence::new(EvidenceSettings::with_resource(labels(&[(
        "service.name",
        "shop",
    )])))
}

/// A page as the translator gives it: points without a start, at the scrape's time.
fn page(metrics: Vec<Metric>) -> Vec<ResourceMetrics> {
    of_resource(&[("service.name", "shop")], metrics)
}

fn of_resource(resource: &[(&str, &str)], metrics: Vec<Metric>) -> Vec<ResourceMetrics> {
    vec![ResourceMetrics {
        resource: Some(Resource {
            attributes: labels(resource),
            ..Resource::default()
        }),
        scope_metrics: vec![ScopeMetrics {
            metrics,
            ..ScopeMetrics::default()
        }],
        ..ResourceMetrics::default()
    }]
}

fn metric(name: &str, data: Data) -> Metric {
    Metric {
        name: name.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn gauge(name: &str, value: f64) -> Metric {
    let point = NumberDataPoint {
        value: Some(Number::AsDouble(value)),
        ..Default::default()
    };
    metric(
        name,
        Data::Gauge(Gauge {
            data_points: vec![point],
        }),
    )
}

fn counter(name: &str, time: UnixNanos, series: &[(&[(&str, &str)], f64)]) -> Metric {
    let data_points = series.iter().map(|(pairs, value)| NumberDataPoint {
        attributes: labels(pairs),
        time_unix_nano: time.nanos(),
        value: Some(Number::AsDouble(*value)),
        ..NumberDataPoint::default()
    });
    metric(
        name,
        Data::Sum(Sum {
            data_points: data_points.collect(),
            aggregation_temporality: AggregationTemporality::Cumulative as i32,
            is_monotonic: true,
        }),
    )
}

fn classic(name: &str, time: UnixNanos, series: &[Counted<'_>]) -> Metric {
    let data_points = series.iter().map(|(pairs, counts)| HistogramDataPoint {
        attributes: labels(pairs),
        time_unix_nano: time.nanos(),
        count: counts.iter().sum(),
        sum: Some(counts.iter().sum::<u64>() as f64 * 0.1),
        bucket_counts: counts.to_vec(),
        explicit_bounds: vec![0.1, 0.25],
        ..HistogramDataPoint::default()
    });
    metric(
        name,
        Data::Histogram(Histogram {
            data_points: data_points.collect(),
            aggregation_temporality: AggregationTemporality::Cumulative as i32,
        }),
    )
}

/// The request as text, a line a point: seconds from [`T0`], name, attributes, value.
fn lines(request: Option<&ExportMetricsServiceRequest>) -> Vec<String> {
    let Some(request) = request else {
        return vec!["nothing".to_owned()];
    };
    let scopes = request
        .resource_metrics
        .iter()
        .flat_map(|of| &of.scope_metrics);
    scopes
        .flat_map(|scope| &scope.metrics)
        .flat_map(points_of)
        .collect()
}

fn points_of(metric: &Metric) -> Vec<String> {
    let line = |start: u64, end: u64, attributes: &[KeyValue], value: String| {
        let second = |nanos: u64| nanos as f64 / 1e9 - T0 as f64;
        let attributes: Vec<_> = attributes
            .iter()
            .map(|a| {
                a.value
                    .as_ref()
                    .and_then(attributes::text)
                    .unwrap_or_default()
                    .into_owned()
            })
            .collect();
        let span = if start == 0 {
            format!("{}", second(end))
        } else {
            format!("{}..{}", second(start), second(end))
        };
        format!("{span} {} [{}] {value}", metric.name, attributes.join(" "))
    };
    match metric.data.as_ref().expect("data") {
        Data::Sum(sum) => {
            assert_eq!(
                sum.aggregation_temporality,
                AggregationTemporality::Delta as i32
            );
            let of = |p: &NumberDataPoint| {
                let value = points::number(p).expect("a number").to_string();
                line(
                    p.start_time_unix_nano,
                    p.time_unix_nano,
                    &p.attributes,
                    value,
                )
            };
            sum.data_points.iter().map(of).collect()
        }
        Data::Gauge(gauge) => {
            let of = |p: &NumberDataPoint| {
                let value = points::number(p).expect("a number").to_string();
                line(0, p.time_unix_nano, &p.attributes, value)
            };
            gauge.data_points.iter().map(of).collect()
        }
        Data::Histogram(histogram) => {
            assert_eq!(
                histogram.aggregation_temporality,
                AggregationTemporality::Delta as i32
            );
            let of = |p: &HistogramDataPoint| {
                assert_eq!(p.count, p.bucket_counts.iter().sum::<u64>());
                let value = format!("{:?} {:?}", p.explicit_bounds, p.bucket_counts);
                line(
                    p.start_time_unix_nano,
                    p.time_unix_nano,
                    &p.attributes,
                    value,
                )
            };
            histogram.data_points.iter().map(of).collect()
        }
        Data::ExponentialHistogram(histogram) => {
            let of =
                |p: &opentelemetry_proto::tonic::metrics::v1::ExponentialHistogramDataPoint| {
                    let positive = p.positive.as_ref().expect("positive buckets");
                    let value = format!(
                        "scale {} zero {} from {} {:?}",
                        p.scale, p.zero_count, positive.offset, positive.bucket_counts
                    );
                    line(
                        p.start_time_unix_nano,
                        p.time_unix_nano,
                        &p.attributes,
                        value,
                    )
                };
            histogram.data_points.iter().map(of).collect()
        }
        Data::Summary(_) => panic!("summaries are no evidence"),
    }
}

#[track_caller]
fn check(evidence: &mut Evidence, window_end: u64, expected: &[&str]) -> Closed {
    let closed = evidence.close(at(window_end));
    assert_eq!(lines(closed.request.as_ref()), expected);
    closed
}
