//! Evidence for the gate: observations in, one request a window out.
//!
//! Two halves share a small outbox: the keeper observes what is forwarded and closes windows on the
//! clock, the sender delivers them. Neither ever waits for the other, and nobody who forwards waits
//! for either: observations come through a bounded channel and are dropped (counted) when it is
//! full; the outbox holds [`OUTBOX_WINDOWS`] windows and drops the oldest (counted). A window that
//! was sent twice after a broken connection counts once at the gate.
//!
//! A window is closed as soon as every target has been scraped at its end, else [`GRACE`] later.

mod keeper;
mod outbox;

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use davy_agent_core::evidence::{EvidenceSettings, Report};
use davy_proto::UnixNanos;
use davy_transport::Client;
use tokio::sync::mpsc;

use crate::pipeline::Observation;
use crate::telemetry::Telemetry;
use keeper::Keeper;
use outbox::Outbox;

/// How long after its end a window waits for slow scrapes and late exports.
pub const GRACE: Duration = Duration::from_secs(1);
/// Most windows that wait for the gate: two minutes of 5 s; older evidence decides nothing.
pub const OUTBOX_WINDOWS: usize = 24;
/// Observations that may wait for the evidence task.
pub const OBSERVATIONS_MAX: usize = 64;
/// How long the last windows may take at the end.
const FLUSH: Duration = Duration::from_secs(1);

/// What `/status` shows of the evidence; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct EvidenceState(Arc<Mutex<Snapshot>>);

/// The state of the evidence at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// End of the last window that the gate took.
    pub last_sent: Option<UnixNanos>,
    /// Windows that wait.
    pub waiting: usize,
    /// The last error of sending, until a window is taken.
    pub error: Option<String>,
    /// What was chosen, and what can be judged.
    pub report: Option<Report>,
}

impl EvidenceState {
    /// The state now.
    pub fn snapshot(&self) -> Snapshot {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn update(&self, change: impl FnOnce(&mut Snapshot)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Makes and sends the evidence of one app.
#[derive(Debug)]
pub struct EvidenceTask {
    /// What evidence is made from, and how.
    pub settings: EvidenceSettings,
    /// The gate.
    pub client: Client,
    /// The agent's own counters.
    pub telemetry: Telemetry,
    /// Where `/status` looks.
    pub state: EvidenceState,
}

impl EvidenceTask {
    /// Runs until `shutdown`, or until nobody can observe any more; then sends what is closed, for
    /// at most a second.
    pub async fn run(
        self,
        mut observations: mpsc::Receiver<Observation>,
        shutdown: impl Future<Output = ()>,
    ) {
        let outbox = Outbox::new(self.telemetry.clone(), self.state.clone());
        let mut keeper = Keeper::new(self.settings, self.telemetry.clone(), crate::clock::now());
        tokio::select! {
            // Cancel-safe: the keeper's state is dropped with it, nothing else is held.
            () = keeper.keep(&mut observations, &outbox) => {}
            // Cancel-safe: a window under way is still in the outbox and is sent again.
            () = outbox.send(&self.client) => {}
            () = shutdown => {}
        }
        let flushed = tokio::time::timeout(FLUSH, outbox.flush(&self.client)).await;
        let lost = outbox.abandon();
        if lost > 0 {
            let timed_out = flushed.is_err();
            tracing::warn!(windows = lost, timed_out, "evidence was lost at the end");
        }
    }
}

#[cfg(test)]
mod tests;
