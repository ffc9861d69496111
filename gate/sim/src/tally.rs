//! Counts of verdicts: how often wrong, undecided and right, with 95 % intervals, and how long it
//! took.

use std::borrow::Cow;

use davy_gate_core::cell::CELL_SECONDS;
use davy_gate_core::judge::Verdict;
use serde::{Deserialize, Serialize, Serializer};

use crate::comparator::Method;
use crate::rollout::Outcome;
use crate::scenario::{Right, Scenario};
use crate::wald;

/// Chance that an interval's end is beyond the truth, on each side.
const TAIL: f64 = 0.025;
/// Halvings of [0, 1]: below 1e-12.
const HALVINGS: u32 = 40;

/// A share of runs with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub struct Share {
    /// Runs that it counts.
    pub runs: u64,
    /// Their share, in [0, 1].
    #[serde(serialize_with = "rounded")]
    pub share: f64,
    /// Lower end of the interval.
    #[serde(serialize_with = "rounded")]
    pub low: f64,
    /// Upper end.
    #[serde(serialize_with = "rounded")]
    pub high: f64,
}

impl Share {
    /// `k` of `n` runs, with the interval of Clopper and Pearson 1934: never too short.
    pub fn of(k: u64, n: u64) -> Self {
        Self {
            runs: k,
            share: if n == 0 { 0.0 } else { k as f64 / n as f64 },
            low: bisect(|p| upper_tail(k, n, p) < TAIL, k == 0, 0.0),
            high: bisect(|p| 1.0 - upper_tail(k + 1, n, p) > TAIL, k >= n, 1.0),
        }
    }
}

/// Writes a share to a millionth: what is beyond says nothing and fills the record.
fn rounded<S: Serializer>(share: &f64, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64((share * 1e6).round() / 1e6)
}

/// Where `low` turns from true to false, or `end` when that is known.
fn bisect(low: impl Fn(f64) -> bool, known: bool, end: f64) -> f64 {
    if known {
        return end;
    }
    let (mut from, mut to) = (0.0, 1.0);
    for _ in 0..HALVINGS {
        let middle = 0.5 * (from + to);
        if low(middle) {
            from = middle;
        } else {
            to = middle;
        }
    }
    0.5 * (from + to)
}

/// P(X ≥ k) of X binomial (n, p), p in (0, 1): one less the sum below k.
fn upper_tail(k: u64, n: u64, p: f64) -> f64 {
    let mut log = n as f64 * libm::log1p(-p);
    let odds = libm::log(p) - libm::log1p(-p);
    let mut below = 0.0;
    for i in 0..k.min(n + 1) {
        below += libm::exp(log);
        log += libm::log((n - i) as f64 / (i + 1) as f64) + odds;
    }
    (1.0 - below).clamp(0.0, 1.0)
}

/// What one method did in one scenario.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Tally {
    /// The method's name.
    pub method: Cow<'static, str>,
    /// Runs.
    pub runs: u64,
    /// Rollbacks of a canary that is not worse than allowed, or approvals of one that is; at a
    /// safety edge, runs in which the objective was proved safe.
    pub wrong: Share,
    /// Runs without a verdict after half an hour.
    pub undecided: Share,
    /// Right verdicts; at an edge, all that are not wrong.
    pub right: Share,
    /// Rollbacks.
    pub rolled_back: u64,
    /// Approvals.
    pub approved: u64,
    /// Median seconds to a verdict of the runs that decided, rightly or not; none when none did.
    pub median_seconds: Option<u64>,
    /// The ninth of ten deciles of the same.
    pub p90_seconds: Option<u64>,
}

/// What all methods did in one scenario.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct ScenarioTally {
    /// The scenario's name.
    pub scenario: Cow<'static, str>,
    /// What it models.
    pub models: Cow<'static, str>,
    /// What is right.
    pub right: Cow<'static, str>,
    /// The least seconds that a test needs on average for the right verdict, where it can be
    /// calculated.
    pub wald_seconds: Option<u64>,
    /// Each method, in the order of [`Method::ALL`].
    pub methods: Vec<Tally>,
}

impl ScenarioTally {
    /// Counts `runs`, each what the methods said in one rollout.
    pub fn new(scenario: &Scenario, runs: &[Vec<Outcome>]) -> Self {
        let tally = |(i, method): (usize, &Method)| {
            let outcomes = runs.iter().filter_map(|run| run.get(i).copied());
            Tally::new(*method, scenario.right, &outcomes.collect::<Vec<_>>())
        };
        Self {
            scenario: scenario.name.into(),
            models: scenario.models.into(),
            right: scenario.right.as_str().into(),
            wald_seconds: wald::seconds(scenario),
            methods: Method::ALL.iter().enumerate().map(tally).collect(),
        }
    }
}

impl ScenarioTally {
    /// Whether a rollback is a mistake.
    pub fn forbids_rollback(&self) -> bool {
        matches!(&*self.right, "equal" | "harm edge" | "limit edge")
    }
}

impl Tally {
    fn new(method: Method, right: Right, outcomes: &[Outcome]) -> Self {
        let n = outcomes.len() as u64;
        let count =
            |is: &dyn Fn(&Outcome) -> bool| outcomes.iter().filter(|o| is(o)).count() as u64;
        let of = |verdict: Verdict| count(&|o| o.verdict == verdict);
        let (approved, rolled_back) = (of(Verdict::Approve), of(Verdict::Rollback));
        let undecided = n - approved - rolled_back;
        let (wrong, correct) = match right {
            Right::Equal => (rolled_back, approved),
            Right::HarmEdge(_) | Right::LimitEdge => (rolled_back, n - rolled_back),
            Right::Bad => (approved, rolled_back),
            Right::SafetyEdge(_) => {
                let crossed = count(&|o| o.proved_at_edge || o.verdict == Verdict::Approve);
                (crossed, n - crossed)
            }
        };
        let mut times: Vec<u64> = outcomes
            .iter()
            .filter(|o| o.verdict != Verdict::Undecided)
            .map(|o| o.cells * CELL_SECONDS)
            .collect();
        times.sort_unstable();
        let quantile = |q: f64| times.get((q * times.len() as f64) as usize).copied();
        Self {
            method: method.as_str().into(),
            runs: n,
            wrong: Share::of(wrong, n),
            undecided: Share::of(undecided, n),
            right: Share::of(correct, n),
            rolled_back,
            approved,
            median_seconds: quantile(0.5),
            p90_seconds: quantile(0.9),
        }
    }
}

#[cfg(test)]
mod tests;
