use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
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
                    let metrics = scope.metrics.iter();
                    records.extend(metrics.map(|metric| format!("{frame:?} {metric:?}")));
                }
            }
        }
    }
    records
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
        if split.oversized_items == 0 && signal != Signal::Metrics {
            prop_assert_eq!(found.len() as u64, whole.items);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        for signal in Signal::ALL {
            let bytes = Bytes::from(bytes.clone());
            let _ = split(&Payload { signal, bytes, items: 0 }, 10);
        }
    }
}
