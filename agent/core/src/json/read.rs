//! JSON into protobuf, object by object.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::JsonError;
use super::field::{Fault, camel_case};
use super::shape::{Child, Shape};
use crate::payload::walk::Message;
use crate::payload::write::put_header;

/// Most values (members, elements) of one object without its streamed lists: a tree of them takes
/// some 50 MB at worst, and of what SDKs send some 100 KB.
pub(super) const VALUES_MAX: usize = 1 << 16;

/// Reads a document as the message of that shape.
pub(super) fn read(shape: &'static Shape, text: &[u8]) -> Result<Vec<u8>, JsonError> {
    let mut place = Place::default();
    let mut document = serde_json::Deserializer::from_slice(text);
    let object = Object {
        shape,
        place: &mut place,
    };
    let read = object.deserialize(&mut document);
    let read = read.and_then(|bytes| document.end().map(|()| bytes));
    read.map_err(|error| place.explain(&error))
}

/// Where in the document the reader is, and what it found wrong there.
#[derive(Debug, Default)]
struct Place {
    steps: Vec<Step>,
    fault: Option<JsonError>,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Member(&'static str),
    Element(usize),
}

impl Place {
    fn fail<E: serde::de::Error>(&mut self, fault: Fault) -> E {
        self.fault = Some(fault.into_error(self.path()));
        E::custom("see the fault")
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for step in &self.steps {
            match step {
                Step::Member(name) if path.is_empty() => path.push_str(name),
                Step::Member(name) => path.extend([".", name]),
                Step::Element(at) => path.push_str(&format!("[{at}]")),
            }
        }
        path
    }

    fn explain(&mut self, error: &serde_json::Error) -> JsonError {
        if let Some(fault) = self.fault.take() {
            return fault;
        }
        let problem = problem(error);
        if error.is_data() {
            return Fault::new(problem).into_error(self.path());
        }
        JsonError::Syntax {
            line: error.line(),
            column: error.column(),
            problem,
        }
    }
}

/// What serde_json says, without the place that it repeats at the end.
fn problem(error: &serde_json::Error) -> String {
    let said = error.to_string();
    said.split(" at line ")
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// Reads an object as a message.
struct Object<'p> {
    shape: &'static Shape,
    place: &'p mut Place,
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = Vec<u8>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Vec<u8>, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Vec<u8>, A::Error> {
        let Self { shape, place } = self;
        let mut rest = Map::new();
        let mut room = VALUES_MAX;
        let mut streamed: Vec<(&'static Child, Vec<u8>)> = Vec::new();
        while let Some(name) = members.next_key::<String>()? {
            let name = camel_case(&name);
            let child = shape.children.iter().find(|child| child.name == name);
            let Some(child) = child else {
                let text: &RawValue = members.next_value()?;
                room = room
                    .checked_sub(values(text.get()))
                    .ok_or_else(|| place.fail::<A::Error>(too_large()))?;
                let value = tree(text).map_err(|fault| {
                    let fault = fault.under(name.clone().into_owned());
                    place.fail::<A::Error>(fault)
                })?;
                rest.insert(name.into_owned(), value);
                continue;
            };
            place.steps.push(Step::Member(child.name));
            let read = members.next_value_seed(Streamed { child, place })?;
            place.steps.pop();
            if let Some(bytes) = read {
                // Of a member that comes twice, and of a oneof, the last counts.
                streamed.retain(|(other, _)| {
                    other.number != child.number && (child.repeated || other.repeated)
                });
                streamed.push((child, bytes));
            }
        }
        let rest = (shape.read)(&Value::Object(rest));
        let rest = rest.map_err(|fault| place.fail::<A::Error>(fault))?;
        Ok(assemble(rest, streamed))
    }
}

/// Reads what a streamed field holds, each element with its tag and length; none of `null`.
struct Streamed<'p> {
    child: &'static Child,
    place: &'p mut Place,
}

impl Streamed<'_> {
    fn put(&self, into: &mut Vec<u8>, message: &[u8]) {
        put_header(into, self.child.number, message.len());
        into.extend_from_slice(message);
    }
}

impl<'de> DeserializeSeed<'de> for Streamed<'_> {
    type Value = Option<Vec<u8>>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Streamed<'_> {
    type Value = Option<Vec<u8>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.child.repeated {
            "a list"
        } else {
            "an object"
        })
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        if !self.child.repeated {
            return Err(A::Error::invalid_type(serde::de::Unexpected::Seq, &self));
        }
        let mut bytes = Vec::new();
        for at in 0.. {
            self.place.steps.push(Step::Element(at));
            let object = Object {
                shape: self.child.shape,
                place: &mut *self.place,
            };
            let Some(message) = elements.next_element_seed(object)? else {
                self.place.steps.pop();
                break;
            };
            self.put(&mut bytes, &message);
            self.place.steps.pop();
        }
        Ok(Some(bytes))
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
        if self.child.repeated {
            return Err(A::Error::invalid_type(serde::de::Unexpected::Map, &self));
        }
        let object = Object {
            shape: self.child.shape,
            place: &mut *self.place,
        };
        let message = object.visit_map(members)?;
        let mut bytes = Vec::new();
        self.put(&mut bytes, &message);
        Ok(Some(bytes))
    }
}

fn too_large() -> Fault {
    Fault::new(format!(
        "more than {VALUES_MAX} values in one object; no span, record or point has as many"
    ))
}

fn tree(text: &RawValue) -> Result<Value, Fault> {
    serde_json::from_str(text.get()).map_err(|error| Fault::new(problem(&error)))
}

/// Values of a JSON text, at most: one for each comma, colon and bracket that opens.
fn values(text: &str) -> usize {
    let mut bytes = text.bytes();
    let mut count = 1;
    while let Some(byte) = bytes.next() {
        match byte {
            b',' | b'{' | b'[' => count += 1,
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
    }
    count
}

fn skip_string(bytes: &mut impl Iterator<Item = u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
}

/// A message of its other fields and of the streamed ones, in the order of their numbers.
fn assemble(rest: Vec<u8>, mut streamed: Vec<(&'static Child, Vec<u8>)>) -> Vec<u8> {
    if streamed.is_empty() {
        return rest;
    }
    streamed.sort_by_key(|(child, _)| child.number);
    let length = streamed.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
    let mut message = Vec::with_capacity(rest.len() + length);
    let mut streamed = streamed.into_iter().peekable();
    // What prost has just written is well-formed.
    for field in Message::request(&rest).fields().flatten() {
        while let Some((_, bytes)) = streamed.next_if(|(child, _)| child.number < field.number) {
            message.extend(bytes);
        }
        message.extend_from_slice(field.raw);
    }
    message.extend(streamed.flat_map(|(_, bytes)| bytes));
    message
}
