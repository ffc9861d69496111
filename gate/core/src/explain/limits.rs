//! Absolute limits in words: of the canary alone.

use davy_proto::verdict::{self, ObjectiveVerdict, finite};

use super::{milliseconds, percent, quantile, rounded, short};
use crate::attempt;
use crate::judge::{self, Assessment, Bound, LimitAssessment};
use crate::policy::{Absolute, Gate, Objective, Policy};

/// What is known of the restarts of the canary's pods.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Restarts {
    /// No pod was seen.
    Unseen,
    /// No pod says when its process was started.
    Untold,
    /// The most of one pod.
    Counted(u64),
}

/// Why it is a rollback, where an absolute limit's evidence is the strongest.
pub(super) fn broken(policy: &Policy, last: &Assessment) -> Option<String> {
    let at = last.leading_limit?;
    let (objective, limit) = attempt::limits(policy).nth(at)?;
    Some(sentence(objective, limit.bound, last.limits.get(at)?))
}

/// `latency p99 612 ms is above 500 ms: 2.3 % of 4210 requests took longer, allowed is 1 %`.
fn sentence(objective: &Objective, bound: Bound, found: &LimitAssessment) -> String {
    let name = short(&objective.name);
    let (events, requests) = found.counted;
    let share = percent(events as f64 / requests.max(1) as f64);
    let value = |write: fn(f64) -> String| found.value.map_or("unknown".to_owned(), write);
    match bound {
        Bound::Latency {
            seconds,
            quantile: q,
        } => {
            // Counted above an edge of the histogram, which may lie beyond the limit.
            let edge = found.edge_seconds.unwrap_or(seconds);
            let than = if edge > seconds * 1.001 {
                format!(" than {}", milliseconds(edge))
            } else {
                String::new()
            };
            let is = match found.value {
                Some(value) if value <= seconds => "was proved above",
                _ => "is above",
            };
            format!(
                "{name} {} {} {is} {}: {share} of {requests} requests took longer{than}, allowed \
                 is {}",
                quantile(q),
                value(milliseconds),
                milliseconds(seconds),
                percent(1.0 - q)
            )
        }
        Bound::Success(least) => format!(
            "{name}: success {} is below {}: {events} of {requests} requests failed",
            value(percent),
            percent(least)
        ),
        Bound::Utilization(most) => format!(
            "{name}: {} of the CPU limit is used, above {}",
            value(percent),
            percent(most)
        ),
    }
}

/// Why nothing can be approved: a required objective has a limit that can't be judged.
pub fn unlimited(policy: &Policy, last: &Assessment) -> Option<String> {
    let mut each = attempt::limits(policy).zip(&last.limits);
    each.find_map(|((objective, limit), found)| {
        let missing = found
            .unavailable
            .filter(|_| objective.gate == Gate::Require)?;
        Some(format!(
            "undecided: {} is required, and its limit {} can't be judged: {missing}",
            short(&objective.name),
            key(limit.bound)
        ))
    })
}

fn key(bound: Bound) -> &'static str {
    match bound {
        Bound::Latency { .. } => "max",
        Bound::Success(_) => "min_success",
        Bound::Utilization(_) => "max_utilization",
    }
}

/// The judge's limits one after the other, in the policy's order.
pub(super) struct Judged<'a> {
    last: Option<&'a Assessment>,
    next: usize,
}

impl<'a> Judged<'a> {
    pub(super) fn of(last: Option<&'a Assessment>) -> Self {
        Self { last, next: 0 }
    }

    /// What is known of the next limit of the policy.
    pub(super) fn objective(
        &mut self,
        objective: &Objective,
        limit: Absolute,
        restarts: Restarts,
    ) -> verdict::Objective {
        let (unit, bound) = match limit {
            Absolute::MaxPerPod(max) => ("restarts", max as f64),
            Absolute::MaxSeconds(limit) => ("s", limit),
            Absolute::MinSuccess(limit) | Absolute::MaxUtilization(limit) => ("1", limit),
        };
        let (verdict, canary, reason) = match limit {
            Absolute::MaxPerPod(max) => restarted(max, restarts),
            _ => self.judged(),
        };
        verdict::Objective {
            name: objective.name.clone(),
            verdict,
            unit: Some(unit.to_owned()),
            canary: canary.map(rounded).and_then(finite),
            limit: finite(bound),
            reason,
            ..verdict::Objective::default()
        }
    }

    fn judged(&mut self) -> Known {
        let at = self.next;
        self.next += 1;
        let Some((last, found)) = self
            .last
            .and_then(|last| Some((last, last.limits.get(at)?)))
        else {
            return (
                ObjectiveVerdict::Undecided,
                None,
                Some("no evidence yet".to_owned()),
            );
        };
        let decides = last.verdict == judge::Verdict::Rollback && last.leading_limit == Some(at);
        if found.harm_proved || decides {
            return (ObjectiveVerdict::Rollback, found.value, None);
        }
        match found.unavailable {
            Some(why) => (
                ObjectiveVerdict::Unavailable,
                found.value,
                Some(why.to_string()),
            ),
            None => (ObjectiveVerdict::Approve, found.value, None),
        }
    }
}

/// Verdict, the canary's value, and why there is none.
type Known = (ObjectiveVerdict, Option<f64>, Option<String>);

fn restarted(max: u64, restarts: Restarts) -> Known {
    let without = |verdict, reason: &str| (verdict, None, Some(reason.to_owned()));
    match restarts {
        Restarts::Unseen => without(ObjectiveVerdict::Undecided, "no evidence yet"),
        Restarts::Untold => without(
            ObjectiveVerdict::Unavailable,
            "the canary doesn't say when its process was started",
        ),
        Restarts::Counted(count) if count > max => {
            (ObjectiveVerdict::Rollback, Some(count as f64), None)
        }
        Restarts::Counted(count) => (ObjectiveVerdict::Approve, Some(count as f64), None),
    }
}
