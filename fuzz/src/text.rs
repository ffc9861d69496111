//! Prometheus's text format, 0.0.4 and 1.0.0.
//!
//! * Lines add up: each that begins like a sample is a sample, a duplicate or counted as bad.
//! * What is read strictly is read leniently, and the same; written again it is read the same.
//! * An error names a line that is there.
//! * A bad line costs that line: without it the other samples are the same.
//! * Memory is bounded by the page's bytes.
//! * The translation into OTLP has the points that it says it has.

use davy_agent_core::exposition::{Format, Options, Page, parse, sniff};

use crate::must::{must, same};
use crate::{Target, page, seeds};

/// The target.
pub const TARGET: Target = Target {
    name: "text",
    check,
    seeds: || {
        seeds::pages(
            &[
                "etcd",
                "goapp",
                "node_exporter",
                "prometheus",
                "pushgateway",
            ],
            "prom",
        )
    },
    dictionary: Some("text.dict"),
    bytes_max: 4096,
    mutations: 100_000,
    code: crate::AGENT,
};

/// U+FEFF, which lenient reading passes over at the start.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Checks a page.
pub fn check(bytes: &[u8]) {
    check_as(bytes, page::TEXT);
}

/// Checks a page of a text format.
pub(crate) fn check_as(bytes: &[u8], media_type: &str) {
    let (lenient, strict) = page::read(bytes, media_type);
    let Some(lenient) = lenient else {
        return;
    };
    page::translate(&lenient);
    // What begins like a message is read as protobuf, whatever it was said to be.
    if lenient.format == Format::Protobuf {
        return;
    }
    adds_up(bytes, &lenient);
    neighbours_survive(bytes, media_type, &lenient);
    if let Some(strict) = strict {
        is_read_again(media_type, &strict);
    }
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n')
}

/// Whether a line begins like a sample: neither empty nor a comment.
fn is_like_a_sample(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let start = line.iter().find(|byte| !matches!(byte, b' ' | b'\t'));
    start.is_some_and(|byte| *byte != b'#')
}

fn adds_up(bytes: &[u8], page: &Page<'_>) {
    let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let all = lines(text).count() as u64;
    let like_samples = lines(text).filter(|line| is_like_a_sample(line)).count() as u64;
    let tally = &page.tally;
    let read = page.samples.len() as u64 + tally.duplicates + tally.unholdable_timestamps;
    // A page of OpenMetrics that misses its end is counted as one bad line more.
    let end = u64::from(page.format == Format::OpenMetrics);
    assert!(
        read <= like_samples,
        "{read} samples in {like_samples} lines"
    );
    assert!(
        like_samples <= read + tally.bad_lines,
        "{like_samples} lines, {read} samples and {} bad lines",
        tally.bad_lines
    );
    assert!(
        read + tally.bad_lines <= all + end,
        "{tally:?} of {all} lines"
    );
    let mut seen: Vec<u32> = page.samples.iter().map(|sample| sample.line).collect();
    seen.sort_unstable();
    assert!(seen.is_sorted_by(|a, b| a < b), "two samples of one line");
}

/// Reads the page again without the lines of samples that were not read.
fn neighbours_survive(bytes: &[u8], media_type: &str, page: &Page<'_>) {
    let tally = &page.tally;
    if tally.bad_lines == 0 || tally.unholdable_timestamps > 0 || tally.duplicates > 0 {
        return;
    }
    let mut read: Vec<u32> = page.samples.iter().map(|sample| sample.line).collect();
    read.sort_unstable();
    let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let numbered = (1u32..).zip(lines(text));
    let kept = numbered
        .filter(|(number, line)| !is_like_a_sample(line) || read.binary_search(number).is_ok());
    let kept: Vec<u8> = kept.flat_map(|(_, line)| line.iter().copied()).collect();
    // Without its first line a page may begin like a message.
    if sniff(Some(media_type), &kept) != Ok(page.format) {
        return;
    }
    let again = parse(&kept, Some(media_type), &Options::LENIENT);
    let again = must(again, "without its bad lines a page is refused");
    same(
        &in_order(page),
        &in_order(&again),
        "with bad lines and without",
    );
}

/// The samples in the order of their lines.
fn in_order(page: &Page<'_>) -> String {
    let mut samples: Vec<_> = page.samples.iter().collect();
    samples.sort_by_key(|sample| sample.line);
    let described = samples
        .iter()
        .map(|sample| page::described_sample(page, sample));
    described.collect::<Vec<_>>().join("\n")
}

/// Writes a page and reads it again, strictly.
fn is_read_again(media_type: &str, strict: &Page<'_>) {
    let printed = page::print::page(strict);
    let again = parse(printed.as_bytes(), Some(media_type), &Options::STRICT);
    let again = must(again, &printed);
    same(
        &page::described(strict),
        &page::described(&again),
        &format!("read, written and read again:\n{printed}"),
    );
}
