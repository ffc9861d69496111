//! `davy-gate serve`: receive evidence, judge, answer, act.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{info, warn};

use super::{Usage, read_file};
use crate::actuate::Actuator;
use crate::cli::Serve;
use crate::config::Config;
use crate::engine::{Engine, Parts};
use crate::listeners::{Addresses, Listeners};
use crate::policies::Policies;
use crate::record::Recorder;
use crate::telemetry::Telemetry;

pub(super) async fn run(options: Serve) -> anyhow::Result<ExitCode> {
    let config = configuration(options.config.as_deref())?;
    let policies = Policies::read(&config.policy_files).map_err(|e| Usage(format!("{e:#}")))?;
    config.not_yet.iter().for_each(|what| warn!("{what}"));
    if policies.is_empty() {
        info!("no policy is configured: the standard one holds for every service");
    }
    warn!("state is kept in memory: a restart begins every attempt anew");
    let listeners = Listeners::bind(config.listen).await?;
    let addresses = listeners.addresses()?;
    let page_url = listeners.page_url(addresses);
    info!(otlp = %addresses.otlp, http = %addresses.http, page = page_url, "listening");
    if listeners.shows_tokens(addresses) {
        warn!("tokens travel in the clear: configure listen.tls, or put a proxy in front");
    }
    let recorder = options
        .record
        .map(Recorder::folder)
        .transpose()
        .context("make the folder")?;
    let telemetry = Arc::new(Telemetry::new());
    let engine = Engine::start(Parts {
        policies,
        actuator: Actuator::new(config.actuators),
        recorder,
        telemetry: Arc::clone(&telemetry),
        page_url,
    });
    let (stop, stopped) = watch::channel(false);
    let mut serving = listeners.serve(&engine, &telemetry, &stopped)?;
    // Only now can both listeners answer.
    if let Some(file) = &options.addresses_file {
        write_addresses(file, addresses)?;
    }
    let name = wait_for_signal().await?;
    info!(signal = name, "shutting down");
    stop.send_replace(true);
    while let Some(ended) = serving.join_next().await {
        ended.context("end a listener")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn configuration(file: Option<&Path>) -> anyhow::Result<Config> {
    let (name, text) = match file {
        Some(path) => (path.display().to_string(), read_file(path)?),
        None => ("defaults".to_owned(), String::new()),
    };
    let environment = |variable: &str| std::env::var(variable).ok();
    let config = Config::read(&name, &text, &environment);
    config.map_err(|mistakes| Usage(mistakes.to_string()).into())
}

/// Writes the addresses so that a reader finds all of them or none.
fn write_addresses(file: &Path, addresses: Addresses) -> anyhow::Result<()> {
    let addresses = BTreeMap::from([("http", addresses.http), ("otlp", addresses.otlp)]);
    let written = file.with_extension("partial");
    fs::write(&written, serde_json::to_string(&addresses)?)
        .and_then(|()| fs::rename(&written, file))
        .with_context(|| format!("write {}", file.display()))
}

async fn wait_for_signal() -> anyhow::Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate()).context("wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("wait for SIGINT")?;
    // Both branches are cancel-safe: a signal is heard or not.
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    })
}
