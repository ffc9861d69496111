//! What holds of every page, whatever its format.

use davy_agent_core::exposition::{
    Exemplar, Format, Label, LineError, Options, Page, PageError, Piece, Sample, parse,
};
use davy_agent_core::translate::{Identity, convert, items};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use prost::Message as _;

use crate::memory::bounded;
use crate::must::{fail, must, same};

pub(crate) mod print;

/// The media types that pages are asked for in.
pub(crate) const OPEN: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
pub(crate) const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
pub(crate) const WIRE: &str = "application/vnd.google.protobuf; \
    proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// Most bytes that reading a page may hold for each of its bytes, and beside them. A sample of some
/// 80 bytes takes two on a page (`a 1` has a line feed too; an empty bucket of protobuf has two),
/// and a vector of them, when it grows, three times that for a moment.
const READ_TIMES: usize = 160;
const READ_BYTES: usize = 16 << 10;

/// Reads a page both ways; checks what holds between them and returns both.
pub(crate) fn read<'a>(bytes: &'a [u8], media_type: &str) -> (Option<Page<'a>>, Option<Page<'a>>) {
    let bound = (bytes.len(), READ_TIMES, READ_BYTES);
    let read = |options| Some(parse(bytes, Some(media_type), options));
    let lenient = bounded(bound, "read leniently", || read(&Options::LENIENT));
    let strict = bounded(bound, "read strictly", || read(&Options::STRICT));
    let lenient = lenient.and_then(|page| accepted(page, bytes));
    let strict = strict.and_then(|page| accepted(page, bytes));
    if let Some(page) = &lenient {
        is_orderly(page, bytes);
    }
    match (&strict, &lenient) {
        (Some(strict), Some(lenient)) => {
            let (strict, read) = (without_returns(strict), without_returns(lenient));
            same(&strict, &read, "read strictly and leniently");
            let tally = &lenient.tally;
            assert_eq!((tally.bad_lines, tally.duplicates), (0, 0), "{tally:?}");
        }
        (Some(_), None) => fail("what the specification allows is not read"),
        (None, _) => {}
    }
    (lenient, strict)
}

/// All that a page says, less what ends its HELP: a carriage return there is a part of it in the
/// text format, and leniently a part of the line's end.
fn without_returns(page: &Page<'_>) -> String {
    let mut page = page.clone();
    for family in &mut page.families {
        let help = family.help.trim_end_matches(['\r', ' ', '\t']);
        family.help = help.to_owned().into();
    }
    described(&page)
}

/// The page; of one that was refused checks that the place named is there.
fn accepted<'a>(page: Result<Page<'a>, PageError>, bytes: &[u8]) -> Option<Page<'a>> {
    match page {
        Ok(page) => Some(page),
        Err(PageError::Line(error)) => {
            is_there(&error, bytes);
            None
        }
        Err(_) => None,
    }
}

/// Checks that an error names a line or message that a page has; one without any misses its end in
/// the first.
fn is_there(error: &LineError, bytes: &[u8]) {
    let pieces = pieces(bytes, error.piece);
    assert!(
        (1..=pieces.max(1)).contains(&error.line),
        "{error}, of {pieces}"
    );
}

/// How many lines or messages a page has, one that is cut short included. What a media type says
/// of it may not be so.
fn pieces(mut bytes: &[u8], piece: Piece) -> u32 {
    if piece == Piece::Line {
        return bytes.split_inclusive(|byte| *byte == b'\n').count() as u32;
    }
    let mut count = 0;
    while !bytes.is_empty() {
        count += 1;
        let length = prost::decode_length_delimiter(&mut bytes);
        let rest = length.ok().and_then(|length| bytes.get(length..));
        bytes = rest.unwrap_or_default();
    }
    count
}

/// Checks a page against what its documentation says of it.
fn is_orderly(page: &Page<'_>, bytes: &[u8]) {
    let piece = match page.format {
        Format::Protobuf => Piece::Message,
        Format::OpenMetrics | Format::Text => Piece::Line,
    };
    let pieces = pieces(bytes, piece);
    if let Some(error) = page.tally.first_bad {
        assert!(page.tally.bad_lines > 0);
        assert_eq!(error.piece, piece);
        is_there(&error, bytes);
    } else {
        assert_eq!(page.tally.bad_lines, 0);
    }
    let mut before = 0;
    for sample in &page.samples {
        assert!((1..=pieces).contains(&sample.line), "{sample:?}");
        assert!(sample.family >= before, "samples are grouped by family");
        assert!(page.family(sample).is_some(), "{sample:?} is of no family");
        before = sample.family;
        let labels = page.labels(sample);
        let rising = labels.is_sorted_by(|a, b| a.name < b.name);
        assert!(rising, "labels are sorted and different: {labels:?}");
        assert!(
            labels.iter().all(|label| !label.value.is_empty()),
            "{labels:?}"
        );
    }
}

/// All that a page says, but the lines it says it in: equal text for equal pages, NaN included.
pub(crate) fn described(page: &Page<'_>) -> String {
    let mut text = String::new();
    for family in &page.families {
        text.push_str(&format!("{family:?}\n"));
    }
    for sample in &page.samples {
        text.push_str(&described_sample(page, sample));
        text.push('\n');
    }
    for native in page.natives() {
        let labels = page.native_labels(native);
        text.push_str(&format!("{native:?} {labels:?}\n"));
    }
    text
}

/// All that a page says in one sample, but the number of its family and line.
pub(crate) fn described_sample(page: &Page<'_>, sample: &Sample) -> String {
    let family = page
        .family(sample)
        .map(|family| (&family.name, family.kind));
    let (role, time) = (sample.role, sample.time_unix_nano);
    let numbers = (sample.bound, sample.value);
    let exemplar = page.exemplar(sample).map(|it| exemplar(page, it));
    let labels: &[Label<'_>] = page.labels(sample);
    format!("{family:?} {role:?} {numbers:?} {time:?} {labels:?} {exemplar:?}")
}

fn exemplar(page: &Page<'_>, exemplar: &Exemplar) -> String {
    let labels = page.exemplar_labels(exemplar);
    format!(
        "{:?} {:?} {labels:?}",
        exemplar.value, exemplar.time_unix_nano
    )
}

/// Translates a page into OTLP and checks that what is encoded is what was made, its points
/// counted.
pub(crate) fn translate(page: &Page<'_>) {
    let (metrics, _) = convert(page, &Identity::default(), 1_700_000_000_000_000_000);
    let request = ExportMetricsServiceRequest {
        resource_metrics: vec![metrics],
    };
    let bytes = request.encode_to_vec();
    let counted = davy_agent_core::payload::count(davy_proto::Signal::Metrics, &bytes);
    let counted = must(counted, "an own request is refused");
    assert_eq!(counted, items(&request), "points");
}
