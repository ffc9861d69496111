use davy_proto::Signal;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use proptest::prelude::*;

use super::super::count;
use super::super::strategy::{self, text};
use super::*;

fn davys() -> Vec<KeyValue> {
    vec![
        text("service.name", "shop"),
        text("service.version", "v1.1.0"),
        text("davy.arm", "6c5d8b9f7"),
        text("k8s.pod.name", "shop-6c5d8b9f7-x2x4z"),
    ]
}

/// What splicing means, on decoded messages.
fn edited(resource: Option<Resource>, davys: &[KeyValue]) -> Resource {
    let mut resource = resource.unwrap_or_default();
    let ours = |key: &str| davys.iter().any(|davy| davy.key == key);
    resource.attributes.retain(|attribute| {
        let unnamed = match attribute.value.as_ref().and_then(|any| any.value.as_ref()) {
            Some(any_value::Value::StringValue(name)) => {
                name.is_empty() || name.starts_with("unknown_service")
            }
            Some(_) => false,
            None => true,
        };
        let replaced = ALWAYS.contains(&attribute.key.as_str())
            || (attribute.key == "service.name" && unnamed);
        !(replaced && ours(&attribute.key))
    });
    let present: Vec<_> = resource
        .attributes
        .iter()
        .map(|kept| kept.key.clone())
        .collect();
    let (always, gaps): (Vec<_>, Vec<_>) = davys
        .iter()
        .cloned()
        .partition(|davy| ALWAYS.contains(&davy.key.as_str()));
    resource.attributes.extend(always);
    resource
        .attributes
        .extend(gaps.into_iter().filter(|gap| !present.contains(&gap.key)));
    resource
}

#[track_caller]
fn check(app: &[(&str, &str)], expected: &[(&str, &str)]) {
    let resource = Resource {
        attributes: app.iter().map(|(key, value)| text(key, value)).collect(),
        ..Resource::default()
    };
    let entry = ResourceSpans {
        resource: Some(resource),
        ..ResourceSpans::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![entry],
    };
    let spliced = splice(&request.encode_to_vec(), &Enrichment::new(davys())).expect("valid");
    let found = ExportTraceServiceRequest::decode(spliced).expect("valid");
    let found = found.resource_spans[0]
        .resource
        .clone()
        .expect("a resource");
    let expected: Vec<_> = expected
        .iter()
        .map(|(key, value)| text(key, value))
        .collect();
    assert_eq!(found.attributes, expected);
}

#[test]
fn the_app_wins_and_davy_fills_gaps() {
    let (arm, pod) = (
        ("davy.arm", "6c5d8b9f7"),
        ("k8s.pod.name", "shop-6c5d8b9f7-x2x4z"),
    );
    let (name, version) = (("service.name", "shop"), ("service.version", "v1.1.0"));
    check(&[], &[arm, pod, name, version]);
    check(
        &[("service.name", "cart")],
        &[("service.name", "cart"), arm, pod, version],
    );
    check(
        &[("service.name", "unknown_service:main")],
        &[arm, pod, name, version],
    );
    check(&[("service.name", "")], &[arm, pod, name, version]);
    check(
        &[
            ("davy.arm", "forged"),
            ("a", "b"),
            ("k8s.pod.name", "other"),
        ],
        &[("a", "b"), arm, pod, name, version],
    );
    // Davy has no namespace here, so the app's stays.
    check(
        &[("k8s.namespace.name", "prod"), ("service.version", "v9")],
        &[
            ("k8s.namespace.name", "prod"),
            ("service.version", "v9"),
            arm,
            pod,
            name,
        ],
    );
    // A name set twice: the one that is a name stays.
    check(
        &[
            ("service.name", "unknown_service"),
            ("service.name", "cart"),
        ],
        &[("service.name", "cart"), arm, pod, version],
    );
}

#[test]
fn a_missing_resource_is_added_and_a_repeated_one_merged() {
    let enrichment = Enrichment::new([text("davy.arm", "a")]);
    let spliced = splice(&[0x0a, 0x00], &enrichment).expect("valid");
    let found = ExportTraceServiceRequest::decode(spliced).expect("valid");
    let resource = found.resource_spans[0]
        .resource
        .clone()
        .expect("a resource");
    assert_eq!(resource.attributes, [text("davy.arm", "a")]);

    // {1: {1: {x=1}, 1: {y=2}}}: two resource fields in one entry.
    let half = |key, value| {
        let attributes = vec![text(key, value)];
        let resource = Resource {
            attributes,
            ..Resource::default()
        };
        let mut field = BytesMut::new();
        put_header(&mut field, 1, resource.encoded_len());
        field.extend_from_slice(&resource.encode_to_vec());
        field
    };
    let entry = [half("x", "1"), half("y", "2")].concat();
    let mut request = BytesMut::new();
    put_header(&mut request, 1, entry.len());
    request.extend_from_slice(&entry);
    let spliced = splice(&request, &enrichment).expect("valid");
    assert_eq!(resource_fields(&spliced), [1]);
    let found = ExportTraceServiceRequest::decode(spliced).expect("valid");
    let resource = found.resource_spans[0]
        .resource
        .clone()
        .expect("a resource");
    assert_eq!(
        resource.attributes,
        [text("x", "1"), text("y", "2"), text("davy.arm", "a")]
    );
}

#[test]
fn of_two_attributes_with_one_key_the_later_counts() {
    let twice = Enrichment::new([text("a", "1"), text("davy.arm", "x"), text("a", "2")]);
    assert_eq!(
        twice,
        Enrichment::new([text("a", "2"), text("davy.arm", "x")])
    );
}

#[test]
fn empty_resources_by_the_thousand_are_refused() {
    let many = [0x0a, 0x00].repeat(1 << 20);
    let refused = splice(&many, &Enrichment::new(davys())).expect_err("too many");
    assert_eq!(refused.reason, Reason::TooManyResources);
}

#[test]
fn what_is_spliced_holds_no_more_than_its_length() {
    for entries in [0, 1, 7, 100, 1000] {
        let request = [0x0a, 0x00].repeat(entries);
        let spliced = splice(&request, &Enrichment::new(davys())).expect("valid");
        let length = spliced.len();
        let held = spliced.try_into_mut().expect("not shared").capacity();
        assert!(
            held <= length + length / 8 + 1024,
            "{entries}: {held} for {length}"
        );
    }
}

/// The number of resource fields of each entry.
fn resource_fields(request: &[u8]) -> Vec<usize> {
    let entries = Message::request(request)
        .fields()
        .map(|field| field.expect("valid"));
    let entries = entries.filter(|field| field.number == FIRST);
    let resources = |entry: Message<'_>| {
        let fields = entry.fields().map(|field| field.expect("valid"));
        fields.filter(|field| field.number == FIRST).count()
    };
    entries
        .map(|entry| resources(entry.message().expect("valid")))
        .collect()
}

/// The fields of each entry other than its resource, byte for byte.
fn rest(request: &[u8]) -> Vec<Vec<u8>> {
    let mut rests = Vec::new();
    for entry in Message::request(request)
        .fields()
        .map(|field| field.expect("valid"))
    {
        if entry.number != FIRST {
            rests.push(entry.raw.to_vec());
            continue;
        }
        let fields = entry.message().expect("valid").fields();
        let others = fields.map(|field| field.expect("valid"));
        let others = others.filter(|field| field.number != FIRST);
        rests.push(others.flat_map(|field| field.raw.to_vec()).collect());
    }
    rests
}

/// Adds an unknown field to the request, to each entry and to each resource.
fn with_unknown_fields(request: &[u8], depth: usize) -> Vec<u8> {
    let mut out = BytesMut::new();
    for field in Message::request(request)
        .fields()
        .map(|field| field.expect("valid"))
    {
        match field.value {
            Value::Bytes(inner) if depth > 0 && field.number == FIRST => {
                let inner = with_unknown_fields(inner.bytes, depth - 1);
                put_header(&mut out, FIRST, inner.len());
                out.extend_from_slice(&inner);
            }
            _ => out.extend_from_slice(field.raw),
        }
    }
    // Field 1,000 with the bytes "kept", and field 1,001 with a varint longer than it need be.
    put_header(&mut out, 1000, 4);
    out.extend_from_slice(b"kept\xc8\x3e\x85\x00");
    out.to_vec()
}

proptest! {
    #[test]
    fn traces_are_edited_as_the_model_says(
        request in strategy::traces(),
        davys in strategy::attributes(),
    ) {
        let davys = deduplicated(davys);
        let spliced = splice(&request.encode_to_vec(), &Enrichment::new(davys.clone()))
            .expect("valid");
        let found = ExportTraceServiceRequest::decode(spliced).expect("valid");
        let mut expected = request;
        for entry in &mut expected.resource_spans {
            entry.resource = Some(edited(entry.resource.take(), &davys));
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn all_but_resources_is_kept_byte_for_byte((signal, bytes) in strategy::encoded()) {
        let bytes = with_unknown_fields(&bytes, 2);
        let spliced = splice(&bytes, &Enrichment::new(davys())).expect("valid");
        prop_assert_eq!(rest(&spliced), rest(&bytes));
        prop_assert!(resource_fields(&spliced).iter().all(|resources| *resources == 1));
        prop_assert_eq!(count(signal, &spliced), count(signal, &bytes));
        let unknown = |bytes: &[u8]| bytes.windows(4).filter(|four| four == b"kept").count();
        prop_assert_eq!(unknown(&spliced), unknown(&bytes));
        // Doing it twice changes nothing.
        let twice = splice(&spliced, &Enrichment::new(davys())).expect("valid");
        prop_assert_eq!(twice.len(), spliced.len());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let _ = splice(&bytes, &Enrichment::new(davys()));
        let _ = super::super::Payload::received(Signal::Logs, &bytes, &Enrichment::default());
    }
}

fn deduplicated(davys: Vec<KeyValue>) -> Vec<KeyValue> {
    let mut kept: Vec<KeyValue> = Vec::new();
    for davy in davys {
        kept.retain(|known| known.key != davy.key);
        kept.push(davy);
    }
    kept
}
