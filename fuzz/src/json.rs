//! OTLP/JSON.
//!
//! An input is a byte for the signal and a document, which begins with `{`, or an encoded request.
//!
//! * A document that is read becomes a request that prost decodes; written, it is read as the same.
//! * A request that is let through is written as JSON, and read as what prost decoded.
//! * An error names a line and column that are there.
//! * Memory is bounded by the input's bytes.

use davy_agent_core::json::{JsonError, from_protobuf, to_protobuf};
use davy_agent_core::payload::census;
use davy_proto::Signal;

use crate::memory::bounded;
use crate::must::{must, same};
use crate::otlp::Request;
use crate::payload::signal_of;
use crate::pieces::head;
use crate::{Target, seeds};

/// The target.
pub const TARGET: Target = Target {
    name: "json",
    check,
    seeds: seeds::documents,
    dictionary: Some("json.dict"),
    bytes_max: 2048,
    mutations: 100_000,
    code: crate::AGENT,
};

/// A value of two bytes (`0,`) is a node of a tree, of some hundred bytes, and then an AnyValue.
const TIMES: usize = 512;
const BYTES: usize = 64 << 10;

/// Checks a document or a request.
pub fn check(bytes: &[u8]) {
    let (signal, input) = head(bytes);
    let signal = signal_of(signal);
    if input.starts_with(b"{") {
        document(signal, input);
    } else if census(signal, input).is_ok() {
        request(signal, input);
    }
}

fn document(signal: Signal, text: &[u8]) {
    let bound = (text.len(), TIMES, BYTES);
    let read = bounded(bound, "read JSON", || Some(to_protobuf(signal, text)));
    match read {
        Some(Ok(bytes)) => request(signal, &bytes),
        Some(Err(JsonError::Syntax { line, column, .. })) => {
            // serde_json counts columns in bytes; 0 is the end of the line before.
            let found = text
                .split(|byte| *byte == b'\n')
                .nth(line.saturating_sub(1));
            let found = found.map(<[u8]>::len);
            assert!(
                found.is_some_and(|length| column <= length + 1),
                "line {line}, column {column}"
            );
        }
        _ => {}
    }
}

fn request(signal: Signal, bytes: &[u8]) {
    let decoded = must(Request::decode(signal, bytes), "not decoded");
    let bound = (bytes.len(), TIMES, BYTES);
    let text = bounded(bound, "write JSON", || Some(from_protobuf(signal, bytes)));
    let text = must(text.unwrap_or(Ok(String::new())), "not written");
    let parsed: Result<serde_json::Value, _> = serde_json::from_str(&text);
    must(parsed, "what is written is not JSON");
    let read = must(to_protobuf(signal, text.as_bytes()), &text);
    let found = must(Request::decode(signal, &read), "read, not decoded");
    // What prost writes leaves a field of -0 out, as if that were 0.
    let encoded = decoded.encode();
    let decoded = must(Request::decode(signal, &encoded), "encoded, not decoded");
    same(&format!("{found:?}"), &format!("{decoded:?}"), &text);
    let text = must(
        from_protobuf(signal, &encoded),
        "not written as prost has it",
    );
    let again = must(from_protobuf(signal, &read), "not written again");
    same(&text, &again, "written, read and written");
}
