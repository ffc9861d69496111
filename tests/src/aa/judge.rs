//! Splits judged by the code of `davy-gate replay`: the windows of some instances under the name of
//! a canary, those of others under that of a baseline, as if they had been recorded so.
//!
//! The policy is the standard one without its limit on restarts. An instance restarted here would
//! be rolled back by that rule, rightly, and what is asked is how often the statistics are wrong.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::{Context, anyhow};
use davy_gate::command::replay::Replay;
use davy_gate_core::grid::{cell_end, cell_of};
use davy_gate_core::policy::{Indicator, Policy};
use davy_proto::verdict::Verdict;
use davy_proto::window::Window;
use davy_proto::{Arm, UnixNanos};

use super::Options;
use super::evidence::Evidence;
use super::fleet::{ALIKE, WORSE};
use super::record::Recording;
use super::split::{SHAPES, Shape, Span, Split};

/// The arm of a baseline; a canary's names its split, so that each is judged by draws of its own.
const BASELINE: &str = "baseline";
/// Keeps the splits against each kind of worse instance apart from the others.
const STREAMS: u64 = 1 << 32;
/// Splits between two lines of progress.
const PROGRESS_EVERY: u64 = 500;

/// What the judge said of one split.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Judged {
    pub(super) split: Split,
    pub(super) verdict: Verdict,
    /// Seconds from the canary's first cell to the verdict; all there were when undecided.
    pub(super) seconds: u64,
    pub(super) reason: String,
}

/// All splits of one shape against one kind of canary.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Group {
    pub(super) shape: &'static Shape,
    /// The arm that canaries were recorded as.
    pub(super) canary: &'static str,
    pub(super) span: Span,
    pub(super) judged: Vec<Judged>,
}

/// Judges splits of the instances alike, then some against each kind of worse ones.
///
/// # Errors
///
/// When the recording is too short, or lacks instances.
pub(super) fn all(
    evidence: &Evidence,
    recording: &Recording,
    options: &Options,
) -> anyhow::Result<Vec<Group>> {
    let policy = policy();
    let alike = Span::alike(&cells(recording.alike));
    let worse = Span::worse(&cells(recording.worse), alike.history);
    let kinds = [(ALIKE, &alike, options.splits)].into_iter();
    let each = options.splits.div_ceil(2 * WORSE.len() as u64);
    let kinds = kinds.chain(WORSE.iter().map(|kind| (kind.arm, &worse, each)));
    let mut groups = Vec::new();
    for (stream, (arm, span, splits)) in (0..).zip(kinds) {
        eprintln!("judging {splits} splits of {ALIKE} against {arm}");
        let pools = (evidence.of_arm(ALIKE), evidence.of_arm(arm));
        for (at, shape) in (0..).zip(&SHAPES) {
            // As many of each shape as of the others, or one more.
            let count = (splits + SHAPES.len() as u64 - 1 - at) / SHAPES.len() as u64;
            let first = stream * STREAMS + at;
            let draw = |n| {
                let number = first + n * SHAPES.len() as u64;
                let split = Split::draw(shape, (&pools.0, &pools.1), span, options.seed, number);
                split.with_context(|| format!("{} of {arm}: too few instances", shape.name))
            };
            let splits: Vec<Split> = (0..count).map(draw).collect::<Result<_, _>>()?;
            groups.push(Group {
                shape,
                canary: arm,
                span: span.clone(),
                judged: judge_all(evidence, &splits, shape, span, &policy)?,
            });
        }
    }
    Ok(groups)
}

/// What splits are judged by.
pub(super) fn policy() -> Policy {
    let mut policy = Policy::standard();
    policy
        .objectives
        .retain(|objective| objective.indicator != Indicator::Restarts);
    policy
}

/// The whole cells of a part of the recording.
fn cells((from, to): (UnixNanos, UnixNanos)) -> Range<u64> {
    cell_of(from) + 1..cell_of(to)
}

/// Splits are independent of each other, so the processor's cores share them.
fn judge_all(
    evidence: &Evidence,
    splits: &[Split],
    shape: &Shape,
    span: &Span,
    policy: &Policy,
) -> anyhow::Result<Vec<Judged>> {
    let next = AtomicU64::new(0);
    let work = || {
        let mut mine = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let split = usize::try_from(at).ok().and_then(|at| splits.get(at));
            let Some(split) = split else {
                return Ok::<_, anyhow::Error>(mine);
            };
            mine.push(judge(evidence, split, shape, span, policy)?);
            if (at + 1).is_multiple_of(PROGRESS_EVERY) {
                eprintln!("  {}: {} of {}", shape.name, at + 1, splits.len());
            }
        }
    };
    let threads = thread::available_parallelism()?.get();
    let mut all = thread::scope(|scope| {
        let started: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let joined = started.into_iter().map(|thread| {
            let result = thread.join();
            result.map_err(|_| anyhow!("a split of {} panicked", shape.name))?
        });
        joined.collect::<Result<Vec<_>, _>>()
    })?
    .concat();
    all.sort_by_key(|judged: &Judged| judged.split.number);
    Ok(all)
}

/// Judges one split up to its verdict, or the end of its span.
fn judge(
    evidence: &Evidence,
    split: &Split,
    shape: &Shape,
    span: &Span,
    policy: &Policy,
) -> anyhow::Result<Judged> {
    let baseline = Arm::new(BASELINE)?;
    let canary = Arm::new(&format!("split-{}", split.number))?;
    let arms: BTreeMap<usize, &Arm> = split
        .baseline
        .iter()
        .map(|pod| (*pod, &baseline))
        .chain(split.canary.iter().map(|pod| (*pod, &canary)))
        .collect();
    let history = if shape.learns { span.history } else { 0 };
    let start = cell_end(split.start - 1);
    let from = cell_end(split.start - 1 - history);
    let to = cell_end(split.start + span.judged - 1);
    let mut replay: Option<Replay> = None;
    for (pod, window) in &evidence.windows {
        let Some(arm) = arms.get(pod) else { continue };
        let first = if **arm == canary { start } else { from };
        if window.start < first || window.end > to {
            continue;
        }
        let window = Window {
            arm: (*arm).clone(),
            ..window.clone()
        };
        let replay = replay.get_or_insert_with(|| Replay::new(&window, policy, &baseline, &canary));
        replay.take(&window)?;
        if replay.is_decided() {
            break;
        }
    }
    let replay = replay.with_context(|| format!("split {} has no windows", split.number))?;
    let last = replay.end().last;
    Ok(Judged {
        split: split.clone(),
        verdict: last.verdict,
        seconds: last.elapsed_seconds,
        reason: last.reason,
    })
}

#[cfg(test)]
mod tests;
