//! A real gate as a process, both listeners on free ports of loopback.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::agent::sum;
use super::http::{self, Response};
use super::process::{Process, addresses};

const START: Duration = Duration::from_secs(20);
/// Largest answer of an evaluation, in bytes: what Argo keeps of a measurement is small.
const ANSWER_BYTES_MAX: usize = 2048;

/// A running gate; killed when dropped.
#[derive(Debug)]
pub struct Gate {
    /// The process.
    pub process: Process,
    /// `host:port` of API and page.
    pub http: String,
    /// `host:port` of OTLP.
    pub otlp: String,
}

impl Gate {
    /// Starts `serve` with this configuration file and these further arguments; its files are in
    /// `folder`.
    ///
    /// # Errors
    ///
    /// When it does not start; its log is in the error.
    pub fn start(
        binary: &str,
        folder: &Path,
        config: &str,
        arguments: &[&str],
    ) -> anyhow::Result<Self> {
        let (file, addresses_file) = (folder.join("gate.yaml"), folder.join("gate.addr"));
        fs::write(&file, config).context("write the configuration")?;
        let mut command = Command::new(binary);
        command
            .arg0("davy-gate")
            .env_clear()
            .env("DAVY_GATE_OTLP", "127.0.0.1:0")
            .env("DAVY_GATE_HTTP", "127.0.0.1:0");
        command.arg("serve").arg("--config").arg(file);
        command.arg("--addresses-file").arg(&addresses_file);
        command.args(arguments);
        let process = Process::start("davy-gate", &mut command, &folder.join("gate.out"))?;
        let mut listeners = addresses(&addresses_file, START).with_context(|| process.log())?;
        let mut listener = |name: &str| {
            let listener = listeners.remove(name);
            listener.with_context(|| format!("listener {name}"))
        };
        Ok(Self {
            http: listener("http")?,
            otlp: listener("otlp")?,
            process,
        })
    }

    /// Asks how a canary stands, as Argo does, and returns `data` of the answer.
    ///
    /// # Errors
    ///
    /// When the answer is not 200, not small, or no JSON.
    pub fn evaluate(&self, question: &str) -> anyhow::Result<Value> {
        let path = "/v1/evaluate";
        let json = [("content-type", "application/json")];
        let response = http::send(&self.http, "POST", path, &json, question.as_bytes())?;
        let text = response.text();
        ensure!(response.status == 200, "{}: {text}", response.status);
        let mut answer = evaluation(&response)?;
        Ok(answer.get_mut("data").context("data")?.take())
    }

    /// Sum of its own series of this name with these labels.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> anyhow::Result<f64> {
        Ok(sum(&http::page(&self.http, "/metrics")?, name, labels))
    }
}

/// What `/v1/evaluate` answered, whatever it is: JSON of the right type, and small.
///
/// # Errors
///
/// When it is not.
pub fn evaluation(response: &Response) -> anyhow::Result<Value> {
    let text = response.text();
    let kind = match response.status {
        200 => "application/json",
        _ => "application/problem+json",
    };
    let head = response.head.to_ascii_lowercase();
    ensure!(
        head.contains(&format!("content-type: {kind}\r\n")),
        "{head}"
    );
    ensure!(
        text.len() <= ANSWER_BYTES_MAX,
        "{} bytes: {text}",
        text.len()
    );
    serde_json::from_str(&text).with_context(|| text)
}
