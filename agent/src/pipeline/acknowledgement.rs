//! How a source learns that all destinations have what it sent.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

/// Resolves to true when every destination has acknowledged the payload, or has refused it for
/// good (then it is counted as rejected); to false when the agent stopped before.
#[derive(Debug)]
pub struct Acknowledgement(oneshot::Receiver<()>);

/// The other end: one for a payload, shared by the lanes it waits in.
#[derive(Debug)]
pub(super) struct Acknowledge {
    missing: AtomicUsize,
    done: Mutex<Option<oneshot::Sender<()>>>,
}

impl Acknowledgement {
    /// Waits for the acknowledgement.
    pub async fn acknowledged(self) -> bool {
        self.0.await.is_ok()
    }
}

impl Acknowledge {
    /// Both ends, for so many destinations; with none it is acknowledged at once.
    pub(super) fn new(destinations: usize) -> (Arc<Self>, Acknowledgement) {
        let (sender, receiver) = oneshot::channel();
        let missing = AtomicUsize::new(destinations.max(1));
        let acknowledge = Arc::new(Self {
            missing,
            done: Mutex::new(Some(sender)),
        });
        if destinations == 0 {
            acknowledge.by_one();
        }
        (acknowledge, Acknowledgement(receiver))
    }

    /// One destination has it.
    pub(super) fn by_one(&self) {
        if self.missing.fetch_sub(1, Ordering::AcqRel) == 1
            && let Some(done) = self.take()
        {
            // The source may have gone: then nobody wants to know.
            let _ = done.send(());
        }
    }

    /// One destination will never have it.
    pub(super) fn never(&self) {
        drop(self.take());
    }

    fn take(&self) -> Option<oneshot::Sender<()>> {
        self.done
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}
