//! How often the judge is wrong on real traffic: A/A and A/B.
//!
//! Ten instances of one release run under load, each with an agent beside it whose evidence the
//! gate records, while a neighbour takes the processor now and then and an instance is restarted
//! ([`record`]). Then some are made worse by the app's own knobs and recorded beside them. Random
//! [`split`]s of the recording into a baseline and a canary go through the code of
//! `davy-gate replay` ([`judge`]): of the ten alone, where every rollback is wrong, and of the ten
//! against worse ones. [`tally`] counts, [`report`] shows.
//!
//! What it can't say: splits share instances and minutes, so thousands of them are not thousands of
//! independent rollouts. The report says how many stretches of time are disjoint.

mod evidence;
mod fleet;
mod judge;
mod record;
mod report;
mod split;
mod tally;
mod trouble;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::kit::peers;
use evidence::Evidence;
use record::Recording;
use report::Report;

/// Where the recording is kept, below the cache.
const FOLDER: &str = "aa";
/// Names of its files.
const WINDOWS: &str = "shop.jsonl";
const ABOUT: &str = "recording.json";

/// What to record, and how often to judge it.
#[derive(Clone, Debug, clap::Parser)]
#[command(
    name = "davy-aa",
    about = "How often the judge is wrong on real traffic"
)]
pub struct Options {
    /// Minutes of ten instances alike; a quarter as many beside worse ones are added.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(2..=1440))]
    pub minutes: u64,
    /// Minutes beside worse instances, when not a quarter.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=720))]
    pub worse_minutes: Option<u64>,
    /// Random splits of the ten; half as many against worse ones.
    #[arg(long, default_value_t = 2000)]
    #[arg(value_parser = clap::value_parser!(u64).range(3..=1_000_000))]
    pub splits: u64,
    /// Seed of load, troubles and splits.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Judge what was recorded last, and record nothing.
    #[arg(long)]
    pub again: bool,
    /// How far the load generator may be behind its schedule at P99, in milliseconds, before the
    /// machine counts as too slow.
    #[arg(long, value_name = "MS", default_value_t = 25)]
    pub lag_max: u64,
    /// What else the machine did meanwhile, for the record.
    #[arg(long, default_value = "")]
    pub note: String,
    /// Where the record goes.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

impl Options {
    fn worse_minutes(&self) -> u64 {
        self.worse_minutes.unwrap_or((self.minutes / 4).max(1))
    }
}

/// Records, judges, prints the table and writes the record.
///
/// # Errors
///
/// When a part can't be built or started, and when the machine was too busy for the load to be
/// what it was meant to be.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let store = peers::cache()?.join(FOLDER);
    fs::create_dir_all(&store).with_context(|| format!("make {}", store.display()))?;
    if !options.again {
        record::record(&options, &store).await?;
    }
    tokio::task::spawn_blocking(move || judged(&options, &store))
        .await
        .context("judge the splits")?
}

fn judged(options: &Options, store: &Path) -> anyhow::Result<()> {
    let about = store.join(ABOUT);
    let about = fs::read_to_string(&about)
        .with_context(|| format!("no recording: read {}", about.display()))?;
    let recording: Recording = serde_json::from_str(&about).context("read the recording")?;
    let evidence = Evidence::read(&store.join(WINDOWS))?;
    let results = judge::all(&evidence, &recording, options)?;
    let report = Report::new(options, recording, &evidence, results)?;
    print!("{}", report.text());
    let out = options.out.clone().unwrap_or_else(default_out);
    fs::write(&out, report.json()?).with_context(|| format!("write {}", out.display()))
}

fn default_out() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("record/aa.json")
}
