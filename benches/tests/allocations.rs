//! What a scrape allocates when nothing but values has changed, and a body of JSON at most.

use davy_agent_core::exposition::Options;
use davy_agent_core::json::to_protobuf;
use davy_agent_core::template::Template;
use davy_agent_core::translate::{Identity, ScrapeStats};
use davy_benches::{ring, rollout};
use davy_gate_core::judge::Verdict;
use davy_proto::Signal;

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

/// Guarantees: a body of empty spans, two bytes each in protobuf, takes memory in proportion to its
/// text.
#[test]
fn a_body_of_empty_spans_takes_a_few_times_its_bytes() {
    let spans = vec!["{}"; 200_000].join(",");
    let text = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{spans}]}}]}}]}}"#);
    let mut length = 0;
    let allocated = allocation_counter::measure(|| {
        length = to_protobuf(Signal::Traces, text.as_bytes()).map_or(0, |bytes| bytes.len());
    });
    assert_eq!(length, 400_008);
    let most = 4 * text.len() as u64;
    assert!(
        allocated.bytes_max < most,
        "{} bytes of text, {allocated:?}",
        text.len()
    );
}

/// Guarantees: ten thousand judges of rollouts with ten pods and two routes take less than 1 GiB,
/// however long they have judged.
#[test]
fn a_judge_keeps_kilobytes() {
    let cells: Vec<_> = (0..128).map(rollout::cell).collect();
    let mut judge = rollout::judge(&cells, 7);
    for step in 0..800 {
        let said = judge.step(&cells[step % cells.len()]);
        assert_ne!(said.verdict, Verdict::Rollback);
        if [0, 360, 799].contains(&step) {
            let kept = allocation_counter::measure(|| drop(judge.clone()));
            // An allocator keeps some bytes beside each piece.
            let bytes = kept.bytes_max + 16 * kept.count_max;
            assert!(bytes < (1 << 30) / 10_000, "after {step} steps {kept:?}");
        }
    }
}
