//! The series a scrape adds about itself: `up` and `scrape_*`, as Prometheus names them.

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics,
};

use super::{Identity, Notes, scope};
use crate::exposition::Counts;
use crate::series::points_of;

/// The names that only the scrape itself may use.
const RESERVED: [&str; 5] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_post_metric_relabeling",
    "scrape_samples_scraped",
    "scrape_series_added",
];

/// What is known of a scrape beside its page.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ScrapeStats {
    /// How long it took, seconds.
    pub duration_seconds: f64,
}

impl ScrapeStats {
    /// Returns the scrape's own metrics when it succeeded.
    pub(crate) fn series(
        &self,
        identity: &Identity,
        at: u64,
        samples: Counts,
        added: usize,
    ) -> ScopeMetrics {
        self.metrics(identity, at, 1.0, samples, added)
    }

    /// Returns the scrape's own metrics when it failed.
    pub(crate) fn failure(&self, identity: &Identity, at: u64) -> ScopeMetrics {
        let none = Counts {
            scraped: 0,
            kept: 0,
        };
        self.metrics(identity, at, 0.0, none, 0)
    }

    fn metrics(
        &self,
        identity: &Identity,
        at: u64,
        up: f64,
        samples: Counts,
        added: usize,
    ) -> ScopeMetrics {
        let (scraped, kept, added) = (samples.scraped as f64, samples.kept as f64, added as f64);
        let mut own = scope::own(&identity.agent_version);
        // No unit where it would be "1", as the Collector's receiver of pages has it: Prometheus's
        // OTLP receiver would name the gauge `up_ratio`.
        own.metrics = vec![
            gauge("up", "The scraping was successful", "", up, at),
            gauge(
                "scrape_duration_seconds",
                "Duration of the scrape",
                "s",
                self.duration_seconds,
                at,
            ),
            gauge(
                "scrape_samples_post_metric_relabeling",
                "The number of samples remaining after metric relabeling was applied",
                "",
                kept,
                at,
            ),
            gauge(
                "scrape_samples_scraped",
                "The number of samples the target exposed",
                "",
                scraped,
                at,
            ),
            gauge(
                "scrape_series_added",
                "The approximate number of new series in this scrape",
                "",
                added,
                at,
            ),
        ];
        own
    }
}

fn gauge(name: &str, description: &str, unit: &str, value: f64, at: u64) -> Metric {
    let point = NumberDataPoint {
        time_unix_nano: at,
        value: Some(Value::AsDouble(value)),
        ..NumberDataPoint::default()
    };
    Metric {
        name: name.to_owned(),
        description: description.to_owned(),
        unit: unit.to_owned(),
        metadata: vec![super::attributes::text("prometheus.type", "gauge")],
        data: Some(Data::Gauge(Gauge {
            data_points: vec![point],
        })),
    }
}

/// Adds the scrape's own metrics to those of the page.
pub(crate) fn add(metrics: &mut ResourceMetrics, own: ScopeMetrics) {
    scope::merge(&mut metrics.scope_metrics, vec![own]);
}

/// Returns whether only the scrape itself may use the name that two parts make.
pub(crate) fn is_reserved([stem, suffix]: [&str; 2]) -> bool {
    let mut stems = RESERVED.iter().filter_map(|name| name.strip_suffix(suffix));
    stems.any(|reserved| reserved == stem)
}

/// Removes what the page names like the scrape's own metrics: two points of one name and
/// time would contradict each other.
pub(crate) fn drop_reserved(metrics: &mut ResourceMetrics, notes: &mut Notes) {
    for scope in &mut metrics.scope_metrics {
        scope.metrics.retain(|metric| {
            let reserved = is_reserved([&metric.name, ""]);
            if reserved {
                notes.reserved_names += points_of(metric) as u64;
            }
            !reserved
        });
    }
}
