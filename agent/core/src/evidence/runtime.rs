//! A handful of Go runtime metrics that explain a verdict: goroutines, memory, allocation.

use std::collections::BTreeMap;

use davy_proto::UnixNanos;
use opentelemetry_proto::tonic::metrics::v1::ResourceMetrics;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;

use super::Origin;
use super::attributes;
use super::points;
use super::series::{Context, Series, Value};

/// One of the metrics sent on.
#[derive(Debug)]
pub(super) struct Sent {
    /// Name in OpenTelemetry's conventions.
    pub(super) name: &'static str,
    /// UCUM unit.
    pub(super) unit: &'static str,
    /// Names it is observed under: client_golang's, then the SDK's own.
    observed: [&'static str; 2],
    /// Whether it is an increment of a counter; else the last value.
    pub(super) counter: bool,
}

/// The metrics sent on. Source: <https://opentelemetry.io/docs/specs/semconv/runtime/go-metrics/>.
pub(super) const SENT: [Sent; 6] = [
    sent("go.goroutine.count", "{goroutine}", "go_goroutines", false),
    sent(
        "go.memory.used",
        "By",
        "go_memstats_heap_alloc_bytes",
        false,
    ),
    sent(
        "go.memory.gc.goal",
        "By",
        "go_memstats_next_gc_bytes",
        false,
    ),
    sent(
        "go.processor.limit",
        "{thread}",
        "go_sched_gomaxprocs_threads",
        false,
    ),
    sent(
        "go.memory.allocated",
        "By",
        "go_memstats_alloc_bytes_total",
        true,
    ),
    sent(
        "go.memory.allocations",
        "{allocation}",
        "go_memstats_mallocs_total",
        true,
    ),
];

const fn sent(
    name: &'static str,
    unit: &'static str,
    prometheus: &'static str,
    counter: bool,
) -> Sent {
    Sent {
        name,
        unit,
        observed: [prometheus, name],
        counter,
    }
}

/// Returns whether a metric of this name is sent on.
pub(super) fn is_observed(name: &str) -> bool {
    SENT.iter().any(|sent| sent.observed.contains(&name))
}

/// What the open window has seen of the runtime, by place in [`SENT`].
#[derive(Debug, Default)]
pub(super) struct Runtime {
    pub(super) values: BTreeMap<usize, (f64, Origin)>,
}

impl Runtime {
    /// Takes the window's values out.
    pub(super) fn take(&mut self) -> BTreeMap<usize, (f64, Origin)> {
        std::mem::take(&mut self.values)
    }

    /// Observes what is there of the runtime.
    pub(super) fn observe(
        &mut self,
        metrics: &[ResourceMetrics],
        origin: Origin,
        series: &mut Series,
        context: Context,
        at: UnixNanos,
    ) {
        let scopes = metrics.iter().flat_map(|resource| &resource.scope_metrics);
        for metric in scopes.flat_map(|scope| &scope.metrics) {
            let place = SENT
                .iter()
                .position(|sent| sent.observed.contains(&metric.name.as_str()));
            let Some(place) = place else { continue };
            let counter = SENT.get(place).is_some_and(|sent| sent.counter);
            let value = match &metric.data {
                Some(Data::Gauge(gauge)) if !counter => gauge
                    .data_points
                    .iter()
                    .filter_map(points::number)
                    .reduce(|a, b| a + b),
                // An up-down counter of the SDK; by type of memory, so the points are summed.
                Some(Data::Sum(sum)) if !counter => sum
                    .data_points
                    .iter()
                    .filter_map(points::number)
                    .reduce(|a, b| a + b),
                Some(Data::Sum(_)) => {
                    let mut total = None;
                    for reading in points::readings(metric, 1.0, at) {
                        let identity =
                            attributes::identity(&metric.name, 0, "", reading.attributes);
                        let Ok(point) = reading.point else { continue };
                        let increment = series.advance((origin, identity), point, context);
                        if let Ok(Some(Value::Number(increment))) = increment {
                            *total.get_or_insert(0.0) += increment;
                        }
                    }
                    total
                }
                _ => None,
            };
            if let Some(value) = value.filter(|value| value.is_finite()) {
                self.values.insert(place, (value, origin));
            }
        }
    }
}
