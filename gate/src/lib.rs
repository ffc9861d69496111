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
pub mod page;
pub mod policies;
pub mod receive;
pub mod record;
pub mod telemetry;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

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

/// Logs go to standard error; `DAVY_LOG_LEVEL` filters them, `DAVY_LOG_FORMAT=json` is for machines.
fn start_logging() {
    let filter = EnvFilter::try_from_env("DAVY_LOG_LEVEL").unwrap_or_else(|_| "info".into());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let started = match std::env::var("DAVY_LOG_FORMAT").as_deref() {
        Ok("json") => builder.json().try_init(),
        _ => builder.try_init(),
    };
    if started.is_err() {
        eprintln!("davy-gate: a logger runs already");
    }
}
