//! `davy-agent version`.

use std::io::{self, Write as _};
use std::process::ExitCode;

/// Prints version, commit, build time and target.
///
/// # Errors
///
/// The result can't be written.
pub fn run() -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    writeln!(out, "davy-agent {}", crate::VERSION)?;
    writeln!(out, "commit {}", crate::COMMIT)?;
    writeln!(out, "built {}", crate::BUILD_TIME)?;
    writeln!(out, "target {}", crate::TARGET)?;
    Ok(ExitCode::SUCCESS)
}
