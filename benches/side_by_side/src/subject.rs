//! A program under test with all it works on: page, log file, backend, and the process itself.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use davy_tests::kit::agent::Agent;
use davy_tests::kit::peers;
use davy_tests::kit::process::{Process, free_port, wait_until};
use davy_tests::kit::receiver::{Received, Receiver};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{DataPointFlags, Metric, NumberDataPoint};
use serde_json::{Value, json};

use super::page::{PREFIXES, Page};

/// How long the Collector may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// A subject that runs.
pub(super) struct Subject {
    /// What it is called in the table.
    pub(super) name: &'static str,
    /// Its program.
    pub(super) binary: PathBuf,
    /// Where it takes OTLP over HTTP.
    pub(super) authority: String,
    /// The log file that it tails.
    pub(super) log: PathBuf,
    /// The page that it scrapes.
    pub(super) page: Page,
    /// Where it delivers to.
    pub(super) backend: Receiver,
    /// Where it sends evidence to, if it does.
    pub(super) gate: Option<Receiver>,
    /// Points of the page that have arrived.
    pub(super) points: u64,
    /// Process id.
    pub(super) pid: u32,
    running: Option<Running>,
}

enum Running {
    Agent(Agent),
    Collector(Process),
}

impl Subject {
    /// Starts the agent `binary`, with evidence for a gate or without.
    ///
    /// # Errors
    ///
    /// When it does not start; its log is in the error.
    pub(super) async fn agent(
        binary: &Path,
        folder: &Path,
        has_gate: bool,
    ) -> anyhow::Result<Self> {
        let (name, file) = if has_gate {
            ("davy-agent and evidence", "evidence")
        } else {
            ("davy-agent", "agent")
        };
        let folder = folder.join(file);
        fs::create_dir_all(&folder)?;
        let log = folder.join("app.log");
        let (page, backend) = (Page::start()?, Receiver::start().await?);
        let gate = if has_gate {
            Some(Receiver::start().await?)
        } else {
            None
        };
        let mut variables = vec![
            ("OTEL_SERVICE_NAME", "shop".to_owned()),
            ("DAVY_ARM", "v1".to_owned()),
            (
                "DAVY_SCRAPE_URL",
                format!("http://{}/metrics", page.address),
            ),
            ("DAVY_SCRAPE_INTERVAL", "5s".to_owned()),
            ("DAVY_LOG_PATHS", log.display().to_string()),
            (
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                format!("http://{}", backend.address()),
            ),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc".to_owned()),
        ];
        if let Some(gate) = &gate {
            let endpoint = format!("http://{}", gate.address());
            variables.push(("DAVY_GATE_ENDPOINT", endpoint));
        }
        let variables: Vec<(&str, &str)> = variables
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
            .collect();
        let agent = Agent::start(&binary.display().to_string(), &folder, &variables)?;
        backend.keep();
        Ok(Self {
            name,
            binary: binary.to_owned(),
            authority: agent.listener("otlp_http")?.to_owned(),
            log,
            page,
            backend,
            gate,
            points: 0,
            pid: agent.process.id(),
            running: Some(Running::Agent(agent)),
        })
    }

    /// Starts the Collector, built if need be.
    ///
    /// # Errors
    ///
    /// When it can't be built or does not start; its log is in the error.
    pub(super) async fn collector(folder: &Path) -> anyhow::Result<Self> {
        let binary = peers::collector(peers::Collector::Sidecar)?;
        let folder = folder.join("collector");
        fs::create_dir_all(&folder)?;
        let log = folder.join("app.log");
        let (page, backend) = (Page::start()?, Receiver::start().await?);
        let port = free_port();
        let authority = format!("127.0.0.1:{port}");
        let config = configuration(&page, &log, &authority, &backend);
        let file = folder.join("collector.yaml");
        // JSON is YAML.
        fs::write(&file, config.to_string())?;
        let mut command = Command::new(&binary);
        command.arg("--config").arg(&file);
        let process = Process::start("otelcol", &mut command, &folder.join("collector.out"))?;
        wait_until("the Collector", PATIENCE, || {
            TcpStream::connect(&authority).ok().map(drop)
        })
        .with_context(|| process.log())?;
        backend.keep();
        Ok(Self {
            name: "Collector 0.165",
            binary,
            authority,
            log,
            page,
            backend,
            gate: None,
            points: 0,
            pid: process.id(),
            running: Some(Running::Collector(process)),
        })
    }

    /// Counts the points that have arrived since it was last called.
    pub(super) fn count_points(&mut self) {
        let kept = self.backend.kept();
        let requests = kept.iter().filter_map(|received| match received {
            Received::Metrics(request) => Some(request),
            _ => None,
        });
        let metrics = requests
            .flat_map(|request| &request.resource_metrics)
            .flat_map(|resource| &resource.scope_metrics)
            .flat_map(|scope| &scope.metrics);
        self.points += metrics.map(points).sum::<u64>();
    }

    /// Asks it to end and to deliver what it still has, and counts that.
    ///
    /// # Errors
    ///
    /// When it does not end well.
    pub(super) fn stop(&mut self) -> anyhow::Result<()> {
        match self.running.take() {
            Some(Running::Agent(agent)) => agent.stop()?,
            Some(Running::Collector(mut process)) => {
                let status = process.terminate(PATIENCE)?;
                ensure!(status.success(), "{status}:\n{}", process.log());
            }
            None => {}
        }
        self.count_points();
        Ok(())
    }
}

/// The Collector's configuration for the same work: memory limiter and batches as its documentation
/// advises, no compression as with the agent. Its own metrics are off, where the agent's are on.
fn configuration(page: &Page, log: &Path, authority: &str, backend: &Receiver) -> Value {
    let pipeline = |receiver| {
        json!({
            "receivers": [receiver],
            "processors": ["memory_limiter", "batch"],
            "exporters": ["otlp"],
        })
    };
    let parser = json!({
        "type": "json_parser",
        "timestamp": {
            "parse_from": "attributes.time",
            "layout_type": "gotime",
            "layout": "2006-01-02T15:04:05.999999999Z07:00",
        },
        "severity": {"parse_from": "attributes.level"},
    });
    let scrape = json!({
        "job_name": "shop",
        "scrape_interval": "5s",
        "static_configs": [{"targets": [page.address.to_string()]}],
    });
    json!({
        "receivers": {
            "prometheus": {"config": {"scrape_configs": [scrape]}},
            "filelog": {"include": [log], "start_at": "beginning", "operators": [parser]},
            "otlp": {"protocols": {"http": {"endpoint": authority}}},
        },
        "processors": {
            "memory_limiter": {"check_interval": "1s", "limit_mib": 256},
            "batch": {},
        },
        "exporters": {"otlp": {
            "endpoint": backend.address().to_string(),
            "tls": {"insecure": true},
            "compression": "none",
        }},
        "service": {
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {
                "metrics": pipeline("prometheus"),
                "logs": pipeline("filelog"),
                "traces": pipeline("otlp"),
            },
        },
    })
}

/// Points of a metric of the page; neither a scraper's own, nor marks of a series' end.
fn points(metric: &Metric) -> u64 {
    if !PREFIXES
        .iter()
        .any(|prefix| metric.name.starts_with(prefix))
    {
        return 0;
    }
    let has_value = |flags: u32| flags & DataPointFlags::NoRecordedValueMask as u32 == 0;
    let numbers = |points: &[NumberDataPoint]| points.iter().filter(|p| has_value(p.flags)).count();
    let count = match &metric.data {
        Some(Data::Gauge(data)) => numbers(&data.data_points),
        Some(Data::Sum(data)) => numbers(&data.data_points),
        Some(Data::Histogram(data)) => data
            .data_points
            .iter()
            .filter(|p| has_value(p.flags))
            .count(),
        _ => 0,
    };
    count as u64
}
