//! What a span says about how it was sampled.

use opentelemetry_proto::tonic::trace::v1::Span;

/// Bits of a sampling threshold.
const THRESHOLD_BITS: u32 = 56;

/// The probability in (0, 1] with which the span was kept; none where nothing tells it.
///
/// From the trace state's `ot=th:` (OpenTelemetry, *TraceState: Probability Sampling*: a threshold
/// of up to 14 hexadecimal digits, trailing zeros left out, of 2^56), else its older form `ot=p:`
/// (a negative power of two), else an attribute `sampling.ratio` or `sampling.probability`.
pub fn sampling_probability(span: &Span) -> Option<f64> {
    trace_state_probability(&span.trace_state).or_else(|| attribute_probability(span))
}

fn trace_state_probability(trace_state: &str) -> Option<f64> {
    let members = trace_state.split(',').map(str::trim);
    let ours = members
        .filter_map(|member| member.strip_prefix("ot="))
        .next()?;
    let field = |name: &str| {
        let mut fields = ours.split(';').filter_map(|field| field.split_once(':'));
        fields.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    match field("th") {
        Some(threshold) => threshold_probability(threshold),
        None => power_probability(field("p")?),
    }
}

fn threshold_probability(digits: &str) -> Option<f64> {
    if digits.is_empty() || digits.len() > 14 {
        return None;
    }
    let value = u64::from_str_radix(digits, 16).ok()?;
    let missing = u32::try_from(14 - digits.len()).ok()? * 4;
    let threshold = value << missing;
    let kept = (1_u64 << THRESHOLD_BITS).checked_sub(threshold)?;
    (kept > 0).then(|| kept as f64 / (1_u64 << THRESHOLD_BITS) as f64)
}

/// `p:63` means probability zero: such a span stands for nothing.
fn power_probability(digits: &str) -> Option<f64> {
    let power: i32 = digits
        .parse()
        .ok()
        .filter(|power| (0..63).contains(power))?;
    Some(2_f64.powi(-power))
}

fn attribute_probability(span: &Span) -> Option<f64> {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    let names = ["sampling.ratio", "sampling.probability"];
    let attribute = span
        .attributes
        .iter()
        .find(|a| names.contains(&a.key.as_str()))?;
    let probability = match attribute.value.as_ref()?.value.as_ref()? {
        Value::DoubleValue(number) => *number,
        Value::IntValue(1) => 1.0,
        Value::StringValue(text) => text.parse().ok()?,
        _ => return None,
    };
    (probability > 0.0 && probability <= 1.0).then_some(probability)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(trace_state: &str, expected: Option<f64>) {
        let span = Span {
            trace_state: trace_state.to_owned(),
            ..Span::default()
        };
        assert_eq!(sampling_probability(&span), expected, "{trace_state}");
    }

    #[test]
    fn trace_state_tells_the_probability() {
        check("", None);
        check("ot=th:0", Some(1.0));
        check("ot=th:8", Some(0.5));
        check("ot=th:c", Some(0.25));
        check("vendor=x, ot=rv:abcdef01234567;th:c", Some(0.25));
        check("ot=th:ffffffffffffff", Some(2_f64.powi(-56)));
        check("ot=th:", None);
        check("ot=th:xyz", None);
        check("ot=th:fffffffffffffff", None);
        check("ot=p:2", Some(0.25));
        check("ot=p:63", None);
    }

    #[test]
    fn an_attribute_tells_it_where_the_trace_state_does_not() {
        use opentelemetry_proto::tonic::common::v1::any_value::Value;
        use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
        let of = |value| Span {
            attributes: vec![KeyValue {
                key: "sampling.ratio".into(),
                value: Some(AnyValue { value: Some(value) }),
                ..KeyValue::default()
            }],
            ..Span::default()
        };
        assert_eq!(
            sampling_probability(&of(Value::DoubleValue(0.1))),
            Some(0.1)
        );
        assert_eq!(sampling_probability(&of(Value::DoubleValue(0.0))), None);
        assert_eq!(sampling_probability(&of(Value::DoubleValue(1.5))), None);
    }
}
