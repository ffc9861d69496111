//! `davy-gate serve`: receive evidence, judge, answer, act.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use davy_transport::{ServerOptions, Token};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{info, warn};

use super::{Usage, read_file};
use crate::actuate::Actuator;
use crate::api::{self, Api};
use crate::cli::Serve;
use crate::config::Config;
use crate::engine::{Engine, Parts};
use crate::policies::Policies;
use crate::receive;
use crate::record::Recorder;
use crate::telemetry::Telemetry;

/// How long callers of the API may take to finish once the gate is told to end: a connection that
/// says nothing must not hold it.
const GRACE: Duration = Duration::from_secs(2);

pub(super) async fn run(options: Serve) -> anyhow::Result<ExitCode> {
    let config = configuration(options.config.as_deref())?;
    if config.listen.tls.is_some() {
        // Whoever asks for TLS must not get a gate that speaks in the clear.
        let message = "listen.tls: this version speaks no TLS: leave it out, listen on loopback \
                       and put a proxy in front";
        return Err(Usage(message.to_owned()).into());
    }
    let policies = Policies::read(&config.policy_files).map_err(|e| Usage(format!("{e:#}")))?;
    config.not_yet.iter().for_each(|what| warn!("{what}"));
    if policies.is_empty() {
        info!("no policy is configured: the standard one holds for every service");
    }
    warn!("state is kept in memory: a restart begins every attempt anew");
    let otlp = bind(config.listen.otlp).await?;
    let http = bind(config.listen.http).await?;
    let addresses = BTreeMap::from([("http", http.local_addr()?), ("otlp", otlp.local_addr()?)]);
    info!(otlp = %addresses["otlp"], http = %addresses["http"], "listening");
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
        page_url: format!("http://{}", addresses["http"]),
    });
    let tokens: Vec<Token> = config
        .listen
        .tokens
        .iter()
        .map(|text| Token::new(text))
        .collect();
    let (stop, stopped) = watch::channel(false);
    let ended = |mut stopped: watch::Receiver<bool>| async move {
        // An error means that the sender is gone, which is an end too.
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    let receiver = tokio::spawn(davy_transport::serve(
        otlp,
        ServerOptions {
            tokens: tokens.clone(),
            refusals: Some(Arc::clone(&telemetry) as _),
            ..ServerOptions::default()
        },
        receive::evidence(engine.clone(), Arc::clone(&telemetry)),
        ended(stopped.clone()),
    ));
    let router = api::router(Api {
        engine,
        telemetry,
        tokens: tokens.into(),
    });
    let answers = axum::serve(http, router).with_graceful_shutdown(ended(stopped));
    let answers = tokio::spawn(answers.into_future());
    // Only now can both listeners answer.
    if let Some(file) = &options.addresses_file {
        write_addresses(file, &addresses)?;
    }
    let name = wait_for_signal().await?;
    info!(signal = name, "shutting down");
    stop.send_replace(true);
    receiver.await.context("end the receiver")?;
    match tokio::time::timeout(GRACE, answers).await {
        Ok(answers) => answers.context("end the API")?.context("serve the API")?,
        Err(_) => info!("some callers were cut off"),
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

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("listen on {address}"))
}

/// Writes the addresses so that a reader finds all of them or none.
fn write_addresses(file: &Path, addresses: &BTreeMap<&str, SocketAddr>) -> anyhow::Result<()> {
    let written = file.with_extension("partial");
    fs::write(&written, serde_json::to_string(addresses)?)
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
