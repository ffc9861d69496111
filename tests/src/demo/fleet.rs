//! Everything that runs: payments, shop instances with an agent beside each, gate, receiver.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::site::{Release, Site};
use super::{CANARY, STABLE};
use crate::kit::load::Target;
use crate::kit::process::{Process, address, addresses};
use crate::kit::receiver::Receiver;
use crate::kit::usage;

/// How long a program may take to start.
const START: Duration = Duration::from_secs(20);
/// How long a program may take to end.
const GRACE: Duration = Duration::from_secs(15);
/// The declared CPU limit of an instance, in cores.
const CPU_LIMIT_CORES: f64 = 0.1;

/// The programs of the demo; they end when it is dropped, instances first.
pub(super) struct Fleet {
    canary: Vec<Instance>,
    stable: Vec<Instance>,
    gate: Process,
    payments: Process,
    receiver: Receiver,
    gate_otlp: String,
    gate_http: String,
    payments_address: String,
    root: PathBuf,
    programs: Programs,
    started: usize,
}

struct Programs {
    agent: PathBuf,
    releases: PathBuf,
}

/// One instance of the shop and the agent beside it; the app ends first.
pub(super) struct Instance {
    app: Process,
    agent: Process,
    authority: String,
}

/// CPU seconds of an instance, stable and canary, since it was started.
#[derive(Clone, Copy)]
pub(super) struct CpuReading {
    at: Instant,
    seconds: [f64; 2],
}

/// What the backend got.
pub(super) struct Forwarded {
    points: u64,
    records: u64,
    spans: u64,
}

impl Fleet {
    pub(super) async fn start(site: &Site) -> anyhow::Result<Self> {
        let root = site.root().to_owned();
        let logs = root.join("logs");
        fs::create_dir_all(&logs)?;
        let payments_file = root.join("payments.addr");
        let mut command = Command::new(root.join("payments/payments"));
        command
            .env("PAYMENTS_ADDR", "127.0.0.1:0")
            .env("PAYMENTS_ADDR_FILE", &payments_file)
            .env("PAYMENTS_CPU_PER_REQUEST", "0s")
            .env("OTEL_SDK_DISABLED", "true")
            .env("GOMAXPROCS", "1");
        let payments = Process::start("payments", &mut command, &logs.join("payments.log"))?;
        let gate_file = root.join("gate.addr");
        let config = root.join("gate.yaml");
        fs::write(&config, gate_config(site))?;
        let mut command = Command::new(site.program("davy-gate"));
        command
            .arg("serve")
            .arg("--config")
            .arg(&config)
            .arg("--addresses-file")
            .arg(&gate_file)
            .arg("--record")
            .arg(root.join("evidence"));
        let gate = Process::start("davy-gate", &mut command, &logs.join("gate.log"))?;
        let listeners = addresses(&gate_file, START).with_context(|| gate.log())?;
        let listener = |name: &str| {
            listeners
                .get(name)
                .cloned()
                .context("a listener of the gate")
        };
        Ok(Self {
            canary: Vec::new(),
            stable: Vec::new(),
            gate_otlp: listener("otlp")?,
            gate_http: listener("http")?,
            gate,
            payments_address: address(&payments_file, START).with_context(|| payments.log())?,
            payments,
            receiver: Receiver::start().await?,
            programs: Programs {
                agent: site.program("davy-agent"),
                releases: root.join("releases"),
            },
            root,
            started: 0,
        })
    }

    /// Where the gate's API listens.
    pub(super) fn gate_http(&self) -> &str {
        &self.gate_http
    }

    /// Starts stable instances and gives those that ran before: they still answer, until the load
    /// goes elsewhere and [`retire`] stops them.
    pub(super) fn start_stable(
        &mut self,
        release: &Release,
        count: usize,
    ) -> anyhow::Result<Vec<Instance>> {
        let started: Vec<_> = (0..count)
            .map(|_| self.instance(release))
            .collect::<Result<_, _>>()?;
        Ok(std::mem::replace(&mut self.stable, started))
    }

    pub(super) fn start_canary(&mut self, release: &Release) -> anyhow::Result<()> {
        let instance = self.instance(release)?;
        fs::write(self.root.join("canary.pid"), instance.app.id().to_string())?;
        self.canary.push(instance);
        Ok(())
    }

    /// Waits until the canary's app has ended by itself, by the gate's actuator, and removes it.
    pub(super) fn await_canary_stopped(&mut self) -> anyhow::Result<()> {
        for mut instance in self.canary.drain(..) {
            instance
                .app
                .wait(GRACE)
                .context("the actuator stops the canary")?;
            instance.agent.terminate(GRACE)?;
        }
        Ok(())
    }

    /// Takes the canary out of the load's targets; [`retire`] stops it.
    pub(super) fn take_canary(&mut self) -> Vec<Instance> {
        std::mem::take(&mut self.canary)
    }

    /// Who gets requests: the canary together `weight` of them, the stable ones the rest.
    pub(super) fn targets(&self, weight: f64) -> Vec<Target> {
        let share = |instances: &[Instance], group, weight: f64| {
            let each = weight / instances.len().max(1) as f64;
            let target = |i: &Instance| Target {
                authority: i.authority.clone(),
                group,
                weight: each,
            };
            instances.iter().map(target).collect::<Vec<_>>()
        };
        let mut targets = share(&self.stable, STABLE, 1.0 - weight);
        targets.extend(share(&self.canary, CANARY, weight));
        targets
    }

    /// What the apps have used of their CPU so far, beside this reading's time.
    pub(super) fn cpu(&self) -> anyhow::Result<CpuReading> {
        let mean = |instances: &[Instance]| -> anyhow::Result<f64> {
            let used = instances.iter().map(|i| usage::cpu(i.app.id()));
            let sum: Duration = used.sum::<anyhow::Result<Duration>>()?;
            Ok(sum.as_secs_f64() / instances.len().max(1) as f64)
        };
        Ok(CpuReading {
            at: Instant::now(),
            seconds: [mean(&self.stable)?, mean(&self.canary)?],
        })
    }

    /// Fails, with its log, when a program has ended that should run.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        let instances = self.stable.iter_mut().chain(&mut self.canary);
        let parts = instances.flat_map(|instance| [&mut instance.app, &mut instance.agent]);
        for process in parts.chain([&mut self.gate, &mut self.payments]) {
            if !process.is_running()? {
                bail!("a program has ended:\n{}", process.log());
            }
        }
        Ok(())
    }

    /// Stops everything in order, so that what is on its way arrives.
    pub(super) fn stop(mut self) -> anyhow::Result<Forwarded> {
        retire(std::mem::take(&mut self.canary))?;
        retire(std::mem::take(&mut self.stable))?;
        self.gate.terminate(GRACE)?;
        self.payments.terminate(GRACE)?;
        let counts = self.receiver.counts();
        Ok(Forwarded {
            points: counts.metrics,
            records: counts.logs,
            spans: counts.traces,
        })
    }

    fn instance(&mut self, release: &Release) -> anyhow::Result<Instance> {
        self.started += 1;
        let name = format!("shop-{}", self.started);
        let folder = self.root.join("run").join(&name);
        fs::create_dir_all(&folder)?;
        let authority = free_address()?;
        let log = folder.join("shop.log");
        let resource = format!(
            "service.version={},service.instance.id={name},k8s.pod.name={name}",
            release.version
        );
        let agent_file = folder.join("agent.addr");
        let mut command = Command::new(&self.programs.agent);
        command
            .arg("run")
            .arg("--addresses-file")
            .arg(&agent_file)
            .env("OTEL_SERVICE_NAME", "shop")
            .env("OTEL_RESOURCE_ATTRIBUTES", &resource)
            .env(
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                format!("http://{}", self.receiver.address()),
            )
            .env("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd")
            .env("DAVY_ARM", release.version)
            .env("DAVY_CPU_LIMIT", CPU_LIMIT_CORES.to_string())
            .env("DAVY_SCRAPE_URL", format!("http://{authority}/metrics"))
            .env("DAVY_LOG_PATHS", &log)
            .env("DAVY_GATE_ENDPOINT", format!("http://{}", self.gate_otlp))
            .env("DAVY_RECEIVE_GRPC", "127.0.0.1:0")
            .env("DAVY_RECEIVE_HTTP", "127.0.0.1:0")
            .env("DAVY_ADMIN", "127.0.0.1:0")
            .env("DAVY_CONTROL", "127.0.0.1:0");
        let agent = Process::start("davy-agent", &mut command, &folder.join("agent.log"))?;
        let listeners = addresses(&agent_file, START).with_context(|| agent.log())?;
        let otlp = listeners
            .get("otlp_grpc")
            .context("the agent's OTLP listener")?;
        let app_file = folder.join("shop.addr");
        // A copy of its own, as each container has: instances that share a file share its pages in
        // the processor's caches, and a canary alone with its file would look 6 % dearer.
        let program = folder.join("shop");
        fs::copy(
            self.programs.releases.join(release.version).join("shop"),
            &program,
        )?;
        let mut command = Command::new(program);
        command
            .env("SHOP_ADDR", &authority)
            .env("SHOP_ADDR_FILE", &app_file)
            .env("SHOP_LOG_FILE", &log)
            .env(
                "SHOP_PAYMENTS_URL",
                format!("http://{}", self.payments_address),
            )
            .env("SHOP_LATENCY_P99", release.p99)
            .env("SHOP_ERROR_RATE", release.error_rate)
            .env("SHOP_CPU_FACTOR", release.cpu_factor)
            .env("SHOP_SEED", self.started.to_string())
            .env("OTEL_SERVICE_NAME", "shop")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{otlp}"))
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
            .env("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
            .env("OTEL_TRACES_SAMPLER_ARG", "0.1")
            .env("GOMAXPROCS", "1");
        let app = Process::start("shop", &mut command, &folder.join("shop.out"))?;
        address(&app_file, START).with_context(|| app.log())?;
        Ok(Instance {
            app,
            agent,
            authority,
        })
    }
}

/// Stops instances that get no requests any more, each app before its agent.
pub(super) fn retire(instances: Vec<Instance>) -> anyhow::Result<()> {
    for mut instance in instances {
        instance.app.terminate(GRACE)?;
        instance.agent.terminate(GRACE)?;
    }
    Ok(())
}

impl CpuReading {
    /// Shares of the declared limit, stable and canary, used between `earlier` and this reading.
    pub(super) fn shares_since(&self, earlier: &Self) -> [f64; 2] {
        let limit = (self.at - earlier.at).as_secs_f64() * CPU_LIMIT_CORES;
        let share = |group: usize| (self.seconds[group] - earlier.seconds[group]) / limit;
        [share(STABLE), share(CANARY)]
    }
}

impl Forwarded {
    pub(super) fn summary(&self) -> String {
        format!(
            "  forwarded over OTLP: {} metric points, {} log records, {} spans",
            self.points, self.records, self.spans
        )
    }
}

/// The gate's configuration: a switch of the link when approved, the canary stopped when not.
fn gate_config(site: &Site) -> String {
    let switch = site.file("deploy/systemd/switch").display().to_string();
    let root = site.root().display().to_string();
    let pid = site.root().join("canary.pid").display().to_string();
    let policy = site.file("deploy/demo/policy.yaml").display().to_string();
    format!(
        "version: 1\n\
         listen: {{otlp: \"127.0.0.1:0\", http: \"127.0.0.1:0\"}}\n\
         policies: {{files: [\"{policy}\"]}}\n\
         actuators:\n  \
           on_approve: {{command: [\"{switch}\", \"{root}\", \"{{canary}}\"]}}\n  \
           on_rollback: {{command: [\"/bin/sh\", \"-c\", \"kill $(cat \\\"$0\\\")\", \"{pid}\"]}}\n"
    )
}

/// An address that nothing listens on.
fn free_address() -> anyhow::Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}
