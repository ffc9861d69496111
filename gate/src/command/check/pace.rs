//! When to scrape: at the ends of the grid's cells.

use std::time::Duration;

use davy_gate_core::cell::CELL_SECONDS;
use davy_proto::UnixNanos;

use crate::clock;

/// Longest wait for a page, so that it belongs to the cell that it closes.
pub(super) const TIMEOUT: Duration = Duration::from_secs(4);
/// Length of a cell.
const CELL: Duration = Duration::from_secs(CELL_SECONDS);

/// Where time comes from.
#[derive(Debug)]
pub(super) enum Pace {
    /// The wall clock.
    Clock,
    /// A cell's end every so often, whatever the clock says.
    #[cfg(test)]
    Every {
        /// Time between two scrapes.
        interval: Duration,
        /// The time that is claimed to be.
        at: UnixNanos,
    },
}

impl Pace {
    pub(super) fn now(&self) -> UnixNanos {
        match self {
            Self::Clock => clock::now(),
            #[cfg(test)]
            Self::Every { at, .. } => *at,
        }
    }

    pub(super) fn timeout(&self) -> Duration {
        TIMEOUT
    }

    /// Waits for the next end of a cell, or gives none when the deadline comes first.
    pub(super) async fn next(&mut self, deadline: UnixNanos) -> Option<UnixNanos> {
        let now = self.now();
        let next = now.floor(CELL).plus(CELL);
        let is_in_time = next <= deadline;
        self.wait(if is_in_time { next } else { deadline }).await;
        is_in_time.then_some(next)
    }

    async fn wait(&mut self, until: UnixNanos) {
        match self {
            // A timer may fire a moment early on the wall clock: the same end must not come twice.
            Self::Clock => loop {
                let left = until.since(clock::now());
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left).await;
            },
            #[cfg(test)]
            Self::Every { interval, at } => {
                tokio::time::sleep(*interval).await;
                *at = until;
            }
        }
    }
}
