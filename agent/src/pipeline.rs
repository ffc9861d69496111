//! Between sources and destinations: what comes in is offered once and fanned out.
//!
//! A source holds an [`Intake`]. Each destination has a [`Lane`] a signal, and one for tailed log
//! files: a lane is a bounded queue that one delivery task empties. Bytes are shared by all lanes.
//!
//! ```text
//! receive, scrape ─▶ offer ───────────────▶ lane: stream ─▶ deliver
//! tail ────────────▶ deliver_when_room ───▶ lane: tail ───▶ deliver ─▶ acknowledgement ─▶ offset
//!        └─────────▶ observe ─▶ evidence task (bounded; never waited for)
//! ```
//!
//! **Bounds.** All lanes together hold at most `spool.max_bytes`: tailed files an eighth of it when
//! there are any, everything else the rest. When full, `drop_oldest` takes from the largest lane,
//! so a dead destination loses its own oldest data and none of a living one's; `refuse` makes the
//! sender keep it. Tailed lines are never dropped for want of room: the tail waits, the file is the
//! buffer, and all destinations of logs have to acknowledge before an offset moves on.

mod acknowledgement;
mod lane;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use davy_agent_core::Payload;
use davy_agent_core::queue::WhenFull;
use davy_proto::{Signal, UnixNanos};
use tokio::sync::{Notify, mpsc};

pub use acknowledgement::Acknowledgement;
pub use lane::{Feed, Lane};

use crate::telemetry::{DropReason, Telemetry};
use acknowledgement::Acknowledge;

/// What a sender is told to wait when there is no room.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Share of the bound that tailed files get: a batch or two a destination is enough, since the file
/// itself is the buffer.
const TAIL_SHARE: u64 = 8;

/// What became of an offered payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Offer {
    /// It is queued for every destination of its signal.
    Accepted,
    /// It is queued for none: there is no room. The sender keeps it and comes again.
    Full {
        /// When to come again.
        retry_after: Duration,
    },
    /// It is queued for none, and never will be: alone it is larger than all queues together.
    TooLarge {
        /// Most bytes that would have fitted.
        limit: u64,
    },
}

/// What evidence is made from; it sees everything that is forwarded, before any destination.
#[derive(Clone, Debug)]
pub enum Observation {
    /// A translated page, as of the aligned time of its scrape.
    Scraped {
        /// End of the scrape interval, a multiple of it.
        at: UnixNanos,
        /// What was read, encoded; empty when the scrape failed.
        bytes: Bytes,
    },
    /// A request from the app's SDK: metrics or traces, encoded, with Davy's resource attributes.
    Received {
        /// Metrics or traces.
        signal: Signal,
        /// The encoded request.
        bytes: Bytes,
    },
}

/// Where sources put what they have; cheap to clone, stays valid when destinations are replaced.
#[derive(Clone, Debug)]
pub struct Intake {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Woken when a lane gets room.
    room: Arc<Notify>,
    telemetry: Telemetry,
}

#[derive(Debug)]
struct State {
    lanes: Vec<Arc<Lane>>,
    bytes_max: u64,
    when_full: WhenFull,
    evidence: Option<mpsc::Sender<Observation>>,
}

impl Intake {
    /// An intake without destinations.
    pub fn new(bytes_max: u64, when_full: WhenFull, telemetry: Telemetry) -> Self {
        let state = State {
            lanes: Vec::new(),
            bytes_max,
            when_full,
            evidence: None,
        };
        let room = Arc::new(Notify::new());
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                room,
                telemetry,
            }),
        }
    }

    /// Queues a payload for every destination of its signal, or for none. Never waits.
    ///
    /// A payload that no destination takes is accepted and counted as dropped.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "what is queued belongs to the queue"
    )]
    pub fn offer(&self, payload: Payload) -> Offer {
        let telemetry = &self.shared.telemetry;
        let state = self.state();
        let lanes = state.lanes_of(payload.signal, Feed::Stream);
        if lanes.is_empty() {
            telemetry.dropped(
                payload.signal,
                "none",
                DropReason::NoDestination,
                payload.items,
            );
            return Offer::Accepted;
        }
        let limit = state.payload_bytes_max(lanes.len());
        if payload.bytes.len() as u64 > limit {
            return Offer::TooLarge { limit };
        }
        if state.make_room(&lanes, payload.bytes.len()) {
            for lane in lanes {
                lane.push(payload.clone(), None);
            }
            return Offer::Accepted;
        }
        Offer::Full {
            retry_after: RETRY_AFTER,
        }
    }

    /// Queues a payload for every destination of its signal as soon as all have room, and returns
    /// what tells when all have acknowledged it. Nothing that was queued so is dropped for others.
    pub async fn deliver_when_room(&self, payload: Payload) -> Acknowledgement {
        loop {
            let room = self.shared.room.notified();
            if let Some(acknowledgement) = self.try_deliver(&payload) {
                return acknowledgement;
            }
            room.await;
        }
    }

    /// Shows an observation to the evidence task, if there is one and it has room; what it has no
    /// room for is counted, and forwarding goes on undisturbed.
    pub fn observe(&self, observation: Observation) {
        let evidence = self.state().evidence.clone();
        if evidence.is_some_and(|evidence| evidence.try_send(observation).is_err()) {
            self.shared.telemetry.observation_dropped();
        }
    }

    /// Whether observations go anywhere: decoding for their sake is a waste otherwise.
    pub fn is_observed(&self) -> bool {
        self.state().evidence.is_some()
    }

    /// Sends observations there from now on; nowhere with `None`.
    pub fn set_evidence(&self, evidence: Option<mpsc::Sender<Observation>>) {
        self.state().evidence = evidence;
    }

    /// Changes bound and policy.
    pub fn set_bounds(&self, bytes_max: u64, when_full: WhenFull) {
        let mut state = self.state();
        (state.bytes_max, state.when_full) = (bytes_max, when_full);
        state.share_bounds();
        drop(state);
        self.shared.room.notify_waiters();
    }

    /// Adds a lane for a destination; it takes part in the fan-out from now on.
    pub fn add_lane(&self, destination: &str, signal: Signal, feed: Feed) -> Arc<Lane> {
        let telemetry = self.shared.telemetry.clone();
        let room = Arc::clone(&self.shared.room);
        let lane = Arc::new(Lane::new(destination, signal, feed, room, telemetry));
        let mut state = self.state();
        state.lanes.push(Arc::clone(&lane));
        state.share_bounds();
        lane
    }

    /// Takes the lanes of a destination out of the fan-out. Their delivery tasks still empty them.
    pub fn remove_lanes(&self, destination: &str) {
        let mut state = self.state();
        let (removed, kept) = state
            .lanes
            .drain(..)
            .partition(|lane| lane.destination() == destination);
        state.lanes = kept;
        state.share_bounds();
        drop(state);
        let removed: Vec<Arc<Lane>> = removed;
        for lane in removed {
            lane.close();
        }
        self.shared.room.notify_waiters();
    }

    /// Takes one lane out of the fan-out and leaves it to the caller.
    pub fn remove_lane(&self, lane: &Arc<Lane>) {
        let mut state = self.state();
        state.lanes.retain(|known| !Arc::ptr_eq(known, lane));
        state.share_bounds();
    }

    /// All lanes, for `/status` and `/metrics`.
    pub fn lanes(&self) -> Vec<Arc<Lane>> {
        self.state().lanes.clone()
    }

    /// The agent's own counters.
    pub fn telemetry(&self) -> &Telemetry {
        &self.shared.telemetry
    }

    fn try_deliver(&self, payload: &Payload) -> Option<Acknowledgement> {
        let state = self.state();
        let lanes = state.lanes_of(payload.signal, Feed::Tail);
        if lanes.iter().any(|lane| !lane.has_room(payload.bytes.len())) {
            return None;
        }
        if lanes.is_empty() {
            let telemetry = &self.shared.telemetry;
            telemetry.dropped(
                payload.signal,
                "none",
                DropReason::NoDestination,
                payload.items,
            );
        }
        let (acknowledge, acknowledgement) = Acknowledge::new(lanes.len());
        for lane in lanes {
            lane.push(payload.clone(), Some(Arc::clone(&acknowledge)));
        }
        Some(acknowledgement)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn lanes_of(&self, signal: Signal, feed: Feed) -> Vec<&Arc<Lane>> {
        let wanted = |lane: &&Arc<Lane>| lane.signal() == signal && lane.feed() == feed;
        self.lanes.iter().filter(wanted).collect()
    }

    /// Makes room for a payload in each of the lanes, dropping the oldest of the largest lane if
    /// the policy allows; false when there is none to be had.
    fn make_room(&self, lanes: &[&Arc<Lane>], payload_bytes: usize) -> bool {
        let needed = lanes.len() as u64 * lane::cost(payload_bytes);
        let bound = self.stream_bytes_max();
        loop {
            let streams = || self.lanes.iter().filter(|lane| lane.feed() == Feed::Stream);
            let held: u64 = streams().map(|lane| lane.bytes()).sum();
            if held + needed <= bound {
                return true;
            }
            let largest = streams()
                .filter(|lane| lane.can_drop())
                .max_by_key(|lane| lane.bytes());
            match largest {
                Some(lane) if self.when_full == WhenFull::DropOldest => lane.drop_oldest(),
                _ => return false,
            }
        }
    }

    /// The largest payload for so many lanes, in bytes: each counts it, though they share it.
    fn payload_bytes_max(&self, lanes: usize) -> u64 {
        let share = self.stream_bytes_max() / (lanes as u64).max(1);
        share.saturating_sub(lane::cost(0))
    }

    fn has_tails(&self) -> bool {
        self.lanes.iter().any(|lane| lane.feed() == Feed::Tail)
    }

    fn stream_bytes_max(&self) -> u64 {
        let tail = if self.has_tails() {
            self.bytes_max / TAIL_SHARE
        } else {
            0
        };
        self.bytes_max - tail
    }

    /// Streams share their bound as they need; each tail lane has a fixed part of the tails'.
    fn share_bounds(&self) {
        let tails = self
            .lanes
            .iter()
            .filter(|lane| lane.feed() == Feed::Tail)
            .count() as u64;
        for lane in &self.lanes {
            lane.set_bytes_max(match lane.feed() {
                Feed::Stream => self.stream_bytes_max(),
                Feed::Tail => self.bytes_max / TAIL_SHARE / tails.max(1),
            });
        }
    }
}

#[cfg(test)]
mod tests;
