//! One queue between the intake and the delivery task of a destination and signal.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use davy_agent_core::Payload;
use davy_agent_core::queue::{
    Batch, Counts, Dropped, PAYLOAD_OVERHEAD_BYTES, Push, Queue, WhenFull,
};
use davy_proto::Signal;
use tokio::sync::Notify;

use super::acknowledgement::Acknowledge;
use crate::telemetry::{DropReason, Telemetry};

/// What feeds a lane.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Feed {
    /// Scrapes and senders, which can't wait: the oldest may be dropped.
    Stream,
    /// Tailed files, which wait: nothing is dropped for want of room.
    Tail,
}

/// A bounded queue with one delivery task at its end.
#[derive(Debug)]
pub struct Lane {
    destination: Box<str>,
    signal: Signal,
    feed: Feed,
    state: Mutex<State>,
    /// Woken when something waits, or the lane is closed.
    ready: Notify,
    room: Arc<Notify>,
    telemetry: Telemetry,
}

#[derive(Debug)]
struct State {
    queue: Queue,
    bytes_max: u64,
    /// Payloads that are acknowledged, in the order of the queue: the number of pushed items that
    /// must be gone, and whom to tell.
    pending: VecDeque<(u64, Arc<Acknowledge>)>,
    closed: bool,
    /// No batch is given out: another task takes over.
    paused: bool,
}

/// What a payload of that many bytes takes from a bound.
pub(super) fn cost(payload_bytes: usize) -> u64 {
    payload_bytes as u64 + PAYLOAD_OVERHEAD_BYTES
}

impl Lane {
    pub(super) fn new(
        destination: &str,
        signal: Signal,
        feed: Feed,
        room: Arc<Notify>,
        telemetry: Telemetry,
    ) -> Self {
        let queue = Queue::new(signal, 0, WhenFull::Refuse);
        let state = State {
            queue,
            bytes_max: 0,
            pending: VecDeque::new(),
            closed: false,
            paused: false,
        };
        Self {
            destination: destination.into(),
            signal,
            feed,
            state: Mutex::new(state),
            ready: Notify::new(),
            room,
            telemetry,
        }
    }

    /// Name of the destination.
    pub fn destination(&self) -> &str {
        &self.destination
    }

    /// What the lane carries.
    pub fn signal(&self) -> Signal {
        self.signal
    }

    /// What feeds it.
    pub fn feed(&self) -> Feed {
        self.feed
    }

    /// Items by what became of them.
    pub fn counts(&self) -> Counts {
        self.state().queue.counts()
    }

    /// Bytes held, overhead included.
    pub fn bytes(&self) -> u64 {
        self.state().queue.bytes()
    }

    /// Waits for the next batch of at most `bytes_max` bytes (a single larger payload comes as it
    /// is, to be split); none when the lane is closed and empty. The batch stays in the queue until
    /// [`Lane::ack`], [`Lane::nack`] or [`Lane::discard`]. Cancel-safe.
    pub async fn batch(&self, bytes_max: usize) -> Option<Batch> {
        loop {
            let ready = self.ready.notified();
            {
                let mut state = self.state();
                if !state.paused
                    && let Some(batch) = state.queue.batch(bytes_max)
                {
                    return Some(batch);
                }
                if state.closed && state.queue.is_empty() {
                    return None;
                }
            }
            ready.await;
        }
    }

    /// The batch has arrived; `rejected` of its items the backend refused for good.
    pub fn ack(&self, rejected: u64) {
        self.ack_but(rejected, &[]);
    }

    /// The batch has arrived but for what was dropped on its way, by reason; `rejected` of the
    /// items that arrived the backend refused for good.
    pub fn ack_but(&self, rejected: u64, dropped: &[(DropReason, u64)]) {
        let lost = dropped.iter().map(|(_, items)| items).sum();
        let items = self.settle(|queue| queue.ack_but(lost));
        let rejected = rejected.min(items);
        self.telemetry
            .exported(self.signal, &self.destination, items - rejected);
        self.telemetry
            .rejected(self.signal, &self.destination, rejected);
        for (reason, items) in dropped {
            self.telemetry
                .dropped(self.signal, &self.destination, *reason, *items);
        }
    }

    /// The batch has not arrived and will be tried again: it goes back to the front.
    pub fn nack(&self) {
        self.state().queue.nack();
        self.ready.notify_one();
    }

    /// The batch will never arrive: it is dropped and counted.
    pub fn discard(&self, reason: DropReason) {
        let Dropped { items, .. } = self.settle(Queue::discard);
        self.telemetry
            .dropped(self.signal, &self.destination, reason, items);
    }

    /// Gives out no batch until [`Lane::resume`], and returns when none is under way.
    pub async fn pause(&self) {
        loop {
            let settled = self.room.notified();
            {
                let mut state = self.state();
                state.paused = true;
                if !state.queue.is_under_way() {
                    return;
                }
            }
            settled.await;
        }
    }

    /// Gives out batches again; one that is still under way was not delivered.
    pub fn resume(&self) {
        let mut state = self.state();
        state.paused = false;
        state.queue.nack();
        drop(state);
        self.ready.notify_one();
    }

    /// Nothing more comes: what is queued is still delivered, then [`Lane::batch`] gives none.
    pub fn close(&self) {
        self.state().closed = true;
        self.ready.notify_one();
    }

    /// Drops whatever is left, counts it and returns its items. Its sources are told that it did
    /// not arrive, unless the destination is no more: then nobody has to wait for it.
    pub fn abandon(&self, reason: DropReason) -> u64 {
        let mut state = self.state();
        let Dropped { items, .. } = state.queue.clear();
        let pending = std::mem::take(&mut state.pending);
        state.closed = true;
        drop(state);
        for (_, acknowledge) in pending {
            match reason {
                DropReason::DestinationRemoved => acknowledge.by_one(),
                _ => acknowledge.never(),
            }
        }
        self.telemetry
            .dropped(self.signal, &self.destination, reason, items);
        self.ready.notify_one();
        self.room.notify_waiters();
        items
    }

    pub(super) fn has_room(&self, payload_bytes: usize) -> bool {
        let state = self.state();
        state.queue.is_empty() || state.queue.has_room(payload_bytes)
    }

    pub(super) fn can_drop(&self) -> bool {
        self.state().queue.waiting() > 0
    }

    pub(super) fn set_bytes_max(&self, bytes_max: u64) {
        let mut state = self.state();
        state.bytes_max = bytes_max;
        state.queue.set_bytes_max(bytes_max);
    }

    pub(super) fn drop_oldest(&self) {
        let dropped = self.state().queue.drop_oldest().unwrap_or_default();
        let reason = DropReason::QueueFull;
        self.telemetry
            .dropped(self.signal, &self.destination, reason, dropped.items);
    }

    /// Queues a payload for which room was made.
    pub(super) fn push(&self, payload: Payload, acknowledge: Option<Arc<Acknowledge>>) {
        let mut state = self.state();
        let items = payload.items;
        let bytes_max = state.bytes_max;
        if self.feed == Feed::Tail && state.queue.is_empty() {
            // Alone it may be larger than the bound, else it would never get through.
            state
                .queue
                .set_bytes_max(bytes_max.max(cost(payload.bytes.len())));
        }
        let pushed = state.queue.push(payload);
        state.queue.set_bytes_max(bytes_max);
        debug_assert_ne!(pushed, Push::Refused, "room was made");
        if let Some(acknowledge) = acknowledge {
            let end = state.queue.counts().pushed;
            state.pending.push_back((end, acknowledge));
        }
        drop(state);
        if pushed == Push::Refused {
            self.telemetry
                .dropped(self.signal, &self.destination, DropReason::QueueFull, items);
        }
        self.ready.notify_one();
    }

    /// Takes the batch out of the queue and tells whom it concerns.
    fn settle<T>(&self, settle: impl FnOnce(&mut Queue) -> T) -> T {
        let mut state = self.state();
        let outcome = settle(&mut state.queue);
        let counts = state.queue.counts();
        let gone = counts.delivered + counts.dropped;
        while state.pending.front().is_some_and(|(end, _)| *end <= gone) {
            if let Some((_, acknowledge)) = state.pending.pop_front() {
                acknowledge.by_one();
            }
        }
        drop(state);
        self.ready.notify_one();
        self.room.notify_waiters();
        outcome
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
