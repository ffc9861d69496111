//! What a scrape allocates when nothing but values has changed.

use davy_agent_core::exposition::Options;
use davy_agent_core::template::Template;
use davy_agent_core::translate::{Identity, ScrapeStats};
use davy_benches::ring;

/// Guarantees: once a page is known, another one with other values costs one allocation, however
/// many series it has: that of the handle on bytes that a queue and the template share.
#[test]
fn a_page_of_other_values_allocates_no_more_with_more_series() {
    let scrape = ScrapeStats::default();
    for samples in [1_000, 10_000] {
        let ring = ring::shop(samples, 0);
        let mut template = Template::new(Identity::default());
        let mut next = |step: usize| {
            let (page, at) = (ring.page(step), step as u64);
            let scraped = template.translate(page, None, &Options::LENIENT, at, &scrape);
            assert!(scraped.is_ok_and(|scraped| scraped.payload.items > 100));
        };
        (1..4).for_each(&mut next);
        for step in 4..30 {
            let allocated = allocation_counter::measure(|| next(step));
            assert_eq!(allocated.count_total, 1, "{samples} samples, {allocated:?}");
            assert!(
                allocated.bytes_total < 100,
                "{samples} samples, {allocated:?}"
            );
        }
    }
}
