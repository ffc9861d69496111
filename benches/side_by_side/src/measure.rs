//! What a subject used while it worked, and what of its work arrived.

use std::fs;
use std::time::Duration;

use anyhow::{Context, ensure};
use davy_tests::kit::receiver::Receiver;
use davy_tests::kit::usage::{Memory, cpu};
use serde::Serialize;
use tokio::time::Instant;

use super::load;
use super::page::POINTS;
use super::subject::Subject;

/// How often memory is read.
const SAMPLE: Duration = Duration::from_secs(1);
/// A scrape is delivered within this; a subject is not stopped in the middle of one.
const SETTLE: Duration = Duration::from_millis(1500);
/// Longest wait for a scrape: two of its intervals.
const SCRAPE: Duration = Duration::from_secs(10);

/// Figures of one subject.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Figures {
    /// What it is called.
    pub(super) name: &'static str,
    /// Size of its program in bytes.
    pub(super) binary_bytes: u64,
    /// Median of the resident memory over the run, sampled every second, KiB.
    pub(super) resident_kib_median: u64,
    /// Most that was ever resident, the start included, KiB.
    pub(super) resident_kib_peak: u64,
    /// Heap and stacks at the end, KiB.
    pub(super) anonymous_kib: u64,
    /// User and system time over wall time under load, percent of a core.
    pub(super) cpu_percent: f64,
    /// Data points of the page.
    pub(super) points: Delivered,
    /// Log lines.
    pub(super) lines: Delivered,
    /// Spans.
    pub(super) spans: Delivered,
    /// Requests with evidence that the gate's stand-in took.
    pub(super) evidence_requests: Option<u64>,
}

/// Items of a signal.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub(super) struct Delivered {
    /// Given to the subject.
    pub(super) produced: u64,
    /// Taken by the backend.
    pub(super) arrived: u64,
}

/// Runs the load on a subject and stops it.
///
/// # Errors
///
/// When a part fails, or the evidence is missing.
pub(super) async fn measure(mut subject: Subject, seconds: u64) -> anyhow::Result<Figures> {
    let (cpu_before, begin) = (cpu(subject.pid)?, Instant::now());
    let (log, authority) = (subject.log.clone(), subject.authority.clone());
    let load = tokio::spawn(async move { load::produce(&log, &authority, seconds).await });
    let mut resident = Vec::new();
    while !load.is_finished() {
        tokio::time::sleep(SAMPLE).await;
        resident.push(Memory::of(subject.pid)?.resident);
        subject.count_points();
    }
    let produced = load.await?.with_context(|| subject.name)?;
    let cpu_seconds = (cpu(subject.pid)? - cpu_before).as_secs_f64();
    let cpu_percent = 100.0 * cpu_seconds / begin.elapsed().as_secs_f64();
    wait_for_a_scrape(&subject).await?;
    let memory = Memory::of(subject.pid)?;
    tokio::task::block_in_place(|| subject.stop())?;
    resident.sort_unstable();
    let median = resident.get(resident.len() / 2).copied();
    let arrived = subject.backend.counts();
    let evidence = subject.gate.as_ref().map(|gate| gate.counts().metrics);
    ensure!(evidence != Some(0), "no evidence has arrived");
    Ok(Figures {
        name: subject.name,
        binary_bytes: fs::metadata(&subject.binary)?.len(),
        resident_kib_median: median.unwrap_or_default(),
        resident_kib_peak: memory.peak,
        anonymous_kib: memory.anonymous,
        cpu_percent,
        points: Delivered {
            produced: subject.page.served() * POINTS,
            arrived: subject.points,
        },
        lines: Delivered {
            produced: produced.lines,
            arrived: arrived.logs,
        },
        spans: Delivered {
            produced: produced.spans,
            arrived: arrived.traces,
        },
        evidence_requests: subject.gate.as_ref().map(Receiver::requests),
    })
}

/// Waits for the next scrape and for what follows from it.
async fn wait_for_a_scrape(subject: &Subject) -> anyhow::Result<()> {
    let (served, end) = (subject.page.served(), Instant::now() + SCRAPE);
    while subject.page.served() == served {
        ensure!(Instant::now() < end, "{}: no scrape", subject.name);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(SETTLE).await;
    Ok(())
}
