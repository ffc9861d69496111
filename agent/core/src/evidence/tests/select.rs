//! What is selected of an encoded page is all that evidence sees of it.

use prost::Message as _;

use super::*;
use crate::exposition::Options;
use crate::template::Template;
use crate::translate::{Identity, ScrapeStats};

#[test]
fn a_selection_gives_the_evidence_of_the_whole_page() {
    let pages = [
        include_str!("../../../../../tests/corpora/goapp.prom"),
        include_str!("../../../../../tests/corpora/etcd.prom"),
        include_str!("../../../../../tests/corpora/prometheus.prom"),
    ];
    for page in pages {
        let mut template = Template::new(Identity::default());
        let (mut whole, mut part) = (evidence(), evidence());
        for (second, more) in [(5, ""), (10, "7")] {
            // Every value that ends in a digit gets another one.
            let page = page.replace("\n", &format!("{more}\n"));
            let scrape = ScrapeStats::default();
            let time = at(second);
            let options = Options::LENIENT;
            let scraped =
                template.translate(page.as_bytes(), None, &options, time.nanos(), &scrape);
            let bytes = scraped.expect("a page").payload.bytes;
            let request = ExportMetricsServiceRequest::decode(bytes.clone()).expect("a request");
            whole.observe_metrics(&request.resource_metrics, PAGE, time);
            let selected = part.select(&bytes);
            let count = |metrics: &[ResourceMetrics]| {
                let scopes = metrics.iter().flat_map(|metrics| &metrics.scope_metrics);
                scopes.map(|scope| scope.metrics.len()).sum::<usize>()
            };
            assert!(count(&selected) < count(&request.resource_metrics) / 2);
            part.observe_metrics(&selected, PAGE, time);
            let (whole, part) = (whole.close(time), part.close(time));
            assert!(whole.request.is_some());
            assert_eq!(whole.request, part.request);
            assert_eq!(format!("{:?}", whole.report), format!("{:?}", part.report));
        }
    }
}

#[test]
fn what_is_no_request_gives_nothing() {
    assert_eq!(evidence().select(b""), Vec::new());
    assert_eq!(evidence().select(b"\xff\xff"), Vec::new());
}
