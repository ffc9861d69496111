//! Instances of the shop with an agent beside each, and a gate that records their evidence.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::kit::agent::Agent;
use crate::kit::gate::Gate;
use crate::kit::load::Target;
use crate::kit::process::free_port;
use crate::kit::shop::Shop;
use crate::kit::{peers, usage};

/// How long an app may take to end: requests under way are finished.
const GRACE: Duration = Duration::from_secs(15);

/// How a kind of instance behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Kind {
    /// The arm that its evidence is recorded as.
    pub(super) arm: &'static str,
    p99: &'static str,
    error_rate: &'static str,
    cpu_factor: &'static str,
}

/// The arm of the instances that are all the same.
pub(super) const ALIKE: &str = "alike";
const SOUND: Kind = Kind {
    arm: ALIKE,
    p99: "230ms",
    error_rate: "0.0012",
    cpu_factor: "1",
};

/// Worse in one way each: P99 by 35 %, errors 0.45 % instead of 0.12 %, and the burnt part of a
/// request's CPU so much that the whole grows by about 16 %.
pub(super) const WORSE: [Kind; 3] = [
    Kind {
        arm: "slower",
        p99: "310ms",
        ..SOUND
    },
    Kind {
        arm: "failing",
        error_rate: "0.0045",
        ..SOUND
    },
    Kind {
        arm: "dearer",
        cpu_factor: "1.7",
        ..SOUND
    },
];

/// Instances that are all the same.
pub(super) const ALIKE_INSTANCES: usize = 10;
/// Instances of each worse kind: the canaries of 8+2.
const WORSE_INSTANCES: usize = 2;

/// Everything that runs; it ends when dropped, apps first.
pub(super) struct Fleet {
    instances: Vec<Instance>,
    gate: Gate,
    programs: Programs,
    root: PathBuf,
}

/// What instances are made of.
struct Programs {
    agent: String,
    shop: PathBuf,
}

/// An app and the agent beside it.
struct Instance {
    kind: Kind,
    /// Index of its kind: the instances alike, then each of [`WORSE`].
    group: usize,
    shop: Shop,
    /// CPU time of the processes before this one.
    spent: Duration,
    starts: u64,
    program: PathBuf,
    agent: Agent,
}

impl Fleet {
    /// Starts the gate and the instances alike, with all files below `root`; windows are recorded
    /// into the folder `evidence`.
    pub(super) fn start(root: &Path, evidence: &Path) -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("find this program")?;
        let folder = own.parent().context("a program lies in a folder")?;
        let program = |name: &str| folder.join(name).display().to_string();
        let evidence = evidence.display().to_string();
        let arguments = ["--record", evidence.as_str()];
        let gate = Gate::start(&program("davy-gate"), root, "version: 1\n", &arguments)
            .context("start the gate")?;
        let programs = Programs {
            agent: program("davy-agent"),
            shop: peers::shop()?,
        };
        let mut fleet = Self {
            instances: Vec::new(),
            gate,
            programs,
            root: root.to_owned(),
        };
        for _ in 0..ALIKE_INSTANCES {
            fleet.add(SOUND, 0)?;
        }
        Ok(fleet)
    }

    /// Starts the worse ones.
    pub(super) fn start_worse(&mut self) -> anyhow::Result<()> {
        for (at, kind) in WORSE.iter().enumerate() {
            for _ in 0..WORSE_INSTANCES {
                self.add(*kind, at + 1)?;
            }
        }
        Ok(())
    }

    /// Instances that run.
    pub(super) fn len(&self) -> usize {
        self.instances.len()
    }

    /// Who gets requests, as many each; all but `spared`.
    pub(super) fn targets(&self, spared: Option<usize>) -> Vec<Target> {
        let instances = self.instances.iter().enumerate();
        let instances = instances.filter(|(at, _)| Some(*at) != spared);
        let target = |(_, instance): (usize, &Instance)| Target {
            authority: instance.shop.authority.clone(),
            group: instance.group,
            weight: 1.0,
        };
        instances.map(target).collect()
    }

    /// Ends an app as an orderly restart does, and starts it again where it was.
    pub(super) fn restart(&mut self, at: usize) -> anyhow::Result<()> {
        let instance = self.instances.get_mut(at).context("an instance")?;
        instance.spent += usage::cpu(instance.shop.process.id())?;
        instance.shop.process.terminate(GRACE)?;
        instance.starts += 1;
        let port = instance.shop.authority.clone();
        let seed = seed(at, instance.starts);
        instance.shop = app(instance.kind, &instance.program, &port, seed)?;
        Ok(())
    }

    /// CPU time that the apps of each group have used so far.
    pub(super) fn cpu(&self) -> anyhow::Result<Vec<Duration>> {
        let mut sums = vec![Duration::ZERO; 1 + WORSE.len()];
        for instance in &self.instances {
            let sum = sums.get_mut(instance.group).context("a group")?;
            *sum += instance.spent + usage::cpu(instance.shop.process.id())?;
        }
        Ok(sums)
    }

    /// Fails where a program has ended that should run.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        let instances = self.instances.iter_mut();
        let processes = instances
            .flat_map(|Instance { shop, agent, .. }| [&mut shop.process, &mut agent.process]);
        for process in processes.chain([&mut self.gate.process]) {
            if !process.is_running()? {
                bail!("a program has ended:\n{}", process.log());
            }
        }
        Ok(())
    }

    /// Ends everything in order, so that what is on its way is recorded.
    pub(super) fn stop(self) -> anyhow::Result<()> {
        for mut instance in self.instances {
            instance.shop.process.terminate(GRACE)?;
            instance.agent.stop()?;
        }
        let mut gate = self.gate;
        gate.process.terminate(GRACE)?;
        Ok(())
    }

    fn add(&mut self, kind: Kind, group: usize) -> anyhow::Result<()> {
        let at = self.instances.len();
        let name = format!("shop-{at}");
        let folder = self.root.join(&name);
        fs::create_dir_all(&folder)?;
        // A copy of its own, as each container has: instances that share a file share its pages in
        // the processor's caches.
        let program = folder.join("shop");
        fs::copy(&self.programs.shop, &program)?;
        let port = format!("127.0.0.1:{}", free_port());
        let shop = app(kind, &program, &port, seed(at, 0))?;
        let resource = format!("service.instance.id={name},k8s.pod.name={name}");
        let page = format!("http://{}/metrics", shop.authority);
        let gate = format!("http://{}", self.gate.otlp);
        let variables = [
            ("OTEL_SERVICE_NAME", "shop"),
            ("OTEL_RESOURCE_ATTRIBUTES", &resource),
            ("DAVY_ARM", kind.arm),
            ("DAVY_SCRAPE_URL", &page),
            ("DAVY_GATE_ENDPOINT", &gate),
        ];
        let agent = Agent::start(&self.programs.agent, &folder, &variables)?;
        self.instances.push(Instance {
            kind,
            group,
            shop,
            spent: Duration::ZERO,
            starts: 0,
            program,
            agent,
        });
        Ok(())
    }
}

fn app(kind: Kind, program: &Path, address: &str, seed: u64) -> anyhow::Result<Shop> {
    let folder = program.parent().context("a program lies in a folder")?;
    let seed = seed.to_string();
    let variables = [
        ("SHOP_ADDR", address),
        ("SHOP_LATENCY_P99", kind.p99),
        ("SHOP_ERROR_RATE", kind.error_rate),
        ("SHOP_CPU_PER_REQUEST", "130us"),
        ("SHOP_CPU_FACTOR", kind.cpu_factor),
        // The log of hours is large otherwise.
        ("SHOP_LOG_EVERY", "10"),
        ("SHOP_SEED", &seed),
    ];
    Shop::start_program(program, folder, &variables)
}

/// Another one for each instance and start, and never 0, which stands for chance.
fn seed(instance: usize, start: u64) -> u64 {
    1 + instance as u64 + 1000 * start
}
