//! How long decisions will take, before anyone ships: Wald's bound for each objective, stretched by
//! what must be allowed for memory (κ).
//!
//! It is an expectation, not a promise. Assumed where nothing is measured yet: log-normal latency
//! (σ 0.7), CPU per request that varies by 5 % from cell to cell, and as many pods an arm as the
//! canary's share of the traffic says. Source: docs/statistics.md, section 8.1.

use crate::cell::CELL_SECONDS;
use crate::eta::{Eta, HORIZON};
use crate::evalue::likelihood::{canary_share, divergence};
use crate::evalue::permutation::log_choose;
use crate::kappa::{Assume, BLOCKS, Prior, Use};
use crate::policy::{self, Indicator, Objective, Policy, Ratio};

mod limits;

pub use limits::{LimitExpectation, limit_expectations};

/// Assumed spread of ln latency.
pub const LATENCY_SIGMA: f64 = 0.7;
/// Assumed spread of ln CPU per request, from cell to cell.
pub const CPU_SIGMA: f64 = 0.05;
/// Prior weight of the strongest component of each objective in the rollback mixture.
const COMPONENT_WEIGHT: f64 = 0.02;
/// Sum of ln E a proof needs beyond its threshold, on average: the last cell oversteps.
const OVERSHOOT: f64 = 1.0;

/// History after which several pods are taken to be alike, in seconds.
const ALIKE_AFTER_SECONDS: f64 = 600.0;

/// The traffic that is expected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Traffic {
    /// Requests a second of both arms together; above 0.
    pub rate: f64,
    /// Share of them that the canary gets, in (0, 1).
    pub weight: f64,
    /// Error rate of the baseline, in [0, 1).
    pub errors: f64,
    /// Seconds that the baseline was watched alone before.
    pub history_seconds: f64,
}

/// What is expected of one objective.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// Name in the policy.
    pub name: String,
    /// Seconds until a canary that is no different is proved safe; none: not in a day.
    pub approve_seconds: Option<u64>,
    /// Ratios of canary to baseline, and the seconds until each is proved worse; none: not in a
    /// day.
    pub rollback_seconds: Vec<(f64, Option<u64>)>,
}

/// Expectations of every objective with relative limits, in the policy's order.
pub fn expectations(policy: &Policy, traffic: &Traffic) -> Vec<Expectation> {
    let judged = policy.objectives.iter().filter_map(|objective| {
        let ratio = objective.ratio.as_ref()?;
        let worse = worse_ratios(objective.indicator, ratio);
        let model = Model {
            policy,
            traffic,
            objective,
            ratio,
        };
        Some(Expectation {
            name: objective.name.clone(),
            approve_seconds: seconds(model.approval()?),
            rollback_seconds: worse
                .into_iter()
                .map(|r| (r, seconds(model.rollback(r))))
                .collect(),
        })
    });
    judged.collect()
}

/// Seconds until every required objective is proved safe; none: not in a day.
pub fn approval_seconds(policy: &Policy, expectations: &[Expectation]) -> Option<u64> {
    let least = policy.timing.min_duration.as_secs();
    let required = policy
        .objectives
        .iter()
        .filter(|o| o.gate == policy::Gate::Require);
    let times = required.filter_map(|o| expectations.iter().find(|e| e.name == o.name));
    times
        .map(|e| e.approve_seconds)
        .try_fold(least, |most, time| Some(most.max(time?)))
}

/// Ratios that are worth telling: a moderate and a gross deterioration.
fn worse_ratios(indicator: Indicator, ratio: &Ratio) -> Vec<f64> {
    let candidates: &[f64] = match indicator {
        Indicator::Errors => &[2.0, 3.75, 10.0],
        Indicator::CpuPerRequest => &[1.16, 1.5],
        _ => &[1.2, 1.35, 2.0],
    };
    candidates
        .iter()
        .copied()
        .filter(|&r| r > ratio.rollback_above)
        .collect()
}

fn seconds(eta: Eta) -> Option<u64> {
    eta.cells().map(|cells| cells * CELL_SECONDS)
}

struct Model<'a> {
    policy: &'a Policy,
    traffic: &'a Traffic,
    objective: &'a Objective,
    ratio: &'a Ratio,
}

impl Model<'_> {
    /// Requests a cell of the baseline and of the canary.
    fn requests(&self) -> (f64, f64) {
        let all = self.traffic.rate * CELL_SECONDS as f64;
        (all * (1.0 - self.traffic.weight), all * self.traffic.weight)
    }

    /// Pods of the baseline where the canary has one; at least one.
    fn baseline_pods(&self) -> u64 {
        // A share in (0, 1) gives a small whole number.
        ((1.0 - self.traffic.weight) / self.traffic.weight)
            .round()
            .clamp(1.0, 100.0) as u64
    }

    fn approval(&self) -> Option<Eta> {
        let (b, c) = self.requests();
        let wanted = -libm::log(self.policy.risk.false_approval) + OVERSHOOT;
        let safe = self.ratio.approve_below;
        let (growth, what) = match self.objective.indicator {
            Indicator::Latency => {
                let share = 1.0 - self.objective.quantile;
                let psi = tail(z(share) + libm::log(safe) / LATENCY_SIGMA) / share;
                let kl = divergence(canary_share(c, b, psi), canary_share(c, b, 1.0));
                ((c * psi + b) * share * kl, Use::ApproveLatency)
            }
            Indicator::Errors => return Some(self.errors_approval(b, c, wanted)),
            Indicator::CpuPerRequest => {
                (self.gaussian(libm::log(safe) / CPU_SIGMA), Use::ApproveCpu)
            }
            Indicator::CpuUtilization | Indicator::Restarts => return None,
        };
        Some(self.time(growth, wanted, what))
    }

    fn errors_approval(&self, b: f64, c: f64, wanted: f64) -> Eta {
        let errors = self.traffic.errors;
        let (one, safe) = (
            canary_share(c, b, 1.0),
            canary_share(c, b, self.ratio.approve_below),
        );
        let by_ratio = (b + c) * errors * divergence(one, safe);
        let floor = self.objective.negligible;
        if floor <= 0.0 {
            return self.time(by_ratio, wanted, Use::ApproveErrors);
        }
        let by_floor = if errors < floor {
            c * divergence(errors.max(1e-12), floor)
        } else {
            0.0
        };
        // Either proves it. What the other and the alternatives beside it weigh costs about as much
        // as half of the weight.
        let growth = by_ratio.max(by_floor);
        self.time(growth, wanted + std::f64::consts::LN_2, Use::ApproveErrors)
    }

    fn rollback(&self, ratio: f64) -> Eta {
        let (b, c) = self.requests();
        let weight = COMPONENT_WEIGHT * limits::rest(self.policy);
        let wanted = -libm::log(self.policy.risk.false_rollback) - libm::log(weight) + OVERSHOOT;
        let worse = ratio / self.ratio.rollback_above;
        let (growth, what) = match self.objective.indicator {
            Indicator::Errors => {
                let kl = divergence(canary_share(c, b, worse), canary_share(c, b, 1.0));
                (
                    (c * worse + b) * self.traffic.errors * kl,
                    Use::RollbackErrors,
                )
            }
            Indicator::CpuPerRequest => (
                self.gaussian(libm::log(worse) / CPU_SIGMA),
                Use::RollbackCpu,
            ),
            _ => {
                let level = |share: f64| {
                    let psi = tail(z(share) - libm::log(worse) / LATENCY_SIGMA) / share;
                    let kl = divergence(canary_share(c, b, psi), canary_share(c, b, 1.0));
                    (c * psi + b) * share * kl
                };
                let lowest = if self.objective.strict {
                    1.0 - self.objective.quantile
                } else {
                    0.1
                };
                (
                    level(lowest).max(level(1.0 - self.objective.quantile)),
                    Use::RollbackLatency,
                )
            }
        };
        self.time(growth, wanted, what)
    }

    /// Growth of ln E a cell from the separation of two Gaussian means, in standard deviations.
    fn gaussian(&self, distance: f64) -> f64 {
        let b = self.baseline_pods() as f64;
        distance * distance / 2.0 * b / (b + 1.0)
    }

    fn time(&self, growth: f64, wanted: f64, what: Use) -> Eta {
        let pods = usize::try_from(self.baseline_pods()).unwrap_or(usize::MAX);
        let most = log_choose(pods + 1, 1);
        let learnt = pods > 1 && self.traffic.history_seconds >= ALIKE_AFTER_SECONDS;
        let assume = match self.policy.risk.assume {
            Some(policy::Assume::Alike) => Assume::Alike,
            None if learnt => Assume::Watched,
            _ => Assume::Vary,
        };
        let prior = what.prior(assume, pods == 1);
        let history = self.traffic.history_seconds / CELL_SECONDS as f64;
        let growth = growth.min(most);
        // One by one: where a longer block begins to count κ may jump, and a later cell fail.
        let proved = |t: &u64| growth * *t as f64 / kappa(prior, pods, history, *t) >= wanted;
        (1..=HORIZON).find(proved).map_or(Eta::NoGrowth, Eta::Cells)
    }
}

/// κ after t cells where the pods show no memory of their own: the prior fades with the history and
/// with what is judged (docs/statistics.md, section 4).
fn kappa(prior: Option<Prior>, pods: usize, history: f64, t: u64) -> f64 {
    let Some(prior) = prior else { return 1.0 };
    let n = history + t as f64;
    let pods = pods.max(2) as f64 - 1.0;
    let data = BLOCKS.map(|m| {
        let m = m as f64;
        (n >= m).then(|| (0.0, pods * n / m))
    });
    prior.curve(data.into_iter()).at(t)
}

/// Upper tail of the standard normal distribution.
fn tail(x: f64) -> f64 {
    0.5 * libm::erfc(x / std::f64::consts::SQRT_2)
}

/// The point above which `share` of the standard normal distribution lies; share in (0, 1).
fn z(share: f64) -> f64 {
    let (mut low, mut high) = (-9.0, 9.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if tail(middle) > share {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(rate: f64, history_seconds: f64) -> Vec<Expectation> {
        let traffic = Traffic {
            rate,
            weight: 0.2,
            errors: 0.0012,
            history_seconds,
        };
        expectations(&Policy::standard(), &traffic)
    }

    #[test]
    fn more_traffic_is_faster_and_history_helps() {
        let approve = |e: &[Expectation]| e[0].approve_seconds.expect("a time");
        assert!(approve(&at(1000.0, 0.0)) < approve(&at(200.0, 0.0)));
        assert!(approve(&at(200.0, 3600.0)) < approve(&at(200.0, 0.0)));
    }

    #[test]
    fn times_are_of_the_order_that_was_measured() {
        // Statistics.md section 6 at 200 requests/s, 15 min of history: P99 below 1.25 in 85 s,
        // errors below 3 in 205 s, latency ×1.35 back in 30 s.
        let [latency, errors, ..] = &at(200.0, 900.0)[..] else {
            panic!("three objectives")
        };
        let within = |seconds: Option<u64>, low, high| {
            let seconds = seconds.expect("a time");
            assert!((low..=high).contains(&seconds), "{seconds} s");
        };
        within(latency.approve_seconds, 45, 170);
        within(errors.approve_seconds, 100, 410);
        within(latency.rollback_seconds[1].1, 15, 75);
    }

    #[test]
    fn quantiles_of_the_normal_distribution() {
        assert!((z(0.01) - 2.326_347_874).abs() < 1e-9);
        assert!((tail(1.644_853_627) - 0.05).abs() < 1e-9);
    }
}
