//! Generated families as delimited messages, as client_golang writes them.

use super::{Extra, Family, HELP, KINDS, NAMES, Series};

/// Returns the message of a target that describes itself.
pub(super) fn target(version: usize) -> Vec<u8> {
    let mut metric = label("version", &version.to_string());
    put(
        &mut metric,
        2,
        &[&[0x09], 1f64.to_le_bytes().as_slice()].concat(),
    );
    let mut message = Vec::new();
    put(&mut message, 1, b"target_info");
    message.extend([0x18, 1]);
    put(&mut message, 4, &metric);
    framed(&message)
}

/// Returns the message of a family.
pub(super) fn family(family: &Family) -> Vec<u8> {
    let mut message = Vec::new();
    put(
        &mut message,
        1,
        NAMES[family.name].trim_matches('"').as_bytes(),
    );
    if !HELP[family.help].is_empty() {
        put(&mut message, 2, HELP[family.help].as_bytes());
    }
    let (number, field) = match KINDS[family.kind] {
        "counter" => (0, 3),
        "histogram" => (4, 7),
        "gaugehistogram" => (5, 7),
        "summary" => (2, 4),
        "" | "untyped" => (3, 5),
        _ => (1, 2),
    };
    message.extend([0x18, number]);
    for series in &family.series {
        let times = if series.extra == Extra::Twice { 2 } else { 1 };
        for _ in 0..times {
            put(&mut message, 4, &metric(series, field));
        }
    }
    framed(&message)
}

fn metric(series: &Series, field: u8) -> Vec<u8> {
    let [x, y] = series.labels.map(|label| label.to_string());
    let mut metric = label("x", &x);
    metric.extend(label("y", &y));
    match series.extra {
        Extra::Bad => metric.extend(label("", "bad")),
        Extra::Scope => metric.extend(label("otel_scope_name", "s")),
        _ => {}
    }
    let value = match field {
        7 => histogram(series),
        4 => summary(series),
        _ => single(series, field),
    };
    put(&mut metric, field, &value);
    if series.extra == Extra::Timestamp {
        metric.extend([0x30, 0x80, 0xd0, 0x95, 0xff, 0xbc, 0x31]);
    }
    metric
}

fn single(series: &Series, field: u8) -> Vec<u8> {
    let mut value = Vec::new();
    double(&mut value, 1, f64::from(series.value) / 8.0);
    if series.extra == Extra::Exemplar {
        put(
            &mut value,
            2,
            &label("trace_id", "00f067aa0ba902b700f067aa0ba902b7"),
        );
    }
    created(&mut value, series, if field == 3 { 3 } else { 9 });
    value
}

fn summary(series: &Series) -> Vec<u8> {
    let mut value = Vec::new();
    count(&mut value, 1, series.value);
    double(&mut value, 2, f64::from(series.value) / 8.0);
    let mut quantile = Vec::new();
    double(&mut quantile, 1, 0.5);
    double(&mut quantile, 2, f64::from(series.value) / 8.0);
    put(&mut value, 3, &quantile);
    created(&mut value, series, 4);
    value
}

fn histogram(series: &Series) -> Vec<u8> {
    let mut value = Vec::new();
    let total = series.value + series.value / 3;
    count(&mut value, 1, total);
    double(&mut value, 2, f64::from(series.value) / 8.0);
    let mut buckets = vec![(series.value / 2, 0.5), (series.value, 1.0)];
    if series.extra == Extra::Blank {
        buckets.push((total, f64::INFINITY));
    }
    for (cumulative, bound) in buckets {
        let mut bucket = Vec::new();
        count(&mut bucket, 1, cumulative);
        double(&mut bucket, 2, bound);
        if series.extra == Extra::Exemplar {
            put(
                &mut bucket,
                3,
                &label("trace_id", "00f067aa0ba902b700f067aa0ba902b7"),
            );
        }
        put(&mut value, 3, &bucket);
    }
    created(&mut value, series, 15);
    value
}

fn created(out: &mut Vec<u8>, series: &Series, field: u8) {
    if series.extra == Extra::Created {
        let mut seconds = Vec::new();
        count(&mut seconds, 1, 1_600_000_000);
        put(out, field, &seconds);
    }
}

fn label(name: &str, value: &str) -> Vec<u8> {
    let (mut pair, mut out) = (Vec::new(), Vec::new());
    put(&mut pair, 1, name.as_bytes());
    put(&mut pair, 2, value.as_bytes());
    put(&mut out, 1, &pair);
    out
}

fn double(out: &mut Vec<u8>, field: u8, value: f64) {
    out.push(field << 3 | 1);
    out.extend(value.to_le_bytes());
}

fn count(out: &mut Vec<u8>, field: u8, value: u32) {
    out.push(field << 3);
    varint(out, value as usize);
}

fn put(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push(field << 3 | 2);
    varint(out, bytes.len());
    out.extend(bytes);
}

fn framed(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint(&mut out, message.len());
    out.extend(message);
    out
}

fn varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
