//! OTLP/JSON: the protobuf mapping of JSON with OTLP's deviations.
//!
//! Source: *OTLP Specification 1.11*, "JSON Protobuf Encoding": trace and span ids are hexadecimal,
//! enums are integers, names are lowerCamelCase, 64-bit integers are decimal strings (numbers are
//! read as well), unknown names are ignored. Numbers that JSON lacks are `"NaN"`, `"Infinity"` and
//! `"-Infinity"`; bytes are base64. Names in snake_case are read too, as the Collector does: to
//! ignore them would lose data without a word.
//!
//! `schema` lists each message once; writing and reading both come from that list.

mod base64;
mod field;
mod schema;

use davy_proto::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use field::{Fault, Field};

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
    read(text)
}

/// Reads a logs request.
///
/// # Errors
///
/// [`JsonError`] names the place.
pub fn read_logs(text: &[u8]) -> Result<ExportLogsServiceRequest, JsonError> {
    read(text)
}

/// Reads a trace request.
///
/// # Errors
///
/// [`JsonError`] names the place.
pub fn read_traces(text: &[u8]) -> Result<ExportTraceServiceRequest, JsonError> {
    read(text)
}

/// Turns an encoded request of a signal into JSON.
///
/// # Errors
///
/// [`JsonError::Protobuf`] when it can't be decoded.
pub fn from_protobuf(signal: Signal, bytes: &[u8]) -> Result<String, JsonError> {
    let problem = |error: prost::DecodeError| JsonError::Protobuf {
        problem: error.to_string(),
    };
    Ok(match signal {
        Signal::Metrics => {
            write_metrics(&ExportMetricsServiceRequest::decode(bytes).map_err(problem)?)
        }
        Signal::Logs => write_logs(&ExportLogsServiceRequest::decode(bytes).map_err(problem)?),
        Signal::Traces => write_traces(&ExportTraceServiceRequest::decode(bytes).map_err(problem)?),
    })
}

/// Turns a JSON request of a signal into its protobuf encoding.
///
/// # Errors
///
/// [`JsonError`] names the place.
pub fn to_protobuf(signal: Signal, text: &[u8]) -> Result<Vec<u8>, JsonError> {
    Ok(match signal {
        Signal::Metrics => read_metrics(text)?.encode_to_vec(),
        Signal::Logs => read_logs(text)?.encode_to_vec(),
        Signal::Traces => read_traces(text)?.encode_to_vec(),
    })
}

fn read<T: Field>(text: &[u8]) -> Result<T, JsonError> {
    let value: serde_json::Value = serde_json::from_slice(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let problem = error.to_string();
        // serde_json repeats the place at the end of its message.
        let problem = problem
            .split(" at line ")
            .next()
            .unwrap_or_default()
            .to_owned();
        JsonError::Syntax {
            line,
            column,
            problem,
        }
    })?;
    T::from_json(&value).map_err(Fault::into_error)
}

#[cfg(test)]
mod tests;
