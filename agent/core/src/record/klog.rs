//! klog's header, as Kubernetes' own programs write it:
//! `I0102 15:04:05.678901 12345 file.go:67] text`.
//!
//! Source: `k8s.io/klog/v2`, `formatHeader`, and its structured form, `"message" key="value"`.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::logs::v1::LogRecord;

use super::{Context, attribute, attributes, integer, logfmt, string, timestamp};

/// The record of a line that begins with klog's header.
pub(super) fn read(line: &str, context: Context) -> Option<LogRecord> {
    let letter = line.get(..1)?;
    let number = match letter {
        "I" => 9,
        "W" => 13,
        "E" => 17,
        "F" => 21,
        _ => return None,
    };
    let (at, rest) = timestamp::klog(line.get(1..)?, context.zone, context.observed)?;
    let (header, message) = rest.split_once("] ").or_else(|| rest.split_once(']'))?;
    let (thread, place) = header.trim_start().split_once(' ')?;
    let (file, line_number) = place.rsplit_once(':')?;
    let mut record = LogRecord {
        time_unix_nano: at.nanos(),
        severity_number: number,
        severity_text: letter.to_owned(),
        ..LogRecord::default()
    };
    let (body, mut pairs) = structured(message);
    attributes::deduplicate(&mut pairs);
    attributes::take_trace(&mut pairs, &mut record);
    record.body = Some(string(body));
    record.attributes = vec![
        attribute("thread.id", integer(thread.parse().ok()?)),
        attribute("code.file.path", string(file)),
        attribute("code.line.number", integer(line_number.parse().ok()?)),
    ];
    record.attributes.extend(pairs);
    Some(record)
}

/// Message and pairs of klog's `InfoS`, or the whole text.
fn structured(message: &str) -> (String, Vec<KeyValue>) {
    let pairs = logfmt::quoted(message)
        .and_then(|(body, rest)| logfmt::pairs(rest).map(|pairs| (body, pairs)));
    pairs.unwrap_or_else(|| (message.to_owned(), Vec::new()))
}
