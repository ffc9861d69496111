//! Whether a rollback rests on one pod of several: the same evidence, judged again without each.
//!
//! It is asked once, when a rollback was decided by evidence, and changes the reason only: a bad
//! node looks like a bad version to whoever reads the verdict, and the name of the pod tells them
//! apart.

use std::collections::BTreeSet;
use std::sync::Arc;

use davy_proto::UnixNanos;
use davy_proto::verdict::Verdict;

use super::{Attempt, Lives, Rollout};
use crate::cell::CELL_SECONDS;
use crate::explain;
use crate::history::History;

/// Most pods of a canary that are left out one by one: each takes as long as the rollout took to
/// judge.
const PODS_MAX: usize = 8;
/// Without the pod less than three to one speaks against the canary: what chance alone shows often.
const NOTHING: f64 = 1.098_612_288_668_109_8; // ln 3

impl Rollout {
    /// Names the pod without which nothing would speak against the canary, where a rollback was
    /// just decided by evidence; true when the reason has changed. `history` is to hold all cells
    /// since the canary's first; where it doesn't any more, nothing is said.
    pub fn single_out(&mut self, history: &History, lives: &Lives) -> bool {
        let Some(latch) = self.attempt.latch.as_mut().filter(|latch| latch.is_open) else {
            return false;
        };
        latch.is_open = false;
        let Some((pod, log_e)) = self.attempt.alone(history, lives, self.canary_from) else {
            return false;
        };
        let text = explain::single_pod(&pod, log_e);
        if let Some(latch) = &mut self.attempt.latch {
            latch.reason.push_str(&text);
        }
        let last = self.attempt.timeline.back_mut();
        if let Some(entry) = last.filter(|entry| entry.verdict == Verdict::Rollback) {
            entry.reason.push_str(&text);
        }
        true
    }

    /// Whether [`Rollout::single_out`] has something to do.
    pub fn is_open(&self) -> bool {
        self.attempt
            .latch
            .as_ref()
            .is_some_and(|latch| latch.is_open)
    }
}

impl Attempt {
    /// The only pod without which the evidence is gone, and ln of what is left of it.
    fn alone(
        &self,
        history: &History,
        lives: &Lives,
        canary_from: UnixNanos,
    ) -> Option<(Arc<str>, f64)> {
        let first = self.first_counted?.seconds() / CELL_SECONDS;
        if history.iter().next()?.0 > first {
            return None;
        }
        let counted = history
            .iter()
            .filter(|(index, _)| (first..self.next).contains(index));
        let canary = counted.filter_map(|(_, arms)| arms.get(&self.key.canary));
        let pods: BTreeSet<&Arc<str>> = canary
            .flat_map(|arm| &arm.pods)
            .map(|pod| &pod.pod)
            .collect();
        if !(2..=PODS_MAX).contains(&pods.len()) {
            return None;
        }
        let without = |pod: &Arc<str>| self.without(pod, history, lives, canary_from);
        let gone = |log_e: &f64| *log_e < NOTHING;
        let each = pods
            .into_iter()
            .filter_map(|pod| Some((Arc::clone(pod), without(pod).filter(gone)?)));
        let mut each = each.collect::<Vec<_>>().into_iter();
        each.next().filter(|_| each.next().is_none())
    }

    /// ln of the evidence of harm had `pod` not been there; none where nothing was judged.
    fn without(
        &self,
        pod: &Arc<str>,
        history: &History,
        lives: &Lives,
        canary_from: UnixNanos,
    ) -> Option<f64> {
        let (key, policy) = (self.key.clone(), self.policy.clone());
        let mut again = Self::new(key, self.number, policy, String::new(), self.started);
        again.left_out = Some(Arc::clone(pod));
        for (index, arms) in history.iter().filter(|(index, _)| *index < self.next) {
            again.cell(index, arms, lives, canary_from);
        }
        again.last.map(|last| last.log_e_harm)
    }
}
