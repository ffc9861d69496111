//! Telemetry printed in the form that was asked for.

use std::io::{self, Write};

use davy_agent_core::json;
use davy_agent_core::translate::print;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use prost::Message as _;

use crate::cli::Output;

/// Prints a metrics request.
pub(super) fn metrics(
    request: &ExportMetricsServiceRequest,
    form: Output,
    out: &mut impl Write,
) -> io::Result<()> {
    match form {
        Output::Text => out.write_all(print::lines(request).as_bytes())?,
        Output::OtlpJson => writeln!(out, "{}", json::write_metrics(request))?,
        Output::OtlpProto => out.write_all(&request.encode_to_vec())?,
    }
    out.flush()
}
