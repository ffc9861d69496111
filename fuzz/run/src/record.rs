//! What came of runs, target by target.
//!
//! A row is one target at one state of its code. Runs of the two add up, since each goes on from
//! the inputs that the one before found; other code begins the row anew, and the rows of targets
//! that were not run stay as they are.

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

use anyhow::Context as _;
use davy_fuzz::Target;
use serde::{Deserialize, Serialize};

use crate::{Run, code};

/// What is asked of each target without a finding: so much CPU time, or so many executions.
const GOAL_CPU_SECONDS: f64 = 3600.0;
const GOAL_EXECUTIONS: u64 = 100_000_000;

/// The record: a row for each target that was ever run.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Record {
    targets: Vec<Outcome>,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(super) struct Machine {
    cpu: String,
    cores: usize,
    kernel: String,
}

/// What came of one target.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(super) struct Outcome {
    pub(super) target: String,
    /// Whether it ran for 3600 s of CPU or 100 million executions, and nothing was found.
    goal_met: bool,
    /// The newest commit that changed the target's code; empty where it was changed since then, or
    /// the tree is not a repository.
    pub(super) commit: String,
    /// What was run last.
    pub(super) command: String,
    /// How many runs this is.
    runs: u64,
    /// How often the check ran.
    pub(super) executions: u64,
    pub(super) cpu_seconds: f64,
    /// By the clock, the machine's other work included.
    pub(super) seconds: f64,
    executions_per_cpu_second: u64,
    /// Edges of the program's control flow that some input took.
    pub(super) edges: u64,
    /// Inputs that each reach something that no other does.
    pub(super) corpus_inputs: u64,
    /// Names of the inputs of which something does not hold.
    pub(super) findings: Vec<String>,
    /// Where it ran last.
    machine: Machine,
}

impl Outcome {
    /// A run that has just begun.
    pub(super) fn new(target: &Target, options: &Run) -> Self {
        Self {
            target: target.name.to_owned(),
            commit: code::commit(target.code).unwrap_or_default(),
            command: options.command.clone(),
            runs: 1,
            ..Self::default()
        }
    }

    /// Whether runs of the two may be added up.
    fn goes_on(&self, before: &Self) -> bool {
        !self.commit.is_empty() && self.commit == before.commit
    }

    /// Adds an earlier run of the same target and code.
    fn add(&mut self, before: &Self) {
        self.runs += before.runs;
        self.executions += before.executions;
        self.cpu_seconds += before.cpu_seconds;
        self.seconds += before.seconds;
        self.edges = self.edges.max(before.edges);
        self.corpus_inputs = self.corpus_inputs.max(before.corpus_inputs);
        self.findings.extend_from_slice(&before.findings);
        self.findings.sort();
        self.findings.dedup();
    }

    /// Says what follows from the counts.
    fn conclude(&mut self) {
        let was_enough = self.cpu_seconds >= GOAL_CPU_SECONDS || self.executions >= GOAL_EXECUTIONS;
        self.goal_met = was_enough && self.findings.is_empty();
        self.executions_per_cpu_second =
            (self.executions as f64 / self.cpu_seconds.max(0.01)) as u64;
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            target,
            executions,
            cpu_seconds,
            edges,
            corpus_inputs,
            ..
        } = self;
        let rate = *executions as f64 / cpu_seconds.max(0.01);
        write!(
            f,
            "{target}: {executions} executions in {cpu_seconds:.0} s of CPU ({rate:.0} a second), \
             {edges} edges, {corpus_inputs} inputs"
        )
    }
}

/// Workers end at their own times.
static WRITING: Mutex<()> = Mutex::new(());

/// Puts an outcome into the record, and says what the row is now.
pub(super) fn add(path: &Path, mut outcome: Outcome) -> anyhow::Result<()> {
    let _writing = WRITING.lock();
    let mut record = read(path)?;
    outcome.machine = machine()?;
    record.put(outcome);
    let text = serde_json::to_string_pretty(&record)? + "\n";
    // Beside it first: a run that is cut short must not take hours of others with it.
    let beside = path.with_extension("json.new");
    fs::write(&beside, text).with_context(|| format!("write {}", beside.display()))?;
    fs::rename(&beside, path).with_context(|| format!("write {}", path.display()))
}

impl Record {
    /// Puts an outcome in the place of its target's row, or on top of what that counted.
    fn put(&mut self, mut outcome: Outcome) {
        let row = |other: &Outcome| other.target == outcome.target;
        if let Some(at) = self.targets.iter().position(row) {
            let before = self.targets.remove(at);
            if outcome.goes_on(&before) {
                outcome.add(&before);
            }
        }
        outcome.conclude();
        self.targets.push(outcome);
        self.targets.sort_by(|a, b| a.target.cmp(&b.target));
    }
}

fn read(path: &Path) -> anyhow::Result<Record> {
    if !path.exists() {
        return Ok(Record::default());
    }
    let text = fs::read(path)?;
    serde_json::from_slice(&text).with_context(|| format!("read {}", path.display()))
}

fn machine() -> anyhow::Result<Machine> {
    let info = fs::read_to_string("/proc/cpuinfo")?;
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.map(|rest| rest.trim_start_matches(['\t', ' ', ':']));
    Ok(Machine {
        cpu: model.unwrap_or("unknown").to_owned(),
        cores: std::thread::available_parallelism()?.get(),
        kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?
            .trim()
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(target: &str, commit: &str, cpu_seconds: f64, executions: u64) -> Outcome {
        Outcome {
            target: target.to_owned(),
            commit: commit.to_owned(),
            runs: 1,
            cpu_seconds,
            executions,
            ..Outcome::default()
        }
    }

    /// Guarantees: a run of one target leaves the rows of others as they are.
    #[test]
    fn other_rows_stay() {
        let mut record = Record::default();
        record.put(outcome("text", "a", 3600.0, 7));
        let before = record.targets.clone();
        record.put(outcome("json", "b", 10.0, 100_000_000));
        assert_eq!(record.targets[1..], before);
        assert!(record.targets.iter().all(|row| row.goal_met));
        assert_eq!(record.targets[0].executions_per_cpu_second, 10_000_000);
    }

    #[test]
    fn runs_of_the_same_code_add_up_and_a_finding_stays() {
        let mut record = Record::default();
        record.put(outcome("text", "a", 1800.0, 5));
        assert!(!record.targets[0].goal_met);
        record.put(outcome("text", "a", 1800.0, 6));
        let row = &record.targets[0];
        assert_eq!((row.runs, row.executions, row.cpu_seconds), (2, 11, 3600.0));
        assert!(row.goal_met);
        record.put(Outcome {
            findings: vec!["found-crash-1".to_owned()],
            ..outcome("text", "a", 1.0, 1)
        });
        record.put(outcome("text", "a", 1.0, 1));
        assert_eq!(record.targets[0].findings, ["found-crash-1"]);
        assert!(!record.targets[0].goal_met);
    }

    /// Guarantees: what was counted of other code is not counted of this.
    #[test]
    fn other_code_begins_anew() {
        for commit in ["b", ""] {
            let mut record = Record::default();
            record.put(outcome("text", "a", 3600.0, 5));
            for _ in 0..2 {
                record.put(outcome("text", commit, 1.0, 1));
            }
            let counted = if commit == "b" { 2 } else { 1 };
            assert_eq!(record.targets[0].executions, counted, "{commit}");
            assert!(!record.targets[0].goal_met, "{commit}");
        }
    }
}
