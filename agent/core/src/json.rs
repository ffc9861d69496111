//! OTLP/JSON: the protobuf mapping of JSON with OTLP's deviations.
//!
//! Source: *OTLP Specification 1.11*, "JSON Protobuf Encoding": trace and span ids are hexadecimal,
//! enums are integers, names are lowerCamelCase, 64-bit integers are decimal strings (numbers are
//! read as well), unknown names are ignored. Numbers that JSON lacks are `"NaN"`, `"Infinity"` and
//! `"-Infinity"`; bytes are base64. Names in snake_case are read too, as the Collector does: to
//! ignore them would lose data without a word.
//!
//! `schema` lists each message once; writing and reading both come from that list. Requests are
//! read and written object by object (`shape`), so that none takes many times its size.

mod base64;
mod field;
mod read;
mod schema;
mod shape;
mod write;

use davy_proto::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;

use field::Field;

use crate::payload::walk::Message;

/// Why a document can't be read or written.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum JsonError {
    /// Not JSON at all.
    #[error("line {line}, column {column}: {problem}")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong.
        problem: String,
    },
    /// JSON that is no such request.
    #[error("{path}: {problem}")]
    Content {
        /// Where, such as `resourceSpans[0].scopeSpans[1].spans[2].traceId`.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// The protobuf request to be written as JSON can't be decoded.
    #[error("not a protobuf request: {problem}")]
    Protobuf {
        /// What is wrong.
        problem: String,
    },
}

/// Writes a metrics request as one line of JSON.
pub fn write_metrics(request: &ExportMetricsServiceRequest) -> String {
    request.to_json().to_string()
}

/// Writes a logs request as one line of JSON.
pub fn write_logs(request: &ExportLogsServiceRequest) -> String {
    request.to_json().to_string()
}

/// Writes a trace request as one line of JSON.
pub fn write_traces(request: &ExportTraceServiceRequest) -> String {
    request.to_json().to_string()
}

/// Reads a metrics request.
///
/// # Errors
///
/// [`JsonError`] names the place.
pub fn read_metrics(text: &[u8]) -> Result<ExportMetricsServiceRequest, JsonError> {
    decode(Signal::Metrics, text)
}

/// Reads a logs request.
///
/// # Errors
///
/// [`JsonError`] names the place.
pub fn read_logs(text: &[u8]) -> Result<ExportLogsServiceRequest, JsonError> {
    decode(Signal::Logs, text)
}

/// Reads a trace request.
///
/// # Errors
///
/// [`JsonError`] names the place.
pub fn read_traces(text: &[u8]) -> Result<ExportTraceServiceRequest, JsonError> {
    decode(Signal::Traces, text)
}

/// Turns an encoded request of a signal into JSON.
///
/// # Errors
///
/// [`JsonError::Protobuf`] when it can't be decoded.
pub fn from_protobuf(signal: Signal, bytes: &[u8]) -> Result<String, JsonError> {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    write::write(shape::request(signal), Message::request(bytes), &mut text)?;
    Ok(text)
}

/// Turns a JSON request of a signal into its protobuf encoding.
///
/// # Errors
///
/// [`JsonError`] names the place.
pub fn to_protobuf(signal: Signal, text: &[u8]) -> Result<Vec<u8>, JsonError> {
    read::read(shape::request(signal), text)
}

fn decode<T: prost::Message + Default>(signal: Signal, text: &[u8]) -> Result<T, JsonError> {
    Ok(T::decode(to_protobuf(signal, text)?.as_slice())?)
}

#[cfg(test)]
mod tests;
