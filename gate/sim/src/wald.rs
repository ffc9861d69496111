//! What no test can beat: the seconds that a sequential test with the judge's error rates needs on
//! average, were it told in advance what the canary is, and were there no memory in latency and
//! errors.
//!
//! (ln 1/α + 1) / (information a second): information is events a second × KL divergence of the
//! canary's share of them from its share at the limit; of CPU, δ² / 2V with V the long-run variance
//! of the difference of ln CPU a request. The 1 is for overstepping the threshold.
//!
//! Source: Wald 1945; docs/statistics.md, section 8.1. Of latency the best of the levels P90, P95
//! and P99 for rollback, P99 for approval.

use davy_gate_core::evalue::likelihood::{canary_share, divergence};
use davy_gate_core::judge::{JudgeConfig, Objective};

use crate::scenario::{Right, Scenario};
use crate::traffic::{Buckets, Traffic};

/// Levels of the judge's rollback tests of latency.
const LEVELS: [f64; 3] = [0.90, 0.95, 0.99];

/// The least seconds to the right verdict; none where there is no right one, or where the effect
/// is not one factor on everything.
pub fn seconds(scenario: &Scenario) -> Option<u64> {
    let (traffic, config) = (&scenario.traffic, scenario.judge(0));
    let canary = traffic.canary;
    let plain = canary.leak == 0.0
        && (canary.first_route, canary.mix, canary.stalls) == (1.0, 1.0, 1.0)
        && traffic.error_cluster == 1
        && traffic.buckets != Buckets::Classic;
    let needed = match scenario.right {
        // What breaks an absolute limit is told of one arm.
        _ if !plain || scenario.limit.is_some() => None,
        Right::Bad => rollback(traffic, &config),
        Right::Equal => approval(traffic, &config),
        Right::HarmEdge(_) | Right::LimitEdge | Right::SafetyEdge(_) => None,
    };
    needed.filter(|s| s.is_finite()).map(|s| s.ceil() as u64)
}

/// Seconds until the first objective beyond its limit is proved so.
fn rollback(traffic: &Traffic, config: &JudgeConfig) -> Option<f64> {
    let canary = traffic.canary;
    let of = |objective: Objective| {
        let (factor, limit) = match objective {
            Objective::Latency => (canary.latency, config.latency.as_ref()?.rollback_above),
            Objective::Errors => (canary.errors, config.errors.as_ref()?.rollback_above),
            Objective::Cpu => (canary.cpu, config.cpu.as_ref()?.rollback_above),
        };
        let needed = -libm::log(config.false_rollback) + 1.0;
        (factor > limit).then(|| needed / information(objective, traffic, factor, limit))
    };
    let each = [Objective::Latency, Objective::Errors, Objective::Cpu].map(of);
    each.into_iter().flatten().reduce(f64::min)
}

/// Seconds until all objectives are proved safe.
fn approval(traffic: &Traffic, config: &JudgeConfig) -> Option<f64> {
    // A floor under the error rate has no bound of this form.
    let floor = config.errors.as_ref()?.negligible.unwrap_or(0.0);
    if traffic.errors < floor {
        return None;
    }
    let limits = [
        (Objective::Latency, config.latency.as_ref()?.approve_below),
        (Objective::Errors, config.errors.as_ref()?.approve_below),
        (Objective::Cpu, config.cpu.as_ref()?.approve_below),
    ];
    let needed = -libm::log(config.false_approval) + 1.0;
    let each =
        limits.map(|(objective, limit)| needed / information(objective, traffic, 1.0, limit));
    each.into_iter().reduce(f64::max)
}

/// Information a second against "the ratio is `limit`" when it is `factor`.
pub fn information(objective: Objective, traffic: &Traffic, factor: f64, limit: f64) -> f64 {
    let events = |canary: f64, baseline: f64, null: f64| {
        let (w, rest) = (traffic.weight, 1.0 - traffic.weight);
        let a_second = traffic.rate * (w * canary + rest * baseline);
        let truth = canary_share(w, rest, canary / baseline);
        a_second * divergence(truth, canary_share(w, rest, null))
    };
    match objective {
        Objective::Errors => events(traffic.errors * factor, traffic.errors, limit),
        Objective::Latency => {
            let at = |level: f64| {
                let x = traffic.shape.quantile(level);
                events(traffic.shape.above(limit * x / factor), 1.0 - level, 1.0)
            };
            // Approval is by P99 alone.
            let levels = if factor < limit {
                &LEVELS[2..]
            } else {
                &LEVELS[..]
            };
            levels.iter().map(|&level| at(level)).fold(0.0, f64::max)
        }
        Objective::Cpu => {
            let memory = traffic.cpu_memory;
            let pods = 1.0 / traffic.canary_pods as f64 + 1.0 / traffic.baseline_pods as f64;
            let variance = traffic.cpu_noise * traffic.cpu_noise * (1.0 + memory) / (1.0 - memory);
            let difference = libm::log(factor / limit);
            difference * difference / (2.0 * variance * pods)
        }
    }
}

#[cfg(test)]
mod tests;
