//! Scrape after scrape of one target: page text to encoded request, with what was kept of the last.
//!
//! Pages follow each other in a ring, each with every value changed against the one before, so that
//! nothing is ever the same twice in a row. Every bench asserts its answer, so a faster wrong one
//! does not count; before it is measured, the requests of a whole ring are compared with the slow
//! path's.

#![expect(clippy::panic, reason = "a bench asserts its answer")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use davy_agent_core::exposition::{Options, parse};
use davy_agent_core::template::Template;
use davy_agent_core::translate::{Identity, ScrapeStats, Translator};
use davy_benches::ring::{self, Ring};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use prost::Message;

/// A first scrape's time, Unix nanoseconds.
const AT: u64 = 1_795_503_863_000_000_000;
/// Time from one scrape to the next, nanoseconds.
const EVERY: u64 = 5_000_000_000;
/// Any scrape's duration.
const SCRAPE: ScrapeStats = ScrapeStats {
    duration_seconds: 0.01,
};

/// One target under way.
struct Scrapes<'r> {
    ring: &'r Ring,
    template: Template,
    step: usize,
}

impl<'r> Scrapes<'r> {
    fn new(ring: &'r Ring) -> Self {
        Self {
            ring,
            template: Template::new(Identity::default()),
            step: 0,
        }
    }

    /// Scrapes the next page; returns points and request.
    fn next(&mut self) -> (u64, bytes::Bytes) {
        let page = self.ring.page(self.step);
        self.step += 1;
        let at = AT + self.step as u64 * EVERY;
        let options = Options::LENIENT;
        let scraped = self
            .template
            .translate(black_box(page), None, &options, at, &SCRAPE);
        match scraped {
            Ok(scraped) => (scraped.payload.items, scraped.payload.bytes),
            Err(error) => panic!("page {}: {error}", self.step),
        }
    }
}

/// Compares a ring's requests with those of the slow path.
fn compare(ring: &Ring) {
    let mut scrapes = Scrapes::new(ring);
    let mut translator = Translator::new(Identity::default());
    for step in 0..ring.len() + 1 {
        let Ok(page) = parse(ring.page(step), None, &Options::LENIENT) else {
            panic!("page {step} can't be read");
        };
        let at = AT + (step as u64 + 1) * EVERY;
        let slow = translator.translate(&page, at, &SCRAPE);
        let (items, bytes) = scrapes.next();
        assert_eq!(items, slow.payload.items);
        let fast = ExportMetricsServiceRequest::decode(bytes);
        assert!(fast.as_ref() == Ok(&slow.request), "page {step} differs");
    }
}

fn scrape(criterion: &mut Criterion) {
    for (name, ring) in [
        ("10,000 series", ring::shop(10_000, 0)),
        ("10,000 series, 1 % come and go", ring::shop(10_000, 1)),
        (
            "goapp",
            ring::program(include_str!("../../tests/corpora/goapp.prom")),
        ),
    ] {
        compare(&ring);
        let mut group = criterion.benchmark_group(format!("scrape/{name}"));
        group.throughput(Throughput::Elements(ring.samples() as u64));
        group.bench_function("steady", |bencher| {
            let mut scrapes = Scrapes::new(&ring);
            let least = ring.points() as u64;
            scrapes.next();
            bencher.iter(|| assert!(scrapes.next().0 >= least));
        });
        group.bench_function("slow path", |bencher| {
            let mut translator = Translator::new(Identity::default());
            let mut step = 0;
            bencher.iter(|| {
                step += 1;
                let page = parse(black_box(ring.page(step)), None, &Options::LENIENT);
                let translated = page.map(|page| translator.translate(&page, AT, &SCRAPE));
                let items = translated.map(|translated| translated.payload.items);
                assert!(items.is_ok_and(|items| items >= ring.points() as u64));
            });
        });
        group.finish();
        let mut group = criterion.benchmark_group(format!("scrape/{name}"));
        group.throughput(Throughput::Bytes(ring.page(0).len() as u64));
        group.bench_function("cold", |bencher| {
            bencher.iter_batched_ref(
                || Scrapes::new(&ring),
                |scrapes| assert!(scrapes.next().0 >= ring.points() as u64),
                BatchSize::LargeInput,
            );
        });
        group.finish();
    }
}

criterion_group!(benches, scrape);
criterion_main!(benches);
