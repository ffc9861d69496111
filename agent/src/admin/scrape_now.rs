//! `/scrape`: scrape and flush now, for the app's `preStop.httpGet`.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use davy_proto::Signal;
use http::StatusCode;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use super::{Answer, Ask, content, text, too_many};
use crate::clock;
use crate::pipeline::Intake;

/// Least time between two scrapes asked for from outside.
const EVERY: Duration = Duration::from_secs(1);
/// How long the answer waits for the scrape, and then for the destinations.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it looks whether the queues are empty.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// One at a time, at most one a second.
#[derive(Debug, Default)]
pub(super) struct ScrapeNow(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    is_busy: bool,
    last: Option<Instant>,
}

/// Ends the turn when it is dropped, an abandoned request's too.
struct Turn<'a>(&'a ScrapeNow);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_busy = false;
    }
}

impl ScrapeNow {
    /// Answers when what was scraped is delivered, or is still queued after a while.
    pub(super) async fn answer(&self, intake: &Intake, asks: &mpsc::Sender<Ask>) -> Answer {
        let Some(_turn) = self.turn(clock::monotonic()) else {
            return too_many("1");
        };
        let (reply, answer) = oneshot::channel();
        let asked = async {
            asks.send(Ask::Scrape(reply)).await.ok()?;
            answer.await.ok()
        };
        let Ok(Some(targets)) = tokio::time::timeout(PATIENCE, asked).await else {
            return text(
                StatusCode::SERVICE_UNAVAILABLE,
                "the agent is busy or stopping\n",
            );
        };
        let flushed = tokio::time::timeout(PATIENCE, flushed(intake))
            .await
            .is_ok();
        let body = json!({"scraped": targets, "delivered": flushed, "queued": !flushed});
        content(StatusCode::OK, "application/json", format!("{body}\n"))
    }

    fn turn(&self, now: Instant) -> Option<Turn<'_>> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_early = state
            .last
            .is_some_and(|last| now.duration_since(last) < EVERY);
        if state.is_busy || is_early {
            return None;
        }
        *state = State {
            is_busy: true,
            last: Some(now),
        };
        Some(Turn(self))
    }
}

async fn flushed(intake: &Intake) {
    let waits = || {
        let lanes = intake.lanes();
        lanes
            .iter()
            .any(|lane| lane.signal() == Signal::Metrics && lane.counts().queued > 0)
    };
    while waits() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_one_a_second() {
        let gate = ScrapeNow::default();
        let start = clock::monotonic();
        let first = gate.turn(start);
        assert!(first.is_some());
        assert!(gate.turn(start + EVERY).is_none(), "one is under way");
        drop(first);
        assert!(gate.turn(start + EVERY / 2).is_none(), "too soon");
        assert!(gate.turn(start + EVERY).is_some());
    }
}
