//! `davy-agent check-config`: what holds and where it comes from, or all mistakes.

use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::cli::CheckConfig;
use crate::{config, reload};

/// Prints a line for each value; exit code 64, with all mistakes on standard error, when there are
/// any.
///
/// # Errors
///
/// The result can't be written.
pub fn run(args: &CheckConfig) -> anyhow::Result<ExitCode> {
    let file = match args.config.as_deref().map(reload::read).transpose() {
        Ok(file) => file,
        Err(error) => {
            writeln!(io::stderr(), "{error:#}")?;
            return Ok(ExitCode::from(crate::EXIT_USAGE));
        }
    };
    let loaded = match config::load(file.as_ref(), &reload::variable) {
        Ok(loaded) => loaded,
        Err(mistakes) => {
            writeln!(io::stderr(), "{mistakes}")?;
            return Ok(ExitCode::from(crate::EXIT_USAGE));
        }
    };
    let mut out = io::stdout().lock();
    let width = loaded
        .settings
        .iter()
        .map(|setting| setting.path.len())
        .max()
        .unwrap_or(0);
    for setting in &loaded.settings {
        writeln!(
            out,
            "{:width$}  {}  ({})",
            setting.path, setting.value, setting.origin
        )?;
    }
    for warning in &loaded.warnings {
        writeln!(io::stderr(), "warning: {warning}")?;
    }
    Ok(ExitCode::SUCCESS)
}
