//! The agent at work: every component from its slice of the configuration, each replaced alone.
//!
//! Starting is applying a configuration to an agent that has nothing. What a new version has in
//! common with the one before goes on untouched; what differs is built anew, the new part before
//! the old one ends where both can stand side by side.

mod gate;
mod outputs;
mod receivers;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use davy_proto::UnixNanos;
use futures_util::future::join_all;
use tokio::sync::mpsc;

use crate::admin::{Ask, Server};
use crate::clock;
use crate::config::{Config, Loaded};
use crate::pipeline::Intake;
use crate::scrape::{Scrape, Target};
use crate::tail::{StartAt, Tail, TailSettings};
use crate::telemetry::{DropReason, Telemetry};
use gate::Gate;
use outputs::Outputs;
use receivers::Receivers;

/// Time for the last scrape and for files to be read to their ends.
const LAST_LOOK: Duration = Duration::from_secs(1);
/// Time for what is queued to be delivered at the end: less than any orchestrator's patience.
pub const FLUSH: Duration = Duration::from_secs(2);

/// A running agent.
#[derive(Debug)]
pub struct Running {
    pub(crate) loaded: Loaded,
    pub(crate) started: UnixNanos,
    pub(crate) applied: UnixNanos,
    /// Why the version on disk does not hold, or not wholly.
    pub(crate) error: Option<String>,
    pub(crate) intake: Intake,
    pub(crate) scrapes: Vec<(Target, Scrape)>,
    pub(crate) tails: Vec<(TailSettings, Tail)>,
    pub(crate) outputs: Outputs,
    pub(crate) gate: Gate,
    receivers: Receivers,
    admin: Server,
    control: Server,
}

impl Running {
    /// Starts an agent; `asks` is where its admin and control servers send what they are asked.
    ///
    /// # Errors
    ///
    /// An address that can't be bound is named.
    pub async fn start(loaded: Loaded, asks: mpsc::Sender<Ask>) -> anyhow::Result<Self> {
        let telemetry = Telemetry::new();
        let spool = loaded.config.spool;
        let intake = Intake::new(spool.bytes_max, spool.when_full, telemetry);
        let now = clock::now();
        let mut running = Self {
            started: now,
            applied: now,
            error: None,
            scrapes: Vec::new(),
            tails: Vec::new(),
            outputs: Outputs::default(),
            gate: Gate::default(),
            receivers: Receivers::default(),
            admin: Server::new("admin", intake.clone(), asks.clone()),
            control: Server::new("control", intake.clone(), asks),
            intake,
            loaded: loaded.clone(),
        };
        running.replace(&loaded.config).await?;
        running.tell(&loaded);
        Ok(running)
    }

    /// Replaces what differs between the configuration that holds and this one, and says what that
    /// was. Everything else goes on.
    ///
    /// # Errors
    ///
    /// An address that can't be bound is named; all that could be applied is.
    pub async fn apply(&mut self, loaded: Loaded) -> anyhow::Result<Vec<&'static str>> {
        let replaced = self.replace(&loaded.config).await;
        self.applied = clock::now();
        self.tell(&loaded);
        if loaded.config.log != self.loaded.config.log {
            tracing::warn!("`log` is read at the start: restart the agent to change it");
        }
        self.loaded = loaded;
        if let Err(error) = &replaced {
            self.error = Some(format!("{error:#}"));
        }
        replaced
    }

    /// Notes that the version on disk is not used, and why.
    pub fn refuse(&mut self, error: String) {
        self.error = Some(error);
    }

    /// The addresses as bound, by listener.
    pub fn addresses(&self) -> BTreeMap<&'static str, SocketAddr> {
        let mut addresses = self.receivers.addresses();
        for server in [&self.admin, &self.control] {
            addresses.extend(server.bound().map(|bound| (server.name(), bound)));
        }
        addresses
    }

    /// Where sources put what they have.
    pub fn intake(&self) -> &Intake {
        &self.intake
    }

    /// Scrapes all targets out of turn; returns how many, when what was read is in the pipeline.
    pub async fn scrape_now(&self) -> usize {
        join_all(self.scrapes.iter().map(|(_, scrape)| scrape.scrape_now()))
            .await
            .len()
    }

    /// Ends: a last scrape, log files to their ends, then everything queued is delivered for at
    /// most [`FLUSH`]. Returns how many items were lost, counted.
    pub async fn stop(mut self) -> u64 {
        let (scrapes, tails) = (
            std::mem::take(&mut self.scrapes),
            std::mem::take(&mut self.tails),
        );
        // At once: an app that is told to end beside the agent still answers for a moment.
        let scraped = join_all(scrapes.iter().map(|(_, scrape)| scrape.last(LAST_LOOK)));
        let read = join_all(tails.into_iter().map(|(_, tail)| tail.stop(LAST_LOOK)));
        let (_, read) = tokio::join!(scraped, read);
        if read.contains(&false) {
            tracing::warn!("a log file was not read to its end");
        }
        self.receivers.stop().await;
        let ((), lost) = tokio::join!(
            self.gate.stop(),
            self.outputs.finish(FLUSH, DropReason::Shutdown)
        );
        self.admin.stop();
        self.control.stop();
        lost
    }

    async fn replace(&mut self, config: &Config) -> anyhow::Result<Vec<&'static str>> {
        let mut replaced = Vec::new();
        let mut note = |what: &'static str, changed: bool| {
            if changed {
                replaced.push(what);
            }
        };
        let spool = config.spool;
        if spool != self.loaded.config.spool {
            self.intake.set_bounds(spool.bytes_max, spool.when_full);
            note("spool", true);
        }
        self.intake.telemetry().queue_bytes_max(spool.bytes_max);
        // Destinations first: nothing that comes in may find none.
        let has_tails = !config.logs.is_empty();
        let changed = self
            .outputs
            .replace(&config.export, has_tails, &self.intake)
            .await;
        note("export", changed.context("starting a destination")?);
        let changed = self.gate.replace(config.gate.as_ref(), &self.intake);
        note("gate", changed.context("starting the evidence")?);
        let enrichment = config.resource.enrichment();
        let changed = self
            .receivers
            .replace(&config.receive, enrichment, &self.intake)
            .await;
        let receivers = changed.context("starting the receivers");
        note("receive", *receivers.as_ref().unwrap_or(&false));
        let scrapes = self.replace_scrapes(&config.scrape);
        note("scrape", *scrapes.as_ref().unwrap_or(&true));
        note("logs", self.replace_tails(&config.logs).await);
        let admin = self.admin.replace(config.admin).await;
        note("admin", *admin.as_ref().unwrap_or(&false));
        let control = self.control.replace(config.control).await;
        note("control", *control.as_ref().unwrap_or(&false));
        receivers.and(scrapes).and(admin).and(control)?;
        Ok(replaced)
    }

    fn replace_scrapes(&mut self, targets: &[Target]) -> anyhow::Result<bool> {
        let before = self.scrapes.len();
        let (kept, gone) = std::mem::take(&mut self.scrapes)
            .into_iter()
            .partition(|(target, _)| targets.contains(target));
        self.scrapes = kept;
        let gone: Vec<(Target, Scrape)> = gone;
        let mut changed = !gone.is_empty() && before > 0;
        let mut failed = None;
        for (_, scrape) in gone {
            // A scrape under way ends on its own, within its timeout.
            tokio::spawn(scrape.stop());
        }
        for target in targets {
            if !self.scrapes.iter().any(|(running, _)| running == target) {
                changed = true;
                match Scrape::start(target.clone(), self.intake.clone()) {
                    Ok(scrape) => self.scrapes.push((target.clone(), scrape)),
                    Err(error) => failed = Some((&target.name, error)),
                }
            }
        }
        match failed {
            Some((name, error)) => Err(error).with_context(|| format!("scraping {name}")),
            None => Ok(changed),
        }
    }

    /// A tail whose settings changed is read to its end first; its successor goes on from there.
    async fn replace_tails(&mut self, tails: &[TailSettings]) -> bool {
        let (kept, gone) = std::mem::take(&mut self.tails)
            .into_iter()
            .partition(|(settings, _)| tails.contains(settings));
        self.tails = kept;
        let gone: Vec<(TailSettings, Tail)> = gone;
        let mut changed = !gone.is_empty();
        let mut paths: Vec<Vec<String>> = Vec::new();
        for (settings, tail) in gone {
            tail.stop(LAST_LOOK).await;
            paths.push(settings.paths);
        }
        for settings in tails {
            if self.tails.iter().any(|(running, _)| running == settings) {
                continue;
            }
            let mut starting = settings.clone();
            if paths.contains(&settings.paths) {
                starting.start_at = StartAt::End;
            }
            self.tails
                .push((settings.clone(), Tail::start(starting, self.intake.clone())));
            changed = true;
        }
        changed
    }

    /// Says what the configuration itself says of it.
    fn tell(&mut self, loaded: &Loaded) {
        for warning in &loaded.warnings {
            tracing::warn!(warning, "configuration");
        }
        self.error = loaded.mistakes.as_ref().map(ToString::to_string);
        if let Some(mistakes) = &self.error {
            tracing::error!(
                mistakes,
                "configuration has mistakes: what has none goes on"
            );
        }
    }
}

#[cfg(test)]
mod tests;
