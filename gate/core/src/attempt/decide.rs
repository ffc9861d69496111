//! From the judge's word to the answer: timing, restarts, alerts, deadline, mode.

use std::time::Duration;

use davy_proto::UnixNanos;
use davy_proto::verdict::{Evaluation, TimelineEntry, Verdict, finite};

use super::config::{assessed, cells_min};
use super::{Attempt, CELL, Latch, SILENT_CELLS, TIMELINE_MAX};
use crate::cell::CELL_SECONDS;
use crate::explain;
use crate::judge::{self, Assessment};
use crate::policy::{Absolute, Mode, OnAlert, OnDeadline};

/// What is decided now, before mode and latch.
struct Decision {
    verdict: Verdict,
    reason: String,
    /// Whether it is a rollback by the judge's evidence.
    by_evidence: bool,
}

impl Decision {
    fn new(verdict: Verdict, reason: String) -> Self {
        Self {
            verdict,
            reason,
            by_evidence: false,
        }
    }
}

impl Latch {
    fn decision(&self) -> Decision {
        Decision::new(self.verdict, self.reason.clone())
    }
}

impl Attempt {
    /// The answer at `now`. Calling it twice at the same time changes nothing.
    pub fn evaluate(&mut self, now: UnixNanos) -> Evaluation {
        let decision = match &self.latch {
            Some(latch) if latch.is_final => latch.decision(),
            Some(latch) => self.harm().unwrap_or_else(|| latch.decision()),
            None => self.decide(now),
        };
        self.stand(&decision, now);
        let is_final = self.latch.as_ref().is_some_and(|latch| latch.is_final);
        let decision = match &self.latch {
            Some(latch) if !is_final => Decision::new(latch.verdict, self.baking(latch, now)),
            Some(latch) => latch.decision(),
            None => decision,
        };
        self.note(&decision, is_final, now);
        self.answer(decision, is_final, now)
    }

    /// Latches what was decided: a rollback for good, an approval once it is baked.
    fn stand(&mut self, decision: &Decision, now: UnixNanos) {
        let same = |latch: &&mut Latch| latch.verdict == decision.verdict;
        let bake = self.policy.timing.bake;
        let held = self.alert.is_some() || self.silent_cells > 0;
        if let Some(latch) = self.latch.as_mut().filter(same) {
            if !latch.is_final && !held && now.since(latch.at) >= bake {
                latch.is_final = true;
                latch.at = now;
                latch.reason = explain::baked(&latch.reason, bake);
                latch.assessment = self.last.clone();
            }
        } else if decision.verdict != Verdict::Undecided {
            self.latch = Some(Latch {
                verdict: decision.verdict,
                reason: decision.reason.clone(),
                at: now,
                is_final: decision.verdict == Verdict::Rollback || bake.is_zero(),
                is_open: decision.by_evidence,
                assessment: self.last.clone(),
            });
        }
    }

    /// What an approval that is judged on waits for.
    fn baking(&self, latch: &Latch, now: UnixNanos) -> String {
        let rest = self.rest_of_bake(latch, now);
        match &self.alert {
            _ if !rest.is_zero() => explain::baking(&latch.reason, rest),
            Some(alert) => format!("{}; held while alert {alert} fires", latch.reason),
            None => format!("{}; held while the canary is silent", latch.reason),
        }
    }

    fn rest_of_bake(&self, latch: &Latch, now: UnixNanos) -> Duration {
        self.policy.timing.bake.saturating_sub(now.since(latch.at))
    }

    /// A rollback, whatever else is proved.
    fn harm(&self) -> Option<Decision> {
        let rollback = |reason| Some(Decision::new(Verdict::Rollback, self.noted(reason)));
        if let Some(reason) = self.unstable() {
            return rollback(reason);
        }
        if let Some(alert) = &self.alert
            && self.policy.on_alert == OnAlert::Rollback
        {
            return rollback(format!("alert {alert} fires"));
        }
        let last = self.last.as_ref()?;
        (last.verdict == judge::Verdict::Rollback).then(|| Decision {
            by_evidence: true,
            verdict: Verdict::Rollback,
            reason: self.noted(explain::rollback(&self.policy, last)),
        })
    }

    fn decide(&self, now: UnixNanos) -> Decision {
        self.harm().unwrap_or_else(|| {
            let decision = self.decide_unharmed(now);
            Decision {
                reason: self.noted(decision.reason),
                ..decision
            }
        })
    }

    /// The reason, and what is odd about the canary's traffic.
    fn noted(&self, reason: String) -> String {
        let odd = self.mix.notes(self.policy.risk.false_rollback);
        [reason]
            .into_iter()
            .chain(odd)
            .collect::<Vec<_>>()
            .join("; ")
    }

    fn decide_unharmed(&self, now: UnixNanos) -> Decision {
        let undecided = |reason| Decision::new(Verdict::Undecided, reason);
        let late = self.under_way(now) >= self.policy.timing.max_duration;
        let some = |last: &&Assessment| self.compared || last.objectives.is_empty();
        let Some(last) = self.last.as_ref().filter(some) else {
            let waited = explain::nothing_yet(self.first_counted.is_some());
            return if late {
                self.deadline(None, &waited)
            } else {
                undecided(waited)
            };
        };
        if let Some(reason) = explain::unlimited(&self.policy, last) {
            return if late {
                self.deadline(None, &reason)
            } else {
                undecided(reason)
            };
        }
        if let Some(alert) = &self.alert {
            return undecided(format!("undecided: held while alert {alert} fires"));
        }
        let early = self.elapsed(now) < self.policy.timing.min_duration;
        match last.verdict {
            // Silence is no proof: what was proved is of cells that both arms reported.
            judge::Verdict::Approve if !early && self.silent_cells == 0 => {
                Decision::new(Verdict::Approve, explain::approve(&self.policy, last))
            }
            _ => {
                let eta = self.eta(now);
                let waits = explain::undecided(&self.policy, last, eta, &self.waits());
                if late {
                    self.deadline(Some(last), &waits)
                } else {
                    undecided(waits)
                }
            }
        }
    }

    fn waits(&self) -> explain::Waits {
        explain::Waits {
            silent_cells: self.silent_cells,
            is_warming: self.is_warming,
        }
    }

    fn deadline(&self, last: Option<&Assessment>, waits: &str) -> Decision {
        let after = davy_proto::units::format_duration(self.policy.timing.max_duration);
        let undecided = |reason| Decision::new(Verdict::Undecided, reason);
        match (&self.policy.on_deadline, last) {
            (OnDeadline::Rollback, _) => Decision::new(
                Verdict::Rollback,
                format!("not proved safe within {after}, and the policy says rollback"),
            ),
            (OnDeadline::ApproveIfBelow(bounds), Some(last)) => {
                let within = |(name, bound): (&String, &f64)| {
                    let objective = self.policy.objectives.iter().find(|o| o.name == *name);
                    let assessed = objective.and_then(|o| assessed(o, last));
                    assessed
                        .filter(|a| a.unavailable.is_none())
                        .and_then(|a| a.high)
                        .is_some_and(|high| high <= *bound)
                };
                if last.log_e_harm < 0.0 && self.silent_cells == 0 && bounds.iter().all(within) {
                    let reason = explain::below_looser_bounds(&self.policy, last, bounds);
                    return Decision::new(Verdict::Approve, reason);
                }
                undecided(format!(
                    "deadline of {after} passed, looser bounds not proved: {waits}"
                ))
            }
            _ => undecided(format!("deadline of {after} passed: {waits}")),
        }
    }

    /// Why the canary can't stay whatever its requests say.
    fn unstable(&self) -> Option<String> {
        let limit = self.policy.objectives.iter().flat_map(|o| &o.absolute);
        let limit = limit.filter_map(|limit| match limit {
            Absolute::MaxPerPod(max) => Some(*max),
            _ => None,
        });
        let max = limit.min()?;
        if let Some((pod, restarts)) = self.most_restarts.as_ref().filter(|(_, n)| *n > max) {
            return Some(explain::restarts(pod, *restarts, max));
        }
        let silent = self.silent_cells >= SILENT_CELLS;
        silent.then(|| explain::silent(self.silent_cells * CELL_SECONDS))
    }

    fn elapsed(&self, now: UnixNanos) -> Duration {
        now.since(self.first_counted.unwrap_or(self.started))
    }

    /// Time since the attempt began and the canary was there: what the deadline bounds.
    fn under_way(&self, now: UnixNanos) -> Duration {
        let began = self.started.minus(CELL);
        self.first_counted
            .map_or(now.since(self.started), |first| now.since(first.max(began)))
    }

    /// Expected time to an approval; none where the deadline comes first.
    fn eta(&self, now: UnixNanos) -> Option<Duration> {
        let last = self.last.as_ref()?;
        let cells = last.eta.cells()?;
        // Each step has to be judged for `min_duration`, too.
        let rest = cells_min(&self.policy).saturating_sub(last.cells_of_step);
        let proof = Duration::from_secs(cells.max(rest) * CELL_SECONDS);
        let least = self.policy.timing.min_duration;
        let eta = proof.max(least.saturating_sub(self.elapsed(now)));
        (self.under_way(now) + eta <= self.policy.timing.max_duration).then_some(eta)
    }

    fn note(&mut self, decision: &Decision, is_final: bool, now: UnixNanos) {
        let (attempt, step) = (self.number, self.step);
        let known = self.timeline.back();
        let same = |e: &TimelineEntry| {
            (e.attempt, e.step) == (attempt, step)
                && (e.verdict, e.is_final) == (decision.verdict, is_final)
        };
        if known.is_some_and(same) {
            return;
        }
        if self.timeline.len() >= TIMELINE_MAX {
            self.timeline.pop_front();
        }
        self.timeline.push_back(TimelineEntry {
            at: now,
            attempt,
            step,
            verdict: decision.verdict,
            is_final,
            reason: decision.reason.clone(),
        });
    }

    fn answer(&self, decision: Decision, is_final: bool, now: UnixNanos) -> Evaluation {
        let observes = self.policy.mode == Mode::Observe;
        // A verdict that stands is shown with the numbers, and at the time, it was made of.
        let stands = self.latch.as_ref().filter(|_| is_final);
        let decided = stands.map_or(now, |latch| latch.at);
        let latched = stands.and_then(|latch| latch.assessment.as_ref());
        let shown = latched.or(self.last.as_ref());
        let eta = match &self.latch {
            Some(_) if is_final => Some(Duration::ZERO),
            Some(latch) => Some(self.rest_of_bake(latch, now)),
            None => self.eta(now),
        };
        let reason = if observes {
            format!(
                "observing only; it would be {}: {}",
                decision.verdict, decision.reason
            )
        } else {
            decision.reason
        };
        Evaluation {
            verdict: if observes {
                Verdict::Approve
            } else {
                decision.verdict
            },
            is_final,
            reason,
            elapsed_seconds: self
                .first_counted
                .map_or(0, |first| decided.since(first).as_secs()),
            eta_seconds: eta.map(|eta| eta.as_secs()),
            // Rounded down: nothing is sure, and a lost window shows. Confidence is below 1.
            confidence: shown
                .and_then(|a| finite(explain::at_least(a.confidence)))
                .map(|confidence| confidence.min(0.9999)),
            coverage: self
                .coverage()
                .and_then(|share| finite(explain::at_least(share))),
            attempt: self.number,
            step: self.step,
            policy: self.identity.clone(),
            observed: observes.then_some(decision.verdict),
            url: None,
            objectives: explain::objectives(&self.policy, shown, self.restarts()),
            objectives_omitted: 0,
            rollout: self.key.rollout(),
        }
    }

    fn restarts(&self) -> explain::Restarts {
        match &self.most_restarts {
            None => explain::Restarts::Unseen,
            Some((_, 0)) if !self.starts_told => explain::Restarts::Untold,
            Some((_, restarts)) => explain::Restarts::Counted(*restarts),
        }
    }
}
