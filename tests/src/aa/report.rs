//! What came of it: a table for people, and the record that is committed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use davy_gate::policies;
use davy_gate_core::cell::CELL_SECONDS;
use davy_gate_sim::tally::Share;
use davy_proto::verdict::Verdict;
use serde::Serialize;

use super::Options;
use super::evidence::Evidence;
use super::fleet::{ALIKE, ALIKE_INSTANCES};
use super::judge::{Group, Judged, policy};
use super::record::{Recording, Seen};
use super::split::Span;
use super::tally::Tally;
use crate::kit::machine::commit;

/// Most wrong verdicts that are told one by one.
const WRONG_MAX: usize = 40;
/// What must be known of the shares.
const DEPENDENT: &str = "Splits share instances and minutes, so they are not independent rollouts: \
    the intervals, which count them as if they were, are shorter than they should be.";

/// Everything that was found.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    /// What judges the recording again.
    command: String,
    /// Of the programs that judged.
    commit: String,
    policy: String,
    what: &'static str,
    dependent: &'static str,
    recording: Recording,
    alike: Part,
    worse: Vec<Part>,
}

/// Splits against one kind of canary.
#[derive(Clone, Debug, Serialize)]
struct Part {
    canary: &'static str,
    /// Longest rollout, and history of the baseline before, in seconds.
    rollout_seconds: u64,
    history_seconds: u64,
    /// How many such rollouts fit in without sharing a cell.
    disjoint_stretches: u64,
    shapes: BTreeMap<&'static str, Tally>,
    all: Tally,
    /// Of each instance: splits in which it was a canary, and rollbacks among them.
    by_canary: BTreeMap<String, [u64; 2]>,
    /// Rollbacks of an equal canary, or approvals of a worse one; the first of them.
    wrong: Vec<Wrong>,
}

/// A wrong verdict.
#[derive(Clone, Debug, Serialize)]
struct Wrong {
    shape: &'static str,
    split: u64,
    baseline: Vec<String>,
    canary: Vec<String>,
    /// Seconds from the beginning of the recording to the canary's first cell.
    start_seconds: u64,
    seconds: u64,
    reason: String,
}

impl Report {
    pub(super) fn new(
        options: &Options,
        recording: Recording,
        evidence: &Evidence,
        groups: Vec<Group>,
    ) -> anyhow::Result<Self> {
        let mut kinds: Vec<(&'static str, Vec<Group>)> = Vec::new();
        for group in groups {
            match kinds.last_mut().filter(|(kind, _)| *kind == group.canary) {
                Some((_, groups)) => groups.push(group),
                None => kinds.push((group.canary, vec![group])),
            }
        }
        let mut parts = kinds
            .iter()
            .map(|(kind, groups)| Part::new(kind, groups, evidence, &recording));
        let alike = parts.next();
        let alike = alike.ok_or_else(|| anyhow::anyhow!("nothing was judged"))?;
        Ok(Self {
            command: format!(
                "make aa AA_SPLITS={} AA_FLAGS='--again --seed {}'",
                options.splits, options.seed
            ),
            commit: commit(),
            policy: policies::identity(&policy()),
            what: "the standard policy without its limit on restarts",
            dependent: DEPENDENT,
            worse: parts.collect(),
            alike,
            recording,
        })
    }

    pub(super) fn json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        let recording = &self.recording;
        let minutes = |(from, to): (davy_proto::UnixNanos, davy_proto::UnixNanos)| {
            to.since(from).as_secs() / 60
        };
        // Writing to a String can't fail.
        let _ = writeln!(
            out,
            "\n{} minutes of {ALIKE_INSTANCES} instances of one release, {} requests/s each; \
             {} restarts, a neighbour on one core for {} s in {} visits.",
            minutes(recording.alike),
            recording.requests_per_second_each,
            recording.restarts,
            recording.neighbour_seconds,
            recording.neighbours,
        );
        let _ = writeln!(
            out,
            "{} cores of {}, load {:.1}; the load generator lagged {:.1} ms at P99.",
            recording.machine.cores,
            recording.machine.cpu,
            recording.load_average,
            recording.lag_p99_ms
        );
        if !recording.note.is_empty() {
            let _ = writeln!(out, "{}.", recording.note);
        }
        let _ = write!(out, "\nEqual arms (every rollback is wrong): ");
        self.alike.write(&mut out);
        let _ = writeln!(
            out,
            "\n{} minutes beside worse ones (every approval is wrong):",
            minutes(recording.worse)
        );
        recording.seen_worse.iter().for_each(|seen| {
            let _ = writeln!(out, "  {}", line(seen));
        });
        for part in &self.worse {
            let _ = write!(out, "\n{}: ", part.canary);
            part.write(&mut out);
        }
        let _ = writeln!(out, "\n{DEPENDENT}");
        out
    }
}

impl Part {
    fn new(
        canary: &'static str,
        groups: &[Group],
        evidence: &Evidence,
        recording: &Recording,
    ) -> Self {
        let judged = || groups.iter().flat_map(|group| &group.judged);
        let name = |pod: &usize| evidence.pods.get(*pod).cloned().unwrap_or_default();
        let mut by_canary: BTreeMap<String, [u64; 2]> = BTreeMap::new();
        for one in judged() {
            for pod in &one.split.canary {
                let counts = by_canary.entry(name(pod)).or_default();
                counts[0] += 1;
                counts[1] += u64::from(one.verdict == Verdict::Rollback);
            }
        }
        let is_wrong = |one: &&Judged| match canary {
            ALIKE => one.verdict == Verdict::Rollback,
            _ => one.verdict == Verdict::Approve,
        };
        let began = recording.alike.0.seconds();
        let wrong = groups.iter().flat_map(|group| {
            let wrong = group.judged.iter().filter(is_wrong);
            wrong.map(move |one| Wrong {
                shape: group.shape.name,
                split: one.split.number,
                baseline: one.split.baseline.iter().map(name).collect(),
                canary: one.split.canary.iter().map(name).collect(),
                start_seconds: (one.split.start * CELL_SECONDS).saturating_sub(began),
                seconds: one.seconds,
                reason: one.reason.clone(),
            })
        });
        let nothing = Span {
            starts: 0..1,
            history: 0,
            judged: 1,
        };
        let span = groups.first().map_or(&nothing, |group| &group.span);
        let shapes = groups.iter();
        let shapes = shapes.map(|group| (group.shape.name, Tally::of(&group.judged)));
        Self {
            canary,
            rollout_seconds: span.judged * CELL_SECONDS,
            history_seconds: span.history * CELL_SECONDS,
            disjoint_stretches: span.disjoint(),
            shapes: shapes.collect(),
            all: Tally::of(judged()),
            by_canary,
            wrong: wrong.take(WRONG_MAX).collect(),
        }
    }

    fn write(&self, out: &mut String) {
        let _ = writeln!(
            out,
            "rollouts of {} minutes, {} of them disjoint, {} minutes of history (1+1: none)",
            self.rollout_seconds / 60,
            self.disjoint_stretches,
            self.history_seconds / 60
        );
        let _ = writeln!(
            out,
            "  {:<4} {:>6}  {:<20} {:<20} {:<20} {:>6} {:>6}",
            "", "splits", "rolled back", "approved", "undecided", "median", "p90"
        );
        let rows = self.shapes.iter().map(|(name, tally)| (*name, tally));
        for (name, tally) in rows.chain([("all", &self.all)]) {
            let seconds = |seconds: Option<u64>| {
                seconds.map_or_else(|| "–".to_owned(), |seconds| format!("{seconds} s"))
            };
            let _ = writeln!(
                out,
                "  {name:<4} {:>6}  {:<20} {:<20} {:<20} {:>6} {:>6}",
                tally.splits,
                percent(&tally.rolled_back),
                percent(&tally.approved),
                percent(&tally.undecided),
                seconds(tally.median_seconds),
                seconds(tally.p90_seconds),
            );
        }
    }
}

fn percent(share: &Share) -> String {
    let [share, low, high] = [share.share, share.low, share.high].map(|share| 100.0 * share);
    format!("{share:.1} % [{low:.1}, {high:.1}]")
}

fn line(seen: &Seen) -> String {
    format!(
        "{:<8} P99 {:3.0} ms, {:.2} % errors, {:.3} ms of CPU a request",
        seen.arm,
        seen.p99_ms,
        100.0 * seen.errors,
        seen.cpu_ms
    )
}
