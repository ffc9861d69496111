//! `davy-agent run`: forward until told to stop.

use std::fs;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use tokio::sync::mpsc;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::admin::Ask;
use crate::cli::{OnConfigError, Run};
use crate::config::{self, File, Loaded, LogConfig};
use crate::reload::{self, LOOK_EVERY, Watched};
use crate::running::Running;
use crate::shutdown::{Signals, Told};
use crate::status;

/// Questions of admin and control that may wait.
const ASKS_MAX: usize = 16;

/// Runs until SIGTERM, SIGINT or `POST /shutdown`. Exit code 64 for a configuration with mistakes.
///
/// # Errors
///
/// What keeps the agent from starting: an address that can't be bound, a file that can't be read.
pub fn run(args: &Run) -> anyhow::Result<ExitCode> {
    let read = args.config.as_deref().map(reload::read).transpose();
    let is_strict = args.on_config_error == OnConfigError::Exit;
    let (file, unreadable) = match read {
        Ok(file) => (file, None),
        Err(error) if is_strict => {
            writeln!(io::stderr(), "{error:#}")?;
            return Ok(ExitCode::from(crate::EXIT_USAGE));
        }
        Err(error) => (None, Some(format!("{error:#}"))),
    };
    let loaded = match config::load(file.as_ref(), &reload::variable) {
        Ok(loaded) => loaded,
        Err(mistakes) if is_strict => {
            writeln!(io::stderr(), "{mistakes}")?;
            return Ok(ExitCode::from(crate::EXIT_USAGE));
        }
        Err(_) => config::load_degraded(file.as_ref(), &reload::variable),
    };
    log_to_stderr(&loaded.config.log);
    let watched = match (&args.config, file) {
        (Some(path), None) => Some(File {
            path: path.clone(),
            text: String::new(),
        }),
        (_, file) => file,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.context("starting the runtime")?;
    let forwarded = forward(args, loaded, unreadable, Watched::new(watched));
    runtime.block_on(Box::pin(forwarded))?;
    Ok(ExitCode::SUCCESS)
}

async fn forward(
    args: &Run,
    loaded: Loaded,
    unreadable: Option<String>,
    mut watched: Watched,
) -> anyhow::Result<()> {
    let mut signals = Signals::new().context("listening for signals")?;
    let (sender, mut asks) = mpsc::channel(ASKS_MAX);
    let version = loaded.version();
    let mut running = Box::pin(Running::start(loaded, sender)).await?;
    if let Some(error) = unreadable {
        tracing::error!(error, "configuration not used");
        running.refuse(error);
    }
    let addresses = running.addresses();
    if let Some(path) = &args.addresses_file {
        let listeners: Vec<_> = addresses
            .iter()
            .map(|(name, bound)| (*name, *bound))
            .collect();
        write_addresses(path, &listeners)?;
    }
    tracing::info!(
        version = crate::VERSION,
        configuration = version,
        ?addresses,
        "started"
    );
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        // All branches are cancel-safe: a signal's, a channel's and a timer's next.
        let is_told = tokio::select! {
            told = signals.next() => Some(told),
            ask = asks.recv() => match ask {
                Some(ask) => answer(&running, ask).await,
                None => None,
            },
            // Without a file there is nothing to wake up for.
            _ = look.tick(), if watched.has_file() => {
                Box::pin(watched.look(&mut running, false)).await;
                None
            }
        };
        match is_told {
            Some(Told::Reload) => Box::pin(watched.look(&mut running, true)).await,
            Some(Told::Stop) => break,
            None => {}
        }
    }
    tracing::info!("stopping");
    let lost = Box::pin(running.stop()).await;
    tracing::info!(items_lost = lost, "stopped");
    Ok(())
}

async fn answer(running: &Running, ask: Ask) -> Option<Told> {
    // Whoever asked may have given up waiting.
    match ask {
        Ask::Config(reply) => drop(reply.send(status::configuration(&running.loaded))),
        Ask::Scrape(reply) => drop(reply.send(running.scrape_now().await)),
        Ask::Shutdown => return Some(Told::Stop),
        Ask::Status(reply) => drop(reply.send(status::status(running))),
    }
    None
}

/// Writes the addresses beside the file and renames: whoever waits for it never reads a part.
fn write_addresses(path: &Path, listeners: &[(&str, SocketAddr)]) -> anyhow::Result<()> {
    let object: serde_json::Map<String, serde_json::Value> = listeners
        .iter()
        .map(|(name, bound)| ((*name).to_owned(), bound.to_string().into()))
        .collect();
    let context = || format!("writing {}", path.display());
    let mut beside = path.as_os_str().to_owned();
    beside.push(".tmp");
    fs::write(&beside, format!("{}\n", serde_json::Value::Object(object))).with_context(context)?;
    fs::rename(&beside, path).with_context(context)
}

fn log_to_stderr(log: &LogConfig) {
    // By module and level alone: `EnvFilter` can do more, and brings a regex engine of a megabyte.
    let filter: Targets = log.filter.parse().unwrap_or_default();
    let lines = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE);
    let lines = lines.with_writer(io::stderr);
    // An error means that someone else has set up logging already, which holds then.
    let _ = if log.is_json {
        lines
            .json()
            .flatten_event(true)
            .finish()
            .with(filter)
            .try_init()
    } else {
        let is_terminal = io::IsTerminal::is_terminal(&io::stderr());
        lines
            .with_ansi(is_terminal)
            .finish()
            .with(filter)
            .try_init()
    };
}
