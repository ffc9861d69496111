//! The agent beside the OpenTelemetry Collector: the same work in the same minute on one machine.
//!
//! Each subject has a page of 1,000 series of its own to scrape every 5 s, a log file that grows by
//! 100 lines a second, 100 spans a second to relay, and a backend that counts what arrives. The
//! subjects run together, so that whatever else the machine does is shared by all. It fails when
//! anything is missing, or when the agent is larger than what it promises.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Parser;

use self::load::{LINE_BYTES, RATE};
use self::measure::{Figures, measure};
use self::page::SERIES;
use self::record::Machine;
use self::subject::Subject;

mod load;
mod measure;
mod page;
mod record;
mod subject;

/// Largest agent program, bytes.
const BINARY_BYTES_MAX: u64 = 6 * 1024 * 1024;
/// Largest resident memory of the agent, KiB; its peak counts.
const RESIDENT_KIB_MAX: u64 = 8 * 1024;

#[derive(Debug, Parser)]
struct Args {
    /// How long the load lasts.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The agent; that of `make build` unless named.
    #[arg(long)]
    agent: Option<PathBuf>,
    /// Where the figures are kept.
    #[arg(long)]
    record: Option<PathBuf>,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let figures = runtime.block_on(run(&args))?;
    let broken: Vec<String> = figures.iter().flat_map(broken).collect();
    for promise in &broken {
        println!("BROKEN: {promise}");
    }
    Ok(if broken.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn run(args: &Args) -> anyhow::Result<Vec<Figures>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let built = format!(
        "target/{}-unknown-linux-musl/release/davy-agent",
        std::env::consts::ARCH
    );
    let agent = args.agent.clone().unwrap_or_else(|| root.join(built));
    if !agent.exists() {
        bail!("no agent at {}: run `make build` first", agent.display());
    }
    let folder = tempfile::tempdir()?;
    let machine = Machine::read()?;
    println!("{}", machine.line());
    println!(
        "{SERIES} series every 5 s, {RATE} lines of {LINE_BYTES} B and {RATE} spans a second, \
         for {} s, all subjects at once",
        args.seconds
    );
    let alone = Subject::agent(&agent, folder.path(), false).await?;
    let with_evidence = Subject::agent(&agent, folder.path(), true).await?;
    let collector = Subject::collector(folder.path()).await?;
    let tasks = [alone, with_evidence, collector]
        .map(|subject| tokio::spawn(measure(subject, args.seconds)));
    let mut figures = Vec::new();
    for task in tasks {
        figures.push(task.await.context("a subject's task")??);
    }
    println!("{}", record::table(&figures));
    let file = args
        .record
        .clone()
        .unwrap_or_else(|| root.join("tests/record/bench.json"));
    record::write(&file, &agent, args.seconds, &machine, &figures)?;
    Ok(figures)
}

/// What a subject has not kept: everything arrives once, and the agent is small.
fn broken(figures: &Figures) -> Vec<String> {
    let name = figures.name;
    let mut broken = Vec::new();
    let signals = [
        ("data points", figures.points),
        ("log lines", figures.lines),
        ("spans", figures.spans),
    ];
    for (signal, delivered) in signals {
        if delivered.arrived != delivered.produced {
            broken.push(format!("{name}: {signal}: {delivered:?}"));
        }
    }
    if name.starts_with("davy-agent") {
        if figures.binary_bytes > BINARY_BYTES_MAX {
            broken.push(format!(
                "{name}: a program of {} bytes",
                figures.binary_bytes
            ));
        }
        if figures.resident_kib_peak > RESIDENT_KIB_MAX {
            broken.push(format!(
                "{name}: {} KiB resident",
                figures.resident_kib_peak
            ));
        }
    }
    broken
}
