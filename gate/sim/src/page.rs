//! A recorded simulation as a page of Markdown: a table for each kind of scenario, every method in
//! a column, and the scenarios that miss the promise named.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::comparator::Method;
use crate::report::{Report, percent};
use crate::tally::{ScenarioTally, Share, Tally};

/// Upper end of the 95 % interval that false rollbacks and false approvals must stay below: half
/// as much again as the promised 1 %, which is what 2,000 runs can tell apart.
pub const BOUND: f64 = 0.015;

/// A simulation, and where it came from.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Record {
    /// Commit of the program.
    pub commit: String,
    /// What it ran on.
    pub machine: Machine,
    /// How it was called.
    pub command: String,
    /// Seconds that it took.
    pub seconds: u64,
    /// What it found.
    pub result: Report,
}

/// A machine in words.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Machine {
    /// Model of its processor.
    pub cpu: String,
    /// Processors.
    pub cores: u32,
    /// Release of its kernel.
    pub kernel: String,
}

/// A table: the right verdict, its heading, and what is wrong there.
const TABLES: [(&str, &str, &str); 5] = [
    (
        "equal",
        "The canary is no different",
        "Right: approve. Wrong: a rollback.",
    ),
    (
        "harm edge",
        "The canary is exactly at `rollback_above`",
        "Right: anything but a rollback.",
    ),
    (
        "limit edge",
        "The canary is exactly at an absolute limit, and so is the baseline",
        "Right: anything but a rollback.",
    ),
    (
        "safety edge",
        "The canary is exactly at `approve_below`",
        "Wrong: that objective proved safe, or an approval, within the half hour. Undecided counts \
         rollouts without any verdict.",
    ),
    (
        "bad",
        "The canary is worse than allowed",
        "Right: roll back. Wrong: an approval.",
    ),
];

impl Record {
    /// The page.
    pub fn markdown(&self) -> String {
        let report = &self.result;
        let mut out = String::new();
        // Writing to a String can't fail.
        let _ = write!(
            out,
            "# Simulated rollouts\n\n\
             How often the gate is wrong, and how long it takes, on {} scenarios of {} rollouts \
             each, beside what others decide by over the same requests. Every rollout lasts {} \
             minutes and is judged every 5 s, by the judge that `davy-gate serve` uses, under the \
             standard policy.\n\n\
             ![False rollbacks against time to a verdict](../tests/record/simulate.svg)\n\n\
             This page is made from [the record](../tests/record/simulate.json) (`{}` at commit \
             `{}`, {} cores of {}, {} min), and a test holds it to that:\n\n\
             ```\n\
             davy-gate simulate --from tests/record/simulate.json --output markdown\n\
             ```\n\n\
             In the tables: share of rollouts in which the method was wrong / undecided at the \
             end, in percent, and the median seconds to a verdict of those that decided. The \
             gate's own wrong share has its 95 % interval (Clopper and Pearson); Wald is the mean \
             time that no test with these error rates can beat, were it told beforehand what the \
             canary is. What each scenario models is said [below](#the-scenarios).\n",
            report.scenarios.len(),
            report.runs,
            report.seconds_max / 60,
            self.command,
            self.commit,
            self.machine.cores,
            self.machine.cpu,
            self.seconds.div_ceil(60),
        );
        misses(&mut out, report);
        for (right, heading, what) in TABLES {
            let scenarios = report.scenarios.iter().filter(|s| s.right == right);
            table(&mut out, heading, what, scenarios);
        }
        out.push_str("\n## The scenarios\n\n");
        for scenario in &report.scenarios {
            let _ = writeln!(out, "* `{}`: {}", scenario.scenario, scenario.models);
        }
        out
    }
}

impl Record {
    /// The table in README.md: every scenario, what is right there, and each method's share of
    /// wrong and of undecided verdicts.
    pub fn table(&self) -> String {
        let mut out = String::from("| right | scenario | ");
        let methods = Method::ALL.map(Method::as_str).join(" | ");
        let _ = writeln!(
            out,
            "{methods} |\n|---|---|{}",
            "---|".repeat(Method::ALL.len())
        );
        for scenario in &self.result.scenarios {
            let _ = write!(out, "| {} | `{}` | ", scenario.right, scenario.scenario);
            for (i, tally) in scenario.methods.iter().enumerate() {
                let mark = if i == 0 { "**" } else { "" };
                let (wrong, undecided) = (tally.wrong.share, tally.undecided.share);
                let _ = write!(
                    out,
                    "{mark}{}{mark} / {} | ",
                    percent(wrong),
                    percent(undecided)
                );
            }
            out.truncate(out.trim_end().len());
            out.push('\n');
        }
        out
    }
}

/// The sums over all scenarios, and which of them miss the bound.
fn misses(out: &mut String, report: &Report) {
    let promises = [
        ("False rollbacks", &["equal", "harm edge", "limit edge"][..]),
        ("False approvals", &["safety edge"]),
    ];
    out.push_str("\n## What was promised\n\n");
    for (what, edges) in promises {
        let of = |s: &&ScenarioTally| edges.contains(&&*s.right);
        let ours = report.scenarios.iter().filter(of);
        let ours: Vec<(&ScenarioTally, Share)> = ours
            .filter_map(|s| s.methods.first().map(|t| (s, t.wrong)))
            .collect();
        let all = ours.iter().fold((0, 0), |(wrong, runs), (s, share)| {
            let n = s.methods.first().map_or(0, |tally| tally.runs);
            (wrong + share.runs, runs + n)
        });
        let missed = ours.iter().filter(|(_, share)| share.high > BOUND);
        let missed: Vec<String> = missed
            .map(|(s, share)| format!("`{}` ({})", s.scenario, interval(*share)))
            .collect();
        let _ = write!(
            out,
            "* {what}, promised at most 1 %: {} of {} rollouts. The upper end of the 95 % interval \
             is within {} % in {} of {} scenarios",
            all.0,
            all.1,
            percent(BOUND),
            ours.len() - missed.len(),
            ours.len(),
        );
        let _ = if missed.is_empty() {
            writeln!(out, ".")
        } else {
            writeln!(out, "; beyond it: {}.", missed.join(", "))
        };
    }
}

fn table<'a>(
    out: &mut String,
    heading: &str,
    what: &str,
    scenarios: impl Iterator<Item = &'a ScenarioTally>,
) {
    let mut scenarios = scenarios.peekable();
    if scenarios.peek().is_none() {
        return;
    }
    let _ = write!(out, "\n## {heading}\n\n{what}\n\n| | ");
    for method in Method::ALL {
        let _ = write!(out, "{} | ", method.as_str());
    }
    let _ = writeln!(out, "Wald |\n|---|{}---|", "---|".repeat(Method::ALL.len()));
    for scenario in scenarios {
        let _ = write!(out, "| `{}` | ", scenario.scenario);
        for (i, tally) in scenario.methods.iter().enumerate() {
            let wrong = if i == 0 {
                format!("**{}**", interval(tally.wrong))
            } else {
                percent(tally.wrong.share)
            };
            let _ = write!(
                out,
                "{wrong} / {} · {} | ",
                percent(tally.undecided.share),
                median(tally)
            );
        }
        let least = scenario.wald_seconds;
        let _ = writeln!(out, "{} |", seconds(least));
    }
}

fn interval(share: Share) -> String {
    let Share {
        share, low, high, ..
    } = share;
    format!("{} [{}, {}]", percent(share), percent(low), percent(high))
}

fn median(tally: &Tally) -> String {
    seconds(tally.median_seconds)
}

fn seconds(seconds: Option<u64>) -> String {
    seconds.map_or_else(|| "–".to_owned(), |s| format!("{s} s"))
}
