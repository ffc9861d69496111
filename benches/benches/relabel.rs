//! What relabel rules cost: by themselves, series by series, and in a scrape.
//!
//! Three usual rules on a shop's page of 10,000 series. Before anything is measured what they make
//! of every series is compared with what they mean, written out by hand.

#![expect(clippy::panic, reason = "a bench asserts its answer")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use davy_agent_core::exposition::Options;
use davy_agent_core::template::Template;
use davy_agent_core::translate::{Identity, ScrapeStats};
use davy_benches::ring;
use davy_benches::rules::{self, Pair, apply};

/// What the rules mean.
fn meant<'p>(series: &[Pair<'p>]) -> Option<Vec<Pair<'p>>> {
    let is_dropped = |pair: &Pair<'_>| pair.0 == "__name__" && pair.1.starts_with("shop_stock_");
    if series.iter().any(is_dropped) {
        return None;
    }
    let mut left: Vec<_> = series
        .iter()
        .copied()
        .filter(|pair| pair.0 != "warehouse")
        .collect();
    if series.iter().any(|pair| pair.0 == "http_route") {
        left.push(("api", "v1"));
    }
    left.sort_unstable();
    Some(left)
}

fn relabel(criterion: &mut Criterion) {
    let Ok(rules) = rules::usual() else {
        panic!("the rules are refused");
    };
    let ring = ring::shop(10_000, 0);
    let all = rules::series(ring.page(0));
    assert_eq!(all.len(), 10_000);
    let mut kept = 0;
    for series in &all {
        let found = apply(&rules, series);
        let found = found.as_ref().map(|pairs| {
            let pairs = pairs.iter();
            pairs
                .map(|(name, value)| (name.as_ref(), value.as_ref()))
                .collect::<Vec<_>>()
        });
        assert_eq!(found, meant(series));
        kept += usize::from(found.is_some());
    }
    let mut group = criterion.benchmark_group("relabel/10,000 series, three rules");
    group.throughput(Throughput::Elements(all.len() as u64));
    group.bench_function("rules", |bencher| {
        bencher.iter(|| {
            let applied = all
                .iter()
                .filter_map(|series| apply(&rules, black_box(series)));
            assert_eq!(applied.count(), kept);
        });
    });
    group.bench_function("scrape", |bencher| {
        let mut template = Template::new(Identity::default()).relabeled(rules.clone());
        // Gauges are dropped, and five points of the scrape itself are added.
        let gauges = all.len() - kept;
        let points = (ring.points() - gauges) as u64;
        let mut step = 0;
        bencher.iter(|| {
            step += 1;
            let page = black_box(ring.page(step));
            let scraped = template.translate(
                page,
                None,
                &Options::LENIENT,
                step as u64,
                &ScrapeStats::default(),
            );
            let items = scraped.map(|scraped| scraped.payload.items);
            assert!(items.is_ok_and(|items| (points..points + 10).contains(&items)));
        });
    });
    group.finish();
}

criterion_group!(benches, relabel);
criterion_main!(benches);
