//! The fast path of a scrape beside the slow one.
//!
//! An input is one byte for the format and pages one after the other, separated. A page that begins
//! with 0xFE is a list of edits of the page before; an empty one is a scrape that failed. After
//! each page both paths have sent requests that decode to the same, with the same number of items,
//! notes and tally, or refused the page for the same reason.

use bytes::Bytes;
use davy_agent_core::Payload;
use davy_agent_core::exposition::{DEFAULT_LIMITS, Limits, Options, parse};
use davy_agent_core::template::Template;
use davy_agent_core::translate::{Identity, ScrapeStats, Translator, items, print};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use prost::Message as _;

use crate::must::{fail, must, same};
use crate::pieces::{Numbers, head, split};
use crate::{Target, page, seeds};

/// The target.
pub const TARGET: Target = Target {
    name: "scrape",
    check,
    seeds: seeds::scrapes,
    dictionary: Some("scrape.dict"),
    bytes_max: 4096,
    mutations: 8_000,
    code: crate::AGENT,
};

/// First byte of a list of edits.
pub(crate) const EDITS: u8 = 0xfe;

/// Most scrapes of one input.
const PAGES_MAX: usize = 24;
/// Largest page.
const PAGE_BYTES_MAX: usize = 16 << 10;
/// When the first page is scraped, Unix nanoseconds.
const AT: u64 = 1_700_000_000_000_000_000;
const SECOND: u64 = 1_000_000_000;

/// Checks a sequence of pages.
pub fn check(bytes: &[u8]) {
    let (format, rest) = head(bytes);
    let formats = [page::TEXT, page::OPEN, page::WIRE];
    let mut both = Both::new();
    let mut current = Vec::new();
    for part in split(rest).into_iter().take(PAGES_MAX) {
        // The higher bits of the format say after how many pages it changes.
        let turn = match format / 3 {
            0 => 0,
            every => both.scrapes / usize::from(every),
        };
        let kind = formats
            .get((usize::from(format) + turn) % formats.len())
            .unwrap_or(&page::TEXT);
        match part.split_first() {
            None => both.failed(),
            Some((&EDITS, edits)) => {
                edit(&mut current, edits);
                both.page(kind, &current);
            }
            Some(_) => {
                part.clone_into(&mut current);
                both.page(kind, &current);
            }
        }
    }
}

/// Changes a page: each edit is a byte for what it does, two for where, and what it needs.
fn edit(page: &mut Vec<u8>, edits: &[u8]) {
    let mut numbers = Numbers(edits);
    while !numbers.is_empty() {
        let (kind, place) = (numbers.byte(), numbers.short());
        let at = place % (page.len() + 1);
        let line = line_at(page, at);
        match kind % 8 {
            0 => bump(page, at, numbers.byte()),
            1 => {
                let count = usize::from(numbers.byte());
                let bytes = numbers.take(count);
                page.splice(at..at, bytes.iter().copied());
            }
            2 => {
                let end = (at + usize::from(numbers.byte())).min(page.len());
                page.drain(at..end);
            }
            3 => {
                page.drain(line);
            }
            4 => {
                let copy = page.get(line).unwrap_or_default().to_vec();
                let to = line_at(page, numbers.short() % (page.len() + 1)).start;
                page.splice(to..to, copy);
            }
            5 => page.truncate(at),
            6 => {
                let count = usize::from(numbers.byte() % 16);
                let bytes = numbers.take(count);
                for (to, from) in page.iter_mut().skip(at).zip(bytes) {
                    *to = *from;
                }
            }
            _ => {
                // Every number of the text: what a program does between two scrapes.
                let by = numbers.byte();
                let ends: Vec<_> = memchr_all(page, b'\n').collect();
                ends.into_iter().for_each(|end| bump(page, end, by));
            }
        }
        page.truncate(PAGE_BYTES_MAX);
    }
}

/// Where the line that has this byte begins and ends, its line feed included.
fn line_at(page: &[u8], at: usize) -> std::ops::Range<usize> {
    let before = page.get(..at).unwrap_or_default();
    let start = before.iter().rposition(|byte| *byte == b'\n');
    let after = page.get(at..).unwrap_or_default();
    let end = after.iter().position(|byte| *byte == b'\n');
    start.map_or(0, |at| at + 1)..end.map_or(page.len(), |end| at + end + 1)
}

fn memchr_all(page: &[u8], wanted: u8) -> impl Iterator<Item = usize> {
    let places = page.iter().enumerate();
    places.filter_map(move |(at, byte)| (*byte == wanted).then_some(at))
}

/// Changes the digit before a place into another.
fn bump(page: &mut [u8], at: usize, by: u8) {
    let before = page.get_mut(..at).unwrap_or_default();
    if let Some(digit) = before.last_mut().filter(|byte| byte.is_ascii_digit()) {
        *digit = b'0' + (*digit - b'0' + by % 10) % 10;
    }
}

/// One target, scraped by both paths.
struct Both {
    slow: Translator,
    fast: Template,
    options: Options,
    scrapes: usize,
}

impl Both {
    fn new() -> Self {
        let identity = Identity {
            agent_version: "1.2.3".to_owned(),
            ..Identity::default()
        };
        let limits = Limits {
            value_bytes: 40,
            samples: 400,
            ..DEFAULT_LIMITS
        };
        Self {
            slow: Translator::new(identity.clone()),
            fast: Template::new(identity),
            options: Options {
                limits,
                ..Options::LENIENT
            },
            scrapes: 0,
        }
    }

    /// Time and duration of the next scrape.
    fn next(&mut self) -> (u64, ScrapeStats) {
        self.scrapes += 1;
        let duration_seconds = self.scrapes as f64 / 64.0;
        (
            AT + SECOND * self.scrapes as u64,
            ScrapeStats { duration_seconds },
        )
    }

    fn page(&mut self, kind: &str, bytes: &[u8]) {
        let ((at, stats), kind) = (self.next(), Some(kind));
        let slow = parse(bytes, kind, &self.options).map(|page| {
            let translated = self.slow.translate(&page, at, &stats);
            (translated.payload, translated.notes, page.tally)
        });
        let fast = self.fast.translate(bytes, kind, &self.options, at, &stats);
        match (slow, fast) {
            (Ok((payload, notes, tally)), Ok(fast)) => {
                is_same(&payload, &fast.payload);
                assert_eq!((notes, tally), (fast.notes, fast.tally));
            }
            (Err(slow), Err(fast)) => {
                assert_eq!(slow, fast);
                self.failed();
            }
            (slow, fast) => fail(&format!("slow: {slow:?}\nfast: {fast:?}")),
        }
    }

    fn failed(&mut self) {
        let (at, stats) = self.next();
        let slow = self.slow.failed(at, &stats);
        let fast = self.fast.failed(at, &stats);
        is_same(&slow.payload, &fast.payload);
    }
}

fn is_same(slow: &Payload, fast: &Payload) {
    let decoded = |bytes: &Bytes| {
        let request = ExportMetricsServiceRequest::decode(bytes.clone());
        must(request, "an own request can't be decoded")
    };
    let (of_slow, of_fast) = (decoded(&slow.bytes), decoded(&fast.bytes));
    // As encoded, for NaN is not equal to itself.
    if of_slow.encode_to_vec() != of_fast.encode_to_vec() {
        let (slow, fast) = (print::lines(&of_slow), print::lines(&of_fast));
        same(&slow, &fast, "the slow path and the fast one");
        let (slow, fast) = (format!("{of_slow:?}"), format!("{of_fast:?}"));
        same(&slow, &fast, "the slow path and the fast one");
        fail("the slow path and the fast one differ in the bits of a number");
    }
    assert_eq!(items(&of_fast), fast.items);
    assert_eq!(slow.items, fast.items);
}
