//! Counters, gauges, infos, statesets and samples without a type: one value a point.

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, NumberDataPoint, Sum,
};

use super::exemplar;
use super::metric::Draft;
use crate::exposition::{Family, Kind, Label, Page, Role, Sample};

/// Translates a family whose samples are points of their own.
pub(crate) fn translate<'p>(draft: &mut Draft<'p>, family: &Family<'_>, samples: &'p [Sample]) {
    let page = draft.page;
    let starts = Starts::of(page, samples);
    // A metric of each name at a time, since a page may mix `foo` and `foo_total`.
    for suffix in ["", "_total", "_info"] {
        for sample in samples {
            if sample.role != Role::Created && sample.role.suffix() == suffix {
                add(draft, family, sample, &starts);
            }
        }
    }
}

fn add<'p>(draft: &mut Draft<'p>, family: &Family<'_>, sample: &'p Sample, starts: &Starts<'p>) {
    let head = draft.head(sample);
    let time_unix_nano = draft.time(sample);
    let exemplars = exemplar::of_sample(draft.page, sample, time_unix_nano);
    let point = NumberDataPoint {
        attributes: head.attributes,
        start_time_unix_nano: starts.start(draft.page.labels(sample)),
        time_unix_nano,
        exemplars: exemplars.into_iter().collect(),
        flags: 0,
        value: Some(Value::AsDouble(sample.value)),
    };
    let kind = family.kind;
    match draft.data(head.scope, family, sample.role.suffix(), || empty(kind)) {
        Some(Data::Gauge(gauge)) => gauge.data_points.push(point),
        Some(Data::Sum(sum)) => sum.data_points.push(point),
        _ => {}
    }
}

fn empty(kind: Kind) -> Data {
    match kind {
        Kind::Counter | Kind::Info | Kind::StateSet => Data::Sum(Sum {
            data_points: Vec::new(),
            aggregation_temporality: AggregationTemporality::Cumulative as i32,
            is_monotonic: kind == Kind::Counter,
        }),
        _ => Data::Gauge(Gauge::default()),
    }
}

/// The `_created` samples of a family, sorted by labels.
struct Starts<'p> {
    sorted: Vec<(&'p [Label<'p>], u64)>,
}

impl<'p> Starts<'p> {
    fn of(page: &'p Page<'p>, samples: &'p [Sample]) -> Self {
        let created = samples.iter().filter(|sample| sample.role == Role::Created);
        let mut sorted: Vec<_> = created
            .map(|sample| (page.labels(sample), start(sample.value)))
            .collect();
        sorted.sort();
        Self { sorted }
    }

    fn start(&self, labels: &[Label<'_>]) -> u64 {
        let found = self
            .sorted
            .binary_search_by(|(known, _)| (*known).cmp(labels));
        found
            .ok()
            .and_then(|index| self.sorted.get(index))
            .map_or(0, |(_, start)| *start)
    }
}

/// Returns the Unix nanoseconds of a `_created` value in seconds; 0, unset, when it is none.
pub(crate) fn start(seconds: f64) -> u64 {
    match seconds.is_finite() && seconds > 0.0 {
        // Microseconds are what an `f64` of the present resolves.
        true => ((seconds * 1e6).round() as u64).saturating_mul(1000),
        false => 0,
    }
}
