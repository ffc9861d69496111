//! SERVER spans as latencies.

use davy_proto::indicator::Protocol;
use davy_proto::semconv;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

use super::attributes::{self, Outcome};
use super::tally::SpanTally;
use super::{Evidence, Refusal};
use crate::spans;

/// Most requests that one span stands for.
const WEIGHT_MAX: f64 = 10_000.0;
/// What `error.type` says of a failed span that gives no reason (semantic conventions).
const OTHER_ERROR: &str = "_OTHER";

impl Evidence {
    pub(super) fn count_spans(&mut self, request: &ExportTraceServiceRequest) {
        let scopes = request.resource_spans.iter().flat_map(|of| &of.scope_spans);
        let server = |span: &&Span| span.kind == SpanKind::Server as i32;
        for span in scopes.flat_map(|scope| &scope.spans).filter(server) {
            self.count_span(span);
        }
    }

    fn count_span(&mut self, span: &Span) {
        let elapsed = span
            .end_time_unix_nano
            .checked_sub(span.start_time_unix_nano);
        let (Some(nanos), 1..) = (elapsed, span.start_time_unix_nano) else {
            self.refuse(Refusal::SpanTime);
            return;
        };
        let protocol = match attributes::named(&span.attributes, "rpc.system")
            .or_else(|| attributes::named(&span.attributes, "rpc.system.name"))
        {
            Some(_) => Protocol::Rpc,
            None => Protocol::Http,
        };
        let route = attributes::route(&span.attributes, self.settings.names(protocol));
        let outcome = self.span_outcome(span, protocol);
        let weight = spans::sampling_probability(span)
            .map_or(1.0, f64::recip)
            .min(WEIGHT_MAX);
        if let Some(tally) = self.route_tally(protocol, route) {
            let spans = tally.spans.entry(outcome).or_insert_with(SpanTally::new);
            spans.record(nanos / 1_000, weight);
        }
    }

    fn span_outcome(&self, span: &Span, protocol: Protocol) -> Outcome {
        let mut outcome = attributes::outcome(&span.attributes, protocol, &self.settings);
        let failed = span
            .status
            .as_ref()
            .is_some_and(|s| s.code == StatusCode::Error as i32);
        if failed && outcome.status.is_none() && outcome.error.is_none() {
            let reason = attributes::named(&span.attributes, semconv::ERROR_TYPE);
            outcome.error = Some(reason.map_or_else(|| OTHER_ERROR.to_owned(), Into::into));
        }
        outcome
    }
}
