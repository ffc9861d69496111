//! Protobuf into JSON, message by message.

use prost::DecodeError;
use serde_json::Value as Tree;

use super::JsonError;
use super::shape::{Child, Shape};
use crate::payload::Malformed;
use crate::payload::walk::Message;

impl From<Malformed> for JsonError {
    fn from(malformed: Malformed) -> Self {
        Self::Protobuf {
            problem: malformed.to_string(),
        }
    }
}

impl From<DecodeError> for JsonError {
    fn from(error: DecodeError) -> Self {
        Self::Protobuf {
            problem: error.to_string(),
        }
    }
}

/// Appends a message of that shape as an object.
pub(super) fn write(
    shape: &Shape,
    message: Message<'_>,
    out: &mut String,
) -> Result<(), JsonError> {
    let mut rest = Vec::new();
    let mut present: Vec<&Child> = Vec::new();
    for field in message.fields() {
        let field = field?;
        let Some(child) = child(shape, field.number) else {
            rest.extend_from_slice(field.raw);
            continue;
        };
        // Of a oneof the last counts.
        present.retain(|other| other.number != child.number && (child.repeated || other.repeated));
        present.push(child);
    }
    let mut comma = "";
    out.push('{');
    if let Tree::Object(members) = (shape.write)(&rest)? {
        for (name, value) in &members {
            out.extend([comma, &Tree::from(name.as_str()).to_string(), ":"]);
            out.push_str(&value.to_string());
            comma = ",";
        }
    }
    for child in present {
        out.extend([comma, "\"", child.name, "\":"]);
        write_child(child, message, out)?;
        comma = ",";
    }
    out.push('}');
    Ok(())
}

fn child(shape: &Shape, number: u32) -> Option<&'static Child> {
    let mut children = shape.children.iter();
    children.find(|child| child.number == number)
}

fn write_child(child: &Child, parent: Message<'_>, out: &mut String) -> Result<(), JsonError> {
    let messages = parent.fields().filter_map(|field| match field {
        Ok(field) if field.number == child.number => Some(field.message()),
        Ok(_) => None,
        Err(malformed) => Some(Err(malformed)),
    });
    if !child.repeated {
        // A message that comes twice is one: protobuf merges them.
        let mut merged = Vec::new();
        for message in messages {
            merged.extend_from_slice(message?.bytes);
        }
        return write(child.shape, Message::request(&merged), out);
    }
    let mut comma = "";
    out.push('[');
    for message in messages {
        out.push_str(comma);
        write(child.shape, message?, out)?;
        comma = ",";
    }
    out.push(']');
    Ok(())
}
