//! How long it takes until a canary that breaks an absolute limit is rolled back.

use super::{HORIZON, OVERSHOOT, Traffic, kappa, seconds};
use crate::cell::CELL_SECONDS;
use crate::eta::Eta;
use crate::evalue::betting::SHARES;
use crate::evalue::likelihood::{CAP, divergence};
use crate::judge::limits::{FACTORS, UTILIZATION, WEIGHT};
use crate::kappa::{Assume, Prior, Use};
use crate::policy::{Absolute, Objective, Policy};

/// Multiples of the share of requests that a limit permits.
const MULTIPLES: [f64; 2] = [2.0, 5.0];

/// What is expected of one absolute limit.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitExpectation {
    /// Name of the objective in the policy.
    pub name: String,
    /// The limit.
    pub limit: Absolute,
    /// What the canary does, and the seconds until it is proved beyond the limit; none: not in a
    /// day. A share of requests that fail or take longer, or of the CPU limit.
    pub rollback_seconds: Vec<(f64, Option<u64>)>,
}

/// Expectations of every absolute limit but restarts, in the policy's order. A limit of some routes
/// is taken to be of all requests.
pub fn limit_expectations(policy: &Policy, traffic: &Traffic) -> Vec<LimitExpectation> {
    let each = policy.objectives.iter();
    let each = each.flat_map(|objective| objective.absolute.iter().map(move |l| (objective, l)));
    let expected = each.filter_map(|(objective, limit)| {
        let model = Model {
            policy,
            traffic,
            permitted: permitted(objective, *limit)?,
        };
        let rollback_seconds = match limit {
            Absolute::MaxUtilization(most) => [0.5 + most / 2.0, 1.0].map(|v| model.busy(v)).into(),
            _ => MULTIPLES.map(|times| model.often(times)).into(),
        };
        Some(LimitExpectation {
            name: objective.name.clone(),
            limit: *limit,
            rollback_seconds,
        })
    });
    expected.collect()
}

/// The share of requests, or of the CPU limit, that is permitted.
fn permitted(objective: &Objective, limit: Absolute) -> Option<f64> {
    match limit {
        Absolute::MaxPerPod(_) => None,
        Absolute::MaxSeconds(_) => Some(1.0 - objective.quantile),
        Absolute::MaxUtilization(most) => Some(most),
        Absolute::MinSuccess(least) => Some(1.0 - least),
    }
}

/// Limits that the judge weighs.
fn count(policy: &Policy) -> usize {
    let each = policy.objectives.iter().flat_map(|o| &o.absolute);
    each.filter(|limit| !matches!(limit, Absolute::MaxPerPod(_)))
        .count()
}

/// Weight that absolute limits leave to comparisons.
pub(super) fn rest(policy: &Policy) -> f64 {
    if count(policy) == 0 {
        1.0
    } else {
        1.0 - WEIGHT
    }
}

struct Model<'a> {
    policy: &'a Policy,
    traffic: &'a Traffic,
    permitted: f64,
}

impl Model<'_> {
    /// So many times the permitted share of requests.
    fn often(&self, times: f64) -> (f64, Option<u64>) {
        let share = (times * self.permitted).min(0.999);
        let requests = self.traffic.rate * CELL_SECONDS as f64 * self.traffic.weight;
        let growth = (requests * divergence(share, self.permitted)).min(CAP);
        let wanted = self.wanted(FACTORS.len()) + OVERSHOOT;
        let prior = Use::ApproveErrors.prior(Assume::Vary, self.pods() == 1);
        (share, seconds(self.time(growth, wanted, prior)))
    }

    /// So much of the CPU limit. Bets grow in small steps, which don't overstep.
    fn busy(&self, value: f64) -> (f64, Option<u64>) {
        let bet = |share: f64| libm::log1p(share * (value / self.permitted - 1.0));
        let growth = SHARES.map(bet).into_iter().fold(0.0, f64::max);
        let wanted = self.wanted(SHARES.len());
        (value, seconds(self.time(growth, wanted, Some(UTILIZATION))))
    }

    /// ln E that one of so many alternatives needs.
    fn wanted(&self, alternatives: usize) -> f64 {
        let compares = self.policy.objectives.iter().any(|o| o.ratio.is_some());
        let weight = if compares { WEIGHT } else { 1.0 };
        let parts = (alternatives * count(self.policy)) as f64 / weight;
        libm::log(parts / self.policy.risk.false_rollback)
    }

    fn pods(&self) -> usize {
        // A share in (0, 1) gives a small whole number.
        let pods = (1.0 - self.traffic.weight) / self.traffic.weight;
        pods.round().clamp(1.0, 100.0) as usize
    }

    fn time(&self, growth: f64, wanted: f64, prior: Option<Prior>) -> Eta {
        let history = self.traffic.history_seconds / CELL_SECONDS as f64;
        let kappa = |t| kappa(prior, self.pods(), history, t);
        let proved = |t: &u64| growth * *t as f64 / kappa(*t) >= wanted;
        (1..=HORIZON).find(proved).map_or(Eta::NoGrowth, Eta::Cells)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_further_beyond_a_limit_is_caught_sooner() {
        let text = "version: 1\nobjectives:\n- {indicator: errors, min_success: 0.999}\n\
                    - {indicator: latency, max: 300ms}\n\
                    - {indicator: cpu_utilization, max_utilization: 0.8}\n\
                    - {indicator: restarts, max_per_pod: 0}\n";
        let policy = Policy::read("p", text).expect("a policy");
        let traffic = Traffic {
            rate: 200.0,
            weight: 0.2,
            errors: 0.0,
            history_seconds: 900.0,
        };
        let found = limit_expectations(&policy, &traffic);
        let shares: Vec<_> = found.iter().map(|e| e.rollback_seconds[0].0).collect();
        let near = |a: f64, b: f64| (a - b).abs() < 1e-12;
        assert!(near(shares[0], 0.002) && near(shares[1], 0.02) && near(shares[2], 0.9));
        for expected in &found {
            let [(_, twice), (_, more)] = expected.rollback_seconds[..] else {
                panic!("two times")
            };
            assert!(more < twice && more.is_some(), "{expected:?}");
        }
    }
}
