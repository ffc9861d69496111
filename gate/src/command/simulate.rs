//! `davy-gate simulate`: how often the judge is wrong, and how long it takes, on simulated
//! rollouts, beside what others decide by.
//!
//! Runs are independent and each is a pure function of its number, so they are shared between
//! threads as they come and put back in order: the result is the same for any number of threads.

use std::io::{self, IsTerminal as _, Write as _};
use std::num::NonZero;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::{Context, anyhow};
use davy_gate_sim::page::Record;
use davy_gate_sim::picture;
use davy_gate_sim::report::{self, Report};
use davy_gate_sim::rollout::{Outcome, Runner};
use davy_gate_sim::scenario::{Scenario, all};
use davy_gate_sim::tally::ScenarioTally;

use super::Usage;
use crate::cli::{Simulate, SimulateOutput};

/// The scenario that is a list of the others.
const LIST: &str = "list";
/// Most threads, however many processors there are.
const THREADS_MAX: usize = 64;

/// Runs the scenarios, or reads what came of them, and prints that.
pub(super) fn run(options: &Simulate) -> anyhow::Result<ExitCode> {
    let out = if options.scenario.iter().any(|name| name == LIST) {
        report::list()
    } else if let Some(file) = &options.from {
        let record = read(file)?;
        match options.output {
            SimulateOutput::Markdown => record.markdown(),
            SimulateOutput::Table => record.table(),
            other => show(&record.result, other)?,
        }
    } else if matches!(
        options.output,
        SimulateOutput::Markdown | SimulateOutput::Table
    ) {
        let message = "--output markdown and table are of a record: name it by --from";
        return Err(Usage(message.to_owned()).into());
    } else {
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        show(
            &simulate(options, threads.min(THREADS_MAX))?,
            options.output,
        )?
    };
    let printed = io::stdout().write_all(out.as_bytes());
    printed.context("print the report")?;
    Ok(ExitCode::SUCCESS)
}

fn read(file: &Path) -> anyhow::Result<Record> {
    let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no record", file.display()))
}

fn show(report: &Report, output: SimulateOutput) -> anyhow::Result<String> {
    Ok(match output {
        SimulateOutput::Svg => picture::svg(report),
        SimulateOutput::Json => json(report).context("write the report")?,
        SimulateOutput::Markdown | SimulateOutput::Table | SimulateOutput::Text => report.text(),
    })
}

/// One object, a line for each scenario.
fn json(report: &Report) -> serde_json::Result<String> {
    let lines = report.scenarios.iter().map(serde_json::to_string);
    let lines = lines.collect::<Result<Vec<String>, _>>()?.join(",\n");
    Ok(format!(
        "{{\"seed\":{},\"runs\":{},\"seconds_max\":{},\"scenarios\":[\n{lines}\n]}}\n",
        report.seed, report.runs, report.seconds_max
    ))
}

fn simulate(options: &Simulate, threads: usize) -> anyhow::Result<Report> {
    let scenarios = chosen(&options.scenario)?;
    let mut tallies = Vec::new();
    for (done, scenario) in scenarios.iter().enumerate() {
        progress(done, scenarios.len(), scenario.name);
        let runs = runs(scenario, options, threads)?;
        tallies.push(ScenarioTally::new(scenario, &runs));
    }
    progress(scenarios.len(), scenarios.len(), "done");
    Ok(Report::new(options.seed, options.runs, tallies))
}

/// The scenarios asked for, in that order; all when none is.
fn chosen(names: &[String]) -> Result<Vec<&'static Scenario>, Usage> {
    if names.is_empty() {
        return Ok(all().collect());
    }
    let (mut found, mut mistakes) = (Vec::new(), Vec::new());
    for name in names {
        match Scenario::named(name) {
            Ok(scenario) => found.push(scenario),
            Err(unknown) => mistakes.push(unknown.to_string()),
        }
    }
    if mistakes.is_empty() {
        return Ok(found);
    }
    mistakes.push("`--scenario list` prints their names".to_owned());
    Err(Usage(mistakes.join("\n")))
}

/// What the methods said in each run of a scenario, in the order of the runs.
fn runs(
    scenario: &'static Scenario,
    options: &Simulate,
    threads: usize,
) -> anyhow::Result<Vec<Vec<Outcome>>> {
    let runner = Runner::new(scenario);
    let next = AtomicU64::new(0);
    let work = || {
        let mut mine = Vec::new();
        loop {
            let run = next.fetch_add(1, Ordering::Relaxed);
            if run >= options.runs {
                return mine;
            }
            mine.push((run, runner.run(options.seed, run)));
        }
    };
    let mut all = thread::scope(|scope| {
        let started: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let joined = started.into_iter().map(|thread| {
            let result = thread.join();
            result.map_err(|_| anyhow!("a run of {} panicked", scenario.name))
        });
        joined.collect::<Result<Vec<_>, _>>()
    })?
    .concat();
    all.sort_by_key(|(run, _)| *run);
    Ok(all.into_iter().map(|(_, outcomes)| outcomes).collect())
}

/// One line on standard error, rewritten where that is a terminal.
fn progress(done: usize, all: usize, what: &str) {
    let mut err = io::stderr();
    let (before, after) = if err.is_terminal() {
        ("\r\x1b[K", if done == all { "\n" } else { "" })
    } else {
        ("", "\n")
    };
    // Progress that can't be shown is no reason to stop.
    let _ = write!(err, "{before}{done}/{all} {what}{after}");
    let _ = err.flush();
}

#[cfg(test)]
mod tests;
