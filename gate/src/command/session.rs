//! One rollout judged from windows: what `replay` and `check` share.
//!
//! The grid, the history and the attempt are those of `serve`; the attempt begins with the canary's
//! first closed cell, and the baseline's cells before are its history. Answers are given at the end
//! of each closed cell, not at the moment it was closed, so they follow from the windows alone: a
//! recording of a check replays to the same bytes.

use davy_gate_core::attempt::{Call, Key, Lives, Rollout};
use davy_gate_core::grid::{Grid, Outcome, cell_end};
use davy_gate_core::history::{self, History};
use davy_gate_core::policy::Policy;
use davy_proto::verdict::Evaluation;
use davy_proto::window::Window;
use davy_proto::{Arm, UnixNanos};

/// A rollout and the evidence of its service.
pub(super) struct Session {
    call: Call,
    policy: Policy,
    identity: String,
    grid: Grid,
    history: History,
    rollout: Option<Rollout>,
    /// End of the last closed cell.
    at: UnixNanos,
}

impl Session {
    /// A session that has seen nothing. `identity` names the policy in answers.
    pub(super) fn new(key: Key, policy: Policy, identity: String) -> Self {
        Self {
            call: Call { key, step: 0 },
            policy,
            identity,
            grid: Grid::new(),
            history: History::new(history::CELLS_MAX, history::BYTES_MAX),
            rollout: None,
            at: UnixNanos::default(),
        }
    }

    /// Takes a window of the service.
    pub(super) fn take(&mut self, window: &Window) -> Outcome {
        self.grid.take(window)
    }

    /// Closes the cells that can be at `now`; `heard` is given the answer after each of them, from
    /// the canary's first on.
    pub(super) fn advance(&mut self, now: UnixNanos, mut heard: impl FnMut(Evaluation)) {
        while let Some((index, arms)) = self.grid.close(now) {
            self.at = cell_end(index);
            let canary = &self.call.key.canary;
            let is_there = arms.get(canary).is_some_and(|cell| !cell.pods.is_empty());
            if self.rollout.is_none() && !is_there {
                self.history.push(index, arms);
                continue;
            }
            let lives = Lives::of(&self.grid, &self.call.key);
            let rollout = self.rollout.get_or_insert_with(|| {
                let (call, policy) = (&self.call, &self.policy);
                Rollout::new(call, policy, &self.identity, &self.history, &lives, self.at)
            });
            rollout.cell(index, &arms, &lives);
            self.history.push(index, arms);
            let mut answer = rollout.evaluate(self.at);
            if rollout.single_out(&self.history, &lives) {
                answer = rollout.evaluate(self.at);
            }
            heard(answer);
        }
    }

    /// The answer after the last closed cell.
    pub(super) fn evaluate(&mut self) -> Evaluation {
        match &mut self.rollout {
            Some(rollout) => rollout.evaluate(self.at),
            None => {
                let (nothing, nobody) = (History::new(0, 0), Lives::default());
                let (call, policy) = (&self.call, &self.policy);
                Rollout::new(call, policy, &self.identity, &nothing, &nobody, self.at)
                    .evaluate(self.at)
            }
        }
    }

    /// Windows that were not counted, by what became of them; duplicates are no loss.
    pub(super) fn refused(&self) -> impl Iterator<Item = (Outcome, u64)> {
        let harmless = |outcome: &Outcome| matches!(outcome, Outcome::Counted | Outcome::Duplicate);
        let counts = self
            .grid
            .counts()
            .iter()
            .map(|(outcome, count)| (*outcome, *count));
        counts.filter(move |(outcome, _)| !harmless(outcome))
    }

    /// The arms that the evidence is of, ordered by name.
    pub(super) fn arms(&self) -> impl Iterator<Item = &Arm> {
        self.grid.arms()
    }
}

/// What became of windows that don't count, for people.
pub(super) fn tell(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Counted => "counted",
        Outcome::Duplicate => "counted before",
        Outcome::Late => "too late: their cell was closed",
        Outcome::Overlap => "cut an interval that was counted",
        Outcome::TooManyPods => "of more pods than are kept",
        Outcome::TooManyWindows => "shorter than are kept apart",
        Outcome::LatencyRefused => "with a latency that makes no histogram",
    }
}
