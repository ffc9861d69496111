//! `davy-gate replay`: judge recorded evidence again.
//!
//! Time comes from the windows: a cell can close when a window of a later one was read, and at the
//! end of the file all of them do. So the order of windows within a cell doesn't matter, and the
//! same evidence prints the same bytes on every machine.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use davy_gate_core::attempt::Key;
use davy_gate_core::cell::CELL_SECONDS;
use davy_gate_core::grid::{LATE_CELLS, cell_end, cell_of};
use davy_gate_core::policy::Policy;
use davy_proto::limits::WINDOW_LINE_BYTES_MAX;
use davy_proto::verdict::{Evaluation, Verdict};
use davy_proto::window::Window;
use davy_proto::{Arm, UnixNanos};

use super::session::{Session, tell};
use super::{Usage, read_file};
use crate::{cli, policies};

/// Longest gap between two windows: cells are closed one by one, empty ones too.
const GAP_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// Replays the evidence and prints a line for each change of verdict, then the final one.
pub(super) fn run(options: &cli::Replay) -> anyhow::Result<ExitCode> {
    let policy = read_policy(&options.policy)?;
    let arms = arms(&options.baseline, &options.canary)?;
    let replayed = if options.evidence.as_os_str() == "-" {
        replay(io::stdin().lock(), &policy, &arms)?
    } else {
        let name = options.evidence.display();
        let file = File::open(&options.evidence)
            .map_err(|error| Usage(format!("cannot read {name}: {error}")))?;
        replay(BufReader::new(file), &policy, &arms)?
    };
    replayed
        .notes
        .iter()
        .for_each(|note| eprintln!("davy-gate: {note}"));
    let mut out = io::stdout().lock();
    write_lines(&mut out, &replayed).context("print the verdicts")?;
    Ok(ExitCode::SUCCESS)
}

/// Reads a policy that the user named.
pub(super) fn read_policy(path: &Path) -> anyhow::Result<Policy> {
    let policy = Policy::read(&path.display().to_string(), &read_file(path)?);
    policy.map_err(|mistakes| Usage(mistakes.to_string()).into())
}

fn arms(baseline: &str, canary: &str) -> anyhow::Result<(Arm, Arm)> {
    let arm =
        |flag: &str, name: &str| Arm::new(name).map_err(|error| Usage(format!("{flag}: {error}")));
    let (baseline, canary) = (arm("--baseline", baseline)?, arm("--canary", canary)?);
    if baseline == canary {
        return Err(Usage(format!("--baseline and --canary both name {canary}")).into());
    }
    Ok((baseline, canary))
}

/// What a recording comes to.
#[derive(Debug)]
pub struct Replayed {
    /// The first verdict and each that differs from the one before.
    pub changes: Vec<Evaluation>,
    /// The answer at the end.
    pub last: Evaluation,
    /// What a reader of the result should know.
    pub notes: Vec<String>,
}

/// A recording that is being judged, a window after the other.
pub struct Replay {
    session: Session,
    changes: Changes,
    baseline: Arm,
    canary: Arm,
    /// Namespace and service of all windows.
    of: (String, String),
    /// The newest cell that a window ended in.
    newest: u64,
}

/// Why a window is not of this recording.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Misplaced {
    /// It is of another service.
    #[error("is of service {service}, those before of {of}")]
    Service {
        /// The window's service.
        service: String,
        /// The recording's.
        of: String,
    },
    /// It comes so late that another recording begins with it.
    #[error("comes more than a week after the window before")]
    Gap,
}

impl Replay {
    /// A recording whose first window is `first`, which is still to be taken.
    pub fn new(first: &Window, policy: &Policy, baseline: &Arm, canary: &Arm) -> Self {
        let key = Key {
            namespace: first.namespace.clone(),
            service: first.service.clone(),
            uid: String::new(),
            baseline: baseline.clone(),
            canary: canary.clone(),
        };
        Self {
            session: Session::new(key, policy.clone(), policies::identity(policy)),
            changes: Changes::default(),
            baseline: baseline.clone(),
            canary: canary.clone(),
            of: (first.namespace.clone(), first.service.clone()),
            newest: cell_of(first.end),
        }
    }

    /// Takes the next window, and judges the cells that are closed by its time.
    ///
    /// # Errors
    ///
    /// [`Misplaced`], and the window is not taken.
    pub fn take(&mut self, window: &Window) -> Result<(), Misplaced> {
        if (&window.namespace, &window.service) != (&self.of.0, &self.of.1) {
            return Err(Misplaced::Service {
                service: window.service.clone(),
                of: self.of.1.clone(),
            });
        }
        if window.end.since(cell_end(self.newest)) > GAP_MAX {
            return Err(Misplaced::Gap);
        }
        self.newest = self.newest.max(cell_of(window.end));
        // The windows of the newest cell may not all have been taken.
        self.advance(start_of(self.newest));
        self.session.take(window);
        Ok(())
    }

    /// Whether the verdict stands: what comes after can't change it.
    pub fn is_decided(&self) -> bool {
        self.changes.last.is_some_and(|(_, _, is_final)| is_final)
    }

    /// Judges what is left.
    pub fn end(mut self) -> Replayed {
        self.advance(cell_end(self.newest + LATE_CELLS));
        let notes = notes(&self.session, (&self.baseline, &self.canary));
        Replayed {
            changes: self.changes.found,
            last: self.session.evaluate(),
            notes,
        }
    }

    fn advance(&mut self, now: UnixNanos) {
        let changes = &mut self.changes;
        self.session
            .advance(now, |evaluation| changes.hear(evaluation));
    }
}

/// Judges the windows of `evidence`, a JSON line each.
///
/// # Errors
///
/// [`Usage`] for a line that is no window, with its number.
pub(super) fn replay(
    mut evidence: impl BufRead,
    policy: &Policy,
    (baseline, canary): &(Arm, Arm),
) -> anyhow::Result<Replayed> {
    let mut lines = Lines::default();
    let first = lines.next_window(&mut evidence)?;
    let first = first.ok_or_else(|| Usage("the evidence has no windows".to_owned()))?;
    let mut replay = Replay::new(&first, policy, baseline, canary);
    let mut next = Some(first);
    while let Some(window) = next {
        let taken = replay.take(&window);
        taken.map_err(|misplaced| lines.refuse(&misplaced.to_string()))?;
        next = lines.next_window(&mut evidence)?;
    }
    Ok(replay.end())
}

fn start_of(index: u64) -> UnixNanos {
    UnixNanos::from_seconds(index.saturating_mul(CELL_SECONDS))
}

fn notes(session: &Session, (baseline, canary): (&Arm, &Arm)) -> Vec<String> {
    let refused = session.refused();
    let mut notes: Vec<String> = refused
        .map(|(outcome, count)| format!("{count} windows {}", tell(outcome)))
        .collect();
    let known: Vec<&str> = session.arms().map(Arm::as_str).collect();
    for arm in [baseline, canary] {
        if !known.contains(&arm.as_str()) {
            notes.push(format!(
                "no window is of arm {arm}; there is {}",
                known.join(", ")
            ));
        }
    }
    notes
}

fn write_lines(out: &mut impl Write, replayed: &Replayed) -> anyhow::Result<()> {
    for evaluation in replayed.changes.iter().chain([&replayed.last]) {
        writeln!(out, "{}", serde_json::to_string(evaluation)?)?;
    }
    out.flush()?;
    Ok(())
}

/// Keeps the answers that differ in their verdict from the one before.
#[derive(Default)]
struct Changes {
    found: Vec<Evaluation>,
    last: Option<(Verdict, Option<Verdict>, bool)>,
}

impl Changes {
    fn hear(&mut self, evaluation: Evaluation) {
        let verdict = (evaluation.verdict, evaluation.observed, evaluation.is_final);
        if self.last != Some(verdict) {
            self.last = Some(verdict);
            self.found.push(evaluation);
        }
    }
}

/// Reads windows and knows the number of the line.
#[derive(Default)]
struct Lines {
    number: u64,
    buffer: Vec<u8>,
}

impl Lines {
    fn next_window(&mut self, evidence: &mut impl BufRead) -> anyhow::Result<Option<Window>> {
        loop {
            self.buffer.clear();
            self.number += 1;
            // One byte more than a line may have, so that a longer one is seen to be.
            let bound = WINDOW_LINE_BYTES_MAX as u64 + 2;
            let read = evidence
                .by_ref()
                .take(bound)
                .read_until(b'\n', &mut self.buffer);
            if read.context("read the evidence")? == 0 {
                return Ok(None);
            }
            let line =
                std::str::from_utf8(&self.buffer).map_err(|_| self.refuse("is not UTF-8"))?;
            let line = line.trim_end_matches(['\n', '\r']);
            if line.trim().is_empty() {
                continue;
            }
            let window = Window::parse_line(line);
            return window
                .map(Some)
                .map_err(|error| self.refuse(&error.to_string()));
        }
    }

    fn refuse(&self, reason: &str) -> anyhow::Error {
        Usage(format!("line {}: {reason}", self.number)).into()
    }
}

#[cfg(test)]
mod tests;
