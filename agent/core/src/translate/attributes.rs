//! Labels into attributes.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};

use crate::exposition::Label;

/// Returns a string attribute.
pub(crate) fn text(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    }
}

/// Returns the attributes of labels.
pub(crate) fn of_labels<'l>(labels: impl Iterator<Item = &'l Label<'l>>) -> Vec<KeyValue> {
    labels
        .map(|label| text(&label.name, &label.value))
        .collect()
}

/// Sets an attribute, in place of one with the same key.
pub(crate) fn set(attributes: &mut Vec<KeyValue>, attribute: KeyValue) {
    match attributes
        .iter_mut()
        .find(|known| known.key == attribute.key)
    {
        Some(known) => *known = attribute,
        None => attributes.push(attribute),
    }
}
