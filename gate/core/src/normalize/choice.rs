//! Which metrics of a pod are its evidence: one name for each role, so that nothing counts twice.
//!
//! The best name that was ever seen is taken, since a collector may split what belongs together;
//! one that is silent for [`SILENT_WINDOWS`] gives way, as the agent's own sources do.

use std::collections::{BTreeMap, BTreeSet};

use davy_proto::UnixNanos;

use davy_proto::indicator::{
    CPU_LIMIT, CPU_SECONDS, Protocol, START_TIME, duration_rank, requests_rank,
};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics};

use super::Settings;
use super::series::PodState;

/// Windows after which a metric that is no longer sent gives way to the next best.
const SILENT_WINDOWS: u32 = 12;

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
    /// Protocols whose histograms carry a status: the counters beside those are left alone.
    pub(super) status_seen: BTreeSet<Protocol>,
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

/// Chooses among the metrics of this request, which came at `received`, and what was chosen before.
pub(super) fn choose(
    resource: &ResourceMetrics,
    state: &mut PodState,
    settings: &Settings,
    received: UnixNanos,
) -> Chosen {
    let metrics = resource.scope_metrics.iter().flat_map(|s| &s.metrics);
    let mut offered = BTreeMap::new();
    for (role, rank) in metrics.filter_map(rank) {
        let best = offered.entry(role).or_insert(rank);
        *best = rank.min(*best);
    }
    for (role, rank) in offered {
        let (best, seen) = state.ranks.entry(role).or_insert((rank, received));
        let is_silent = received.since(*seen) > SILENT_WINDOWS * settings.window;
        if rank > *best && !is_silent {
            continue;
        }
        if let Role::Duration(protocol) = role
            && rank != *best
        {
            // Whether the other one carries a status isn't known.
            state.status_seen.remove(&protocol);
        }
        (*best, *seen) = (rank, received.max(*seen));
    }
    let ranks = state.ranks.iter().map(|(role, (rank, _))| (*role, *rank));
    Chosen {
        ranks: ranks.collect(),
        status_seen: state.status_seen.clone(),
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
