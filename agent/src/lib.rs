//! Sidecar that forwards metrics, logs and traces over OTLP.
//!
//! The shell of the agent: what reads files, sockets and clocks. What is done with the bytes is
//! `davy-agent-core`'s. [`running::Running`] is the agent at work, built from a
//! [`config::Config`] slice by slice: sources ([`scrape`], [`tail`], [`receive`]) put payloads into
//! the [`pipeline`], [`deliver`] takes them out, [`evidence`] watches.

use std::process::ExitCode;

use clap::Parser as _;

pub mod admin;
mod alarm;
pub mod cli;
pub mod clock;
pub mod command;
pub mod config;
pub mod deliver;
pub mod evidence;
pub mod pipeline;
pub mod receive;
pub mod reload;
pub mod running;
pub mod scrape;
pub mod shutdown;
pub mod status;
pub mod tail;
pub mod telemetry;

use cli::{Cli, Command};

/// Version of the agent.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Commit the agent was built from, `unknown` outside a build that says it.
pub const COMMIT: &str = or_unknown(option_env!("DAVY_COMMIT"));
/// When the agent was built, `unknown` outside a build that says it.
pub const BUILD_TIME: &str = or_unknown(option_env!("DAVY_BUILD_TIME"));
/// Architecture and operating system the agent was built for.
pub const TARGET: &str = if cfg!(target_arch = "aarch64") {
    "aarch64-linux"
} else {
    "x86_64-linux"
};

/// Exit code for bad usage and bad configuration (sysexits' EX_USAGE).
const EXIT_USAGE: u8 = 64;

/// Runs the program and returns its exit code: 0 done, 1 failed, 64 bad usage or configuration.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Standard error may be closed: the exit code says it all the same.
            let _ = error.print();
            return if error.use_stderr() {
                ExitCode::from(EXIT_USAGE)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    match dispatch(cli) {
        Ok(code) => code,
        Err(error) => {
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What `/version` says.
pub(crate) fn version() -> serde_json::Value {
    serde_json::json!({
        "name": "davy-agent",
        "version": VERSION,
        "commit": COMMIT,
        "build_time": BUILD_TIME,
        "target": TARGET,
    })
}

fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command.unwrap_or(Command::Run(cli.run)) {
        Command::Run(args) => command::run::run(&args),
        Command::Scrape(args) => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(Box::pin(command::scrape::run(&args)))
        }
        Command::Convert(args) => command::convert::run(&args),
        Command::Logs(args) => command::logs::run(&args),
        Command::CheckConfig(args) => command::check_config::run(&args),
        Command::Health(args) => command::health::run(&args),
        Command::Version => command::version::run(),
    }
}

const fn or_unknown(value: Option<&'static str>) -> &'static str {
    match value {
        Some(value) => value,
        None => "unknown",
    }
}

#[cfg(test)]
mod tests;
