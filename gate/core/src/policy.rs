//! The policy: what a canary must prove, and what happens when it can't.
//!
//! Written as YAML, one file a service or a default for all; read once into one type, all mistakes
//! reported together. A policy that exists is right: limits leave an indifference zone, names are
//! unique, durations fit each other. Defaults are those of docs/statistics.md (latency 1.10 and
//! 1.25, errors 1.25 and 3.0, CPU 1.10 and 1.15).

mod identity;
mod objective;
mod read;

use std::collections::BTreeMap;
use std::time::Duration;

pub use objective::{Absolute, Gate, Indicator, Objective, Ratio};

/// What a canary of a service must prove.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The service it is for; none is the default for all.
    pub service: Option<String>,
    /// Whether verdicts count.
    pub mode: Mode,
    /// What is judged, at least one, in the order of the file, names unique.
    pub objectives: Vec<Objective>,
    /// How often the gate may be wrong.
    pub risk: Risk,
    /// When it may decide.
    pub timing: Timing,
    /// What happens at `max_duration`.
    pub on_deadline: OnDeadline,
    /// What a firing alert does.
    pub on_alert: OnAlert,
}

/// Whether verdicts count.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// They do.
    Enforce,
    /// The answer is always approve; what it would have been is recorded.
    Observe,
}

/// How often the gate may be wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Risk {
    /// Chance of rolling back a canary that is within `rollback_above`, in (0, 0.5).
    pub false_rollback: f64,
    /// Chance of approving one that is beyond `approve_below`, in (0, 0.5).
    pub false_approval: f64,
    /// Whether pods may be slow for minutes by themselves; none: `vary`, and `alike` once several
    /// pods have a history of ten minutes.
    pub assume: Option<Assume>,
}

/// What is assumed of pods of the same version.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Assume {
    /// They are alike: faster, assumes more.
    Alike,
    /// One may be slow for minutes by itself.
    Vary,
}

/// When the gate may decide.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timing {
    /// A pod's first seconds, whose latency and CPU are not judged.
    pub warm_up: Duration,
    /// No approval before.
    pub min_duration: Duration,
    /// The deadline; not before `min_duration`.
    pub max_duration: Duration,
    /// How long to go on judging after an approval.
    pub bake: Duration,
}

/// What happens at the deadline.
#[derive(Clone, Debug, PartialEq)]
pub enum OnDeadline {
    /// Stays undecided, saying so.
    Pause,
    /// Rolls back.
    Rollback,
    /// Approves when each named objective is proved below its looser bound and nothing speaks for
    /// harm; else stays undecided.
    ApproveIfBelow(BTreeMap<String, f64>),
}

/// What a firing alert that names the rollout does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OnAlert {
    /// No approval while it fires.
    Hold,
    /// Rolls back.
    Rollback,
}

impl Policy {
    /// What holds where nothing is configured: latency, errors and CPU required, no restart of the
    /// canary allowed.
    pub fn standard() -> Self {
        Self {
            service: None,
            mode: Mode::Enforce,
            objectives: Objective::standard(),
            risk: Risk {
                false_rollback: 0.01,
                false_approval: 0.01,
                assume: None,
            },
            timing: Timing {
                warm_up: Duration::from_secs(30),
                min_duration: Duration::from_secs(60),
                max_duration: Duration::from_secs(30 * 60),
                bake: Duration::ZERO,
            },
            on_deadline: OnDeadline::Pause,
            on_alert: OnAlert::Hold,
        }
    }

    /// The policy of a service among several: its own, else the default for all.
    pub fn for_service<'a>(policies: &'a [Self], service: &str) -> Option<&'a Self> {
        let own = policies
            .iter()
            .find(|policy| policy.service.as_deref() == Some(service));
        own.or_else(|| policies.iter().find(|policy| policy.service.is_none()))
    }
}

#[cfg(test)]
mod tests;
