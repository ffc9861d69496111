//! Which metrics of a pod are its evidence: one name for each role, so that nothing counts twice.

use std::collections::BTreeMap;

use davy_proto::indicator::{
    CPU_LIMIT, CPU_SECONDS, Protocol, START_TIME, duration_rank, requests_rank,
};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics};

use super::series::PodState;

/// What a metric is used for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Role {
    /// Histogram of the request duration.
    Duration(Protocol),
    /// Counter of requests with a status.
    Requests(Protocol),
    /// CPU seconds.
    Cpu,
    /// CPU limit in cores.
    CpuLimit,
    /// Start of the process.
    Started,
}

/// The best rank seen for each role of a pod: 0 is most preferred.
#[derive(Clone, Debug, Default)]
pub(super) struct Chosen {
    ranks: BTreeMap<Role, usize>,
    /// Whether this pod's histograms carry a status: then counters beside them are left alone.
    pub(super) status_seen: bool,
}

impl Chosen {
    /// The metrics that are evidence, each with its role and scope, histograms first.
    pub(super) fn metrics<'a>(
        &self,
        resource: &'a ResourceMetrics,
    ) -> Vec<(Role, &'a str, &'a Metric)> {
        let mut found = Vec::new();
        for scope in &resource.scope_metrics {
            let name = scope.scope.as_ref().map_or("", |scope| scope.name.as_str());
            for metric in &scope.metrics {
                match rank(metric) {
                    Some((role, rank)) if self.ranks.get(&role) == Some(&rank) => {
                        found.push((role, name, metric));
                    }
                    _ => {}
                }
            }
        }
        found.sort_by_key(|(role, _, _)| *role);
        found
    }
}

/// Chooses among this request's metrics and what was chosen before.
pub(super) fn choose(resource: &ResourceMetrics, state: &mut PodState) -> Chosen {
    for metric in resource
        .scope_metrics
        .iter()
        .flat_map(|scope| &scope.metrics)
    {
        if let Some((role, rank)) = rank(metric) {
            let best = state.ranks.entry(role).or_insert(rank);
            *best = rank.min(*best);
        }
    }
    Chosen {
        ranks: state.ranks.clone(),
        status_seen: state.status_seen,
    }
}

fn rank(metric: &Metric) -> Option<(Role, usize)> {
    let name = metric.name.as_str();
    let position = |list: &[&str]| list.iter().position(|known| *known == name);
    match metric.data.as_ref()? {
        Data::ExponentialHistogram(_) => {
            duration_rank(name).map(|(protocol, rank)| (Role::Duration(protocol), 2 * rank))
        }
        Data::Histogram(_) => {
            duration_rank(name).map(|(protocol, rank)| (Role::Duration(protocol), 2 * rank + 1))
        }
        Data::Sum(_) => match position(CPU_SECONDS) {
            Some(rank) => Some((Role::Cpu, rank)),
            None => requests_rank(name).map(|(protocol, rank)| (Role::Requests(protocol), rank)),
        },
        Data::Gauge(_) => match position(CPU_LIMIT) {
            Some(rank) => Some((Role::CpuLimit, rank)),
            None => position(START_TIME).map(|rank| (Role::Started, rank)),
        },
        Data::Summary(_) => None,
    }
}
