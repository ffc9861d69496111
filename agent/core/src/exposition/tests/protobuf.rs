//! Delimited protobuf: pages of real programs beside their text, and messages made by hand.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const MEDIA: Option<&str> = Some(
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
);

macro_rules! twin {
    ($name:literal) => {
        (
            include_bytes!(concat!("../../../../../tests/corpora/", $name, ".pb")).as_slice(),
            include_str!(concat!("../../../../../tests/corpora/", $name, ".prom")),
        )
    };
}

/// Each program's page in both formats, one scrape after the other.
const TWINS: [(&[u8], &str); 5] = [
    twin!("etcd"),
    twin!("goapp"),
    twin!("node_exporter"),
    twin!("prometheus"),
    twin!("pushgateway"),
];

type Names<'p> = BTreeMap<(String, &'static str), BTreeSet<String>>;

/// What a page's samples are called, `_created` aside, which text 0.0.4 has not.
fn names<'p>(page: &'p Page<'p>) -> Names<'p> {
    let mut names = Names::new();
    for sample in page.samples.iter().filter(|s| s.role != Role::Created) {
        let family = page.family(sample).unwrap();
        let series = names
            .entry((family.name.clone().into_owned(), family.kind.word()))
            .or_default();
        let (labels, bound) = (page.labels(sample), sample.bound);
        let fresh = series.insert(format!("{:?} {bound} {labels:?}", sample.role));
        assert!(fresh, "{}", family.name);
    }
    names
}

#[test]
fn a_program_says_the_same_in_protobuf_and_in_text() {
    for (protobuf, text) in TWINS {
        let binary = parse(protobuf, MEDIA, &Options::STRICT).unwrap();
        let text = parse(text.as_bytes(), None, &Options::STRICT).unwrap();
        assert_eq!(binary.format, Format::Protobuf);
        let sniffed = parse(protobuf, None, &Options::STRICT).unwrap();
        assert_eq!(names(&sniffed), names(&binary));
        let (mut here, mut there) = (names(&binary), names(&text));
        // What came into being by the scrape before: the promhttp handler's own series.
        for names in [&mut here, &mut there] {
            names.retain(|(name, _), _| !name.starts_with("promhttp"));
        }
        assert_eq!(here, there);
        let help = |page: &Page<'_>| -> BTreeMap<String, String> {
            let named = page.families.iter();
            named
                .map(|f| (f.name.to_string(), f.help.to_string()))
                .collect()
        };
        assert_eq!(help(&binary), help(&text));
    }
}

/// Appends a number of seven bits a byte.
fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Returns a field of bytes.
fn field(number: u64, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint(&mut out, number << 3 | 2);
    varint(&mut out, bytes.len() as u64);
    out.extend_from_slice(bytes);
    out
}

/// Returns a field of a number.
fn number(field: u64, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    varint(&mut out, field << 3);
    varint(&mut out, value);
    out
}

/// Returns a field of a double.
fn double(field: u64, value: f64) -> Vec<u8> {
    let mut out = Vec::new();
    varint(&mut out, field << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
    out
}

/// Returns a message of one family with one metric.
fn page(name: &str, kind: u64, metric: &[Vec<u8>]) -> Vec<u8> {
    let family = [
        field(1, name.as_bytes()),
        number(3, kind),
        field(4, &metric.concat()),
    ];
    delimited(&family.concat())
}

fn delimited(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint(&mut out, message.len() as u64);
    out.extend_from_slice(message);
    out
}

fn label(name: &str, value: &str) -> Vec<u8> {
    let pair = [field(1, name.as_bytes()), field(2, value.as_bytes())];
    field(1, &pair.concat())
}

#[track_caller]
fn strict_error(page: &[u8], expected: &str) {
    let error = parse(page, MEDIA, &Options::STRICT).unwrap_err();
    assert_eq!(error.to_string(), expected);
}

#[test]
fn strictness_names_the_message() {
    let good = page("a", 1, &[field(2, &double(1, 3.0))]);
    let after_good = |bad: &[u8]| [good.clone(), bad.to_vec()].concat();
    strict_error(
        &after_good(&[0x20, 0x0a]),
        "message 2: byte 1: the message ends within a field",
    );
    strict_error(
        &after_good(&page("b", 1, &[field(3, &double(1, 3.0))])),
        "message 2: metric has no value of its family's type",
    );
    strict_error(
        &after_good(&page("b", 9, &[])),
        "message 2: type is not one of the format's",
    );
    strict_error(
        &after_good(&page("", 1, &[])),
        "message 2: metric name is malformed",
    );
    strict_error(
        &after_good(&page("b", 1, &[field(2, &number(1, 3))])),
        "message 2: byte 10: field 1 with wire type 0",
    );
    let twice = [label("x", "1"), label("x", "2"), field(2, &double(1, 3.0))];
    strict_error(
        &after_good(&page("b", 1, &twice)),
        "message 2: label stands twice",
    );
    let named = [field(1, b"\xff"), field(4, &[])].concat();
    strict_error(
        &after_good(&delimited(&named)),
        "message 2: line is not UTF-8",
    );
    strict_error(
        &after_good(&page(
            "b",
            1,
            &[field(2, &double(1, 3.0)), field(3, &[0x08])],
        )),
        "message 2: byte 22: the message ends within a field",
    );
    let spans = [field(12, &[0x10, 2]), number(13, 2)].concat();
    strict_error(
        &after_good(&page("b", 4, &[field(7, &spans)])),
        "message 2: buckets of a native histogram do not add up",
    );
}

/// Guarantees: what OTLP has no form for is read all the same, and never beyond what is there.
#[test]
fn native_histograms_of_floats_are_read() {
    let counts = [1.5f64, 0.0, 2.0].map(f64::to_le_bytes).concat();
    let histogram = |length| {
        let span = [number(1, 4), number(2, length)].concat();
        let sides = [field(12, &span), field(14, &counts)].concat();
        let below = [field(9, &number(2, 1)), double(11, 7.0)].concat();
        page(
            "h",
            4,
            &[field(
                7,
                &[double(4, 10.5), double(8, 0.25), sides, below].concat(),
            )],
        )
    };
    let bytes = histogram(3);
    let read = parse(&bytes, MEDIA, &Options::STRICT).unwrap();
    let native = &read.natives()[0];
    assert!(native.is_float && native.zero_count_float == 0.25);
    let positive: Result<Vec<_>, _> = native.positive_floats().collect();
    assert_eq!(positive, Ok(vec![(2, 1.5), (3, 0.0), (4, 2.0)]));
    let negative: Result<Vec<_>, _> = native.negative_floats().collect();
    assert_eq!(negative, Ok(vec![(0, 7.0)]));
    assert_eq!(native.positive().count() + native.negative().count(), 0);
    for length in [2, 4, u64::from(u32::MAX)] {
        let error = Format::Protobuf.error(1, Reason::NativeMisfit);
        let strict = parse(&histogram(length), MEDIA, &Options::STRICT).map(|_| ());
        assert_eq!(strict, Err(PageError::Line(error)));
    }
}

#[test]
fn a_bad_metric_costs_itself_and_a_lost_frame_the_page() {
    let metrics = [
        field(4, &[label("x", "1"), field(2, &double(1, 1.0))].concat()),
        field(4, &[label("x", "2"), field(3, &double(1, 2.0))].concat()),
        field(4, &[label("x", "3"), field(2, &double(1, 3.0))].concat()),
        field(4, &[0x0a, 0xff]),
        field(4, &[field(2, &double(1, 4.0)), number(6, 1 << 63)].concat()),
    ];
    let family = [field(1, b"a"), metrics.concat(), number(3, 1)].concat();
    let bytes = delimited(&family);
    let read = parse(&bytes, MEDIA, &Options::LENIENT).unwrap();
    let values: Vec<f64> = read.samples.iter().map(|sample| sample.value).collect();
    assert_eq!(values, [1.0, 3.0]);
    assert_eq!(read.tally.bad_lines, 2);
    assert_eq!(read.tally.unholdable_timestamps, 1);
    let first = Format::Protobuf.error(1, Reason::ValueMissing);
    assert_eq!(read.tally.first_bad, Some(first));
    let cut = bytes.get(..bytes.len() - 1).unwrap();
    assert!(matches!(
        parse(cut, MEDIA, &Options::LENIENT),
        Err(PageError::Line(_))
    ));
}

#[test]
fn a_series_that_stands_twice_keeps_its_first_sample() {
    let one = |value| page("a", 0, &[label("x", "1"), field(3, &double(1, value))]);
    let bytes = [
        one(1.0),
        page("b", 0, &[field(3, &double(1, 7.0))]),
        one(2.0),
    ]
    .concat();
    let read = parse(&bytes, MEDIA, &Options::LENIENT).unwrap();
    let values: Vec<f64> = read.samples.iter().map(|sample| sample.value).collect();
    assert_eq!((values, read.tally.duplicates), (vec![1.0, 7.0], 1));
}

/// Guarantees: whatever a page repeats, what is kept of it is bounded by the limits.
#[test]
fn limits_bound_what_small_messages_become() {
    let limits = Limits {
        samples: 100,
        ..DEFAULT_LIMITS
    };
    let options = Options {
        limits,
        strict: false,
        honor_timestamps: true,
    };
    let many = Err(PageError::TooManySamples { limit: 100 });
    let buckets = page("a", 4, &[field(7, &[0x1a, 0].repeat(1000))]);
    assert_eq!(parse(&buckets, MEDIA, &options), many);
    let exemplars = page("a", 4, &[field(7, &[0x82, 0x01, 0].repeat(1000))]);
    assert_eq!(parse(&exemplars, MEDIA, &options), many);
    let metrics = delimited(&[field(1, b"a"), field(4, &[0x1a, 0]).repeat(1000)].concat());
    assert_eq!(parse(&metrics, MEDIA, &options), many);
    let families = page("a", 0, &[field(3, &[])]).repeat(1000);
    assert_eq!(parse(&families, MEDIA, &options), many);
    let labels = page("a", 0, &[label("x", "y").repeat(1000), field(3, &[])]);
    let error = Format::Protobuf.error(1, Reason::TooManyLabels);
    assert_eq!(parse(&labels, MEDIA, &options), Err(PageError::Line(error)));
    let unlabelled = page("a", 0, &[label("x", "").repeat(1000), field(3, &[])]);
    let read = parse(&unlabelled, MEDIA, &options).unwrap();
    assert_eq!((read.samples.len(), read.labels.len()), (1, 0));
}

proptest! {
    #[test]
    fn never_panics_on_mutilated_pages(
        program in 0..TWINS.len(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        end in any::<prop::sample::Index>(),
        strict: bool,
    ) {
        let mut bytes = TWINS[program].0.to_vec();
        for (at, byte) in cuts {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(1 + end.index(bytes.len()));
        let options = if strict { Options::STRICT } else { Options::LENIENT };
        if let Ok(page) = parse(&bytes, MEDIA, &options) {
            let identity = crate::translate::Identity::default();
            let _ = crate::translate::convert(&page, &identity, 1);
        }
    }

    #[test]
    fn never_panics_on_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&bytes, MEDIA, &Options::LENIENT);
        let _ = parse(&delimited(&bytes), MEDIA, &Options::LENIENT);
    }
}
