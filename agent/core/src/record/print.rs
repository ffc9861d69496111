//! Log records for people: one line each.

use std::fmt::Write as _;

use davy_proto::UnixNanos;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;

/// Writes a record on one line, without newline: time, severity number and text, body, attributes,
/// trace ids. Text is quoted, so its type shows and no line breaks.
pub fn line(record: &LogRecord) -> String {
    let mut line = match record.time_unix_nano {
        0 => "-".to_owned(),
        nanos => UnixNanos::new(nanos).to_string(),
    };
    // Writing to a string can't fail.
    let _ = write!(line, " {}", record.severity_number);
    if !record.severity_text.is_empty() {
        let _ = write!(line, " {}", record.severity_text);
    }
    line.push(' ');
    push_optional(&mut line, record.body.as_ref());
    push_pairs(&mut line, &record.attributes);
    for (name, id) in [("trace_id", &record.trace_id), ("span_id", &record.span_id)] {
        if !id.is_empty() {
            let _ = write!(line, " {name}=");
            push_hexadecimal(&mut line, id);
        }
    }
    if record.flags != 0 {
        let _ = write!(line, " trace_flags={:02x}", record.flags);
    }
    line
}

fn push_pairs(line: &mut String, attributes: &[KeyValue]) {
    for attribute in attributes {
        let _ = write!(line, " {}=", attribute.key);
        push_optional(line, attribute.value.as_ref());
    }
}

fn push_optional(line: &mut String, value: Option<&AnyValue>) {
    let _ = match value.and_then(|any| any.value.as_ref()) {
        None => write!(line, "null"),
        Some(Value::StringValue(text)) => write!(line, "{text:?}"),
        Some(Value::BoolValue(flag)) => write!(line, "{flag}"),
        Some(Value::IntValue(number)) => write!(line, "{number}"),
        // `3.0`, so that a double doesn't look like an integer.
        Some(Value::DoubleValue(number)) => write!(line, "{number:?}"),
        Some(Value::StringValueStrindex(index)) => write!(line, "string {index}"),
        Some(Value::BytesValue(bytes)) => {
            push_hexadecimal(line, bytes);
            Ok(())
        }
        Some(Value::ArrayValue(list)) => {
            line.push('[');
            for (index, item) in list.values.iter().enumerate() {
                line.push_str(if index == 0 { "" } else { ", " });
                push_optional(line, Some(item));
            }
            line.push(']');
            Ok(())
        }
        Some(Value::KvlistValue(list)) => {
            line.push('{');
            push_pairs(line, &list.values);
            line.push_str(" }");
            Ok(())
        }
    };
}

fn push_hexadecimal(line: &mut String, bytes: &[u8]) {
    for byte in bytes {
        let _ = write!(line, "{byte:02x}");
    }
}
