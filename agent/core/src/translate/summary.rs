//! Summaries: without `_count` dropped, without `_sum` the sum is 0; NaN quantiles are kept, since
//! they say that nothing was observed.

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{Summary, SummaryDataPoint};

use super::histogram::{points, whole};
use super::metric::Draft;
use super::number;
use crate::exposition::{Family, Role, Sample};

/// Translates a family of summaries.
pub(crate) fn translate<'p>(draft: &mut Draft<'p>, family: &Family<'_>, samples: &'p [Sample]) {
    let page = draft.page;
    for run in points(page, samples) {
        let (Some(first), Some(mut point)) = (run.first, point(draft, &run.samples)) else {
            continue;
        };
        let head = draft.head(first);
        point.attributes = head.attributes;
        let empty = || Data::Summary(Summary::default());
        if let Some(Data::Summary(data)) = draft.data(head.scope, family, "", empty) {
            data.data_points.push(point);
        }
    }
}

fn point(draft: &mut Draft<'_>, samples: &[Sample]) -> Option<SummaryDataPoint> {
    let value = |role| samples.iter().find(|s| s.role == role).map(|s| s.value);
    let Some(count) = value(Role::Count) else {
        draft.notes.without_count += 1;
        return None;
    };
    let Some(count) = whole(count) else {
        draft.notes.bad_counts += 1;
        return None;
    };
    let quantiles = samples
        .iter()
        .filter(|sample| sample.role == Role::Quantile);
    let quantile = |s: &Sample| ValueAtQuantile {
        quantile: s.bound,
        value: s.value,
    };
    let mut quantile_values: Vec<_> = quantiles.map(quantile).collect();
    quantile_values.sort_by(|a, b| a.quantile.total_cmp(&b.quantile));
    Some(SummaryDataPoint {
        attributes: Vec::new(),
        start_time_unix_nano: value(Role::Created).map_or(0, number::start),
        time_unix_nano: draft.time(samples.first()?),
        count,
        sum: value(Role::Sum).unwrap_or(0.0),
        quantile_values,
        flags: 0,
    })
}
