//! The real shop as a process, fast and quiet unless told otherwise.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;

use super::process::{Process, address};
use super::{http, peers};

const START: Duration = Duration::from_secs(20);

/// A running shop; killed when dropped.
#[derive(Debug)]
pub struct Shop {
    /// The process.
    pub process: Process,
    /// `host:port` as bound.
    pub authority: String,
}

impl Shop {
    /// Builds it if need be and starts it with its files in `folder` (the log is `shop.log`), and
    /// with these variables over the defaults: a free port, 20 ms at P99, no errors, no traces.
    ///
    /// # Errors
    ///
    /// When Go fails, or the shop does not start.
    pub fn start(folder: &Path, variables: &[(&str, &str)]) -> anyhow::Result<Self> {
        Self::start_program(&peers::shop()?, folder, variables)
    }

    /// The same from a binary of the caller's.
    ///
    /// # Errors
    ///
    /// When the shop does not start.
    pub fn start_program(
        program: &Path,
        folder: &Path,
        variables: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let file = folder.join("shop.addr");
        // What an earlier start left would be taken for this one's.
        let _ = fs::remove_file(&file);
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("GOMAXPROCS", "1")
            .env("SHOP_ADDR", "127.0.0.1:0")
            .env("SHOP_ADDR_FILE", &file)
            .env("SHOP_LOG_FILE", folder.join("shop.log"))
            .env("SHOP_LATENCY_P99", "20ms")
            .env("SHOP_ERROR_RATE", "0")
            .env("SHOP_CPU_PER_REQUEST", "0s")
            .env("OTEL_TRACES_EXPORTER", "none")
            .envs(variables.iter().copied());
        let process = Process::start("shop", &mut command, &folder.join("shop.out"))?;
        let authority = address(&file, START).with_context(|| process.log())?;
        Ok(Self { process, authority })
    }

    /// Buys `count` times, over two routes.
    ///
    /// # Errors
    ///
    /// When the shop does not answer.
    pub fn visit(&self, count: usize) -> anyhow::Result<()> {
        for n in 0..count {
            let path = if n % 2 == 0 {
                "/products"
            } else {
                "/products/7"
            };
            http::page(&self.authority, path)?;
        }
        Ok(())
    }
}
