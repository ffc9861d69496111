//! What of a policy is the judge's, and what the judge says of an objective.

use std::sync::Arc;

use crate::cell::CELL_SECONDS;
use crate::judge::{
    self, Assessment, Bound, CpuLimits, ErrorLimits, JudgeConfig, LatencyLimits, Limit,
    ObjectiveAssessment,
};
use crate::policy::{Absolute, Assume, Gate, Indicator, Objective, Policy};

/// What the judge says of an objective of the policy that compares.
pub(crate) fn assessed<'a>(
    objective: &Objective,
    last: &'a Assessment,
) -> Option<&'a ObjectiveAssessment> {
    let wanted = match objective.indicator {
        Indicator::Latency => judge::Objective::Latency,
        Indicator::Errors => judge::Objective::Errors,
        Indicator::CpuPerRequest => judge::Objective::Cpu,
        Indicator::CpuUtilization | Indicator::Restarts => return None,
    };
    objective.ratio?;
    last.objectives
        .iter()
        .find(|assessment| assessment.objective == wanted)
}

/// Cells that must be judged before an approval.
pub(super) fn cells_min(policy: &Policy) -> u64 {
    policy.timing.min_duration.as_secs().div_ceil(CELL_SECONDS)
}

/// The judge's part of a policy.
pub(super) fn judge_config(policy: &Policy, seed: u64) -> JudgeConfig {
    let compared = |indicator| {
        let is = |o: &&Objective| o.indicator == indicator && o.ratio.is_some();
        let found = policy.objectives.iter().find(is)?;
        Some((found, found.ratio?, found.gate == Gate::Require))
    };
    let latency = compared(Indicator::Latency).map(|(objective, ratio, required)| LatencyLimits {
        rollback_above: ratio.rollback_above,
        approve_below: ratio.approve_below,
        exceedance_above: ratio.exceedance_above,
        exceedance_below: ratio.exceedance_below,
        quantile: objective.quantile,
        strict: objective.strict,
        required,
    });
    let errors = compared(Indicator::Errors).map(|(objective, ratio, required)| ErrorLimits {
        rollback_above: ratio.rollback_above,
        approve_below: ratio.approve_below,
        negligible: (objective.negligible > 0.0).then_some(objective.negligible),
        required,
    });
    let cpu = compared(Indicator::CpuPerRequest).map(|(_, ratio, required)| CpuLimits {
        rollback_above: ratio.rollback_above,
        approve_below: ratio.approve_below,
        required,
    });
    JudgeConfig {
        latency,
        errors,
        cpu,
        limits: limits(policy).map(|(_, limit)| limit).collect(),
        false_rollback: policy.risk.false_rollback,
        false_approval: policy.risk.false_approval,
        assume: match policy.risk.assume {
            None => judge::Assume::Auto,
            Some(Assume::Alike) => judge::Assume::Alike,
            Some(Assume::Vary) => judge::Assume::Vary,
        },
        cells_min: cells_min(policy),
        seed,
    }
}

/// Absolute limits that the judge has, in its order, each with its objective.
pub(crate) fn limits(policy: &Policy) -> impl Iterator<Item = (&Objective, Limit)> {
    let each = policy.objectives.iter();
    let each = each.flat_map(|objective| objective.absolute.iter().map(move |l| (objective, l)));
    each.filter_map(|(objective, limit)| {
        let bound = match *limit {
            Absolute::MaxPerPod(_) => return None,
            Absolute::MaxSeconds(seconds) => Bound::Latency {
                seconds,
                quantile: objective.quantile,
            },
            Absolute::MaxUtilization(most) => Bound::Utilization(most),
            Absolute::MinSuccess(least) => Bound::Success(least),
        };
        let routes = objective.routes.iter().map(|route| Arc::from(&**route));
        let routes = routes.collect();
        Some((objective, Limit { bound, routes }))
    })
}
