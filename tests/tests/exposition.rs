//! Davy's reader of exposition pages beside Prometheus's own: textparse, which the server scrapes
//! with, and expfmt, which the client libraries ship.
//!
//! Where the specification's text decides, all read the same; where it does not, or where one of
//! them departs from it, `docs/exposition.md` says who does what, and a test here walks its tables.

use std::path::Path;

use compare::{Scope, differences};
use davy_agent_core::exposition::{Format, Options, Page, parse};
use draw::Draw;
use generate::Style;
use oracle::{Answer, Number, Oracle, Parsed, Written};
use series::Said;

mod compare;
pub(crate) mod draw;
mod generate;
mod mutate;
mod oracle;
mod series;
mod table;
mod wire;

/// Pages drawn in each of the three formats; with what is mutated of them, over 20,000.
const PAGES_EACH: u64 = 3400;
/// Pages asked about at once.
const BATCH: usize = 400;

fn lenient<'p>(content_type: &str, page: &'p [u8]) -> Page<'p> {
    parse(page, Some(content_type), &Options::LENIENT).expect("a page within the limits")
}

/// Checks a page that the specification allows: each reads it, and the same in it.
#[track_caller]
fn all_agree(content_type: &str, page: &[u8], answer: &Answer, strict: bool) {
    let shown = || format!("{content_type}\n{}", String::from_utf8_lossy(page));
    let read = lenient(content_type, page);
    assert_eq!(read.tally, Default::default(), "{}", shown());
    if strict {
        let strict = parse(page, Some(content_type), &Options::STRICT);
        let strict = strict.unwrap_or_else(|error| panic!("--strict: {error}: {}", shown()));
        let found = differences(&Said::by_davy(&strict), &Said::by_davy(&read), Scope::ALL);
        assert!(found.is_empty(), "{}\n{}", found.join("\n"), shown());
    }
    let ours = Said::by_davy(&read);
    for (who, parsed, scope) in parsers(answer) {
        assert_eq!(parsed.error, "", "{who}: {}", shown());
        let (mut ours, mut theirs) = (ours.clone(), Said::by_other(parsed, read.format));
        if scope.natives {
            ours.level(&mut theirs);
        }
        let found = differences(&ours, &theirs, scope).join("\n");
        assert!(found.is_empty(), "{who}: {found}\n{}", shown());
    }
}

/// What each parser read, and what of it is compared.
fn parsers(answer: &Answer) -> impl Iterator<Item = (&'static str, &Parsed, Scope)> {
    let expfmt = answer.expfmt.as_ref();
    let expfmt = expfmt.map(|parsed| ("expfmt", parsed, Scope::SAMPLES));
    [("textparse", &answer.textparse, Scope::ALL)]
        .into_iter()
        .chain(expfmt)
}

/// Asks about pages in batches, and hands each with its answer to `check`.
fn each<'p>(
    oracle: &mut Oracle,
    pages: &[(&'p str, &'p [u8])],
    mut check: impl FnMut(&'p str, &'p [u8], &Answer),
) {
    for batch in pages.chunks(BATCH) {
        let answers: Vec<Answer> = oracle.ask_all(batch);
        for ((content_type, page), answer) in batch.iter().zip(&answers) {
            check(content_type, page, answer);
        }
    }
}

/// The pages of real programs in the tree, with their content types.
fn corpora() -> Vec<(&'static str, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpora");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the corpora") {
        let path = entry.expect("a file").path();
        let style = match path.extension().and_then(|extension| extension.to_str()) {
            Some("om") => Style::OpenMetrics,
            Some("pb") => Style::Protobuf,
            Some("prom") => Style::Text,
            _ => continue,
        };
        found.push((style.content_type(), std::fs::read(path).expect("a page")));
    }
    assert!(found.len() >= 11);
    found.sort();
    found
}

/// Scenario: the pages of etcd, Prometheus, node_exporter, Pushgateway and a client_golang program.
/// Guarantees: the same samples, types, help, timestamps, exemplars, start times and native
/// histograms as textparse reads in them, and the same samples as expfmt.
#[test]
fn corpora_read_alike() {
    let mut oracle = Oracle::start();
    for (content_type, page) in corpora() {
        let answer: Answer = oracle.ask(content_type, &page);
        // client_golang's runtime metrics have a gauge and a counter of one name, which OpenMetrics
        // forbids.
        let strict = !content_type.contains("openmetrics");
        all_agree(content_type, &page, &answer, strict);
    }
}

/// Scenario: client_golang writes metrics whose label values, names and help break parsers, in each
/// format and under each escaping scheme.
/// Guarantees: all read the same, `--strict` refuses none of text and protobuf, and the formats say
/// the same.
#[test]
fn pages_of_client_golang_read_alike() {
    let mut oracle = Oracle::start();
    for seed in 0..40 {
        let written: Vec<Written> = oracle.ask("pages", seed.to_string().as_bytes());
        assert_eq!(written.len(), 12);
        let pages: Vec<(String, Vec<u8>)> = written
            .into_iter()
            .map(|w| (w.content_type, table::hex(&w.page)))
            .collect();
        let borrowed: Vec<(&str, &[u8])> = pages.iter().map(|(t, p)| (&**t, &**p)).collect();
        each(&mut oracle, &borrowed, |content_type, page, answer| {
            // client_golang writes a sum beside negative observations, which OpenMetrics forbids.
            let strict = !content_type.contains("openmetrics");
            all_agree(content_type, page, answer, strict);
        });
        let samples = |index: usize| {
            let (content_type, page) = borrowed[index];
            let read = lenient(content_type, page);
            (read.samples.len(), Said::by_davy(&read))
        };
        // Text has neither created timestamps nor native histograms; else it says the same.
        for scheme in 0..4 {
            let (text, protobuf) = (samples(scheme).1, samples(4 + scheme).1);
            let found = differences(&text, &protobuf, Scope::SAMPLES);
            assert!(found.is_empty(), "seed {seed}: {}", found.join("\n"));
            let (open, protobuf) = (samples(8 + scheme).0, samples(4 + scheme).0);
            assert_eq!(open, protobuf, "seed {seed}");
        }
    }
}

/// Draws pages, a third in each format.
fn drawn(first_seed: u64, each: u64) -> Vec<(&'static str, Vec<u8>)> {
    let styles = [Style::Text, Style::OpenMetrics, Style::Protobuf];
    let of_style = |style: Style| {
        (0..each).map(move |seed| {
            let mut draw = Draw(first_seed + seed);
            (style.content_type(), generate::page(&mut draw, style))
        })
    };
    styles.into_iter().flat_map(of_style).collect()
}

fn borrowed<'p>(pages: &'p [(&'static str, Vec<u8>)]) -> Vec<(&'p str, &'p [u8])> {
    pages.iter().map(|(t, p)| (*t, p.as_slice())).collect()
}

/// Scenario: pages as the specifications allow them, with hostile names, values and help.
/// Guarantees: all three read the same, and `--strict` refuses none of them.
#[test]
fn generated_pages_read_alike() {
    let mut oracle = Oracle::start();
    let pages = drawn(1, PAGES_EACH);
    let mut asked = 0;
    each(
        &mut oracle,
        &borrowed(&pages),
        |content_type, page, answer| {
            all_agree(content_type, page, answer, true);
            asked += 1;
        },
    );
    assert!(asked >= 10_000);
}

/// Scenario: the pages of the two tests above with lines, tokens and bytes changed, left out and
/// added.
/// Guarantees: what textparse reads before it gives up, Davy reads too; where textparse takes the
/// whole page and Davy leaves out no line, both read the same; and what `--strict` takes, textparse
/// and expfmt take, but for what the tables of differences list.
#[test]
fn mutated_pages_read_alike() {
    let mut oracle = Oracle::start();
    let mut pages = drawn(1_000_000, PAGES_EACH);
    for _ in 0..20 {
        pages.extend(corpora());
    }
    for (number, (_, page)) in pages.iter_mut().enumerate() {
        mutate::page(&mut Draw(number as u64), page);
    }
    let mut seen = mutate::Seen::default();
    each(
        &mut oracle,
        &borrowed(&pages),
        |content_type, page, answer| {
            seen.check(content_type, page, answer);
        },
    );
    seen.report();
}

/// Scenario: spellings of numbers that the text format allows by naming Go's ParseFloat.
/// Guarantees: Davy takes what Go takes, and makes the same bits of it.
#[test]
fn numbers_are_those_of_go() {
    let mut oracle = Oracle::start();
    let spellings: Vec<String> = (0..20_000)
        .map(|seed| mutate::number(&mut Draw(seed)))
        .collect();
    let asked: Vec<(&str, &[u8])> = spellings.iter().map(|s| ("number", s.as_bytes())).collect();
    let answers: Vec<Number> = oracle.ask_all(&asked);
    let mut taken = 0;
    for (spelling, answer) in spellings.iter().zip(&answers) {
        let page = format!("a {spelling}\n");
        let read = lenient(Style::Text.content_type(), page.as_bytes());
        let expected = answer
            .error
            .is_empty()
            .then(|| oracle::number(&answer.value).to_bits());
        let ours = read.samples.first().map(|sample| sample.value);
        let ours = ours.map(|value| if value.is_nan() { f64::NAN } else { value }.to_bits());
        assert_eq!(ours, expected, "{spelling:?}: {answer:?}");
        taken += usize::from(expected.is_some());
    }
    assert!(taken > 5000, "{taken} of them were numbers");
}

/// Guarantees: each row of the tables in `docs/exposition.md` is what happens.
#[test]
fn the_tables_of_differences_are_true() {
    let mut oracle = Oracle::start();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/exposition.md");
    let text = std::fs::read_to_string(path).expect("docs/exposition.md");
    let rows = table::rows(&text);
    assert!(rows.len() > 100, "{} rows", rows.len());
    let mut wrong = Vec::new();
    for row in rows {
        let answer: Answer = oracle.ask(row.content_type, &row.input);
        let found = table::outcome(row.content_type, &row.input, &answer);
        println!("ROW\t{}\t{}", row.shown, found.join("\t"));
        if found != row.expected {
            wrong.push(format!("{}\n  is {found:?}", row.shown));
        }
    }
    assert!(
        wrong.is_empty(),
        "rows that are not so:\n{}",
        wrong.join("\n")
    );
}

/// Reads the format of a content type.
fn format_of(content_type: &str) -> Format {
    match content_type {
        _ if content_type.contains("openmetrics") => Format::OpenMetrics,
        _ if content_type.contains("protobuf") => Format::Protobuf,
        _ => Format::Text,
    }
}
