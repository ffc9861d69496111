//! One attempt to release a canary: from its first evaluation to a verdict.
//!
//! A [`Rollout`] holds the attempt under way. A new one starts on a step lower than the last seen,
//! on reset, on a changed policy and on another baseline. Within an attempt harm accumulates; at
//! each new step safety must be proved again, on evidence since that step began. A rollback is
//! latched for the attempt, an approval for the step, once it was judged on for `bake`: until then
//! it is not final, and a proof of harm makes it a rollback.
//!
//! Rules that are not the judge's: warm-up, `min_duration` and the deadline, restarts, an arm that
//! fell silent, alerts, `observe`. The deadline counts from the canary's first counted cell, and
//! from the attempt's begin when the canary was there long before. Never approve for want of
//! evidence: without the canary's, or with a required objective that has no source, the verdict is
//! undecided and says why.
//!
//! A canary whose whole arm is silent for [`SILENT_CELLS`] while the baseline goes on is rolled
//! back, where an objective limits restarts: it crashed, or crashes faster than it can report. One
//! silent pod of several may have been scaled away, so it costs coverage only.

mod config;
mod decide;
mod key;
mod mix;
mod rollout;
mod single_out;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use davy_proto::verdict::{TimelineEntry, Verdict};
use davy_proto::{Arm, UnixNanos};

use crate::cell::{CELL_SECONDS, Cell, PodCell};
use crate::grid::{ArmCell, Grid, PodLife};
use crate::history::Arms;
use crate::judge::{Assessment, Judge};
use crate::policy::Policy;

pub(crate) use config::{assessed, limits};
pub use key::Key;
pub use rollout::{Call, Rollout};

use mix::Mix;

/// A canary that is silent for that many cells (two minutes) while its baseline goes on is gone.
pub const SILENT_CELLS: u64 = 24;
/// Length of a cell.
const CELL: Duration = Duration::from_secs(CELL_SECONDS);
/// Most entries of the timeline; the oldest is dropped.
pub const TIMELINE_MAX: usize = 256;

/// One attempt to release a canary.
#[derive(Debug)]
pub struct Attempt {
    key: Key,
    number: u64,
    policy: Policy,
    identity: String,
    judge: Judge,
    started: UnixNanos,
    step: u64,
    /// Start of the canary's first counted cell.
    first_counted: Option<UnixNanos>,
    /// Next cell to come.
    next: u64,
    silent_cells: u64,
    seen_pod_cells: f64,
    expected_pod_cells: f64,
    most_restarts: Option<(Arc<str>, u64)>,
    /// Whether the canary ever said when its process was started.
    starts_told: bool,
    /// Whether no pod of the canary was past its warm-up in the last counted cell.
    is_warming: bool,
    last: Option<Assessment>,
    /// Whether a cell had both arms.
    compared: bool,
    latch: Option<Latch>,
    alert: Option<String>,
    mix: Mix,
    /// A pod of the canary whose evidence is not taken.
    left_out: Option<Arc<str>>,
    timeline: VecDeque<TimelineEntry>,
}

/// The lives of the pods of both arms.
#[derive(Clone, Debug, Default)]
pub struct Lives {
    /// Of the baseline.
    pub baseline: Vec<PodLife>,
    /// Of the canary.
    pub canary: Vec<PodLife>,
}

impl Lives {
    /// What a grid knows of the arms of a rollout.
    pub fn of(grid: &Grid, key: &Key) -> Self {
        Self {
            baseline: grid.lives(&key.baseline),
            canary: grid.lives(&key.canary),
        }
    }
}

/// A decision that stands.
#[derive(Clone, Debug)]
struct Latch {
    verdict: Verdict,
    reason: String,
    /// When it was made, of a baked approval when it became final.
    at: UnixNanos,
    /// Whether it stays; else it is an approval that is baking.
    is_final: bool,
    /// Whether it is yet to be asked if a single pod is to blame.
    is_open: bool,
    assessment: Option<Assessment>,
}

impl Attempt {
    /// An attempt that begins at `now` with step `step`.
    pub fn new(key: Key, number: u64, policy: Policy, identity: String, now: UnixNanos) -> Self {
        let judge = Judge::new(config::judge_config(&policy, key.seed(number)));
        Self {
            key,
            number,
            policy,
            identity,
            judge,
            started: now,
            step: 0,
            first_counted: None,
            next: 0,
            silent_cells: 0,
            seen_pod_cells: 0.0,
            expected_pod_cells: 0.0,
            most_restarts: None,
            starts_told: false,
            is_warming: false,
            last: None,
            compared: false,
            latch: None,
            alert: None,
            mix: Mix::default(),
            left_out: None,
            timeline: VecDeque::new(),
        }
    }

    /// Which rollout it is.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Its number, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The step it is at.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The policy it is judged by.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The judge's last word, before timing and latches.
    pub fn assessment(&self) -> Option<&Assessment> {
        self.last.as_ref()
    }

    /// Changes of verdict, oldest first.
    pub fn timeline(&self) -> impl Iterator<Item = &TimelineEntry> {
        self.timeline.iter()
    }

    /// Goes to a later step: what was proved safe must be proved again. The same step changes
    /// nothing.
    pub fn advance(&mut self, step: u64) {
        if step <= self.step {
            return;
        }
        self.step = step;
        self.judge.restart_safety();
        if self
            .latch
            .as_ref()
            .is_some_and(|latch| latch.verdict != Verdict::Rollback)
        {
            self.latch = None;
        }
    }

    /// Sets what fires against this rollout; none when nothing does.
    pub fn alert(&mut self, name: Option<String>) {
        self.alert = name;
    }

    /// Sets the share of the traffic that the canary is to get, in percent, where it is known.
    pub fn weight(&mut self, percent: Option<f64>) {
        self.mix.expect(percent);
    }

    /// Takes the next closed cell. Cells that were taken are ignored; a canary seen before
    /// `canary_from` isn't counted.
    pub fn cell(&mut self, index: u64, arms: &Arms, lives: &Lives, canary_from: UnixNanos) {
        if index < self.next {
            return;
        }
        self.next = index + 1;
        let start = UnixNanos::from_seconds(index * CELL_SECONDS);
        let empty = ArmCell::default();
        let baseline = arms.get(&self.key.baseline).unwrap_or(&empty);
        let canary = arms
            .get(&self.key.canary)
            .filter(|_| start >= canary_from)
            .unwrap_or(&empty);
        let cell = Cell {
            index,
            baseline: self.warmed(baseline, start, |pod| born_into(&lives.baseline, pod)),
            canary: self.warmed(canary, start, |pod| born(&lives.canary, pod)),
        };
        if cell.canary.is_empty() && self.first_counted.is_none() {
            if !cell.baseline.is_empty() {
                self.judge.history(&cell);
            }
            return;
        }
        let first = *self.first_counted.get_or_insert(start);
        self.is_warming = !cell.canary.is_empty() && cell.canary.iter().all(|pod| !pod.warm);
        self.count(&cell, baseline.expected, canary.expected.max(1));
        self.mix.count(&cell);
        self.count_restarts(&lives.canary, first);
        match (cell.baseline.is_empty(), cell.canary.is_empty()) {
            (false, false) => {
                self.compared = true;
                self.last = Some(self.judge.step(&cell));
            }
            (true, false) if self.judge.has_limits() => {
                self.last = Some(self.judge.alone(&cell));
            }
            _ => self.judge.skip(&cell),
        }
    }

    fn count(&mut self, cell: &Cell, baseline: usize, canary: usize) {
        let silent = cell.canary.is_empty() && !cell.baseline.is_empty();
        self.silent_cells = match silent {
            true => self.silent_cells + 1,
            // Both silent: neither is told apart from a broken path.
            false if cell.canary.is_empty() => self.silent_cells,
            false => 0,
        };
        let seen = |pods: &[PodCell]| pods.iter().map(|pod| pod.coverage.min(1.0)).sum::<f64>();
        self.seen_pod_cells += seen(&cell.baseline) + seen(&cell.canary);
        let expected = baseline.max(cell.baseline.len()) + canary.max(cell.canary.len());
        self.expected_pod_cells += expected as f64;
    }

    /// Share of the expected evidence that arrived, in [0, 1]; none before the canary's first.
    pub fn coverage(&self) -> Option<f64> {
        let expected = self.expected_pod_cells;
        (expected > 0.0).then(|| (self.seen_pod_cells / expected).min(1.0))
    }

    /// Restarts before the canary's first counted cell are not its fault in this attempt.
    fn count_restarts(&mut self, canary: &[PodLife], first: UnixNanos) {
        self.starts_told |= canary.iter().any(|life| life.started.is_some());
        let since = |life: &PodLife| life.restarts.iter().filter(|told| **told > first).count();
        let most = canary
            .iter()
            .map(|life| (Arc::clone(&life.pod), since(life) as u64));
        let most = most.max_by(|a, b| a.1.cmp(&b.1).then_with(|| b.0.cmp(&a.0)));
        let known = self.most_restarts.as_ref().map(|(_, restarts)| *restarts);
        if let Some(most) = most.filter(|(_, restarts)| known.is_none_or(|known| *restarts > known))
        {
            self.most_restarts = Some(most);
        }
    }

    /// The pods, each told whether it is past its warm-up in the cell that begins at `start`.
    fn warmed(
        &self,
        arm: &ArmCell,
        start: UnixNanos,
        born: impl Fn(&PodCell) -> Option<UnixNanos>,
    ) -> Vec<PodCell> {
        let warm_up = self.policy.timing.warm_up;
        let warm = |pod: &PodCell| born(pod).is_none_or(|born| start >= born.plus(warm_up));
        let kept = |pod: &&PodCell| self.left_out.as_ref() != Some(&pod.pod);
        let pods = arm.pods.iter().filter(kept).cloned();
        pods.map(|pod| PodCell {
            warm: warm(&pod),
            ..pod
        })
        .collect()
    }
}

/// When a pod's process was started; its first window where that isn't told.
fn born(lives: &[PodLife], pod: &PodCell) -> Option<UnixNanos> {
    let life = lives.iter().find(|life| life.pod == pod.pod)?;
    Some(life.started.unwrap_or_else(|| first_window(life)))
}

/// The same of a pod of the baseline: those that were there when the first of them was seen may
/// have been there for long.
fn born_into(lives: &[PodLife], pod: &PodCell) -> Option<UnixNanos> {
    let life = lives.iter().find(|life| life.pod == pod.pod)?;
    let first = lives.iter().map(|life| life.first_seen).min()?;
    let later = life.first_seen.since(first) > CELL;
    life.started.or(later.then(|| first_window(life)))
}

fn first_window(life: &PodLife) -> UnixNanos {
    life.first_seen.minus(CELL)
}

/// A policy's identity belongs to the arms it judges.
impl Attempt {
    /// Whether a call is about this very attempt; else a new one begins.
    pub fn fits(&self, call: &Call, identity: &str) -> bool {
        call.key == self.key && call.step >= self.step && identity == self.identity
    }

    /// The two arms.
    pub fn arms(&self) -> (&Arm, &Arm) {
        (&self.key.baseline, &self.key.canary)
    }
}

#[cfg(test)]
mod tests;
