//! The destinations at work.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use davy_proto::Signal;
use futures_util::future::join_all;

use crate::config::DestinationConfig;
use crate::deliver::Destination;
use crate::pipeline::{Feed, Intake, Lane};
use crate::telemetry::DropReason;

/// How long a destination that left the configuration goes on delivering what it holds.
const FAREWELL: Duration = Duration::from_secs(10);

/// Time for requests under way when a destination gets another client.
const HANDOVER: Duration = Duration::from_secs(1);

/// All destinations, by their configurations.
#[derive(Debug, Default)]
pub(crate) struct Outputs {
    running: Vec<(DestinationConfig, Destination)>,
    has_tails: bool,
}

impl Outputs {
    /// The destinations.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &(DestinationConfig, Destination)> {
        self.running.iter()
    }

    /// Replaces what differs; returns whether anything did.
    pub(super) async fn replace(
        &mut self,
        wanted: &[DestinationConfig],
        has_tails: bool,
        intake: &Intake,
    ) -> anyhow::Result<bool> {
        let tails_changed = has_tails != self.has_tails;
        self.has_tails = has_tails;
        let is_same = |running: &DestinationConfig| {
            let logs = running.signals.contains(&Signal::Logs);
            wanted.contains(running) && !(tails_changed && logs)
        };
        let (kept, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut self.running)
            .into_iter()
            .partition(|(old, _)| is_same(old));
        self.running = kept;
        let mut changed = !gone.is_empty();
        let mut waiting: Vec<Arc<Lane>> = Vec::new();
        for (old, destination) in gone {
            let stays = wanted.iter().any(|new| new.name == old.name);
            if stays {
                // What it holds goes on to its successor.
                waiting.extend(destination.release(HANDOVER).await);
            } else {
                intake.remove_lanes(&old.name);
                for signal in &old.signals {
                    intake.telemetry().forget_queue(*signal, &old.name);
                }
                tokio::spawn(destination.finish(FAREWELL, DropReason::DestinationRemoved));
            }
        }
        for config in wanted {
            if self.running.iter().any(|(running, _)| running == config) {
                continue;
            }
            let destination = start(config, has_tails, &mut waiting, intake)?;
            self.running.push((config.clone(), destination));
            changed = true;
        }
        for lane in waiting {
            intake.remove_lane(&lane);
            lane.abandon(DropReason::DestinationRemoved);
        }
        Ok(changed)
    }

    /// Delivers what is queued for at most `grace`; returns how many items were lost.
    pub(super) async fn finish(&mut self, grace: Duration, reason: DropReason) -> u64 {
        let running = std::mem::take(&mut self.running);
        let finished = running
            .into_iter()
            .map(|(_, destination)| destination.finish(grace, reason));
        join_all(finished).await.into_iter().sum()
    }
}

/// Starts a destination, with the lanes of its predecessor where it had them.
fn start(
    config: &DestinationConfig,
    has_tails: bool,
    waiting: &mut Vec<Arc<Lane>>,
    intake: &Intake,
) -> anyhow::Result<Destination> {
    let client = config
        .client()
        .with_context(|| format!("destination {}", config.name))?;
    let client = Arc::new(client);
    let mut feeds: Vec<(Signal, Feed)> = config
        .signals
        .iter()
        .map(|signal| (*signal, Feed::Stream))
        .collect();
    if has_tails && config.signals.contains(&Signal::Logs) {
        feeds.push((Signal::Logs, Feed::Tail));
    }
    let mut routes = Vec::with_capacity(feeds.len());
    for (signal, feed) in feeds {
        let inherited = waiting.iter().position(|lane| {
            lane.destination() == config.name && lane.signal() == signal && lane.feed() == feed
        });
        let lane = match inherited {
            Some(index) => waiting.swap_remove(index),
            None => intake.add_lane(&config.name, signal, feed),
        };
        routes.push((lane, Arc::clone(&client)));
    }
    Ok(Destination::start(&config.name, routes, intake.telemetry()))
}
