//! Davy's attributes in the resources of a request, by rewriting the enclosing lengths.
//!
//! Protobuf would merge a second `resource` field that is simply appended, but decoders written by
//! hand overwrite on repetition (VictoriaMetrics' does) and the app's own attributes would be lost.
//! So what comes out has exactly one resource an entry, with each key of Davy's once; everything
//! else, unknown fields included, is copied byte for byte.

use bytes::{BufMut, Bytes, BytesMut};
use davy_proto::semconv;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use prost::Message as _;

use super::walk::{Field, Malformed, Message, Reason, Value};
use super::write::{field_length, put_header};

/// Fields 1 and 2 of `Resource{Spans,Logs,Metrics}`, of the request above it and of `KeyValue`.
const FIRST: u32 = 1;
const SECOND: u32 = 2;
/// Most bytes that splicing may add to a request: thousands of empty resources of four bytes must
/// not become gigabytes. 16 MiB is as much again as a receiver takes.
const GROWTH_BYTES_MAX: usize = 16 << 20;

/// Unused room of a spliced request that is not worth a copy: a share of it, and some bytes.
const SLACK_SHARE: usize = 8;
const SLACK_BYTES: usize = 1024;

/// What is Davy's whatever the app says, since the gate judges by it.
const ALWAYS: [&str; 3] = [
    semconv::DAVY_ARM,
    semconv::K8S_POD_NAME,
    semconv::K8S_NAMESPACE_NAME,
];

/// The attributes that Davy knows of the app beside it.
///
/// What the app's SDK set wins, except a `service.name` that is empty or begins
/// `unknown_service`; `davy.arm`, `k8s.pod.name` and `k8s.namespace.name` are Davy's where Davy
/// has them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Enrichment {
    always: Vec<Attribute>,
    gaps: Vec<Attribute>,
}

/// One attribute, encoded as a field of `Resource`.
#[derive(Clone, Debug, PartialEq)]
struct Attribute {
    key: String,
    field: Vec<u8>,
}

impl Enrichment {
    /// Encodes the attributes; of two with one key the later counts.
    pub fn new(attributes: impl IntoIterator<Item = KeyValue>) -> Self {
        let mut enrichment = Self::default();
        for attribute in attributes {
            let always = ALWAYS.contains(&attribute.key.as_str());
            let list = match always {
                true => &mut enrichment.always,
                false => &mut enrichment.gaps,
            };
            list.retain(|known| known.key != attribute.key);
            let mut field = BytesMut::new();
            put_header(&mut field, FIRST, attribute.encoded_len());
            field.extend_from_slice(&attribute.encode_to_vec());
            list.push(Attribute {
                key: attribute.key,
                field: field.to_vec(),
            });
        }
        enrichment
    }

    fn length(&self) -> usize {
        let all = self.always.iter().chain(&self.gaps);
        all.map(|attribute| attribute.field.len()).sum()
    }
}

/// Splices `enrichment` into every resource of an encoded export request of any signal; an entry
/// without a resource gets one.
///
/// # Errors
///
/// Where the request is malformed down to its resources, or has so many of them that it would grow
/// by more than 16 MiB.
///
/// # Complexity
///
/// One copy of the bytes; resources are walked, records are not.
pub fn splice(bytes: &[u8], enrichment: &Enrichment) -> Result<Bytes, Malformed> {
    let mut out = BytesMut::with_capacity(bytes.len() + 4 * enrichment.length() + 64);
    let mut resource = BytesMut::new();
    for field in Message::request(bytes).fields() {
        let field = field?;
        if field.number == FIRST {
            splice_entry(&mut out, &mut resource, field.message()?, enrichment)?;
        } else {
            out.extend_from_slice(field.raw);
        }
        if out.len() > bytes.len() + GROWTH_BYTES_MAX {
            return Err(field.malformed(Reason::TooManyResources));
        }
    }
    Ok(frozen(out))
}

/// The bytes; copied where the buffer grew far beyond them, by doubling. A queue counts lengths, so
/// what waits in one must not hold much more.
fn frozen(out: BytesMut) -> Bytes {
    let slack = out.capacity() - out.len();
    match slack > out.len() / SLACK_SHARE + SLACK_BYTES {
        true => Bytes::copy_from_slice(&out),
        false => out.freeze(),
    }
}

/// Writes one `Resource{Spans,Logs,Metrics}`, the resource first.
fn splice_entry(
    out: &mut BytesMut,
    resource: &mut BytesMut,
    entry: Message<'_>,
    enrichment: &Enrichment,
) -> Result<(), Malformed> {
    resource.clear();
    let mut filled = vec![false; enrichment.gaps.len()];
    let mut others = 0;
    for field in entry.fields() {
        let field = field?;
        if field.number == FIRST {
            // A repeated resource is merged, as protobuf says: one behind the other.
            keep_resource(resource, field.message()?, enrichment, &mut filled)?;
        } else {
            others += field.raw.len();
        }
    }
    for attribute in &enrichment.always {
        resource.extend_from_slice(&attribute.field);
    }
    for (attribute, _) in enrichment
        .gaps
        .iter()
        .zip(&filled)
        .filter(|(_, filled)| !**filled)
    {
        resource.extend_from_slice(&attribute.field);
    }
    put_header(out, FIRST, field_length(FIRST, resource.len()) + others);
    put_header(out, FIRST, resource.len());
    out.put_slice(resource);
    for field in entry.fields() {
        let field = field?;
        if field.number != FIRST {
            out.put_slice(field.raw);
        }
    }
    Ok(())
}

/// Copies what the app says of itself, less what is Davy's, and marks the gaps that it fills.
fn keep_resource(
    out: &mut BytesMut,
    resource: Message<'_>,
    enrichment: &Enrichment,
    filled: &mut [bool],
) -> Result<(), Malformed> {
    for field in resource.fields() {
        let field = field?;
        if field.number == FIRST && !keeps(&field, enrichment, filled)? {
            continue;
        }
        out.put_slice(field.raw);
    }
    Ok(())
}

fn keeps(
    field: &Field<'_>,
    enrichment: &Enrichment,
    filled: &mut [bool],
) -> Result<bool, Malformed> {
    let attribute = field.message()?;
    let key = last_bytes(attribute, FIRST)?.unwrap_or_default();
    if enrichment
        .always
        .iter()
        .any(|always| always.key.as_bytes() == key)
    {
        return Ok(false);
    }
    let gap = enrichment
        .gaps
        .iter()
        .position(|gap| gap.key.as_bytes() == key);
    let Some(filled) = gap.and_then(|gap| filled.get_mut(gap)) else {
        return Ok(true);
    };
    let unnamed = key == semconv::SERVICE_NAME.as_bytes() && is_unnamed(attribute)?;
    *filled |= !unnamed;
    Ok(!unnamed)
}

/// Whether the value is no name: absent, empty, or what an SDK writes where none was configured.
fn is_unnamed(attribute: Message<'_>) -> Result<bool, Malformed> {
    let mut text = Some(&[][..]);
    for field in attribute.fields() {
        let field = field?;
        if field.number != SECOND {
            continue;
        }
        // Of a oneof that is set twice the last counts, across repetitions of the message too.
        for value in field.message()?.fields() {
            let value = value?;
            text = match (value.number, value.value) {
                (FIRST, Value::Bytes(text)) => Some(text.bytes),
                (FIRST, _) => return Err(value.wrong_wire_type()),
                (2..=8, _) => None,
                _ => text,
            };
        }
    }
    let unknown = semconv::UNKNOWN_SERVICE.as_bytes();
    Ok(text.is_some_and(|text| text.is_empty() || text.starts_with(unknown)))
}

fn last_bytes(message: Message<'_>, number: u32) -> Result<Option<&[u8]>, Malformed> {
    let mut found = None;
    for field in message.fields() {
        let field = field?;
        if field.number == number {
            found = Some(field.message()?.bytes);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
