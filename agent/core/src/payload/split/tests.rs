use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use proptest::prelude::*;
use prost::Message as _;

use super::super::{count, merge, strategy};
use super::*;

fn payload(signal: Signal, bytes: Vec<u8>) -> Payload {
    Payload {
        signal,
        items: count(signal, &bytes).expect("valid"),
        bytes: bytes.into(),
    }
}

/// Each record with its resource and scope, decoded and printed: what a split must not change.
fn records(signal: Signal, bytes: &[u8]) -> Vec<String> {
    let mut records = Vec::new();
    match signal {
        Signal::Traces => {
            let request = ExportTraceServiceRequest::decode(bytes).expect("valid");
            for entry in request.resource_spans {
                for scope in entry.scope_spans {
                    let frame = (&entry.resource, &entry.schema_url, &scope.scope);
                    records.extend(scope.spans.iter().map(|span| format!("{frame:?} {span:?}")));
                }
            }
        }
        Signal::Logs => {
            let request = ExportLogsServiceRequest::decode(bytes).expect("valid");
            for entry in request.resource_logs {
                for scope in entry.scope_logs {
                    let frame = (&entry.resource, &entry.schema_url, &scope.scope);
                    records.extend(
                        scope
                            .log_records
                            .iter()
                            .map(|log| format!("{frame:?} {log:?}")),
                    );
                }
            }
        }
        Signal::Metrics => {
            let request = ExportMetricsServiceRequest::decode(bytes).expect("valid");
            for entry in request.resource_metrics {
                for scope in entry.scope_metrics {
                    let frame = (&entry.resource, &entry.schema_url, &scope.scope);
                    for metric in &scope.metrics {
                        let points = one_point_each(metric);
                        records.extend(points.map(|point| format!("{frame:?} {point:?}")));
                    }
                }
            }
        }
    }
    records
}

/// A metric for each of its points: what a cut between points must not change.
fn one_point_each(metric: &Metric) -> impl Iterator<Item = Metric> + '_ {
    let points = crate::series::points_of(metric);
    (0..points).map(|at| {
        macro_rules! keep {
            ($data:expr) => {
                $data.data_points = vec![$data.data_points.swap_remove(at)]
            };
        }
        let mut one = metric.clone();
        match &mut one.data {
            Some(Data::Gauge(data)) => keep!(data),
            Some(Data::Sum(data)) => keep!(data),
            Some(Data::Histogram(data)) => keep!(data),
            Some(Data::ExponentialHistogram(data)) => keep!(data),
            Some(Data::Summary(data)) => keep!(data),
            None => {}
        }
        one
    })
}

#[test]
fn a_payload_within_the_limit_is_returned_as_it_is() {
    let whole = payload(Signal::Logs, vec![0x0a, 0x00]);
    let split = split(&whole, 2).expect("valid");
    assert_eq!(split.parts, [whole]);
}

#[test]
fn a_record_above_the_limit_is_told_apart() {
    // {1: {2: {2: a record with a severity text of 40 bytes, 2: an empty record}}}
    let mut bytes = vec![0x0a, 48, 0x12, 46, 0x12, 42, 0x1a, 40];
    bytes.extend([b'x'; 40]);
    bytes.extend([0x12, 0x00]);
    let split = split(&payload(Signal::Logs, bytes), 20).expect("valid");
    assert_eq!(split.oversized_items, 1);
    let parts: Vec<_> = split.parts.iter().map(|part| part.bytes.to_vec()).collect();
    assert_eq!(parts, [vec![0x0a, 4, 0x12, 2, 0x12, 0]]);
}

#[test]
fn parts_are_as_full_as_can_be() {
    // 100 empty records cost two bytes each; frames cost four.
    let mut bytes = vec![0x0a, 203, 1, 0x12, 200, 1];
    bytes.extend([0x12, 0x00].repeat(100));
    let split = split(&payload(Signal::Logs, bytes), 44).expect("valid");
    let items: Vec<_> = split.parts.iter().map(|part| part.items).collect();
    assert_eq!(items, [20, 20, 20, 20, 20]);
    assert!(split.parts.iter().all(|part| part.bytes.len() == 44));
}

#[test]
fn a_metric_above_the_limit_is_cut_between_its_points() {
    // {1: {2: {2: {1: "m", 7: {1: 100 points of a time each, 2: 2, 3: 1}}}}}
    let point = [&[0x0a, 9, 0x19][..], &7u64.to_le_bytes()].concat();
    let sum = [point.repeat(100), vec![0x10, 2, 0x18, 1]].concat();
    let mut bytes = [&[0x0a, 1, b'm'][..], &framed(0x3a, &sum)].concat();
    for tag in [0x12, 0x12, 0x0a] {
        bytes = framed(tag, &bytes);
    }
    let whole = payload(Signal::Metrics, bytes);
    assert_eq!(whole.items, 100);
    for bytes_max in [26, 40, 100, 300, whole.bytes.len() - 1] {
        let split = split(&whole, bytes_max).expect("valid");
        assert_eq!(split.oversized_items, 0, "{bytes_max}");
        let items: u64 = split.parts.iter().map(|part| part.items).sum();
        assert_eq!(items, 100, "{bytes_max}");
        for part in &split.parts {
            assert!(part.bytes.len() <= bytes_max, "{bytes_max}");
            let request = ExportMetricsServiceRequest::decode(&*part.bytes).expect("valid");
            let metric = &request.resource_metrics[0].scope_metrics[0].metrics[0];
            let Some(Data::Sum(sum)) = &metric.data else {
                panic!("a sum: {metric:?}");
            };
            assert_eq!((&*metric.name, sum.is_monotonic), ("m", true));
            assert_eq!(sum.aggregation_temporality, 2);
        }
    }
    assert_eq!(split(&whole, 25).expect("valid").oversized_items, 100);
}

fn framed(tag: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![tag];
    prost::encoding::encode_varint(bytes.len() as u64, &mut field);
    field.extend_from_slice(bytes);
    field
}

/// A resource, or the name of a metric, nearly as large as a part may be, and a hundred thousand
/// records: a part for each would be hundreds of gigabytes.
#[test]
fn parts_do_not_grow_beyond_their_bound() {
    let name = framed(0x0a, &vec![b'x'; 4 << 20]);
    let logs = [
        framed(0x0a, &name),
        framed(0x12, &[0x12, 0x00].repeat(100_000)),
    ]
    .concat();
    let points = framed(0x2a, &[0x0a, 0x00].repeat(100_000));
    let metrics = framed(0x12, &framed(0x12, &[name, points].concat()));
    for (signal, entry) in [(Signal::Logs, logs), (Signal::Metrics, metrics)] {
        let whole = payload(signal, framed(0x0a, &entry));
        let split = split(&whole, (4 << 20) + 30).expect("valid");
        let bytes: usize = split.parts.iter().map(|part| part.bytes.len()).sum();
        assert!(
            bytes <= whole.bytes.len() + GROWTH_BYTES_MAX,
            "{bytes} {signal}"
        );
        let items: u64 = split.parts.iter().map(|part| part.items).sum();
        assert!(items > 0, "{signal}");
        assert_eq!(items + split.oversized_items, 100_000, "{signal}");
    }
}

proptest! {
    #[test]
    fn parts_are_small_and_together_the_whole(
        (signal, bytes) in strategy::encoded(),
        bytes_max in 1usize..600,
    ) {
        let whole = payload(signal, bytes);
        let split = split(&whole, bytes_max).expect("valid");
        for part in &split.parts {
            prop_assert!(part.bytes.len() <= bytes_max);
            prop_assert_eq!(count(signal, &part.bytes), Ok(part.items));
        }
        let items: u64 = split.parts.iter().map(|part| part.items).sum();
        prop_assert_eq!(items + split.oversized_items, whole.items);

        let parts: Vec<_> = split.parts.iter().map(|part| part.bytes.clone()).collect();
        let merged = merge(&parts);
        let mut expected = records(signal, &whole.bytes).into_iter();
        let found = records(signal, &merged);
        let in_order = found.iter().all(|record| expected.any(|whole| whole == *record));
        prop_assert!(in_order, "a record is new, changed or out of order");
        prop_assert_eq!(found.len() as u64 + split.oversized_items, whole.items);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        for signal in Signal::ALL {
            let bytes = Bytes::from(bytes.clone());
            let _ = split(&Payload { signal, bytes, items: 0 }, 10);
        }
    }
}
