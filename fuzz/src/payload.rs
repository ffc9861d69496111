//! An encoded request: counted, spliced, split and merged on its bytes, beside prost's decoder.
//!
//! An input is a byte for the signal, one for the size of the parts, and the request.
//!
//! * What [`census`](davy_agent_core::payload::census) lets through prost decodes, with as many
//!   items; what it refuses prost refuses too, but for what is refused for its size or its ids.
//! * Spliced, the request decodes to what editing the decoded resources gives.
//! * The parts of a split are no larger than asked for, and hold together every item once, in
//!   order, less those counted as too large; merged, they say the same.
//! * Memory is bounded by the request's bytes.

use davy_agent_core::Payload;
use davy_agent_core::payload::{Enrichment, Reason, Split, census, merge, splice, split};
use davy_proto::{Signal, semconv};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::memory::bounded;
use crate::must::{fail, must, same};
use crate::otlp::{Request, attribute};
use crate::pieces::head;
use crate::{Target, seeds};

/// The target.
pub const TARGET: Target = Target {
    name: "payload",
    check,
    seeds: seeds::requests,
    dictionary: Some("otlp.dict"),
    bytes_max: 2048,
    mutations: 300_000,
    code: crate::AGENT,
};

/// An entry of two bytes becomes a resource of some hundred.
const SPLICE_TIMES: usize = 256;
/// A record of two bytes is a part of its own, with its resource and scope.
const SPLIT_TIMES: usize = 512;
const OTHER_BYTES: usize = 16 << 10;

/// Checks a request.
pub fn check(bytes: &[u8]) {
    let (signal, rest) = head(bytes);
    let (size, request) = head(rest);
    let signal = signal_of(signal);
    let decoded = Request::decode(signal, request);
    let counted = match (census(signal, request), &decoded) {
        (Ok(counted), Ok(_)) => counted,
        (Ok(_), Err(error)) => fail(&format!("let through, but prost says {error}")),
        (Err(_), Err(_)) => return,
        (Err(malformed), Ok(_)) => {
            assert!(malformed.offset <= request.len(), "{malformed}");
            // Groups are read by prost alone; no OTLP message has had one.
            let meant = matches!(
                malformed.reason,
                Reason::IdLength { .. } | Reason::TooManyMessages | Reason::BadWireType(3)
            );
            assert!(meant, "{malformed}, but prost decodes it");
            return;
        }
    };
    let Ok(decoded) = decoded else {
        return;
    };
    assert_eq!(counted.items, decoded.records().len() as u64, "items");
    is_spliced(signal, request, decoded.clone());
    let payload = Payload {
        signal,
        bytes: request.to_vec().into(),
        items: counted.items,
    };
    is_split(&payload, &decoded, 16 + 8 * usize::from(size));
}

/// The signal that a byte stands for.
pub(crate) fn signal_of(byte: u8) -> Signal {
    let [first, second, third] = Signal::ALL;
    match byte % 3 {
        0 => first,
        1 => second,
        _ => third,
    }
}

fn davys() -> Vec<KeyValue> {
    vec![
        attribute("service.name", "shop"),
        attribute("service.version", "v1.1.0"),
        attribute("davy.arm", "6c5d8b9f7"),
        attribute("k8s.pod.name", "shop-6c5d8b9f7-x2x4z"),
    ]
}

fn is_spliced(signal: Signal, request: &[u8], mut decoded: Request) {
    let enrichment = Enrichment::new(davys());
    let bound = (request.len(), SPLICE_TIMES, OTHER_BYTES);
    let spliced = bounded(bound, "splice", || Some(splice(request, &enrichment)));
    let Some(Ok(spliced)) = spliced else {
        fail("a request that was let through can't be spliced");
    };
    for resource in decoded.resources() {
        *resource = Some(edited(resource.take().unwrap_or_default()));
    }
    let found = must(Request::decode(signal, &spliced), "spliced, not decoded");
    same(
        &format!("{found:?}"),
        &format!("{decoded:?}"),
        "spliced and edited",
    );
}

/// What splicing means, on a decoded resource.
fn edited(mut resource: Resource) -> Resource {
    let davys = davys();
    let always = [semconv::DAVY_ARM, semconv::K8S_POD_NAME];
    resource.attributes.retain(|attribute| {
        let key = attribute.key.as_str();
        let unnamed = match attribute.value.as_ref().and_then(|any| any.value.as_ref()) {
            Some(any_value::Value::StringValue(name)) => {
                name.is_empty() || name.starts_with(semconv::UNKNOWN_SERVICE)
            }
            Some(_) => false,
            None => true,
        };
        !(always.contains(&key) || (key == semconv::SERVICE_NAME && unnamed))
    });
    let present: Vec<_> = resource
        .attributes
        .iter()
        .map(|kept| kept.key.clone())
        .collect();
    let (always, gaps): (Vec<_>, Vec<_>) = davys
        .into_iter()
        .partition(|davy| always.contains(&davy.key.as_str()));
    let gaps = gaps.into_iter().filter(|gap| !present.contains(&gap.key));
    resource.attributes.extend(always);
    resource.attributes.extend(gaps);
    resource
}

fn is_split(payload: &Payload, decoded: &Request, bytes_max: usize) {
    let bound = (payload.bytes.len(), SPLIT_TIMES, OTHER_BYTES);
    let split = bounded(bound, "split", || Some(split(payload, bytes_max)));
    let Some(Ok(Split {
        parts,
        oversized_items,
    })) = split
    else {
        fail("a request that was let through can't be split");
    };
    let mut records = Vec::new();
    for part in &parts {
        assert!(
            part.bytes.len() <= bytes_max,
            "a part of {} bytes",
            part.bytes.len()
        );
        let part_decoded = Request::decode(part.signal, &part.bytes);
        let of_part = must(part_decoded, "a part can't be decoded").records();
        assert_eq!(of_part.len() as u64, part.items, "items of a part");
        records.extend(of_part);
    }
    assert_eq!(
        records.len() as u64 + oversized_items,
        payload.items,
        "items of all parts"
    );
    let mut all = decoded.records().into_iter();
    // Those that are too large are left out; the others stand in their order.
    for record in &records {
        assert!(
            all.any(|whole| whole == *record),
            "no such record: {record}"
        );
    }
    let parts: Vec<_> = parts.into_iter().map(|part| part.bytes).collect();
    let merged = must(Request::decode(payload.signal, &merge(&parts)), "merged");
    same(
        &merged.records().join("\n"),
        &records.join("\n"),
        "split and merged",
    );
}
