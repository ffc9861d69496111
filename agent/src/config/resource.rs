//! Who the app is: resource attributes, in the forms that the components take.

use davy_agent_core::payload::Enrichment;
use davy_proto::semconv;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};

/// Attributes that are Davy's, whatever the app says.
const FIXED: [&str; 3] = [
    semconv::DAVY_ARM,
    semconv::K8S_POD_NAME,
    semconv::K8S_NAMESPACE_NAME,
];

/// Texts by name.
pub type Texts = Vec<(String, String)>;

/// Resource attributes of the app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resource(Texts);

impl Resource {
    /// These attributes; of two with one name the later counts.
    pub fn new(attributes: Texts) -> Self {
        let mut resource = Self::default();
        for (key, value) in attributes {
            resource.set(&key, value);
        }
        resource
    }

    /// The value of an attribute.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// The same with another attribute, unless it is there.
    #[must_use]
    pub fn or(mut self, key: &str, value: &str) -> Self {
        if self.value(key).is_none() {
            self.set(key, value.to_owned());
        }
        self
    }

    /// The attributes that the app may override, and those that nothing overrides.
    pub fn split(&self) -> (Texts, Texts) {
        self.0
            .iter()
            .cloned()
            .partition(|(name, _)| !FIXED.contains(&name.as_str()))
    }

    /// For received requests.
    pub fn enrichment(&self) -> Enrichment {
        Enrichment::new(self.attributes())
    }

    /// As OTLP has them.
    pub fn attributes(&self) -> Vec<KeyValue> {
        self.0
            .iter()
            .map(|(key, value)| attribute(key, value))
            .collect()
    }

    fn set(&mut self, key: &str, value: String) {
        match self.0.iter_mut().find(|(name, _)| name == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key.to_owned(), value)),
        }
    }
}

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue {
        value: Some(Value::StringValue(value.to_owned())),
    });
    KeyValue {
        key: key.to_owned(),
        value,
        ..KeyValue::default()
    }
}
