use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use proptest::prelude::*;
use prost::{DecodeError, Message as _};

use super::super::strategy;
use super::*;

/// Items by prost's decoder, the oracle.
fn decoded(signal: Signal, bytes: &[u8]) -> Result<u64, DecodeError> {
    let items = match signal {
        Signal::Traces => ExportTraceServiceRequest::decode(bytes)?
            .resource_spans
            .iter()
            .flat_map(|entry| &entry.scope_spans)
            .map(|scope| scope.spans.len())
            .sum::<usize>(),
        Signal::Logs => ExportLogsServiceRequest::decode(bytes)?
            .resource_logs
            .iter()
            .flat_map(|entry| &entry.scope_logs)
            .map(|scope| scope.log_records.len())
            .sum(),
        Signal::Metrics => ExportMetricsServiceRequest::decode(bytes)?
            .resource_metrics
            .iter()
            .flat_map(|entry| &entry.scope_metrics)
            .flat_map(|scope| &scope.metrics)
            .map(|metric| match &metric.data {
                Some(Data::Gauge(gauge)) => gauge.data_points.len(),
                Some(Data::Sum(sum)) => sum.data_points.len(),
                Some(Data::Histogram(histogram)) => histogram.data_points.len(),
                Some(Data::ExponentialHistogram(histogram)) => histogram.data_points.len(),
                Some(Data::Summary(summary)) => summary.data_points.len(),
                None => 0,
            })
            .sum(),
    };
    Ok(items as u64)
}

#[track_caller]
fn check(signal: Signal, bytes: &[u8], offset: usize, reason: Reason) {
    assert_eq!(count(signal, bytes), Err(Malformed { offset, reason }));
}

#[test]
fn an_empty_request_has_no_items() {
    for signal in Signal::ALL {
        assert_eq!(count(signal, &[]), Ok(0));
        // One entry without anything in it.
        assert_eq!(count(signal, &[0x0a, 0x00]), Ok(0));
    }
}

#[test]
fn an_item_that_would_grow_when_decoded_is_refused() {
    // A span of empty attributes, two bytes each.
    let request = |attributes: u64| {
        let span = [0x4a, 0].repeat(attributes as usize);
        let nest = |tag: u8, inner: Vec<u8>| {
            let mut outer = vec![tag];
            prost::encode_length_delimiter(inner.len(), &mut outer).expect("a Vec grows");
            [outer, inner].concat()
        };
        nest(0x0a, nest(0x12, nest(0x12, span)))
    };
    let most = census(Signal::Traces, &request(MESSAGES_MAX)).expect("not too many");
    assert_eq!((most.items, most.messages), (1, MESSAGES_MAX + 3));
    let refused = request(MESSAGES_MAX + 1);
    check(Signal::Traces, &refused, 8, Reason::TooManyMessages);
}

#[test]
fn what_a_decoder_would_refuse_is_refused_with_its_place() {
    let wrong = |field, found| Reason::WireType { field, found };
    check(Signal::Traces, &[0x08, 0x01], 0, wrong(1, 0));
    // A span whose name is not UTF-8.
    let span = [0x0a, 0x07, 0x12, 0x05, 0x12, 0x03, 0x2a, 0x01, 0xff];
    check(Signal::Traces, &span, 6, Reason::NotUtf8);
    // A trace id of one byte.
    let span = [0x0a, 0x07, 0x12, 0x05, 0x12, 0x03, 0x0a, 0x01, 0xff];
    let reason = Reason::IdLength {
        found: 1,
        expected: 16,
    };
    check(Signal::Traces, &span, 6, reason);
    // The same bytes are a log record whose field 1 should be a fixed64.
    check(Signal::Logs, &span, 6, wrong(1, 2));
    check(Signal::Logs, b"not protobuf", 0, Reason::BadWireType(6));
    let cut = [0x0a, 0x07, 0x12, 0x05];
    check(Signal::Metrics, &cut, 2, Reason::Truncated);
}

#[test]
fn values_are_followed_as_deep_as_prost_follows_them() {
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
    let nested = |depth: usize| {
        let mut value = AnyValue::default();
        for _ in 0..depth {
            let values = vec![value];
            value = AnyValue {
                value: Some(any_value::Value::ArrayValue(ArrayValue { values })),
            };
        }
        let record = LogRecord {
            body: Some(value),
            ..LogRecord::default()
        };
        let scope = ScopeLogs {
            log_records: vec![record],
            ..ScopeLogs::default()
        };
        let entry = ResourceLogs {
            scope_logs: vec![scope],
            ..ResourceLogs::default()
        };
        let resource_logs = vec![entry];
        ExportLogsServiceRequest { resource_logs }.encode_to_vec()
    };
    for depth in 40..60 {
        let bytes = nested(depth);
        let ours = count(Signal::Logs, &bytes).ok();
        assert_eq!(ours, decoded(Signal::Logs, &bytes).ok(), "depth {depth}");
    }
}

proptest! {
    #[test]
    fn equals_what_prost_decodes((signal, bytes) in strategy::encoded()) {
        prop_assert_eq!(count(signal, &bytes).ok(), decoded(signal, &bytes).ok());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        for signal in Signal::ALL {
            let _ = count(signal, &bytes);
        }
    }

    /// Guarantees: of requests with one byte changed, those are accepted that prost accepts, but
    /// for groups and the length of identifiers, which Go's decoder refuses.
    #[test]
    fn accepts_what_prost_accepts(
        (signal, mut bytes) in strategy::encoded(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        prop_assume!(!bytes.is_empty());
        let at = at.index(bytes.len());
        bytes[at] = byte;
        match (count(signal, &bytes), decoded(signal, &bytes)) {
            (Ok(_), Err(refused)) => {
                prop_assert!(false, "only prost refuses: {}", refused);
            }
            (Err(malformed), Ok(_)) => {
                let meant = matches!(
                    malformed.reason,
                    Reason::BadWireType(_) | Reason::IdLength { .. }
                );
                prop_assert!(meant, "only we refuse: {}", malformed);
            }
            _ => {}
        }
    }
}
