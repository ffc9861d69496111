//! What the engine knows: the grids of services, their history, and the rollouts under way.
//!
//! No clock and no waiting here: the time is an argument, so a test can play a rollout in a moment.

use std::collections::BTreeMap;
use std::io;

use davy_gate_core::attempt::{Call, Key, Lives, Rollout};
use davy_gate_core::grid::{self, Grid};
use davy_gate_core::history::{self, History};
use davy_gate_core::normalize::{Normalizer, Report, Settings};
use davy_gate_core::plan::{Action, plan};
use davy_proto::UnixNanos;
use davy_proto::verdict::Evaluation;
use davy_proto::window::Window;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;

use super::{Parts, Question, Refusal};
use crate::actuate::{Facts, Occasion, Run};
use crate::page::RolloutView;
use crate::telemetry::{ReasonLabel, Telemetry};

/// Most services that evidence is kept of; one whose pods are all gone makes room, else windows of
/// more are refused and counted.
const SERVICES_MAX: usize = 1_000;
/// Most rollouts kept; beyond, one without evidence is forgotten, else the one not asked about for
/// longest. It is counted.
const ROLLOUTS_MAX: usize = 1_000;
/// Bytes of history, all services together: a service that comes first may use
/// [`history::BYTES_MAX`], later ones what is left, so that the sum has a bound.
const HISTORY_BYTES_MAX: usize = 512 << 20;
/// Bytes of history that each service gets in any case.
const SERVICE_BYTES_MIN: usize = 256 << 10;

/// The state of the gate.
pub struct State {
    parts: Parts,
    normalizer: Normalizer,
    services: BTreeMap<(String, String), Service>,
    rollouts: BTreeMap<Key, Tracked>,
    /// Of each service, the rollout that its metrics show: the one asked about last.
    shown: BTreeMap<(String, String), Key>,
    record_error: Option<io::Error>,
    /// The last error of recording that was told.
    told: String,
    /// Pods that the normalizer had forgotten when it was last looked at.
    evicted: u64,
}

/// Evidence of one service.
struct Service {
    grid: Grid,
    history: History,
    /// Bytes that its history may have.
    granted: usize,
}

/// A rollout and what was last said of it.
struct Tracked {
    rollout: Rollout,
    evaluation: Evaluation,
    updated: UnixNanos,
    asked: UnixNanos,
}

impl State {
    /// A gate that has seen nothing.
    pub fn new(parts: Parts) -> Self {
        Self {
            parts,
            normalizer: Normalizer::new(Settings::standard()),
            services: BTreeMap::new(),
            rollouts: BTreeMap::new(),
            shown: BTreeMap::new(),
            record_error: None,
            told: String::new(),
            evicted: 0,
        }
    }

    /// The gate's own metrics.
    pub fn telemetry(&self) -> &Telemetry {
        &self.parts.telemetry
    }

    /// Takes evidence that arrived at `now`.
    pub fn observe(&mut self, request: &ExportMetricsServiceRequest, now: UnixNanos) -> Report {
        let (windows, report) = self.normalizer.take(request, now);
        for (reason, count) in &report.counts {
            self.refused(reason.as_str(), *count);
        }
        let evicted = self.normalizer.evicted();
        self.forgotten("pod", evicted - self.evicted);
        self.evicted = evicted;
        for window in &windows {
            self.window(window);
        }
        report
    }

    fn window(&mut self, window: &Window) {
        let key = (window.namespace.clone(), window.service.clone());
        if !self.services.contains_key(&key) && !self.room_for_a_service() {
            return self.refused("too_many_services", 1);
        }
        let granted = self.services.values().map(|service| service.granted).sum();
        let service = self
            .services
            .entry(key)
            .or_insert_with(|| Service::new(granted));
        let outcome = service.grid.take(window);
        match outcome {
            grid::Outcome::Counted => {
                self.parts.telemetry.windows.inc();
            }
            grid::Outcome::Duplicate => self.refused("window_duplicate", 1),
            grid::Outcome::Late => self.refused("window_late", 1),
            grid::Outcome::Overlap => self.refused("window_overlap", 1),
            grid::Outcome::TooManyPods => self.refused("too_many_pods", 1),
            grid::Outcome::TooManyWindows => self.refused("too_many_windows", 1),
            grid::Outcome::LatencyRefused => self.refused("latency_refused", 1),
        }
        let judged = matches!(
            outcome,
            grid::Outcome::Counted | grid::Outcome::LatencyRefused
        );
        if let Some(recorder) = self.parts.recorder.as_mut().filter(|_| judged)
            && let Err(error) = recorder.write(window)
        {
            self.forgotten("recording", 1);
            self.record_error = Some(error);
        }
    }

    /// Forgets services that have no pod left, when there are too many.
    fn room_for_a_service(&mut self) -> bool {
        if self.services.len() >= SERVICES_MAX {
            let before = self.services.len();
            self.services.retain(|_, service| !service.is_gone());
            self.forgotten("service", (before - self.services.len()) as u64);
        }
        self.services.len() < SERVICES_MAX
    }

    /// An error of recording since the last call, when it is another one than before.
    pub fn record_error(&mut self) -> Option<io::Error> {
        let error = self.record_error.take()?;
        let text = error.to_string();
        (self.told != text).then(|| {
            self.told = text;
            error
        })
    }

    /// Answers a question; a rollout never asked about begins with it.
    ///
    /// # Errors
    ///
    /// [`Refusal::SameArm`].
    pub fn evaluate(&mut self, question: &Question, now: UnixNanos) -> Result<Evaluation, Refusal> {
        if question.baseline == question.canary {
            return Err(Refusal::SameArm);
        }
        let key = self.key_of(question);
        let known = self.rollouts.get(&key);
        let step = known.map_or(0, |tracked| tracked.rollout.attempt().step());
        let call = Call {
            key: key.clone(),
            step: question.step.unwrap_or(step),
        };
        let (policy, identity) = self.parts.policies.of(&question.service);
        let nothing = History::new(0, 0);
        let service = self
            .services
            .get(&(key.namespace.clone(), key.service.clone()));
        let history = service.map_or(&nothing, |service| &service.history);
        let lives = service
            .map(|service| Lives::of(&service.grid, &key))
            .unwrap_or_default();
        match self.rollouts.remove(&key).or_else(|| {
            let sibling = sibling(&self.rollouts, &key)?;
            self.rollouts.remove(&sibling)
        }) {
            Some(mut tracked) => {
                tracked
                    .rollout
                    .call(&call, policy, &identity, history, &lives, now);
                tracked.asked = now;
                self.rollouts.insert(key.clone(), tracked);
            }
            None => {
                let mut rollout = Rollout::new(&call, policy, &identity, history, &lives, now);
                let evaluation = rollout.evaluate(now);
                let tracked = Tracked {
                    rollout,
                    evaluation,
                    updated: now,
                    asked: now,
                };
                self.rollouts.insert(key.clone(), tracked);
                self.forget_rollouts(&key);
            }
        }
        self.parts.telemetry.evaluations.inc();
        if let Some(tracked) = self.rollouts.get_mut(&key) {
            tracked.rollout.attempt_mut().weight(question.weight);
        }
        self.judge(&key, now);
        let tracked = self.rollouts.get(&key);
        tracked
            .map(|tracked| tracked.evaluation.clone())
            .ok_or(Refusal::Busy)
    }

    /// Callers know the namespace of a rollout, evidence from plain machines may have none: where
    /// only one service of that name has evidence, it is the one that is meant.
    fn key_of(&self, question: &Question) -> Key {
        let known = |namespace: &str| {
            self.services
                .contains_key(&(namespace.to_owned(), question.service.clone()))
        };
        let mut namespace = question.namespace.clone();
        // A rollout keeps the namespace it began with, whoever else shows up.
        let begun = self.rollouts.keys().find(|key| {
            (&key.service, &key.uid) == (&question.service, &question.uid)
                && (&key.baseline, &key.canary) == (&question.baseline, &question.canary)
        });
        if let Some(begun) = begun.filter(|_| namespace.is_empty()) {
            namespace.clone_from(&begun.namespace);
        } else if namespace.is_empty() && !known("") {
            let mut named = self
                .services
                .keys()
                .filter(|(_, name)| *name == question.service);
            if let (Some((only, _)), None) = (named.next(), named.next()) {
                namespace.clone_from(only);
            }
        }
        Key {
            namespace,
            service: question.service.clone(),
            uid: question.uid.clone(),
            baseline: question.baseline.clone(),
            canary: question.canary.clone(),
        }
    }

    /// All rollouts, the last changed first.
    pub fn rollouts(&self) -> Vec<RolloutView> {
        let view = |tracked: &Tracked| RolloutView {
            evaluation: tracked.evaluation.clone(),
            updated: tracked.updated,
            timeline: tracked.rollout.attempt().timeline().cloned().collect(),
        };
        let changed = |view: &RolloutView| view.timeline.last().map(|entry| entry.at);
        let mut views: Vec<_> = self.rollouts.values().map(view).collect();
        views.sort_by_key(|view| std::cmp::Reverse(changed(view)));
        views
    }

    /// Begins a new attempt of a rollout; false when it is not known.
    pub fn reset(&mut self, id: &str, now: UnixNanos) -> bool {
        let Some(key) = self.rollouts.keys().find(|key| key.id() == id).cloned() else {
            return false;
        };
        let Some(tracked) = self.rollouts.get_mut(&key) else {
            return false;
        };
        let of = (key.namespace.clone(), key.service.clone());
        match self.services.get(&of) {
            Some(service) => {
                let lives = Lives::of(&service.grid, &key);
                tracked.rollout.reset(&service.history, &lives, now);
            }
            None => {
                let (nothing, nobody) = (History::new(0, 0), Lives::default());
                tracked.rollout.reset(&nothing, &nobody, now);
            }
        }
        self.judge(&key, now);
        true
    }

    /// Closes the cells that are due, judges, and says what is to be run.
    pub fn tick(&mut self, now: UnixNanos) -> Vec<(&'static str, Run)> {
        let mut judged = false;
        for (name, service) in &mut self.services {
            while let Some((index, arms)) = service.grid.close(now) {
                judged = true;
                let of_service = self
                    .rollouts
                    .iter_mut()
                    .filter(|(key, _)| key.namespace == name.0 && key.service == name.1);
                for (key, tracked) in of_service {
                    let lives = Lives::of(&service.grid, key);
                    tracked.rollout.cell(index, &arms, &lives);
                }
                service.history.push(index, arms);
            }
        }
        if judged {
            let keys: Vec<Key> = self.rollouts.keys().cloned().collect();
            keys.iter().for_each(|key| self.judge(key, now));
        }
        self.due()
    }

    fn judge(&mut self, key: &Key, now: UnixNanos) {
        let Some(tracked) = self.rollouts.get_mut(key) else {
            return;
        };
        let mut evaluation = tracked.rollout.evaluate(now);
        let of = (key.namespace.clone(), key.service.clone());
        if tracked.rollout.is_open()
            && let Some(service) = self.services.get(&of)
        {
            let lives = Lives::of(&service.grid, key);
            if tracked.rollout.single_out(&service.history, &lives) {
                evaluation = tracked.rollout.evaluate(now);
            }
        }
        evaluation.url = Some(format!("{}/rollouts/{}", self.parts.page_url, key.id()));
        tracked.evaluation = evaluation;
        tracked.updated = now;
        self.show(key);
    }

    /// Metrics are of a service: they show the rollout that was asked about last.
    fn show(&mut self, key: &Key) {
        let asked = |key: &Key| self.rollouts.get(key).map(|tracked| tracked.asked);
        let of = (key.namespace.clone(), key.service.clone());
        let telemetry = &self.parts.telemetry;
        match self.shown.get(&of) {
            Some(shown) if shown != key && asked(shown) > asked(key) => return,
            Some(shown) if shown != key => {
                let old = self.rollouts.get(shown);
                old.iter().for_each(|old| telemetry.forget(&old.evaluation));
            }
            _ => {}
        }
        if let Some(tracked) = self.rollouts.get(key) {
            telemetry.evaluated(&tracked.evaluation);
            self.shown.insert(of, key.clone());
        }
    }

    fn due(&mut self) -> Vec<(&'static str, Run)> {
        let mut runs = Vec::new();
        for tracked in self.rollouts.values() {
            let evaluation = &tracked.evaluation;
            let Some(plan) = plan(evaluation) else {
                continue;
            };
            let (occasion, name, verdict) = match plan.action {
                Action::Approve => (Occasion::Approve, "on_approve", "approve"),
                Action::Rollback => (Occasion::Rollback, "on_rollback", "rollback"),
            };
            let rollout = &evaluation.rollout;
            let facts = Facts {
                namespace: rollout.namespace.clone(),
                service: rollout.service.clone(),
                baseline: rollout.baseline.to_string(),
                canary: rollout.canary.to_string(),
                verdict: verdict.to_owned(),
                reason: evaluation.reason.clone(),
                idempotency_key: plan.key,
            };
            runs.extend(
                self.parts
                    .actuator
                    .due(occasion, facts)
                    .map(|run| (name, run)),
            );
        }
        runs
    }

    /// Forgets rollouts until there are no more than are kept; never `new`.
    fn forget_rollouts(&mut self, new: &Key) {
        while self.rollouts.len() > ROLLOUTS_MAX {
            let others = self.rollouts.iter().filter(|(key, _)| *key != new);
            let least = others.min_by_key(|(_, tracked)| {
                let has_evidence = tracked.evaluation.coverage.is_some();
                (has_evidence, tracked.asked)
            });
            let Some(key) = least.map(|(key, _)| key.clone()) else {
                return;
            };
            self.forget(&key);
            self.forgotten("rollout", 1);
        }
        let count = i64::try_from(self.rollouts.len()).unwrap_or(i64::MAX);
        self.parts.telemetry.rollouts.set(count);
    }

    /// Forgets a rollout and what its metrics show.
    fn forget(&mut self, key: &Key) -> Option<Tracked> {
        let tracked = self.rollouts.remove(key)?;
        let of = (key.namespace.clone(), key.service.clone());
        if self.shown.get(&of) == Some(key) {
            self.parts.telemetry.forget(&tracked.evaluation);
            self.shown.remove(&of);
        }
        Some(tracked)
    }

    fn forgotten(&self, what: &'static str, count: u64) {
        if count > 0 {
            self.parts.telemetry.forgotten(what, count);
        }
    }

    fn refused(&self, reason: &'static str, count: u64) {
        self.parts
            .telemetry
            .refused
            .get_or_create(&ReasonLabel { reason })
            .inc_by(count);
    }
}

/// A rollout of the same canary that was compared with another baseline goes on under the new one.
fn sibling(rollouts: &BTreeMap<Key, Tracked>, key: &Key) -> Option<Key> {
    let id = key.id();
    rollouts.keys().find(|known| known.id() == id).cloned()
}

impl Service {
    fn new(granted_to_others: usize) -> Self {
        let left = HISTORY_BYTES_MAX.saturating_sub(granted_to_others);
        let granted = (left / 4).clamp(SERVICE_BYTES_MIN, history::BYTES_MAX);
        let history = History::new(history::CELLS_MAX, granted);
        Self {
            grid: Grid::new(),
            history,
            granted,
        }
    }

    /// Whether no pod of it is remembered: none has reported for an hour.
    fn is_gone(&self) -> bool {
        self.grid.arms().next().is_none()
    }
}

#[cfg(test)]
mod tests;
