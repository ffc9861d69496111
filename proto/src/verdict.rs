//! The verdict as it is served: the `data` object of an evaluation, and the timeline.
//!
//! Callers store the answer (Argo in the AnalysisRun), so it is at most 2 KB: what is least needed
//! is left out first, and the verdict and its reason never. Numbers that don't exist are left out.

use serde::{Deserialize, Serialize};

use crate::limits::EVALUATION_BYTES_MAX;
use crate::{Arm, UnixNanos};

/// What is decided about a canary.
#[derive(
    Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Proved good enough: go on.
    Approve,
    /// Proved worse: go back.
    Rollback,
    /// Neither is proved.
    #[default]
    Undecided,
}

/// What is known about one objective.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectiveVerdict {
    /// Proved safe, or, of a veto, not proved bad.
    Approve,
    /// Proved bad.
    Rollback,
    /// Neither is proved.
    #[default]
    Undecided,
    /// Can't be judged: its source is missing; the reason says why.
    Unavailable,
}

/// The answer to an evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// What is decided.
    pub verdict: Verdict,
    /// Whether it stands: a rollback for the attempt, an approval for the step.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// Why, in a sentence for people.
    pub reason: String,
    /// Seconds since the canary's first counted window.
    pub elapsed_seconds: u64,
    /// Expected seconds to a decision; null where the deadline can't be met.
    pub eta_seconds: Option<u64>,
    /// 1 − the risk at which this verdict would still have been reached, in [0, 1).
    #[serde(skip_serializing_if = "absent", default)]
    pub confidence: Option<f64>,
    /// Share of the expected evidence that arrived, in [0, 1].
    #[serde(skip_serializing_if = "absent", default)]
    pub coverage: Option<f64>,
    /// Number of the attempt, from 1; 0 while the rollout is not known.
    pub attempt: u64,
    /// Step of the rollout as the caller gave it.
    pub step: u64,
    /// Identity of the policy: `sha256:…`.
    pub policy: String,
    /// What the verdict would be if the policy did not just observe.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub observed: Option<Verdict>,
    /// The rollout's page.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub url: Option<String>,
    /// Each objective.
    pub objectives: Vec<Objective>,
    /// How many objectives were left out to keep the answer within 2 KB.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub objectives_omitted: u64,
    /// Which rollout this is.
    pub rollout: Rollout,
}

/// One objective of an evaluation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// Name in the policy.
    pub name: String,
    /// What is known.
    pub verdict: ObjectiveVerdict,
    /// Unit of baseline and canary: `s`, `1` (a share), `s/request`, `restarts`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unit: Option<String>,
    /// Value of the baseline.
    #[serde(skip_serializing_if = "absent", default)]
    pub baseline: Option<f64>,
    /// Value of the canary.
    #[serde(skip_serializing_if = "absent", default)]
    pub canary: Option<f64>,
    /// Canary over baseline.
    #[serde(skip_serializing_if = "absent", default)]
    pub ratio: Option<f64>,
    /// Lower bound of the ratio, valid at all times.
    #[serde(skip_serializing_if = "absent", default)]
    pub low: Option<f64>,
    /// Upper bound of the ratio, valid at all times.
    #[serde(skip_serializing_if = "absent", default)]
    pub high: Option<f64>,
    /// Limit of the ratio above which the canary goes back.
    #[serde(skip_serializing_if = "absent", default)]
    pub rollback_above: Option<f64>,
    /// Limit of the ratio below which it is safe.
    #[serde(skip_serializing_if = "absent", default)]
    pub approve_below: Option<f64>,
    /// Absolute limit of the canary's value.
    #[serde(skip_serializing_if = "absent", default)]
    pub limit: Option<f64>,
    /// Why it can't be judged, or what it waits for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

/// Which rollout an evaluation is about.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    /// Key of the rollout in the gate's API.
    pub id: String,
    /// Namespace, empty where there is none.
    pub namespace: String,
    /// Service.
    pub service: String,
    /// Arm that the canary is compared with.
    pub baseline: Arm,
    /// Arm that is judged.
    pub canary: Arm,
}

/// A change of verdict.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct TimelineEntry {
    /// When.
    pub at: UnixNanos,
    /// Attempt it belongs to.
    pub attempt: u64,
    /// Step of the rollout.
    pub step: u64,
    /// What was decided.
    pub verdict: Verdict,
    /// Whether it stands.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// Why.
    pub reason: String,
}

impl Verdict {
    /// The name as served.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Rollback => "rollback",
            Self::Undecided => "undecided",
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Evaluation {
    /// The body that is served: `{"data":…}`, at most 2048 bytes.
    pub fn to_body(&self) -> String {
        #[derive(Serialize)]
        struct Body<'a> {
            data: &'a Evaluation,
        }
        let write = |data: &Self| serde_json::to_string(&Body { data }).unwrap_or_default();
        let mut body = write(self);
        let mut smaller = self.clone();
        let mut step = 0;
        while body.len() > EVALUATION_BYTES_MAX && smaller.shrink(&mut step) {
            body = write(&smaller);
        }
        body
    }

    /// Leaves out what is least needed; false when nothing is left to leave out.
    fn shrink(&mut self, step: &mut u32) -> bool {
        *step += 1;
        match *step {
            1 => self
                .objectives
                .iter_mut()
                .for_each(|o| cut(&mut o.reason, 80)),
            2 => self.objectives.iter_mut().for_each(|o| o.reason = None),
            3 => self.url = None,
            4 => cut_text(&mut self.reason, 400),
            // The objectives that say least go first, from the end of the list.
            _ => match self.least_telling() {
                Some(at) => {
                    self.objectives.remove(at);
                    self.objectives_omitted += 1;
                }
                None if self.reason.len() > 43 => cut_text(&mut self.reason, 40),
                None => return self.rollout.cut(),
            },
        }
        true
    }

    fn least_telling(&self) -> Option<usize> {
        let quiet = |o: &Objective| o.verdict != ObjectiveVerdict::Rollback;
        self.objectives
            .iter()
            .rposition(quiet)
            .or(self.objectives.len().checked_sub(1))
    }
}

impl Rollout {
    /// Halves the longest name; false when all are short. Of names with characters that JSON writes
    /// in six, four fill more than the answer has.
    fn cut(&mut self) -> bool {
        let mut names = [
            self.namespace.clone(),
            self.service.clone(),
            self.baseline.to_string(),
            self.canary.to_string(),
        ];
        let longest = names.iter_mut().max_by_key(|name| name.len());
        let Some(longest) = longest.filter(|name| name.len() > 16) else {
            return false;
        };
        let half = longest.len() / 2;
        cut_text(longest, half - '…'.len_utf8());
        let [namespace, service, baseline, canary] = names;
        (self.namespace, self.service) = (namespace, service);
        if let (Ok(baseline), Ok(canary)) = (Arm::new(&baseline), Arm::new(&canary)) {
            (self.baseline, self.canary) = (baseline, canary);
        }
        true
    }
}

/// The number, when it is one: infinities and NaN don't exist in JSON.
pub fn finite(number: f64) -> Option<f64> {
    number.is_finite().then_some(number)
}

fn absent(number: &Option<f64>) -> bool {
    !number.is_some_and(f64::is_finite)
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

fn cut(text: &mut Option<String>, bytes: usize) {
    if let Some(text) = text {
        cut_text(text, bytes);
    }
}

fn cut_text(text: &mut String, bytes: usize) {
    if text.len() > bytes {
        let whole = |at: &usize| text.is_char_boundary(*at);
        text.truncate((0..=bytes).rev().find(whole).unwrap_or(0));
        text.push('…');
    }
}

#[cfg(test)]
mod tests;
