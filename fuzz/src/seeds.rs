//! Where inputs begin: files that are in the tree for other reasons, cut small; what code makes.
//!
//! Each file of `seeds/TARGET` is an input too: a minimised one that reached code which none
//! before did, or a finding, which stays so that it is checked for ever.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use davy_agent_core::json::from_protobuf;
use davy_proto::{Signal, UnixNanos};

use crate::otlp::sample;
use crate::pieces::{SEPARATOR, join};
use crate::{Target, scrape};

/// Longest part of a file that is one input, in bytes: short ones are mutated to more purpose.
const PART_BYTES_MAX: usize = 1024;
/// Parts taken of one file, from all over it.
const PARTS_MAX: usize = 24;

/// Most files of a target that are committed, beside findings.
pub const FILES_MAX: usize = 40;
/// Most bytes of them.
pub const BYTES_MAX: u64 = 15 << 10;

/// Whether a file of `seeds/TARGET` is a finding, by its name.
pub fn is_finding(name: &OsStr) -> bool {
    name.to_string_lossy().starts_with("found-")
}

/// The folder of this crate.
pub fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The inputs of a target, each with what it is called: those that are made, then the committed.
pub fn of(target: &Target) -> Vec<(String, Vec<u8>)> {
    let made = (target.seeds)().into_iter().enumerate();
    let mut all: Vec<_> = made
        .map(|(number, bytes)| (format!("made {number}"), bytes))
        .collect();
    let mut files: Vec<PathBuf> = fs::read_dir(folder().join("seeds").join(target.name))
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    files.sort();
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if let Ok(bytes) = fs::read(&file) {
            all.push((name.into_owned(), bytes));
        }
    }
    all
}

/// The words of a target's dictionary, for the mutations in tests.
pub fn words(target: &Target) -> Vec<Vec<u8>> {
    let file = target
        .dictionary
        .map(|name| folder().join("dictionaries").join(name));
    let text = file
        .and_then(|file| fs::read_to_string(file).ok())
        .unwrap_or_default();
    text.lines().filter_map(word).collect()
}

/// A line of a dictionary: a word in quotes, with `\xAB`, `\"` and `\\` in it.
fn word(line: &str) -> Option<Vec<u8>> {
    let quoted = line.trim().strip_prefix('"')?.strip_suffix('"')?;
    let mut word = Vec::new();
    let mut rest = quoted.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            word.push(byte);
            continue;
        }
        match rest.next()? {
            b'x' => {
                let digits = [rest.next()?, rest.next()?];
                let digits = std::str::from_utf8(&digits).ok()?;
                word.push(u8::from_str_radix(digits, 16).ok()?);
            }
            escaped => word.push(escaped),
        }
    }
    Some(word)
}

fn tree(path: &str) -> Vec<u8> {
    fs::read(folder().join("..").join(path)).unwrap_or_default()
}

/// Parts of pages of real programs: families of a text, messages of a protobuf page.
pub(crate) fn pages(programs: &[&str], extension: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for program in programs {
        let page = tree(&format!("tests/corpora/{program}.{extension}"));
        let parts = match extension {
            "pb" => messages(&page),
            _ => families(&page),
        };
        let every = parts.len().div_ceil(PARTS_MAX).max(1);
        let parts = parts.into_iter().step_by(every);
        found.extend(parts.map(|part| match extension {
            "om" => [part, b"# EOF\n"].concat(),
            _ => part.to_vec(),
        }));
    }
    found
}

/// Runs of whole lines, each beginning with a family's HELP.
fn families(page: &[u8]) -> Vec<&[u8]> {
    let mut starts = vec![0];
    let lines = page.split_inclusive(|byte| *byte == b'\n');
    let mut at = 0;
    for line in lines {
        if line.starts_with(b"# HELP") && at > 0 {
            starts.push(at);
        }
        at += line.len();
    }
    starts.push(page.len());
    let mut parts = Vec::new();
    for pair in starts.windows(2) {
        let &[from, to] = pair else { continue };
        let part = page.get(from..to).unwrap_or_default();
        let cut = part
            .get(..PART_BYTES_MAX.min(part.len()))
            .unwrap_or_default();
        let end = cut.iter().rposition(|byte| *byte == b'\n');
        parts.push(cut.get(..end.map_or(0, |at| at + 1)).unwrap_or_default());
    }
    parts
}

fn messages(page: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut rest = page;
    while !rest.is_empty() {
        let mut body = rest;
        let Ok(length) = prost::decode_length_delimiter(&mut body) else {
            break;
        };
        let end = rest.len() - body.len() + length;
        let Some((part, after)) = rest.split_at_checked(end) else {
            break;
        };
        if part.len() <= 2 * PART_BYTES_MAX {
            parts.push(part);
        }
        rest = after;
    }
    parts
}

/// A page of a program, then what a program does to it: values change, series and families come and
/// go, a scrape fails, a page is cut short.
pub(crate) fn scrapes() -> Vec<Vec<u8>> {
    let scripts: [&[u8]; 7] = [
        &[scrape::EDITS, 7, 0, 0, 1],
        &[scrape::EDITS, 0, 90, 0, 3],
        &[scrape::EDITS, 3, 200, 0],
        &[scrape::EDITS, 4, 150, 0, 250, 0],
        &[],
        &[scrape::EDITS, 5, 44, 1],
        &[scrape::EDITS, 1, 0, 0, 4, b'a', b' ', b'1', b'\n'],
    ];
    let mut found = Vec::new();
    for (format, programs, extension) in [
        (0, &["goapp", "node_exporter"][..], "prom"),
        (1, &["goapp"], "om"),
        (2, &["goapp", "node_exporter"], "pb"),
    ] {
        let pages = pages(programs, extension);
        let both = pages.chunks(2).map(<[Vec<u8>]>::concat);
        for (number, page) in both.enumerate() {
            let turned = |by: usize| scripts.get((number + by) % scripts.len());
            let scripts = (0..4).filter_map(turned).copied();
            let parts: Vec<_> = std::iter::once(page.as_slice()).chain(scripts).collect();
            let mut input = vec![format];
            input.extend(join(&parts));
            found.push(input);
        }
    }
    found
}

/// Encoded requests, with their signal and a size of parts before them.
pub(crate) fn requests() -> Vec<Vec<u8>> {
    let requests = sample::requests().into_iter();
    let with = requests.map(|(signal, bytes)| [&[number(signal), 40][..], &bytes].concat());
    with.collect()
}

/// The same as OTLP/JSON, and as they are.
pub(crate) fn documents() -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for (signal, bytes) in sample::requests() {
        if let Ok(text) = from_protobuf(signal, &bytes) {
            found.push([&[number(signal)], text.as_bytes()].concat());
        }
        found.push([&[number(signal)][..], &bytes].concat());
    }
    found
}

fn number(signal: Signal) -> u8 {
    let place = Signal::ALL.iter().position(|other| *other == signal);
    place.unwrap_or(0) as u8
}

/// Log lines of Go's libraries, with the framing of container runtimes and without.
pub(crate) fn logs() -> Vec<Vec<u8>> {
    let lines = tree("agent/core/src/record/tests/go.txt");
    let cri = b"2016-10-06T00:17:09.669794202Z stdout P one \n\
        2016-10-06T00:17:09.669794202Z stderr F panic: x\n\
        2016-10-06T00:17:09.669794202Z stdout F two\n\
        2016-10-06T00:17:09.669794202Z stderr F goroutine 1 [running]:\n"
        .to_vec();
    let docker = br#"{"log":"text\n","stream":"stdout","time":"2016-10-06T00:17:09Z"}
{"log":"piece","stream":"stderr","time":"2016-10-06T00:17:09Z"}
"#
    .to_vec();
    let mut found: Vec<Vec<u8>> = lines.chunks(PART_BYTES_MAX).map(<[u8]>::to_vec).collect();
    found.extend([cri, docker, "é\r\n\0\0a\n\n".as_bytes().to_vec()]);
    let framed = found.into_iter().enumerate();
    framed
        .map(|(number, text)| {
            [
                &[0, 60 + 60 * (number as u8 % 4), 20, 0, 90, 0, 0][..],
                &text,
            ]
            .concat()
        })
        .collect()
}

/// Policies of the tree.
pub(crate) fn policies() -> Vec<Vec<u8>> {
    let all =
        b"version: 1\nservice: shop\nmode: observe\nobjectives:\n- {name: l, indicator: latency, \
        rollback_above: 1.1, approve_below: 1.3, quantile: 0.99, strict: true, max: 500ms}\n\
        - {indicator: errors, negligible: 0.01, min_success: 0.9, gate: veto}\n\
        - {indicator: restarts, max_per_pod: 0}\nrisk: {false_rollback: 0.01, assume: alike}\n\
        timing: {warm_up: 30s, min_duration: 1m, max_duration: 1h, bake: 0s}\n\
        on_deadline: {approve_if_below: {l: 1.2}}\non_alert: rollback\n";
    vec![tree("deploy/demo/policy.yaml"), all.to_vec()]
}

/// Windows as `--record` writes them.
pub(crate) fn windows() -> Vec<Vec<u8>> {
    use davy_gate_core::normalize::{Normalizer, Settings};
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use prost::Message as _;
    let mut normalizer = Normalizer::new(Settings::standard());
    let mut found = Vec::new();
    for number in 1..3 {
        let bytes = sample::evidence(1, number);
        let Ok(request) = ExportMetricsServiceRequest::decode(bytes.as_slice()) else {
            continue;
        };
        let (windows, _) = normalizer.take(&request, UnixNanos::from_seconds(10_000));
        found.extend(windows.iter().map(|window| window.to_line().into_bytes()));
    }
    found
}

/// Descriptions of sketches, and an HDR histogram of three counts.
pub(crate) fn sketches() -> Vec<Vec<u8>> {
    let exponential: &[u8] = &[0, 3, 1, 5, 0, 0, 1, 0, 2, 7];
    let wide: &[u8] = &[0, 20, 0, 0, 0, 0, 1, 0xff, 255, 1];
    let explicit: &[u8] = &[1, 2, 100, 0, 244, 1, 0, 4, 5, 6];
    let mut hdr = vec![2];
    hdr.extend(0x1c84_9313_u32.to_be_bytes());
    hdr.extend(5_u32.to_be_bytes());
    hdr.extend(0_u32.to_be_bytes());
    hdr.extend(3_u32.to_be_bytes());
    hdr.extend(1_u64.to_be_bytes());
    hdr.extend(3_600_000_000_u64.to_be_bytes());
    hdr.extend(1_f64.to_be_bytes());
    hdr.extend([0x13, 0x06, 0x09, 0x02, 0x04]);
    vec![
        join(&[exponential, wide]),
        join(&[explicit, explicit]),
        join(&[explicit, exponential]),
        join(&[&hdr, exponential]),
    ]
}

/// What a pod sends, as delta and as cumulative values, as protobuf and as JSON.
pub(crate) fn evidence() -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for temporality in [1, 2] {
        let requests: Vec<_> = (1..4)
            .map(|window| sample::evidence(temporality, window))
            .collect();
        let mut input: Vec<&[u8]> = requests.iter().map(Vec::as_slice).collect();
        let json = requests.first();
        let json = json.and_then(|bytes| from_protobuf(Signal::Metrics, bytes).ok());
        let json = json.unwrap_or_default();
        input.push(json.as_bytes());
        found.push(input.join(SEPARATOR));
    }
    found
}
