//! What a real Prometheus holds: series, types, values, exemplars, by its query API.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use davy_tests::kit::process::{Process, free_port};
use davy_tests::kit::{http, prometheus};
use serde_json::Value;

/// The job of what Prometheus scrapes itself.
pub(super) const SCRAPED: &str = "scraped";
/// The job of what the agent sends: its `service.name`.
pub(super) const SENT: &str = "sent";

pub(super) type Labels = BTreeMap<String, String>;
pub(super) type Series = BTreeMap<Labels, Held>;

/// What is held of one series.
#[derive(Clone, Debug)]
pub(super) struct Held {
    /// As the metadata label `__type__` says; empty for unknown.
    pub(super) kind: String,
    /// As the metadata label `__unit__` says.
    pub(super) unit: String,
    pub(super) value: Sample,
}

#[derive(Clone, Debug)]
pub(super) enum Sample {
    Number(f64),
    /// A native histogram: count, sum, and the buckets that hold something.
    Histogram {
        count: f64,
        sum: f64,
        buckets: Vec<Bucket>,
    },
}

/// Which bounds belong to it, the bounds, the count; as the API says it.
pub(super) type Bucket = (u64, String, String, f64);

pub(super) struct Prometheus {
    address: String,
    process: Process,
}

impl Prometheus {
    /// Starts one that scrapes these targets and takes OTLP.
    pub(super) fn start(folder: &Path, targets: &[String]) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        let targets = targets.join("\", \"");
        // NoTranslation: with the default, `shop.search.results_total` would become
        // `shop_search_results_total`, and a counter that lacks `_total` would get it. Samples out of
        // order: each request writes `target_info` at its oldest timestamp, and a page may have its
        // own.
        let configuration = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
             otlp: {{translation_strategy: NoTranslation, promote_scope_metadata: true}}\n\
             storage: {{tsdb: {{out_of_order_time_window: 30m}}}}\n\
             scrape_configs:\n\
             - job_name: {SCRAPED}\n  \
               scrape_native_histograms: true\n  \
               static_configs: [{{targets: [\"{targets}\"]}}]\n"
        );
        let flags = ["--enable-feature=exemplar-storage,type-and-unit-labels"];
        let process = prometheus::start(folder, &address, &configuration, &flags);
        let process = process.unwrap_or_else(|error| panic!("{error:#}"));
        Self { address, process }
    }

    /// Where OTLP metrics go.
    pub(super) fn endpoint(&self) -> String {
        format!("http://{}/api/v1/otlp/v1/metrics", self.address)
    }

    pub(super) fn log(&self) -> String {
        self.process.log()
    }

    /// The series of a job that have not ended.
    pub(super) fn series(&self, job: &str) -> Series {
        let found = self.ask("query", &format!("{{job=\"{job}\"}}"), "");
        let mut series = Series::new();
        for one in found["result"].as_array().expect("a vector") {
            let mut labels = labels(&one["metric"]);
            let held = Held {
                kind: labels.remove("__type__").unwrap_or_default(),
                unit: labels.remove("__unit__").unwrap_or_default(),
                value: match one.get("value") {
                    Some(value) => Sample::Number(number(&value[1])),
                    None => histogram(&one["histogram"][1]),
                },
            };
            assert!(series.insert(labels, held).is_none(), "a series twice");
        }
        series
    }

    /// Unix seconds of the sample of a job's series of this name, where it is one.
    pub(super) fn timestamp(&self, job: &str, name: &str) -> Option<f64> {
        let found = self.ask("query", &format!("timestamp({name}{{job=\"{job}\"}})"), "");
        found["result"][0]["value"].get(1).map(number)
    }

    /// All exemplars of a job: of which series, with which labels, value and timestamp.
    pub(super) fn exemplars(&self, job: &str) -> BTreeSet<(Labels, Labels, String, String)> {
        let range = "&start=0&end=4000000000";
        let found = self.ask("query_exemplars", &format!("{{job=\"{job}\"}}"), range);
        let mut exemplars = BTreeSet::new();
        for series in found.as_array().expect("a list") {
            let mut of = labels(&series["seriesLabels"]);
            of.retain(|key, _| !["__type__", "__unit__"].contains(&key.as_str()));
            for one in series["exemplars"].as_array().expect("a list") {
                let text = |key: &str| one[key].to_string();
                let entry = (
                    of.clone(),
                    labels(&one["labels"]),
                    text("value"),
                    text("timestamp"),
                );
                exemplars.insert(entry);
            }
        }
        exemplars
    }

    fn ask(&self, what: &str, query: &str, more: &str) -> Value {
        let mut path = format!("/api/v1/{what}?query=");
        for byte in query.bytes() {
            path.push_str(&format!("%{byte:02X}"));
        }
        path.push_str(more);
        let response = http::get(&self.address, &path).expect("an answer");
        let mut answer: Value = serde_json::from_slice(&response.body).expect("JSON");
        assert_eq!(answer["status"], "success", "{query}: {}", response.text());
        answer["data"].take()
    }
}

/// Labels; bounds and quantiles as numbers, for 1 is 1.0.
fn labels(object: &Value) -> Labels {
    let pairs = object.as_object().expect("labels").iter();
    let canonical = |key: &str, value: &str| match value.parse::<f64>() {
        Ok(number) if key == "le" || key == "quantile" => number.to_string(),
        _ => value.to_owned(),
    };
    pairs
        .map(|(key, value)| {
            let value = value.as_str().expect("a label's value");
            (key.clone(), canonical(key, value))
        })
        .collect()
}

fn number(value: &Value) -> f64 {
    let text = value.as_str().expect("a number in quotes");
    text.parse().expect("a number")
}

fn histogram(value: &Value) -> Sample {
    let buckets = value["buckets"].as_array();
    let bound = |value: &Value| value.as_str().expect("a bound").to_owned();
    let bucket = |bucket: &Value| {
        let rule = bucket[0].as_u64().expect("a rule");
        (
            rule,
            bound(&bucket[1]),
            bound(&bucket[2]),
            number(&bucket[3]),
        )
    };
    Sample::Histogram {
        count: number(&value["count"]),
        sum: number(&value["sum"]),
        buckets: buckets.map_or(Vec::new(), |buckets| buckets.iter().map(bucket).collect()),
    }
}
