//! A real agent as a process, every listener on a free port of loopback.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;

use super::http;
use super::process::{POLL, Process, addresses};

const START: Duration = Duration::from_secs(20);
/// Longer than the agent's own grace for its last batches.
const GRACE: Duration = Duration::from_secs(25);

/// A running agent; killed when dropped.
#[derive(Debug)]
pub struct Agent {
    /// The process.
    pub process: Process,
    listeners: BTreeMap<String, String>,
}

impl Agent {
    /// The command that runs `binary` with nothing of this process's environment: free ports on
    /// every listener, and these variables.
    pub fn command(binary: &str, variables: &[(&str, &str)]) -> Command {
        let mut command = Command::new(binary);
        command
            .arg0("davy-agent")
            .env_clear()
            .env("DAVY_RECEIVE_GRPC", "127.0.0.1:0")
            .env("DAVY_RECEIVE_HTTP", "127.0.0.1:0")
            .env("DAVY_ADMIN", "127.0.0.1:0")
            .env("DAVY_CONTROL", "127.0.0.1:0")
            .envs(variables.iter().copied());
        command
    }

    /// Starts it with environment variables alone, its files in `folder`.
    ///
    /// # Errors
    ///
    /// When it does not start; its log is in the error.
    pub fn start(binary: &str, folder: &Path, variables: &[(&str, &str)]) -> anyhow::Result<Self> {
        Self::start_with(binary, folder, variables, &[] as &[&str])
    }

    /// The same with arguments after `run`.
    ///
    /// # Errors
    ///
    /// When it does not start; its log is in the error.
    pub fn start_with(
        binary: &str,
        folder: &Path,
        variables: &[(&str, &str)],
        arguments: &[impl AsRef<OsStr>],
    ) -> anyhow::Result<Self> {
        let file = folder.join("agent.addr");
        let mut command = Self::command(binary, variables);
        command.arg("run").args(arguments);
        command.arg("--addresses-file").arg(&file);
        let process = Process::start("davy-agent", &mut command, &folder.join("agent.out"))?;
        let listeners = addresses(&file, START).with_context(|| process.log())?;
        Ok(Self { process, listeners })
    }

    /// `host:port` of a listener: `otlp_grpc`, `otlp_http`, `admin`, `control`.
    ///
    /// # Errors
    ///
    /// When the agent has no such listener.
    pub fn listener(&self, name: &str) -> anyhow::Result<&str> {
        let listener = self.listeners.get(name);
        Ok(listener
            .with_context(|| format!("listener {name}"))?
            .as_str())
    }

    /// `http://host:port` of a listener.
    ///
    /// # Errors
    ///
    /// When the agent has no such listener.
    pub fn url(&self, listener: &str) -> anyhow::Result<String> {
        Ok(format!("http://{}", self.listener(listener)?))
    }

    /// Its own metrics, as text.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub fn metrics(&self) -> anyhow::Result<String> {
        http::page(self.listener("admin")?, "/metrics")
    }

    /// Sum of its own series of this name with these labels.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> anyhow::Result<f64> {
        Ok(sum(&self.metrics()?, name, labels))
    }

    /// Waits until a metric is as wanted.
    ///
    /// # Errors
    ///
    /// When it is not after `limit`; the message has its last value.
    pub async fn wait_for_metric(
        &self,
        limit: Duration,
        (name, labels): (&str, &[(&str, &str)]),
        wanted: impl Fn(f64) -> bool,
    ) -> anyhow::Result<f64> {
        let end = tokio::time::Instant::now() + limit;
        loop {
            let value = self.metric(name, labels)?;
            if wanted(value) {
                return Ok(value);
            }
            if tokio::time::Instant::now() >= end {
                anyhow::bail!("after {limit:?} {name}{labels:?} is {value}");
            }
            tokio::time::sleep(POLL * 5).await;
        }
    }

    /// Asks it to end, and waits until it has delivered what it can.
    ///
    /// # Errors
    ///
    /// When it does not end in time or not well; its log is in the error.
    pub fn stop(mut self) -> anyhow::Result<()> {
        let status = self.process.terminate(GRACE)?;
        anyhow::ensure!(status.success(), "{status}:\n{}", self.process.log());
        Ok(())
    }
}

/// Sum of the series of `name` with these labels on a metrics page; 0 when there is none.
pub fn sum(page: &str, name: &str, labels: &[(&str, &str)]) -> f64 {
    let matches = |line: &&str| {
        let end = line.find(['{', ' ']).unwrap_or(line.len());
        let pair = |(key, value): &(&str, &str)| {
            let pair = format!("{key}=\"{value}\"");
            line.contains(&format!("{{{pair}")) || line.contains(&format!(",{pair}"))
        };
        line.get(..end) == Some(name) && labels.iter().all(pair)
    };
    let value = |line: &str| line.rsplit(' ').next()?.parse::<f64>().ok();
    page.lines().filter(matches).filter_map(value).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_summed_by_labels() {
        let page = "# TYPE a counter\na_total{x=\"1\",y=\"2\"} 3\n\
                    a_total{x=\"1\",y=\"3\"} 4\nab_total 9\n";
        assert_eq!(sum(page, "a_total", &[("x", "1")]), 7.0);
        assert_eq!(sum(page, "a_total", &[("y", "3")]), 4.0);
        assert_eq!(sum(page, "ab_total", &[]), 9.0);
        assert_eq!(sum(page, "a", &[]), 0.0);
    }
}
