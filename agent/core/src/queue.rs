//! The bounded memory queue of one destination and signal.
//!
//! First in, first out, one batch under way at a time: what is under way stays in the queue until
//! it is acknowledged, and goes back to the front when it is not. What is pushed is delivered,
//! dropped (counted) or still queued; nothing else happens to it.

use std::collections::VecDeque;

use davy_proto::Signal;

use crate::payload::{Payload, merge};

/// What a payload costs beside its bytes, in bytes: its place in the queue and the allocation.
pub const PAYLOAD_OVERHEAD_BYTES: u64 = 64;

/// What happens when a payload does not fit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WhenFull {
    /// The oldest waiting payloads are dropped until it fits: what is recent matters more.
    DropOldest,
    /// It is refused: the sender keeps it and is told to come again.
    Refuse,
}

/// What became of a pushed payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Push {
    /// It is queued.
    Accepted,
    /// It is queued, and older ones had to go.
    AcceptedAfterDropping(Dropped),
    /// It is not queued: there is no room, or it is larger than the whole queue.
    Refused,
}

/// What was dropped.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Dropped {
    /// Points, records or spans.
    pub items: u64,
    /// Bytes, without overhead.
    pub bytes: u64,
}

/// Payloads on their way, as one request.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The payloads, merged in order.
    pub payload: Payload,
    /// How many they were, at least 1.
    pub payloads: usize,
}

/// Items by what became of them; `pushed = delivered + dropped + queued`, always.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Accepted by [`Queue::push`].
    pub pushed: u64,
    /// Acknowledged.
    pub delivered: u64,
    /// Dropped after they were accepted.
    pub dropped: u64,
    /// Waiting or under way.
    pub queued: u64,
}

/// The queue; see the module.
#[derive(Debug)]
pub struct Queue {
    signal: Signal,
    bytes_max: u64,
    when_full: WhenFull,
    waiting: VecDeque<Payload>,
    in_flight: Vec<Payload>,
    /// Of both, with overhead.
    bytes: u64,
    counts: Counts,
}

impl Queue {
    /// An empty queue that holds at most `bytes_max` bytes, overhead included.
    pub fn new(signal: Signal, bytes_max: u64, when_full: WhenFull) -> Self {
        Self {
            signal,
            bytes_max,
            when_full,
            waiting: VecDeque::new(),
            in_flight: Vec::new(),
            bytes: 0,
            counts: Counts::default(),
        }
    }

    /// Bytes held, overhead included; those under way too.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Items by what became of them.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether nothing waits and nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.in_flight.is_empty()
    }

    /// Whether a batch is under way.
    pub fn is_under_way(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// Payloads that wait, those under way not counted.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether a payload of that many bytes fits without dropping anything.
    pub fn has_room(&self, payload_bytes: usize) -> bool {
        self.bytes.saturating_add(cost_of(payload_bytes)) <= self.bytes_max
    }

    /// Changes the bound; what no longer fits stays until it is delivered or dropped.
    pub fn set_bytes_max(&mut self, bytes_max: u64) {
        self.bytes_max = bytes_max;
    }

    /// Changes the policy.
    pub fn set_when_full(&mut self, when_full: WhenFull) {
        self.when_full = when_full;
    }

    /// Queues a payload behind the others.
    pub fn push(&mut self, payload: Payload) -> Push {
        let cost = cost(&payload);
        let under_way: u64 = self.in_flight.iter().map(self::cost).sum();
        let least = match self.when_full {
            WhenFull::DropOldest => under_way,
            WhenFull::Refuse => self.bytes,
        };
        if least.saturating_add(cost) > self.bytes_max {
            return Push::Refused;
        }
        let mut dropped = Dropped::default();
        while self.bytes.saturating_add(cost) > self.bytes_max
            && let Some(oldest) = self.drop_oldest()
        {
            dropped.items += oldest.items;
            dropped.bytes += oldest.bytes;
        }
        self.bytes += cost;
        self.counts.pushed += payload.items;
        self.counts.queued += payload.items;
        self.waiting.push_back(payload);
        if dropped == Dropped::default() {
            Push::Accepted
        } else {
            Push::AcceptedAfterDropping(dropped)
        }
    }

    /// Drops the oldest payload that is not under way; none when there is none.
    pub fn drop_oldest(&mut self) -> Option<Dropped> {
        let oldest = self.waiting.pop_front()?;
        Some(self.dropped(&[oldest]))
    }

    /// Takes payloads from the front until `bytes_max` is reached, at least one, as one request;
    /// none when nothing waits or a batch is under way. A single payload may be larger than
    /// `bytes_max`: the caller splits it.
    pub fn batch(&mut self, bytes_max: usize) -> Option<Batch> {
        if !self.in_flight.is_empty() {
            return None;
        }
        let mut length = 0_usize;
        while let Some(next) = self.waiting.front() {
            length = length.saturating_add(next.bytes.len());
            if !self.in_flight.is_empty() && length > bytes_max {
                break;
            }
            self.in_flight.extend(self.waiting.pop_front());
        }
        if self.in_flight.is_empty() {
            return None;
        }
        let parts: Vec<_> = self
            .in_flight
            .iter()
            .map(|payload| payload.bytes.clone())
            .collect();
        let items = self.in_flight.iter().map(|payload| payload.items).sum();
        let payload = Payload {
            signal: self.signal,
            bytes: merge(&parts),
            items,
        };
        Some(Batch {
            payload,
            payloads: parts.len(),
        })
    }

    /// The batch under way has arrived: it leaves the queue. Returns its items.
    pub fn ack(&mut self) -> u64 {
        self.ack_but(0)
    }

    /// The batch under way has arrived but for `dropped` of its items, which never will: it leaves
    /// the queue. Returns the items that arrived.
    pub fn ack_but(&mut self, dropped: u64) -> u64 {
        let settled = std::mem::take(&mut self.in_flight);
        let Dropped { items, .. } = self.remove(&settled);
        let dropped = dropped.min(items);
        self.counts.delivered += items - dropped;
        self.counts.dropped += dropped;
        items - dropped
    }

    /// The batch under way has not arrived: it waits again, in front.
    pub fn nack(&mut self) {
        for payload in self.in_flight.drain(..).rev() {
            self.waiting.push_front(payload);
        }
    }

    /// The batch under way will never arrive: it is dropped.
    pub fn discard(&mut self) -> Dropped {
        let lost = std::mem::take(&mut self.in_flight);
        self.dropped(&lost)
    }

    /// Drops everything.
    pub fn clear(&mut self) -> Dropped {
        self.nack();
        let lost: Vec<Payload> = self.waiting.drain(..).collect();
        self.dropped(&lost)
    }

    fn dropped(&mut self, payloads: &[Payload]) -> Dropped {
        let dropped = self.remove(payloads);
        self.counts.dropped += dropped.items;
        dropped
    }

    fn remove(&mut self, payloads: &[Payload]) -> Dropped {
        self.bytes -= payloads.iter().map(cost).sum::<u64>();
        let items = payloads.iter().map(|payload| payload.items).sum();
        self.counts.queued -= items;
        Dropped {
            items,
            bytes: payloads
                .iter()
                .map(|payload| payload.bytes.len() as u64)
                .sum(),
        }
    }
}

fn cost(payload: &Payload) -> u64 {
    cost_of(payload.bytes.len())
}

fn cost_of(payload_bytes: usize) -> u64 {
    (payload_bytes as u64).saturating_add(PAYLOAD_OVERHEAD_BYTES)
}

#[cfg(test)]
mod tests;
