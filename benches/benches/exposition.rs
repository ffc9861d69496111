//! Reading pages: parse, and parse, translate and encode; prometheus-parse beside it.
//!
//! Every bench asserts its answer, so a faster wrong one does not count.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use davy_agent_core::exposition::{Options, parse};
use davy_agent_core::template::Template;
use davy_agent_core::translate::{Identity, ScrapeStats, Translator};
use prometheus_parse::Scrape;

/// A page, and how many samples it has.
const PAGES: [(&str, &str, usize); 2] = [
    ("etcd", include_str!("../../tests/corpora/etcd.prom"), 1369),
    ("goapp", include_str!("../../tests/corpora/goapp.prom"), 297),
];

/// The same program's page in delimited protobuf.
const PROTOBUF: &[u8] = include_bytes!("../../tests/corpora/etcd.pb");
const PROTOBUF_TYPE: Option<&str> = Some("application/vnd.google.protobuf");

/// Any scrape's time, Unix nanoseconds.
const AT: u64 = 1_795_503_863_000_000_000;

/// Any scrape's duration.
const SCRAPE: ScrapeStats = ScrapeStats {
    duration_seconds: 0.01,
};

fn exposition(criterion: &mut Criterion) {
    for (name, page, samples) in PAGES {
        let mut group = criterion.benchmark_group(format!("exposition/{name}"));
        group.throughput(Throughput::Bytes(page.len() as u64));
        group.bench_function("parse", |bencher| {
            bencher.iter(|| {
                let page = parse(black_box(page.as_bytes()), None, &Options::LENIENT);
                assert_eq!(page.map(|page| page.samples.len()), Ok(samples));
            });
        });
        group.bench_function("parse+translate+encode", |bencher| {
            let mut translator = Translator::new(Identity::default());
            bencher.iter(|| {
                let page = parse(black_box(page.as_bytes()), None, &Options::LENIENT);
                let translated = page.map(|page| translator.translate(&page, AT, &SCRAPE));
                let items = translated.map(|translated| translated.payload.items);
                assert!(items.is_ok_and(|items| items > 100));
            });
        });
        group.bench_function("prometheus-parse", |bencher| {
            bencher.iter(|| {
                let lines = black_box(page).lines().map(|line| Ok(line.to_owned()));
                let scrape = Scrape::parse(lines);
                assert!(scrape.is_ok_and(|scrape| scrape.samples.len() > 100));
            });
        });
        group.finish();
    }
}

/// `cold`: a target's first page, to the encoded request and what is kept for the next.
fn protobuf(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("exposition/etcd, protobuf");
    group.throughput(Throughput::Bytes(PROTOBUF.len() as u64));
    group.bench_function("parse", |bencher| {
        bencher.iter(|| {
            let page = parse(black_box(PROTOBUF), PROTOBUF_TYPE, &Options::LENIENT);
            assert!(page.is_ok_and(|page| page.samples.len() > 1300));
        });
    });
    group.bench_function("protobuf, cold", |bencher| {
        bencher.iter(|| {
            let mut template = Template::new(Identity::default());
            let page = black_box(PROTOBUF);
            let options = Options::LENIENT;
            let scraped = template.translate(page, PROTOBUF_TYPE, &options, AT, &SCRAPE);
            let items = scraped.map(|scraped| scraped.payload.items);
            assert!(items.is_ok_and(|items| items > 100));
        });
    });
    group.finish();
}

criterion_group!(benches, exposition, protobuf);
criterion_main!(benches);
