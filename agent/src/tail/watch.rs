//! Wakes the tail when something happens in a directory, by inotify.
//!
//! It only says *that* something happened: what, the tail finds out by looking. So a queue that
//! overflows, a link into an unwatched directory or a file system without inotify cost time, not
//! lines, for the tail looks once a second anyway.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use futures_util::StreamExt as _;
use inotify::{EventStream, Inotify, WatchMask};

/// Room for a few dozen events; what does not fit is read next.
const EVENT_BYTES: usize = 4096;

/// The watched directories.
pub(super) struct Watch {
    events: Option<EventStream<[u8; EVENT_BYTES]>>,
    watched: BTreeSet<PathBuf>,
}

impl Watch {
    /// Watches nothing yet; without inotify it never wakes, and the error says why.
    pub(super) fn new() -> (Self, Option<io::Error>) {
        let started =
            Inotify::init().and_then(|inotify| inotify.into_event_stream([0; EVENT_BYTES]));
        let (events, error) = match started {
            Ok(events) => (Some(events), None),
            Err(error) => (None, Some(error)),
        };
        let watched = BTreeSet::new();
        (Self { events, watched }, error)
    }

    /// Watches a directory, if it exists and is not watched yet.
    pub(super) fn add(&mut self, directory: &Path) {
        let Some(events) = self
            .events
            .as_ref()
            .filter(|_| !self.watched.contains(directory))
        else {
            return;
        };
        let mask = WatchMask::CREATE
            | WatchMask::DELETE
            | WatchMask::DELETE_SELF
            | WatchMask::MODIFY
            | WatchMask::MOVED_FROM
            | WatchMask::MOVED_TO
            | WatchMask::MOVE_SELF
            | WatchMask::ONLYDIR;
        if events.watches().add(directory, mask).is_ok() {
            self.watched.insert(directory.to_owned());
        }
    }

    /// Waits until something happened. Cancel-safe: an event that was not waited for stays queued.
    pub(super) async fn changed(&mut self) {
        let Some(events) = &mut self.events else {
            return std::future::pending().await;
        };
        match events.next().await {
            // A directory that is gone may come again, as another one.
            Some(Ok(event)) if event.mask.contains(inotify::EventMask::IGNORED) => {
                self.watched.clear();
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => self.events = None,
        }
    }
}
