//! The owner of the gate's state: one task, asked through a bounded channel.
//!
//! Evidence, questions and the clock's ticks come in by turns, so nothing is locked and every
//! verdict follows from an order of events. Each answer is made in well under a millisecond.

mod state;

use std::sync::Arc;
use std::time::Duration;

use davy_gate_core::normalize::Report;
use davy_proto::Arm;
use davy_proto::verdict::Evaluation;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use tokio::sync::{mpsc, oneshot};
use tracing::error;

use crate::actuate::Actuator;
use crate::clock;
use crate::page::RolloutView;
use crate::policies::Policies;
use crate::record::Recorder;
use crate::telemetry::{ResultLabels, Telemetry};
pub use state::State;

/// Requests that may wait for the engine; beyond it callers are told to come again.
const WAITING_MAX: usize = 1024;
/// How often cells are closed and rollouts judged.
const TICK: Duration = Duration::from_millis(500);

/// How does a canary stand against its baseline?
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// Namespace, empty where there is none.
    pub namespace: String,
    /// Service, or the rollout of that name.
    pub service: String,
    /// Identity of the rollout object; empty where there is none.
    pub uid: String,
    /// Arm to compare with.
    pub baseline: Arm,
    /// Arm to judge.
    pub canary: Arm,
    /// Step of the rollout, from 0; none where the caller doesn't say it: then the rollout stays at
    /// the step it is at.
    pub step: Option<u64>,
    /// Share of the traffic that the canary gets, in percent, where the caller knows it.
    pub weight: Option<f64>,
}

/// Why a question has no answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// Baseline and canary are the same.
    SameArm,
    /// The engine has no room, or has ended.
    Busy,
}

/// A handle to the engine.
#[derive(Clone, Debug)]
pub struct Engine {
    asks: mpsc::Sender<Ask>,
}

#[derive(Debug)]
enum Ask {
    Observe(Box<ExportMetricsServiceRequest>, oneshot::Sender<Report>),
    Evaluate(Box<Question>, oneshot::Sender<Result<Evaluation, Refusal>>),
    Rollouts(oneshot::Sender<Vec<RolloutView>>),
    Reset(String, oneshot::Sender<bool>),
}

/// What an engine is made of.
pub struct Parts {
    /// The policies to judge by.
    pub policies: Policies,
    /// What to run at a final verdict.
    pub actuator: Actuator,
    /// Where evidence is recorded, if it is.
    pub recorder: Option<Recorder>,
    /// The gate's own metrics.
    pub telemetry: Arc<Telemetry>,
    /// Base of the URLs of rollouts' pages.
    pub page_url: String,
}

impl Engine {
    /// Starts the engine's task.
    pub fn start(parts: Parts) -> Self {
        let (asks, inbox) = mpsc::channel(WAITING_MAX);
        tokio::spawn(run(State::new(parts), inbox));
        Self { asks }
    }

    /// Takes evidence and says what was refused of it; nothing when there is no room.
    pub async fn observe(&self, request: ExportMetricsServiceRequest) -> Option<Report> {
        self.ask(|reply| Ask::Observe(Box::new(request), reply))
            .await
    }

    /// Answers a question; a rollout never asked about begins with it.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when it can't be answered.
    pub async fn evaluate(&self, question: Question) -> Result<Evaluation, Refusal> {
        let answer = self
            .ask(|reply| Ask::Evaluate(Box::new(question), reply))
            .await;
        answer.unwrap_or(Err(Refusal::Busy))
    }

    /// All rollouts in memory, the last changed first; nothing when there is no room.
    pub async fn rollouts(&self) -> Option<Vec<RolloutView>> {
        self.ask(Ask::Rollouts).await
    }

    /// Begins a new attempt of a rollout; false when it is not known.
    pub async fn reset(&self, id: &str) -> Option<bool> {
        self.ask(|reply| Ask::Reset(id.to_owned(), reply)).await
    }

    async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.asks.try_send(ask(reply)).ok()?;
        answer.await.ok()
    }
}

async fn run(mut state: State, mut inbox: mpsc::Receiver<Ask>) {
    let mut ticks = tokio::time::interval(TICK);
    loop {
        // Both branches are cancel-safe: a tick or a message is taken whole or not at all.
        tokio::select! {
            _ = ticks.tick() => {}
            ask = inbox.recv() => match ask {
                Some(ask) => take(&mut state, ask),
                None => return,
            },
        }
        for (occasion, run) in state.tick(clock::now()) {
            let actuations = state.telemetry().actuations.clone();
            tokio::spawn(async move {
                let result = if run.run().await.is_ok() {
                    "ok"
                } else {
                    "failed"
                };
                actuations
                    .get_or_create(&ResultLabels { occasion, result })
                    .inc();
            });
        }
    }
}

fn take(state: &mut State, ask: Ask) {
    let now = clock::now();
    // A caller that no longer waits is no concern of ours.
    match ask {
        Ask::Observe(request, reply) => drop(reply.send(state.observe(&request, now))),
        Ask::Evaluate(question, reply) => drop(reply.send(state.evaluate(&question, now))),
        Ask::Rollouts(reply) => drop(reply.send(state.rollouts())),
        Ask::Reset(id, reply) => drop(reply.send(state.reset(&id, now))),
    }
    if let Some(error) = state.record_error() {
        error!(%error, "evidence can't be recorded");
    }
}
