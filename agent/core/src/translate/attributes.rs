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

/// Labels that name the target and not the series: a backend that makes labels of the resource
/// writes its own over them, and series that nothing else tells apart would be one.
const OF_TARGET: [&str; 2] = ["instance", "job"];

/// Returns whether a label is renamed by [`of_labels`].
pub(crate) fn is_of_target(label: &Label<'_>) -> bool {
    OF_TARGET.contains(&label.name.as_ref())
}

/// What a scrape by Prometheus puts before such a label (its option `honor_labels` off).
const EXPORTED: &str = "exported_";

/// Returns the attributes of labels: a page's own `job` and `instance` become `exported_job` and
/// `exported_instance`, as in a scrape by Prometheus.
pub(crate) fn of_labels<'l>(labels: impl Iterator<Item = &'l Label<'l>>) -> Vec<KeyValue> {
    let mut attributes: Vec<KeyValue> = labels
        .map(|label| text(&label.name, &label.value))
        .collect();
    for taken in OF_TARGET {
        if let Some(at) = attributes.iter().position(|known| known.key == taken) {
            let name = exported(&attributes, taken);
            if let Some(attribute) = attributes.get_mut(at) {
                attribute.key = name;
            }
        }
    }
    attributes
}

/// Returns a name that no attribute has yet.
fn exported(attributes: &[KeyValue], taken: &str) -> String {
    let mut name = [EXPORTED, taken].concat();
    while attributes.iter().any(|known| known.key == name) {
        name.insert_str(0, EXPORTED);
    }
    name
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

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    /// Guarantees: the names that Prometheus's scrape gives (`resolveConflictingExposedLabels`).
    #[test]
    fn labels_of_the_target_are_exported() {
        for (names, expected) in [
            ("job", "exported_job"),
            ("instance,path", "exported_instance,path"),
            (
                "exported_job,instance,job",
                "exported_job,exported_instance,exported_exported_job",
            ),
            ("jobs,path", "jobs,path"),
        ] {
            let label = |name| Label {
                name: Cow::Borrowed(name),
                value: Cow::Borrowed("x"),
            };
            let labels: Vec<Label<'_>> = names.split(',').map(label).collect();
            let attributes = of_labels(labels.iter());
            let keys: Vec<&str> = attributes.iter().map(|a| a.key.as_str()).collect();
            assert_eq!(keys.join(","), expected);
        }
    }
}
