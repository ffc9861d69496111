//! JSON objects: log/slog's JSONHandler, zap, zerolog, logrus.
//!
//! Objects within become nested maps and integers stay integers; of a key that comes twice the last
//! counts. Read straight into OTLP's values, without a tree between.

use std::fmt;

use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, KeyValue, KeyValueList, any_value::Value,
};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

use super::{Context, attributes};

/// Deepest nesting that is read: each level is three messages in OTLP, and decoders follow 100.
const DEPTH_MAX: usize = 28;

/// The record of a line that is one JSON object.
pub(super) fn read(line: &str, context: Context) -> Option<LogRecord> {
    Some(attributes::record(object(line)?, context))
}

/// The members of a line that is one JSON object.
pub(super) fn object(line: &str) -> Option<Vec<KeyValue>> {
    let line = line.trim();
    if !(line.starts_with('{') && line.ends_with('}')) {
        return None;
    }
    let mut deserializer = serde_json::Deserializer::from_str(line);
    let value = Depth(DEPTH_MAX).deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    match value.value {
        Some(Value::KvlistValue(list)) => Some(list.values),
        _ => None,
    }
}

/// Reads one value with so many levels left below it.
#[derive(Clone, Copy)]
struct Depth(usize);

impl Depth {
    fn below<E: Error>(self) -> Result<Self, E> {
        let below = self.0.checked_sub(1).map(Self);
        below.ok_or_else(|| E::custom("nested too deep"))
    }
}

impl<'de> DeserializeSeed<'de> for Depth {
    type Value = AnyValue;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<AnyValue, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Depth {
    type Value = AnyValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<AnyValue, E> {
        Ok(any(Value::BoolValue(flag)))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<AnyValue, E> {
        Ok(any(Value::IntValue(number)))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<AnyValue, E> {
        Ok(any(match i64::try_from(number) {
            Ok(number) => Value::IntValue(number),
            // OTLP has no unsigned integers, and a double would lose digits of what may be an id.
            Err(_) => Value::StringValue(number.to_string()),
        }))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<AnyValue, E> {
        Ok(any(Value::DoubleValue(number)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<AnyValue, E> {
        Ok(any(Value::StringValue(text.to_owned())))
    }

    fn visit_unit<E: Error>(self) -> Result<AnyValue, E> {
        Ok(AnyValue::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<AnyValue, A::Error> {
        let below = self.below()?;
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(below)? {
            values.push(value);
        }
        Ok(any(Value::ArrayValue(ArrayValue { values })))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<AnyValue, A::Error> {
        let below = self.below()?;
        let mut values = Vec::new();
        while let Some(key) = members.next_key::<String>()? {
            values.push(KeyValue {
                key,
                value: Some(members.next_value_seed(below)?),
                ..KeyValue::default()
            });
        }
        attributes::deduplicate(&mut values);
        Ok(any(Value::KvlistValue(KeyValueList { values })))
    }
}

const fn any(value: Value) -> AnyValue {
    AnyValue { value: Some(value) }
}
