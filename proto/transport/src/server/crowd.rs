//! The bound on connections, and who goes when it is reached.
//!
//! Where all slots are taken, the connection that has been without a request for the longest time
//! is ended for the next one that comes: peers that open connections and say nothing, or half of a
//! request, can't keep out who has something to ask. A connection whose request is under way is
//! never ended so; when all are, the next one waits until one of them is done, as their requests
//! are timed.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// How often the next connection looks for one to end: one that was told to may have got a
/// request just then.
const DISPLACE_INTERVAL: Duration = Duration::from_millis(10);

/// All connections of a listener.
#[derive(Debug)]
pub(super) struct Crowd {
    slots: Arc<Semaphore>,
    waiting: Mutex<Waiting>,
}

/// Connections without a request, the longest first.
#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    ends: BTreeMap<u64, oneshot::Sender<()>>,
}

/// The place of a connection among those that wait; given up on drop.
#[derive(Debug)]
pub(super) struct Place<'a> {
    crowd: &'a Crowd,
    number: u64,
    end: oneshot::Receiver<()>,
}

impl Crowd {
    /// A crowd of that many connections at most.
    pub(super) fn new(connections_max: usize) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(connections_max)),
            waiting: Mutex::default(),
        }
    }

    /// A slot for one more connection, once there is one.
    pub(super) async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
            return Some(slot);
        }
        let mut acquiring = pin!(Arc::clone(&self.slots).acquire_owned());
        loop {
            self.displace();
            // Cancel-safe: acquiring keeps its turn, the pause keeps nothing.
            tokio::select! {
                slot = &mut acquiring => return slot.ok(),
                () = tokio::time::sleep(DISPLACE_INTERVAL) => {}
            }
        }
    }

    /// Tells the connection that has waited longest to end, if any waits.
    pub(super) fn displace(&self) {
        let longest = self.lock().ends.pop_first();
        if let Some((_, end)) = longest {
            // An error means that it is about to get a request, or to go by itself.
            let _ = end.send(());
        }
    }

    /// Takes a place at the end.
    pub(super) fn wait(&self) -> Place<'_> {
        let (tell, end) = oneshot::channel();
        let mut waiting = self.lock();
        let number = waiting.next;
        waiting.next += 1;
        waiting.ends.insert(number, tell);
        Place {
            crowd: self,
            number,
            end,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    /// Resolves when this connection has to go for another one.
    pub(super) async fn displaced(&mut self) {
        // The sender is dropped only once it has told.
        let _ = (&mut self.end).await;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.crowd.lock().ends.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_longest_waiting_goes_first() {
        let crowd = Crowd::new(1);
        let mut first = crowd.wait();
        let mut second = crowd.wait();
        crowd.displace();
        first.displaced().await;
        assert!(
            second.end.try_recv().is_err(),
            "one goes for one that comes"
        );
        drop(second);
        crowd.displace();
        assert!(crowd.lock().ends.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_slot_is_waited_for_until_one_gives_way() {
        let crowd = Crowd::new(1);
        let slot = crowd.slot().await;
        assert!(slot.is_some());
        let busy = tokio::time::timeout(Duration::from_secs(9), crowd.slot()).await;
        assert!(busy.is_err(), "nobody waits: nobody goes");
        let leaving = async {
            let mut place = crowd.wait();
            place.displaced().await;
            drop(slot);
        };
        let (slot, ()) = tokio::join!(crowd.slot(), leaving);
        assert!(slot.is_some());
    }
}
