//! A real Prometheus as a process.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;

use super::process::{Process, wait_until};
use super::{http, peers};

const START: Duration = Duration::from_secs(60);

/// Starts one that listens on `address` (`host:port`) and takes OTLP, with this configuration file
/// and these further flags; its files are in `folder`.
///
/// # Errors
///
/// When it can't be built or does not start; its log is in the error.
pub fn start(
    folder: &Path,
    address: &str,
    configuration: &str,
    flags: &[&str],
) -> anyhow::Result<Process> {
    let file = folder.join("prometheus.yaml");
    fs::write(&file, configuration).context("write the configuration")?;
    let mut command = Command::new(peers::prometheus()?);
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            folder.join("tsdb").display()
        ))
        .arg(format!("--web.listen-address={address}"))
        .arg("--web.enable-otlp-receiver")
        .args(flags);
    let process = Process::start("prometheus", &mut command, &folder.join("prometheus.out"))?;
    let is_ready = || http::page(address, "/-/ready").ok();
    wait_until("Prometheus", START, is_ready).with_context(|| process.log())?;
    Ok(process)
}
