//! A program under test, with defaults of its own but for where it scrapes and where it sends.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::ValueEnum;
use davy_tests::kit::agent::Agent;
use davy_tests::kit::peers;
use davy_tests::kit::process::{Process, free_port};
use serde_json::{Value, json};

use super::count::Protocol;

/// How long a subject may take to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who scrapes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum Kind {
    /// The agent, with zstd.
    Agent,
    /// The OpenTelemetry Collector: receiver `prometheus`, processor `batch`, exporter `otlphttp`
    /// with zstd.
    Collector,
    /// Prometheus as an agent, with remote write.
    Prometheus,
    /// vmagent, with remote write.
    Vmagent,
}

impl Kind {
    /// What it is called in paths.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Agent => "davy",
            Self::Collector => "collector",
            Self::Prometheus => "prometheus",
            Self::Vmagent => "vmagent",
        }
    }

    /// What it is called in tables, with its version.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Agent => "davy-agent",
            Self::Collector => "Collector 0.165",
            Self::Prometheus => "Prometheus 3.16 agent",
            Self::Vmagent => "vmagent 1.151",
        }
    }

    pub(super) fn protocol(self) -> Protocol {
        match self {
            Self::Agent | Self::Collector => Protocol::Otlp,
            Self::Prometheus | Self::Vmagent => Protocol::RemoteWrite,
        }
    }

    /// Its program, built if need be.
    ///
    /// # Errors
    ///
    /// When it can't be built.
    pub(super) fn program(self, agent: &Path) -> anyhow::Result<PathBuf> {
        match self {
            Self::Agent => Ok(agent.to_owned()),
            Self::Collector => peers::collector(peers::Collector::Sidecar),
            Self::Prometheus => peers::prometheus(),
            Self::Vmagent => peers::vmagent(),
        }
    }
}

/// What a subject works on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work<'w> {
    /// `host:port` of the pages.
    pub(super) pages: &'w str,
    /// `host:port` of the sink.
    pub(super) sink: &'w str,
    /// Targets, all alike.
    pub(super) targets: usize,
    /// Seconds from scrape to scrape.
    pub(super) interval: u64,
}

/// A subject that runs; killed when dropped.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) kind: Kind,
    pub(super) binary: PathBuf,
    pub(super) pid: u32,
    running: Running,
}

#[derive(Debug)]
enum Running {
    Agent(Agent),
    Peer(Process),
}

impl Subject {
    /// Starts it with its files in `folder`.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub(super) fn start(
        kind: Kind,
        agent: &Path,
        folder: &Path,
        work: &Work<'_>,
    ) -> anyhow::Result<Self> {
        let binary = kind.program(agent)?;
        let folder = folder.join(kind.word());
        fs::create_dir_all(&folder)?;
        if kind == Kind::Agent {
            let agent = start_agent(&binary, &folder, work)?;
            return Ok(Self {
                kind,
                binary,
                pid: agent.process.id(),
                running: Running::Agent(agent),
            });
        }
        let file = folder.join("configuration.yaml");
        let mut command = Command::new(&binary);
        let configuration = match kind {
            Kind::Agent | Kind::Collector => {
                command.arg("--config").arg(&file);
                collector(work)
            }
            Kind::Prometheus => {
                command.arg("--agent");
                command.arg(flag("--config.file", &file));
                command.arg(flag("--storage.agent.path", &folder.join("data")));
                command.arg(format!("--web.listen-address=127.0.0.1:{}", free_port()));
                let mut all = jobs(work, kind);
                all["remote_write"] = json!([{"url": write_url(work, kind)}]);
                all
            }
            Kind::Vmagent => {
                command.arg(flag("-promscrape.config", &file));
                command.arg(flag("-remoteWrite.tmpDataPath", &folder.join("data")));
                command.arg(format!("-httpListenAddr=127.0.0.1:{}", free_port()));
                command.arg(format!("-remoteWrite.url={}", write_url(work, kind)));
                jobs(work, kind)
            }
        };
        // JSON is YAML.
        fs::write(&file, configuration.to_string())?;
        let process = Process::start(kind.word(), &mut command, &folder.join("out"))?;
        Ok(Self {
            kind,
            binary,
            pid: process.id(),
            running: Running::Peer(process),
        })
    }

    /// What it has printed, the end of it.
    pub(super) fn said(&self) -> String {
        let log = match &self.running {
            Running::Agent(agent) => agent.process.log(),
            Running::Peer(process) => process.log(),
        };
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Asks it to end.
    ///
    /// # Errors
    ///
    /// When it does not, or not well.
    pub(super) fn stop(self) -> anyhow::Result<()> {
        match self.running {
            Running::Agent(agent) => agent.stop(),
            Running::Peer(mut process) => {
                let status = process.terminate(PATIENCE)?;
                ensure!(status.success(), "{status}:\n{}", process.log());
                Ok(())
            }
        }
    }
}

fn start_agent(binary: &Path, folder: &Path, work: &Work<'_>) -> anyhow::Result<Agent> {
    let mut urls = String::new();
    for target in 0..work.targets {
        let comma = if target > 0 { "," } else { "" };
        write!(urls, "{comma}http://{}/davy/{target}/metrics", work.pages)?;
    }
    let interval = format!("{}s", work.interval);
    let endpoint = format!("http://{}/davy", work.sink);
    let variables = [
        ("OTEL_SERVICE_NAME", "shop"),
        ("DAVY_SCRAPE_URL", urls.as_str()),
        ("DAVY_SCRAPE_INTERVAL", interval.as_str()),
        ("DAVY_SCRAPE_TIMEOUT", interval.as_str()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
    ];
    let binary = binary.to_str().context("the agent's path is no text")?;
    Agent::start(binary, folder, &variables)
}

/// Receiver, batches and exporter, each with its defaults; its own metrics are off.
fn collector(work: &Work<'_>) -> Value {
    json!({
        "receivers": {"prometheus": {"config": jobs(work, Kind::Collector)}},
        "processors": {"batch": {}},
        "exporters": {"otlphttp": {
            "endpoint": format!("http://{}/collector", work.sink),
            "compression": "zstd",
        }},
        "service": {
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {"metrics": {
                "receivers": ["prometheus"],
                "processors": ["batch"],
                "exporters": ["otlphttp"],
            }},
        },
    })
}

/// Targets as Prometheus and its like are told them; the path tells them apart.
fn jobs(work: &Work<'_>, kind: Kind) -> Value {
    let job = |target| {
        json!({
            "job_name": format!("shop-{target}"),
            "scrape_interval": format!("{}s", work.interval),
            "scrape_timeout": format!("{}s", work.interval),
            "metrics_path": format!("/{}/{target}/metrics", kind.word()),
            "static_configs": [{"targets": [work.pages]}],
        })
    };
    let jobs: Vec<Value> = (0..work.targets).map(job).collect();
    json!({"scrape_configs": jobs})
}

fn write_url(work: &Work<'_>, kind: Kind) -> String {
    format!("http://{}/{}/api/v1/write", work.sink, kind.word())
}

fn flag(name: &str, path: &Path) -> String {
    format!("{name}={}", path.display())
}
