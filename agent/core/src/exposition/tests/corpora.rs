//! Pages of real programs, beside prometheus-parse where that is right.

use std::collections::BTreeMap;

use prometheus_parse::{Scrape, Value};

use super::*;

const ETCD: &str = include_str!("../../../../../tests/corpora/etcd.prom");
const GOAPP: &str = include_str!("../../../../../tests/corpora/goapp.prom");
const GOAPP_OPEN: &str = include_str!("../../../../../tests/corpora/goapp.om");
const NODE_EXPORTER: &str = include_str!("../../../../../tests/corpora/node_exporter.prom");
const PROMETHEUS: &str = include_str!("../../../../../tests/corpora/prometheus.prom");
const PUSHGATEWAY: &str = include_str!("../../../../../tests/corpora/pushgateway.prom");

/// Lines with a value, counted without a parser.
fn lines(page: &str) -> usize {
    page.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .count()
}

#[test]
fn every_line_is_read_in_strict_mode_too() {
    for page in [ETCD, GOAPP, NODE_EXPORTER, PROMETHEUS, PUSHGATEWAY] {
        for options in [Options::LENIENT, Options::STRICT] {
            let read = parse(page.as_bytes(), None, &options).unwrap();
            assert_eq!(read.tally, Tally::default());
            assert_eq!(read.samples.len(), lines(page));
            let types = page.lines().filter(|line| line.starts_with("# TYPE"));
            assert_eq!(read.families.len(), types.count());
        }
    }
}

/// Guarantees: what client_golang breaks of OpenMetrics ("Each MetricFamily name MUST be unique":
/// the gauge and the counter `go_memstats_alloc_bytes`) costs nothing unless strictness is asked.
#[test]
fn a_gauge_and_a_counter_of_one_name_are_read() {
    let read = parse(GOAPP_OPEN.as_bytes(), None, &Options::LENIENT).unwrap();
    assert_eq!(read.tally, Tally::default());
    assert_eq!(read.samples.len(), lines(GOAPP_OPEN));
    let named = |family: &&Family<'_>| family.name == "go_memstats_alloc_bytes";
    let kinds: Vec<Kind> = read.families.iter().filter(named).map(|f| f.kind).collect();
    assert_eq!(kinds, [Kind::Gauge, Kind::Counter]);
    let counter = read.families.iter().rfind(named).unwrap();
    assert!(counter.help.starts_with("Total number of bytes allocated"));
    let error = Format::OpenMetrics.error(339, Reason::DuplicateMetadata);
    let strict = parse(GOAPP_OPEN.as_bytes(), None, &Options::STRICT);
    assert_eq!(strict.err(), Some(PageError::Line(error)));
}

/// Series as prometheus-parse has them: name and sorted labels, `le` and `quantile` among them.
/// It keeps empty label values, which are absent labels.
fn flatten(scrape: &Scrape) -> BTreeMap<String, f64> {
    let mut flat = BTreeMap::new();
    for sample in &scrape.samples {
        let mut labels: BTreeMap<String, String> = sample
            .labels
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        match &sample.value {
            Value::Counter(v) | Value::Gauge(v) | Value::Untyped(v) => {
                flat.insert(format!("{} {labels:?}", sample.metric), *v);
            }
            Value::Histogram(buckets) => {
                for bucket in buckets {
                    labels.insert("le".to_owned(), bucket.less_than.to_string());
                    flat.insert(format!("{}_bucket {labels:?}", sample.metric), bucket.count);
                }
            }
            Value::Summary(quantiles) => {
                for quantile in quantiles {
                    labels.insert("quantile".to_owned(), quantile.quantile.to_string());
                    flat.insert(format!("{} {labels:?}", sample.metric), quantile.count);
                }
            }
        }
    }
    flat
}

fn flatten_ours(page: &Page<'_>) -> BTreeMap<String, f64> {
    let mut flat = BTreeMap::new();
    for sample in &page.samples {
        let name = &page.family(sample).unwrap().name;
        let mut labels: BTreeMap<String, String> = page
            .labels(sample)
            .iter()
            .map(|label| (label.name.to_string(), label.value.to_string()))
            .collect();
        let suffix = match sample.role {
            Role::Bucket => {
                labels.insert("le".to_owned(), sample.bound.to_string());
                "_bucket"
            }
            Role::Quantile => {
                labels.insert("quantile".to_owned(), sample.bound.to_string());
                ""
            }
            Role::Count => "_count",
            Role::Sum => "_sum",
            _ => "",
        };
        flat.insert(format!("{name}{suffix} {labels:?}"), sample.value);
    }
    flat
}

/// Guarantees: on the pages that prometheus-parse reads correctly, both read the same series and
/// the same values.
#[test]
fn agrees_with_prometheus_parse_where_it_is_right() {
    for page in [ETCD, NODE_EXPORTER, PROMETHEUS] {
        let theirs = Scrape::parse(page.lines().map(|line| Ok(line.to_owned()))).unwrap();
        let ours = parse(page.as_bytes(), None, &Options::LENIENT).unwrap();
        let (theirs, ours) = (flatten(&theirs), flatten_ours(&ours));
        assert!(ours.len() > 500);
        for (key, value) in &ours {
            let other = theirs.get(key);
            assert!(
                other.is_some_and(|other| other.to_bits() == value.to_bits()),
                "{key}: {value} and {other:?}"
            );
        }
        assert_eq!(ours.len(), theirs.len());
    }
}

/// Guarantees: what it gets wrong is right here (ADR 0001).
#[test]
fn reads_what_prometheus_parse_loses() {
    let theirs = Scrape::parse(GOAPP.lines().map(|line| Ok(line.to_owned()))).unwrap();
    let ours = parse(GOAPP.as_bytes(), None, &Options::LENIENT).unwrap();
    let (theirs, ours) = (flatten(&theirs), flatten_ours(&ours));
    let lost = ours.keys().filter(|key| !theirs.contains_key(*key)).count();
    assert_eq!(lost, 46);
}
