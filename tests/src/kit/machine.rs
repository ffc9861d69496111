//! The machine that something is recorded on, and how busy it was.

use std::{env, fs};

use davy_agent_core::buildinfo;
use serde::{Deserialize, Serialize};

/// What Linux says of itself.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Machine {
    /// Logical processors.
    pub cores: usize,
    /// Their model.
    pub cpu: String,
    /// Release of Linux.
    pub kernel: String,
}

impl Machine {
    /// Reads `/proc`.
    ///
    /// # Errors
    ///
    /// When it can't be read.
    pub fn read() -> anyhow::Result<Self> {
        let info = fs::read_to_string("/proc/cpuinfo")?;
        let model = info.lines().find(|line| line.starts_with("model name"));
        let model = model.and_then(|line| line.split(": ").nth(1));
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        Ok(Self {
            cores: std::thread::available_parallelism()?.get(),
            cpu: model.unwrap_or("unknown").to_owned(),
            kernel: kernel.trim().to_owned(),
        })
    }
}

/// The commit that runs: as `make` says, else as the build said.
pub fn commit() -> String {
    env::var("DAVY_COMMIT").unwrap_or_else(|_| buildinfo::COMMIT.to_owned())
}

/// Processes that ran or wanted to, over the last minute; none where that can't be read.
pub fn load_average() -> Option<f64> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    text.split(' ').next()?.parse().ok()
}
