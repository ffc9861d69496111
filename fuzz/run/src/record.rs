//! What came of a run, target by target.

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::Run;

/// The record: the newest outcome of each target.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Record {
    machine: Machine,
    targets: Vec<Outcome>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
struct Machine {
    cpu: String,
    cores: usize,
    kernel: String,
}

/// What came of one target.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Outcome {
    pub(super) target: String,
    /// What was run.
    pub(super) command: String,
    pub(super) commit: String,
    /// How often the check ran.
    pub(super) executions: u64,
    pub(super) cpu_seconds: f64,
    /// By the clock, the machine's other work included.
    pub(super) seconds: f64,
    /// Edges of the program's control flow that some input took.
    pub(super) edges: u64,
    /// Inputs that each reach something that no other does.
    pub(super) corpus_inputs: u64,
    /// Names of the inputs of which something does not hold.
    pub(super) findings: Vec<String>,
}

impl Outcome {
    pub(super) fn new(target: &str, commit: &str) -> Self {
        Self {
            target: target.to_owned(),
            command: String::new(),
            commit: commit.to_owned(),
            executions: 0,
            cpu_seconds: 0.0,
            seconds: 0.0,
            edges: 0,
            corpus_inputs: 0,
            findings: Vec::new(),
        }
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
        write!(
            f,
            "{target}: {executions} executions in {cpu_seconds:.0} s of CPU, {edges} edges, \
             {corpus_inputs} inputs"
        )
    }
}

/// Workers end at their own times.
static WRITING: Mutex<()> = Mutex::new(());

/// Puts an outcome into the record, in the place of an older one of the same target.
pub(super) fn add(options: &Run, mut outcome: Outcome) -> anyhow::Result<()> {
    let _writing = WRITING.lock();
    let path = &options.record;
    let mut record = read(path)?;
    options.command.clone_into(&mut outcome.command);
    record.machine = machine()?;
    record
        .targets
        .retain(|other| other.target != outcome.target);
    record.targets.push(outcome);
    record.targets.sort_by(|a, b| a.target.cmp(&b.target));
    let text = serde_json::to_string_pretty(&record)? + "\n";
    fs::write(path, text).with_context(|| format!("write {}", path.display()))
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
