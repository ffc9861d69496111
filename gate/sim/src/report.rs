//! A simulation as text, and as data to be written as JSON.

use std::fmt::Write as _;

use davy_gate_core::cell::CELL_SECONDS;
use serde::{Deserialize, Serialize};

use crate::rollout::CELLS_MAX;
use crate::scenario::{Right, all};
use crate::tally::{ScenarioTally, Share, Tally};

/// Everything that a simulation found.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Report {
    /// Seed of all runs.
    pub seed: u64,
    /// Rollouts of each scenario.
    pub runs: u64,
    /// Length of a rollout in seconds.
    pub seconds_max: u64,
    /// The scenarios, in the order they were asked for.
    pub scenarios: Vec<ScenarioTally>,
}

impl Report {
    /// The report of `scenarios`, each of `runs` rollouts under `seed`.
    pub fn new(seed: u64, runs: u64, scenarios: Vec<ScenarioTally>) -> Self {
        Self {
            seed,
            runs,
            seconds_max: CELLS_MAX * CELL_SECONDS,
            scenarios,
        }
    }

    /// The report as a table for people.
    pub fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a String can't fail.
        let _ = writeln!(
            out,
            "{} rollouts of {} minutes each, seed {}; shares with 95 % intervals, seconds of those \
             that decided.",
            self.runs,
            self.seconds_max / 60,
            self.seed
        );
        for scenario in &self.scenarios {
            let _ = write!(
                out,
                "\n{} ({}): {}",
                scenario.scenario, scenario.right, scenario.models
            );
            let _ = match scenario.wald_seconds {
                Some(least) => writeln!(out, "; Wald's bound for these counts: {least} s"),
                None => writeln!(out),
            };
            let _ = writeln!(
                out,
                "  {:<28} {:<20} {:>9} {:>7} {:>8} {:>6}",
                "", "wrong", "undecided", "right", "median", "p90"
            );
            for tally in &scenario.methods {
                let _ = writeln!(out, "  {}", row(tally));
            }
        }
        out
    }
}

fn row(tally: &Tally) -> String {
    let Share {
        share, low, high, ..
    } = tally.wrong;
    let wrong = format!("{} [{}, {}]", percent(share), percent(low), percent(high));
    let seconds =
        |seconds: Option<u64>| seconds.map_or_else(|| "–".to_owned(), |s| format!("{s} s"));
    format!(
        "{:<28} {wrong:<20} {:>7} % {:>5} % {:>8} {:>6}",
        tally.method,
        percent(tally.undecided.share),
        percent(tally.right.share),
        seconds(tally.median_seconds),
        seconds(tally.p90_seconds),
    )
}

/// A share in percent, with one digit where it says something.
pub(crate) fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    if percent >= 9.95 || percent == 0.0 {
        format!("{percent:.0}")
    } else {
        format!("{percent:.1}")
    }
}

/// The scenarios, a line each: what `--scenario list` prints.
pub fn list() -> String {
    let width = all().map(|s| s.name.len()).max().unwrap_or(0);
    let mut out = String::new();
    for (right, heading) in [
        ("equal", "Equal arms: approve"),
        ("harm edge", "Exactly at rollback_above: don't roll back"),
        (
            "limit edge",
            "Exactly at an absolute limit: don't roll back",
        ),
        (
            "safety edge",
            "Exactly at approve_below: don't prove it safe",
        ),
        ("bad", "A worse canary: roll back"),
    ] {
        let _ = writeln!(out, "{heading}");
        for scenario in all().filter(|s| Right::as_str(s.right) == right) {
            let _ = writeln!(out, "  {:<width$}  {}", scenario.name, scenario.models);
        }
    }
    out
}

#[cfg(test)]
mod tests;
