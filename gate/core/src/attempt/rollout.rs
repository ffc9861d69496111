//! The attempts of one rollout: which call begins a new one.

use davy_proto::UnixNanos;
use davy_proto::verdict::Evaluation;

use super::{Attempt, Key, Lives};
use crate::history::{Arms, History};
use crate::policy::Policy;

/// What the caller of an evaluation says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Call {
    /// Which rollout.
    pub key: Key,
    /// Step of the rollout, 0 where there are none.
    pub step: u64,
}

/// One rollout and its attempt under way.
#[derive(Debug)]
pub struct Rollout {
    pub(super) attempt: Attempt,
    /// The canary's windows before are not counted: those before a later attempt belong to the
    /// one before it.
    pub(super) canary_from: UnixNanos,
}

impl Rollout {
    /// A rollout with its first attempt, which begins with the first evaluation. What the history
    /// holds of the canary counts, what it holds of the baseline before is learnt from.
    pub fn new(
        call: &Call,
        policy: &Policy,
        identity: &str,
        history: &History,
        lives: &Lives,
        now: UnixNanos,
    ) -> Self {
        let key = call.key.clone();
        let attempt = Attempt::new(key, 1, policy.clone(), identity.to_owned(), now);
        let mut rollout = Self {
            attempt,
            canary_from: UnixNanos::default(),
        };
        rollout.replay(history, lives);
        rollout.attempt.step = call.step;
        rollout
    }

    /// Hears of a call: a later step is gone to, and what makes a new attempt begins one. True when
    /// it did.
    pub fn call(
        &mut self,
        call: &Call,
        policy: &Policy,
        identity: &str,
        history: &History,
        lives: &Lives,
        now: UnixNanos,
    ) -> bool {
        if self.attempt.fits(call, identity) {
            self.attempt.advance(call.step);
            return false;
        }
        self.begin(call.key.clone(), policy, identity, history, lives, now);
        self.attempt.step = call.step;
        true
    }

    /// Begins a new attempt with the same arms and policy, as a person ordered.
    pub fn reset(&mut self, history: &History, lives: &Lives, now: UnixNanos) {
        let (key, policy) = (self.attempt.key.clone(), self.attempt.policy.clone());
        let (identity, step) = (self.attempt.identity.clone(), self.attempt.step);
        self.begin(key, &policy, &identity, history, lives, now);
        self.attempt.step = step;
    }

    /// Takes the next closed cell.
    pub fn cell(&mut self, index: u64, arms: &Arms, lives: &Lives) {
        self.attempt.cell(index, arms, lives, self.canary_from);
    }

    /// The answer at `now`.
    pub fn evaluate(&mut self, now: UnixNanos) -> Evaluation {
        self.attempt.evaluate(now)
    }

    /// The attempt under way.
    pub fn attempt(&self) -> &Attempt {
        &self.attempt
    }

    /// The same, to tell it of alerts.
    pub fn attempt_mut(&mut self) -> &mut Attempt {
        &mut self.attempt
    }

    fn begin(
        &mut self,
        key: Key,
        policy: &Policy,
        identity: &str,
        history: &History,
        lives: &Lives,
        now: UnixNanos,
    ) {
        let number = self.attempt.number + 1;
        let timeline = std::mem::take(&mut self.attempt.timeline);
        self.attempt = Attempt::new(key, number, policy.clone(), identity.to_owned(), now);
        self.attempt.timeline = timeline;
        self.canary_from = now;
        self.replay(history, lives);
    }

    fn replay(&mut self, history: &History, lives: &Lives) {
        for (index, arms) in history.iter() {
            self.cell(index, arms, lives);
        }
    }
}
