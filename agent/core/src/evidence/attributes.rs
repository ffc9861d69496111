//! Reading the attributes of points and spans: route, method, status, failure.

use std::borrow::Cow;

use davy_proto::indicator::{self, HttpPattern, Protocol};
use davy_proto::limits::ROUTE_BYTES_MAX;
use davy_proto::semconv;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};

use super::settings::{EvidenceSettings, Names};

/// Which requests a count or a latency is of.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Route {
    /// HTTP route or RPC method; empty where unknown.
    pub(super) route: String,
    /// HTTP method or RPC service; empty where unknown.
    pub(super) qualifier: String,
}

/// How requests ended.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Outcome {
    /// Status code, class or name; none where unknown.
    pub(super) status: Option<String>,
    /// Why they count as failed; none when they don't.
    pub(super) error: Option<String>,
}

/// The text of an attribute's value, where it is a plain one.
pub(super) fn text(value: &AnyValue) -> Option<Cow<'_, str>> {
    match value.value.as_ref()? {
        Value::StringValue(text) => Some(Cow::Borrowed(text)),
        Value::IntValue(number) => Some(Cow::Owned(number.to_string())),
        Value::BoolValue(truth) => Some(Cow::Owned(truth.to_string())),
        Value::DoubleValue(number) => Some(Cow::Owned(number.to_string())),
        _ => None,
    }
}

/// The text of the attribute of that name, unless empty.
pub(super) fn named<'a>(attributes: &'a [KeyValue], name: &str) -> Option<Cow<'a, str>> {
    let attribute = attributes.iter().find(|attribute| attribute.key == name)?;
    text(attribute.value.as_ref()?).filter(|text| !text.is_empty())
}

/// The first attribute of the list that is there, with its name.
pub(super) fn first<'a, 'n>(
    attributes: &'a [KeyValue],
    names: &'n [String],
) -> Option<(&'n str, Cow<'a, str>)> {
    names
        .iter()
        .find_map(|name| Some((name.as_str(), named(attributes, name)?)))
}

/// The route that attributes name.
pub(super) fn route(attributes: &[KeyValue], names: &Names) -> Route {
    let of = |list: &[String]| {
        let (_, found) = first(attributes, list).unwrap_or(("", Cow::Borrowed("")));
        capped(&found).to_owned()
    };
    Route {
        route: of(&names.route),
        qualifier: of(&names.qualifier),
    }
}

/// The outcome that attributes name: the status in its canonical form, and whether it is an error.
pub(super) fn outcome(
    attributes: &[KeyValue],
    protocol: Protocol,
    settings: &EvidenceSettings,
) -> Outcome {
    let names = settings.names(protocol);
    let status = first(attributes, &names.status).and_then(|(_, text)| status(protocol, &text));
    let failed = status.as_deref().map(|status| match protocol {
        Protocol::Http => settings.errors.is_http_error(status),
        Protocol::Rpc => settings.errors.is_rpc_error(status),
    });
    let error = match failed {
        Some(true) => status.clone(),
        Some(false) => None,
        None => named(attributes, semconv::ERROR_TYPE).map(|text| capped(&text).to_owned()),
    };
    Outcome { status, error }
}

/// A status in the form that travels: `503`, `5xx`, `UNAVAILABLE`; none when it is no status.
fn status(protocol: Protocol, text: &str) -> Option<String> {
    match protocol {
        Protocol::Http => Some(match HttpPattern::parse(text)? {
            HttpPattern::Class(class) => format!("{class}xx"),
            HttpPattern::Code(code) => code.to_string(),
        }),
        Protocol::Rpc => {
            let code = indicator::grpc_code(text)?;
            indicator::grpc_code_name(code).map(str::to_owned)
        }
    }
}

/// A text of at most [`ROUTE_BYTES_MAX`] bytes.
fn capped(text: &str) -> &str {
    let mut end = text.len().min(ROUTE_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// What tells the series of a metric apart, as one text.
pub(super) fn identity(metric: &str, kind: u8, resource: &str, attributes: &[KeyValue]) -> String {
    let mut pairs: Vec<(&str, Cow<'_, str>)> = attributes
        .iter()
        .filter_map(|a| Some((a.key.as_str(), text(a.value.as_ref()?)?)))
        .collect();
    pairs.sort_unstable();
    let mut identity = format!("{metric}\u{1f}{kind}\u{1f}{resource}");
    for (key, value) in pairs {
        identity.push('\u{1f}');
        identity.push_str(key);
        identity.push('\u{1e}');
        identity.push_str(&value);
    }
    identity
}

/// A text attribute.
pub(super) fn string(key: &str, value: &str) -> KeyValue {
    pair(key, Value::StringValue(value.to_owned()))
}

/// An attribute.
pub(super) fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}
