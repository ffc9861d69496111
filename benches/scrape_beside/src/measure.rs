//! Subjects at work: started together, watched for as long as asked, and what they sent counted.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use davy_tests::kit::http;
use davy_tests::kit::process::{Process, address, wait_until};
use davy_tests::kit::usage::{CpuClock, Memory, cpu};
use serde::{Deserialize, Serialize};

use super::count::Protocol;
use super::pages::Served;
use super::sink::Taken;
use super::subject::{Kind, Subject, Work};

const TICK: Duration = Duration::from_secs(1);
/// For the servers to be there, and for a subject's first scrapes.
const START: Duration = Duration::from_secs(60);
/// For what was scraped to arrive; Prometheus may wait 5 s for a full request.
const ARRIVAL: Duration = Duration::from_secs(60);
/// Scrapes of each target before anything counts, and at least so long.
const WARM_UP_SCRAPES: u64 = 3;
const WARM_UP: Duration = Duration::from_secs(10);

/// What is measured.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(super) struct Plan {
    /// Series of a page.
    pub(super) series: usize,
    /// Targets of each subject.
    pub(super) targets: usize,
    /// Seconds from scrape to scrape.
    pub(super) interval: u64,
    /// Seconds that count.
    pub(super) seconds: u64,
    /// Whether pages are packed where a subject asks for it.
    pub(super) gzip: bool,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Run {
    #[serde(flatten)]
    pub(super) plan: Plan,
    /// Bytes of a page, on average.
    pub(super) page_bytes: u64,
    /// CPU seconds of the servers, which are nobody's.
    pub(super) pages_cpu_seconds: f64,
    pub(super) sink_cpu_seconds: f64,
    pub(super) figures: Vec<Figures>,
}

/// Figures of one subject.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Figures {
    pub(super) name: &'static str,
    pub(super) binary_bytes: u64,
    /// Scrapes under watch.
    pub(super) scrapes: u64,
    /// User and system time of the process in this time.
    pub(super) cpu_seconds: f64,
    pub(super) cpu_ms_per_scrape: f64,
    pub(super) cpu_ns_per_sample: f64,
    /// One over it: what one core would do if it did nothing else.
    pub(super) samples_per_core_second: f64,
    /// Median of a reading a second, KiB.
    pub(super) resident_kib_median: u64,
    /// Most that was ever resident, the start included, KiB.
    pub(super) resident_kib_peak: u64,
    /// Heap and stacks at the end, KiB.
    pub(super) anonymous_kib: u64,
    /// What was sent from start to end.
    pub(super) requests: u64,
    pub(super) sent_bytes: u64,
    pub(super) encoding: String,
    /// Points or samples of all pages served, all of which arrived.
    pub(super) items: u64,
}

struct Watched {
    subject: Subject,
    clock: CpuClock,
    cpu: Duration,
    scrapes: u64,
    resident: Vec<u64>,
}

/// The servers of a run, processes of their own.
struct Servers {
    pages: Process,
    sink: Process,
    pages_at: String,
    sink_at: String,
}

/// Runs subjects side by side.
///
/// # Errors
///
/// When a part fails, or anything that was scraped has not arrived.
pub(super) fn measure(plan: &Plan, kinds: &[Kind], agent: &Path) -> anyhow::Result<Run> {
    let folder = tempfile::tempdir()?;
    let servers = Servers::start(plan, folder.path())?;
    let work = Work {
        pages: &servers.pages_at,
        sink: &servers.sink_at,
        targets: plan.targets,
        interval: plan.interval,
    };
    let start = |kind: &Kind| {
        let subject = Subject::start(*kind, agent, folder.path(), &work)?;
        let clock = CpuClock::new(subject.pid);
        Ok(Watched {
            subject,
            clock,
            cpu: Duration::ZERO,
            scrapes: 0,
            resident: Vec::new(),
        })
    };
    let mut watched: Vec<Watched> = kinds.iter().map(start).collect::<anyhow::Result<_>>()?;
    servers.warm_up(plan, &mut watched)?;
    let before = (cpu(servers.pages.id())?, cpu(servers.sink.id())?);
    let (begin, length) = (Instant::now(), Duration::from_secs(plan.seconds));
    servers.note(&mut watched)?;
    while begin.elapsed() < length {
        std::thread::sleep(TICK.min(length.saturating_sub(begin.elapsed())));
        for watched in &mut watched {
            let looked = Memory::of(watched.subject.pid).and_then(|memory| {
                watched.clock.read()?;
                Ok(memory)
            });
            let memory = looked.with_context(|| watched.subject.said())?;
            watched.resident.push(memory.resident);
        }
    }
    servers.note(&mut watched)?;
    let after = (cpu(servers.pages.id())?, cpu(servers.sink.id())?);
    servers.over()?;
    let figures = watched
        .into_iter()
        .map(|watched| servers.finish(plan, watched));
    let figures = figures.collect::<anyhow::Result<Vec<_>>>()?;
    let served: BTreeMap<String, Served> = ask(&servers.pages_at, "/served")?;
    let (scrapes, bytes) = served.values().fold((0, 0), |(scrapes, bytes), served| {
        (scrapes + served.scrapes, bytes + served.bytes)
    });
    Ok(Run {
        plan: *plan,
        page_bytes: bytes / scrapes.max(1),
        pages_cpu_seconds: (after.0 - before.0).as_secs_f64(),
        sink_cpu_seconds: (after.1 - before.1).as_secs_f64(),
        figures,
    })
}

impl Servers {
    fn start(plan: &Plan, folder: &Path) -> anyhow::Result<Self> {
        let server = |name: &str, arguments: &[String]| {
            let file = folder.join(name);
            let mut command = Command::new(std::env::current_exe()?);
            command.arg(name).arg("--address-file").arg(&file);
            command.args(arguments);
            let process = Process::start(name, &mut command, &folder.join(format!("{name}.out")))?;
            let address = address(&file, START).with_context(|| process.log())?;
            anyhow::Ok((process, address))
        };
        let mut arguments = vec!["--series".to_owned(), plan.series.to_string()];
        if plan.gzip {
            arguments.push("--gzip".to_owned());
        }
        let (pages, pages_at) = server("pages", &arguments)?;
        let (sink, sink_at) = server("sink", &[])?;
        Ok(Self {
            pages,
            sink,
            pages_at,
            sink_at,
        })
    }

    fn served(&self, kind: Kind) -> anyhow::Result<Served> {
        let served: BTreeMap<String, Served> = ask(&self.pages_at, "/served")?;
        Ok(served.get(kind.word()).copied().unwrap_or_default())
    }

    fn warm_up(&self, plan: &Plan, watched: &mut [Watched]) -> anyhow::Result<()> {
        let (begin, wanted) = (Instant::now(), WARM_UP_SCRAPES * plan.targets as u64);
        for watched in watched {
            let kind = watched.subject.kind;
            wait_until("first scrapes", START, || {
                self.served(kind)
                    .ok()
                    .filter(|served| served.scrapes >= wanted)
            })
            .with_context(|| format!("{}:\n{}", kind.name(), watched.subject.said()))?;
        }
        std::thread::sleep(WARM_UP.saturating_sub(begin.elapsed()));
        Ok(())
    }

    /// Notes CPU time and scrapes: since the start, and when called again, since the last time.
    fn note(&self, watched: &mut [Watched]) -> anyhow::Result<()> {
        for watched in watched {
            watched.cpu = watched.clock.read()? - watched.cpu;
            watched.scrapes = self.served(watched.subject.kind)?.scrapes - watched.scrapes;
        }
        Ok(())
    }

    /// Serves no page from now on, so that all that was served can arrive.
    fn over(&self) -> anyhow::Result<()> {
        let answer = http::get(&self.pages_at, "/over")?;
        ensure!(answer.status == 204, "{}", answer.status);
        Ok(())
    }

    /// Waits for all that the subject was given to arrive, and ends it.
    fn finish(&self, plan: &Plan, watched: Watched) -> anyhow::Result<Figures> {
        let Watched {
            subject,
            cpu,
            scrapes,
            mut resident,
            ..
        } = watched;
        let kind = subject.kind;
        let end = Instant::now() + ARRIVAL;
        let taken = loop {
            let served = self.served(kind)?;
            let wanted = match kind.protocol() {
                Protocol::Otlp => served.points,
                Protocol::RemoteWrite => served.samples,
            };
            let mut counts: BTreeMap<String, Taken> = ask(&self.sink_at, "/counts")?;
            let taken = counts.remove(kind.word()).unwrap_or_default();
            if let Some(error) = taken.error {
                bail!("{}: {error}", kind.name());
            }
            if taken.count == wanted {
                break taken;
            }
            if Instant::now() > end || taken.count.items > wanted.items {
                let (name, said) = (kind.name(), subject.said());
                bail!("{name}: {taken:?} arrived of {wanted:?}\n{said}");
            }
            std::thread::sleep(TICK / 10);
        };
        let memory = Memory::of(subject.pid)?;
        let binary_bytes = fs::metadata(&subject.binary)?.len();
        subject.stop()?;
        resident.sort_unstable();
        let seconds = cpu.as_secs_f64();
        let samples = (scrapes.max(1) * plan.series as u64) as f64;
        Ok(Figures {
            name: kind.name(),
            binary_bytes,
            scrapes,
            cpu_seconds: seconds,
            cpu_ms_per_scrape: 1e3 * seconds / scrapes.max(1) as f64,
            cpu_ns_per_sample: 1e9 * seconds / samples,
            samples_per_core_second: samples / seconds,
            resident_kib_median: resident
                .get(resident.len() / 2)
                .copied()
                .unwrap_or_default(),
            resident_kib_peak: memory.peak,
            anonymous_kib: memory.anonymous,
            requests: taken.requests,
            sent_bytes: taken.bytes,
            encoding: taken.encoding,
            items: taken.count.items,
        })
    }
}

fn ask<T: for<'de> Deserialize<'de>>(authority: &str, path: &str) -> anyhow::Result<T> {
    let body = http::page(authority, path)?;
    serde_json::from_str(&body).with_context(|| format!("{path}: {body}"))
}
