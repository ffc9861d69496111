//! Scenarios: a traffic, the limits it is judged by, and what is right there.
//!
//! They are those that the method was designed on (steady, drift and bursts, stalls, noisy nodes,
//! pods that differ, …), canaries that are bad in known ways, and canaries exactly at a limit.
//! Effects that can't be copied from a measurement are chosen so that a person would recognize the
//! service: [`Traffic`](crate::traffic::Traffic) says each in units.

use davy_gate_core::judge::{Assume, Bound, CpuLimits, ErrorLimits, JudgeConfig, Limit, Objective};

use crate::traffic::Traffic;

mod equal;
mod limits;
mod table;
#[cfg(test)]
mod tests;
mod worse;

/// Error rate of the canary that never matters, as the gate's standard policy has it.
const NEGLIGIBLE: f64 = 0.001;

/// What the right verdict is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// The canary is no different: approve.
    Equal,
    /// The canary is exactly at `rollback_above` of an objective: anything but rollback.
    HarmEdge(Objective),
    /// The canary is exactly at an absolute limit, and so is the baseline: anything but rollback.
    LimitEdge,
    /// The canary is exactly at `approve_below` of an objective, which must not be proved safe.
    SafetyEdge(Objective),
    /// The canary is worse than allowed: roll back.
    Bad,
}

/// A simulated rollout.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scenario {
    /// Name on the command line.
    pub name: &'static str,
    /// What it models, in a sentence.
    pub models: &'static str,
    /// What is right there.
    pub right: Right,
    /// What happens.
    pub traffic: Traffic,
    /// `rollback_above` of CPU.
    pub cpu_above: f64,
    /// What is assumed of pods of a version.
    pub assume: Assume,
    /// An absolute limit beside the ratios of the standard policy.
    pub limit: Option<Bound>,
    /// Cells for which an approval goes on being judged.
    pub bake: u64,
}

/// Every scenario, in the order in which they are listed and run.
pub fn all() -> impl Iterator<Item = &'static Scenario> {
    let all = equal::EQUAL.iter().chain(worse::WORSE);
    all.chain(limits::LIMITS)
}

/// A name that no scenario has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no scenario is named {name:?}")]
pub struct Unknown {
    /// The name as given.
    pub name: String,
}

impl Scenario {
    /// The scenario `name`.
    ///
    /// # Errors
    /// When there is none.
    pub fn named(name: &str) -> Result<&'static Self, Unknown> {
        all().find(|s| s.name == name).ok_or_else(|| Unknown {
            name: name.to_owned(),
        })
    }

    /// What the judge is made with: the gate's standard policy, but for what the scenario says.
    pub fn judge(&self, seed: u64) -> JudgeConfig {
        JudgeConfig {
            errors: Some(ErrorLimits {
                negligible: Some(NEGLIGIBLE),
                ..ErrorLimits::DEFAULT
            }),
            cpu: Some(CpuLimits {
                rollback_above: self.cpu_above,
                ..CpuLimits::DEFAULT
            }),
            limits: self.limit.into_iter().map(everywhere).collect(),
            assume: self.assume,
            seed,
            ..JudgeConfig::DEFAULT
        }
    }
}

/// A limit on all routes.
fn everywhere(bound: Bound) -> Limit {
    Limit {
        bound,
        routes: Vec::new(),
    }
}

impl Right {
    /// The word for it in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::HarmEdge(_) => "harm edge",
            Self::LimitEdge => "limit edge",
            Self::SafetyEdge(_) => "safety edge",
            Self::Bad => "bad",
        }
    }

    /// Whether a rollback is a mistake.
    pub fn forbids_rollback(self) -> bool {
        matches!(self, Self::Equal | Self::HarmEdge(_) | Self::LimitEdge)
    }
}
