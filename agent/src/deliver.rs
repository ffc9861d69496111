//! From the lanes of a destination to its backend.
//!
//! Each lane has one task and one request under way at a time, so the points of a stream arrive in
//! order. A batch leaves its queue only when the backend has answered for all of it. What the
//! backend may take later is tried again for as long as there is room in the queue; what it refuses
//! for good is dropped and counted. A dead backend holds up its own lanes and nobody else's.

mod attempt;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use davy_proto::UnixNanos;
use davy_transport::Client;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::pipeline::Lane;
use crate::telemetry::{DropReason, Telemetry};
use attempt::Courier;

/// Payloads are merged up to this many bytes: large enough for packing to pay, small enough for a
/// sidecar's memory.
pub const BATCH_BYTES_MAX: usize = 512 << 10;

/// Largest request before packing, in bytes: Go's gRPC servers take 4 MiB unless told otherwise.
pub const REQUEST_BYTES_MAX: usize = (4 << 20) - (4 << 10);

/// What `/status` shows of a destination.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DestinationState {
    /// When the backend last took something.
    pub last_success: Option<UnixNanos>,
    /// When it last failed to.
    pub last_failure: Option<UnixNanos>,
    /// Why, for as long as it is failing.
    pub error: Option<String>,
    /// What it last said of a partial success, or as a warning.
    pub warning: Option<String>,
}

/// A [`DestinationState`] that tasks write and `/status` reads; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<DestinationState>>);

impl Health {
    /// The state now.
    pub fn snapshot(&self) -> DestinationState {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn update<T>(&self, change: impl FnOnce(&mut DestinationState) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A destination at work: a task for each of its lanes.
#[derive(Debug)]
pub struct Destination {
    name: String,
    lanes: Vec<Arc<Lane>>,
    tasks: JoinSet<()>,
    ending: watch::Sender<bool>,
    health: Health,
}

impl Destination {
    /// Starts delivering each lane by its client (signals may have endpoints of their own).
    pub fn start(name: &str, routes: Vec<(Arc<Lane>, Arc<Client>)>, telemetry: &Telemetry) -> Self {
        let (ending, ended) = watch::channel(false);
        let health = Health::default();
        let mut tasks = JoinSet::new();
        let mut lanes = Vec::new();
        for (lane, client) in routes {
            lanes.push(Arc::clone(&lane));
            let courier = Courier {
                lane,
                client,
                telemetry: telemetry.clone(),
                health: health.clone(),
                ending: ended.clone(),
                request_bytes_max: REQUEST_BYTES_MAX,
            };
            tasks.spawn(courier.run());
        }
        Self {
            name: name.to_owned(),
            lanes,
            tasks,
            ending,
            health,
        }
    }

    /// Its name, as in the metrics.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it is, now and later.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Stops delivering and gives the lanes back with all they hold, for another client to go on.
    /// Requests under way have `grace` to be answered; one that is not may arrive twice.
    pub async fn release(mut self, grace: Duration) -> Vec<Arc<Lane>> {
        let paused = self.lanes.iter().map(|lane| lane.pause());
        let _ = tokio::time::timeout(grace, futures_util::future::join_all(paused)).await;
        self.tasks.shutdown().await;
        for lane in &self.lanes {
            lane.resume();
        }
        self.lanes
    }

    /// Delivers what is queued for at most `grace`, without waiting between tries longer than it
    /// must; drops the rest for `reason`, counted, and returns its items.
    ///
    /// The lanes must have been closed or taken from the intake: nothing may come any more.
    pub async fn finish(mut self, grace: Duration, reason: DropReason) -> u64 {
        for lane in &self.lanes {
            lane.close();
        }
        let _ = self.ending.send(true);
        let flushed = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(grace, flushed).await;
        self.tasks.shutdown().await;
        let lost = self.lanes.iter().map(|lane| lane.abandon(reason)).sum();
        if lost > 0 {
            let destination = self.name;
            tracing::error!(destination, items = lost, "items lost at the end");
        }
        lost
    }
}

#[cfg(test)]
mod tests;
