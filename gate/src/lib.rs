//! The shell of the gate: receives evidence, lets `davy-gate-core` judge, answers and acts.
//!
//! Read [`command::serve`] for the whole of `serve`; [`engine`] owns the state, [`receive`] brings
//! evidence to it, [`api`] questions, [`actuate`] carries out what was decided.

pub mod actuate;
pub mod api;
pub mod cli;
pub mod clock;
pub mod command;
pub mod config;
pub mod engine;
mod figures;
pub mod listeners;
pub mod page;
pub mod policies;
pub mod receive;
pub mod record;
pub mod telemetry;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Bad usage or configuration (sysexits' `EX_USAGE`).
const EXIT_USAGE: u8 = 64;

/// Runs the program and returns its exit code.
pub fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, not mistakes; nothing can be done about a closed pipe.
            let _ = error.print();
            let mistake = error.use_stderr();
            return if mistake {
                ExitCode::from(EXIT_USAGE)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    start_logging();
    command::run(cli.command)
}

/// Logs go to standard error; `DAVY_LOG_LEVEL` filters them (`info`, or by module:
/// `info,hyper=debug`), `DAVY_LOG_FORMAT=json` is for machines.
fn start_logging() {
    let filter = std::env::var("DAVY_LOG_LEVEL").unwrap_or_else(|_| "info".to_owned());
    let filter = filter.parse::<Targets>().unwrap_or_else(|error| {
        eprintln!("davy-gate: DAVY_LOG_LEVEL: {error}; info holds");
        Targets::new().with_default(LevelFilter::INFO)
    });
    let lines = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE);
    let lines = lines.with_writer(std::io::stderr);
    let started = match std::env::var("DAVY_LOG_FORMAT").as_deref() {
        Ok("json") => lines
            .json()
            .flatten_event(true)
            .finish()
            .with(filter)
            .try_init(),
        _ => {
            let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
            lines
                .with_ansi(is_terminal)
                .finish()
                .with(filter)
                .try_init()
        }
    };
    if started.is_err() {
        eprintln!("davy-gate: a logger runs already");
    }
}
