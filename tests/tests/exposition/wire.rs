//! Families as delimited protobuf.

use super::generate::{Exemplar, Family};

/// Appends a number of seven bits a byte.
pub(super) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Returns a field of bytes.
pub(super) fn bytes(number: u64, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint(&mut out, number << 3 | 2);
    varint(&mut out, bytes.len() as u64);
    out.extend_from_slice(bytes);
    out
}

/// Returns a field of a number.
pub(super) fn number(field: u64, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    varint(&mut out, field << 3);
    varint(&mut out, value);
    out
}

/// Returns a field of a double.
pub(super) fn double(field: u64, value: f64) -> Vec<u8> {
    let mut out = Vec::new();
    varint(&mut out, field << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
    out
}

fn timestamp(field: u64, time_ms: i64) -> Vec<u8> {
    let parts = [
        number(1, (time_ms / 1000) as u64),
        number(2, (time_ms % 1000) as u64 * 1_000_000),
    ];
    bytes(field, &parts.concat())
}

fn labels(labels: &[(String, String)]) -> Vec<u8> {
    let label = |(name, value): &(String, String)| {
        bytes(
            1,
            &[bytes(1, name.as_bytes()), bytes(2, value.as_bytes())].concat(),
        )
    };
    labels.iter().flat_map(label).collect()
}

fn exemplar(field: u64, shown: &Exemplar) -> Vec<u8> {
    let mut message = labels(&shown.labels);
    message.extend(double(2, shown.value));
    message.extend(
        shown
            .time_ms
            .map(|time| timestamp(3, time))
            .unwrap_or_default(),
    );
    bytes(field, &message)
}

/// Returns a family as a delimited message.
pub(super) fn family(family: &Family) -> Vec<u8> {
    let kind = match family.kind {
        "counter" => 0,
        "gauge" => 1,
        "summary" => 2,
        "histogram" => 4,
        _ => 3,
    };
    let mut message = bytes(1, family.name.as_bytes());
    if let Some(help) = &family.help {
        message.extend(bytes(2, help.as_bytes()));
    }
    message.extend(number(3, kind));
    for metric in &family.metrics {
        let mut body = labels(&metric.labels);
        body.extend(value(family.kind, metric));
        body.extend(
            metric
                .time_ms
                .map(|time| number(6, time as u64))
                .unwrap_or_default(),
        );
        message.extend(bytes(4, &body));
    }
    let mut out = Vec::new();
    varint(&mut out, message.len() as u64);
    out.extend(message);
    out
}

fn value(kind: &str, metric: &super::generate::Metric) -> Vec<u8> {
    let created = |field| {
        metric
            .created_ms
            .map(|t| timestamp(field, t))
            .unwrap_or_default()
    };
    let sums = [
        number(1, metric.count as u64),
        double(2, metric.sum.unwrap_or(0.0)),
    ]
    .concat();
    match kind {
        "counter" => {
            let shown = metric.exemplar.as_ref().map(|shown| exemplar(2, shown));
            let message = [
                double(1, metric.value),
                shown.unwrap_or_default(),
                created(3),
            ];
            bytes(3, &message.concat())
        }
        "gauge" => bytes(2, &double(1, metric.value)),
        "summary" => {
            let quantile = |(q, v): &(f64, f64)| bytes(3, &[double(1, *q), double(2, *v)].concat());
            let quantiles: Vec<u8> = metric.steps.iter().flat_map(quantile).collect();
            bytes(4, &[sums, quantiles, created(4)].concat())
        }
        "histogram" => {
            let mut message = sums;
            for (index, (bound, count)) in metric.steps.iter().enumerate() {
                let mut bucket = [number(1, *count as u64), double(2, *bound)].concat();
                let shown = metric.exemplar.as_ref().filter(|_| index == 0);
                bucket.extend(shown.map(|shown| exemplar(3, shown)).unwrap_or_default());
                message.extend(bytes(3, &bucket));
            }
            bytes(7, &[message, created(15)].concat())
        }
        _ => bytes(5, &double(1, metric.value)),
    }
}
