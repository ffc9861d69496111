//! The verbs of the command line, and how they end.

mod check;
mod check_policy;
mod health;
pub mod replay;
mod serve;
mod session;
mod simulate;
mod summary;

use std::process::ExitCode;

use anyhow::Context;

use crate::EXIT_USAGE;
use crate::cli::Command;

/// Something in the program itself is broken (sysexits' `EX_SOFTWARE`).
const EXIT_INTERNAL: u8 = 70;

/// A mistake of the caller: a flag, a file, a configuration.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// Runs one command to its exit code.
pub fn run(command: Command) -> ExitCode {
    let result = match command {
        Command::Serve(options) => on_runtime(serve::run(options)),
        Command::Check(options) => on_runtime(check::run(options)),
        Command::Replay(options) => replay::run(&options),
        Command::Simulate(options) => simulate::run(&options),
        Command::CheckPolicy(options) => check_policy::run(&options),
        Command::Health(options) => on_runtime(health::run(options)),
        Command::Version => {
            println!("{}", version());
            Ok(ExitCode::SUCCESS)
        }
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("davy-gate: {error:#}");
            let usage = error.downcast_ref::<Usage>().is_some();
            ExitCode::from(if usage { EXIT_USAGE } else { EXIT_INTERNAL })
        }
    }
}

/// Version, commit, build time and target, in a line.
pub fn version() -> String {
    use davy_agent_core::buildinfo::{BUILD_TIME, COMMIT, TARGET, VERSION};
    format!("davy-gate {VERSION} (commit {COMMIT}, built {BUILD_TIME}, {TARGET})")
}

fn on_runtime(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder
        .worker_threads(2)
        .enable_all()
        .build()
        .context("start the runtime")?;
    runtime.block_on(work)
}

/// Reads a file that the user named.
pub(crate) fn read_file(path: &std::path::Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path)
        .map_err(|error| Usage(format!("cannot read {}: {error}", path.display())).into())
}
