//! The recording: instances under an open load, troubles now and then, a line a minute.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use davy_gate_sim::chance::Chance;
use davy_proto::UnixNanos;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, interval};

use super::fleet::{ALIKE, ALIKE_INSTANCES, Fleet, WORSE};
use super::trouble::{self, Kind};
use super::{ABOUT, Options, WINDOWS};
use crate::kit::load::{Load, Plan, Schedule, Tally};
use crate::kit::machine::{Machine, commit, load_average};

/// Requests a second to each instance: 200 for 4+1.
pub(super) const RATE_EACH: f64 = 40.0;
/// Least share of the requests meant that must have been answered.
const ANSWERED_MIN: f64 = 0.97;
/// Before anything counts: processes warm up, and agents have seen each series.
const WARM_UP: Duration = Duration::from_secs(60);
const MINUTE: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_secs(1);

/// What was recorded, and under which circumstances.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Recording {
    pub(super) command: String,
    /// Of the programs that recorded.
    pub(super) commit: String,
    pub(super) machine: Machine,
    /// What else the machine did, as the caller knows.
    pub(super) note: String,
    pub(super) requests_per_second_each: f64,
    /// Begin and end of the instances alike.
    pub(super) alike: (UnixNanos, UnixNanos),
    /// Begin and end of the worse ones beside them.
    pub(super) worse: (UnixNanos, UnixNanos),
    pub(super) restarts: u64,
    pub(super) neighbours: u64,
    pub(super) neighbour_seconds: u64,
    /// Mean of a reading a minute: processes that ran or wanted to.
    pub(super) load_average: f64,
    /// How far the load generator was behind its schedule, at P99.
    pub(super) lag_p99_ms: f64,
    /// What clients and Linux saw of each kind of instance: alike, and then beside the worse ones.
    pub(super) seen_alike: Vec<Seen>,
    pub(super) seen_worse: Vec<Seen>,
}

/// What was seen from outside of one kind of instance.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Seen {
    pub(super) arm: String,
    pub(super) requests: u64,
    /// Share of them, in [0, 1].
    pub(super) errors: f64,
    pub(super) p99_ms: f64,
    /// Milliseconds of CPU time a request.
    pub(super) cpu_ms: f64,
}

/// A recording under way; all that runs ends when it is dropped, and its files go.
struct Session {
    // Dropped in this order.
    load: Load,
    fleet: Fleet,
    root: tempfile::TempDir,
    began: Instant,
    chance: Chance,
    restarts: u64,
    neighbours: u64,
    neighbour_seconds: u64,
    load_averages: Vec<f64>,
    /// Latency is measured by the apps themselves, so what a lag of the generator spoils is how
    /// requests are spread over time; no more than that.
    lag_ms_max: f64,
}

/// Records into `store`; a recording that was there before is replaced when this one is whole.
///
/// # Errors
///
/// When a program can't be started, or ends by itself, and when the machine is too slow.
pub(super) async fn record(options: &Options, store: &Path) -> anyhow::Result<()> {
    println!(
        "Recording {} minutes of {ALIKE_INSTANCES} instances alike, then {} beside worse ones",
        options.minutes,
        options.worse_minutes()
    );
    let mut session = Session::start(options, store).context("start the instances")?;
    let (alike, seen_alike) = session.part(options.minutes).await?;
    println!("  beside worse ones: slower, failing, dearer");
    session.fleet.start_worse()?;
    session.aim(None);
    let (worse, seen_worse) = session.part(options.worse_minutes()).await?;
    let readings = session.load_averages.len().max(1) as f64;
    let recording = Recording {
        command: format!(
            "make aa AA_MINUTES={} AA_FLAGS='--worse-minutes {} --seed {} --lag-max {}'",
            options.minutes,
            options.worse_minutes(),
            options.seed,
            options.lag_max
        ),
        commit: commit(),
        machine: Machine::read()?,
        note: options.note.clone(),
        requests_per_second_each: RATE_EACH,
        alike,
        worse,
        restarts: session.restarts,
        neighbours: session.neighbours,
        neighbour_seconds: session.neighbour_seconds,
        load_average: session.load_averages.iter().sum::<f64>() / readings,
        lag_p99_ms: session.load.lag_p99_ms(),
        seen_alike,
        seen_worse,
    };
    session.keep(&recording, store)
}

impl Session {
    fn start(options: &Options, store: &Path) -> anyhow::Result<Self> {
        let root = tempfile::Builder::new()
            .prefix("recording-")
            .tempdir_in(store)?;
        let fleet = Fleet::start(root.path(), &root.path().join("evidence"))?;
        let groups = 1 + WORSE.len();
        let load = Load::start_on(Schedule::Poisson, plan(&fleet, None), groups, options.seed);
        Ok(Self {
            load,
            fleet,
            root,
            began: Instant::now(),
            chance: Chance::new(options.seed, u64::MAX),
            restarts: 0,
            neighbours: 0,
            neighbour_seconds: 0,
            load_averages: Vec::new(),
            lag_ms_max: options.lag_max as f64,
        })
    }

    /// Lets the load go to all instances but `spared`.
    fn aim(&self, spared: Option<usize>) {
        self.load.change(plan(&self.fleet, spared));
    }

    /// Warms up, and then runs for so many minutes: from when to when, and what was seen.
    async fn part(&mut self, minutes: u64) -> anyhow::Result<((UnixNanos, UnixNanos), Vec<Seen>)> {
        tokio::time::sleep(WARM_UP).await;
        self.load.take();
        let (from, cpu) = (now(), self.fleet.cpu()?);
        let length = MINUTE * u32::try_from(minutes)?;
        let troubles = trouble::plan(length, ALIKE_INSTANCES, &mut self.chance);
        let mut troubles = troubles.into_iter().peekable();
        let mut totals: Vec<Tally> = Vec::new();
        let (began, mut next) = (Instant::now(), MINUTE);
        let mut ticks = interval(TICK);
        while next <= length {
            ticks.tick().await;
            let elapsed = began.elapsed();
            while let Some(trouble) = troubles.next_if(|trouble| trouble.at <= elapsed) {
                self.make(trouble.kind)?;
            }
            if elapsed >= next {
                next += MINUTE;
                add(&mut totals, self.minute()?);
            }
        }
        let spent: Vec<Duration> = self.fleet.cpu()?;
        let spent = spent
            .iter()
            .zip(&cpu)
            .map(|(after, before)| *after - *before);
        Ok(((from, now()), seen(&totals, spent)))
    }

    fn make(&mut self, kind: Kind) -> anyhow::Result<()> {
        match kind {
            Kind::Restart { instance } => {
                self.say(&format!("shop-{instance} is restarted"));
                // As a load balancer does with an instance that is not ready.
                self.aim(Some(instance));
                self.fleet.restart(instance)?;
                self.aim(None);
                self.restarts += 1;
            }
            Kind::Neighbour { seconds } => {
                self.say(&format!("a neighbour takes a core for {seconds} s"));
                let end = Instant::now() + Duration::from_secs(seconds);
                thread::spawn(move || while Instant::now() < end {});
                self.neighbours += 1;
                self.neighbour_seconds += seconds;
            }
        }
        Ok(())
    }

    /// The line of a minute. What groups answered since the last one.
    fn minute(&mut self) -> anyhow::Result<Vec<Tally>> {
        self.fleet.check()?;
        self.load_averages.extend(load_average());
        let tallies = self.load.take();
        let requests: u64 = tallies.iter().map(|tally| tally.requests).sum();
        let rate = requests as f64 / MINUTE.as_secs_f64();
        let lag = self.load.lag_p99_ms();
        let recorded = fs::metadata(self.windows()).map_or(0, |about| about.len());
        let alike = tallies.first().context("a group")?;
        self.say(&format!(
            "{rate:.0} req/s, P99 {:.0} ms, {:.2} % errors; load {:.1}, lag {lag:.1} ms; {:.1} \
             MB of evidence",
            alike.quantile_ms(0.99),
            100.0 * alike.errors as f64 / alike.requests.max(1) as f64,
            self.load_averages.last().unwrap_or(&f64::NAN),
            recorded as f64 / 1e6,
        ));
        let meant = RATE_EACH * self.fleet.len() as f64;
        ensure!(
            lag <= self.lag_ms_max && self.load.overrun() == 0 && rate >= ANSWERED_MIN * meant,
            "the machine is too slow: the load generator lags {lag:.1} ms behind its schedule at \
             P99 (up to {} ms counts), left out {} requests, and {rate:.0} of {meant} \
             requests a second were answered. Run it with less beside it.",
            self.lag_ms_max,
            self.load.overrun()
        );
        Ok(tallies)
    }

    /// Ends all programs, and moves what they recorded to where it is kept.
    fn keep(self, recording: &Recording, store: &Path) -> anyhow::Result<()> {
        let windows = self.windows();
        let Self {
            load, fleet, root, ..
        } = self;
        drop(load);
        fleet.stop()?;
        fs::rename(&windows, store.join(WINDOWS))
            .with_context(|| format!("keep {}", windows.display()))?;
        fs::write(store.join(ABOUT), serde_json::to_string_pretty(recording)?)?;
        root.close().context("remove the instances' files")
    }

    fn windows(&self) -> PathBuf {
        self.root.path().join("evidence").join(WINDOWS)
    }

    fn say(&self, text: &str) {
        let seconds = self.began.elapsed().as_secs();
        println!("[{:3}:{:02}] {text}", seconds / 60, seconds % 60);
    }
}

fn plan(fleet: &Fleet, spared: Option<usize>) -> Plan {
    Plan {
        rate: RATE_EACH * fleet.len() as f64,
        targets: fleet.targets(spared),
    }
}

fn add(totals: &mut Vec<Tally>, taken: Vec<Tally>) {
    if totals.is_empty() {
        *totals = taken;
        return;
    }
    for (total, tally) in totals.iter_mut().zip(&taken) {
        total.requests += tally.requests;
        total.errors += tally.errors;
        // The bounds are the same in all tallies, so nothing is out of range.
        let _ = total.latency_micros.add(&tally.latency_micros);
    }
}

fn seen(totals: &[Tally], spent: impl Iterator<Item = Duration>) -> Vec<Seen> {
    let arms = [ALIKE].into_iter().chain(WORSE.iter().map(|kind| kind.arm));
    let all = arms.zip(totals).zip(spent);
    let all = all.filter(|((_, tally), _)| tally.requests > 0);
    let seen = all.map(|((arm, tally), spent)| {
        let requests = tally.requests as f64;
        Seen {
            arm: arm.to_owned(),
            requests: tally.requests,
            errors: tally.errors as f64 / requests,
            p99_ms: tally.quantile_ms(0.99),
            cpu_ms: 1e3 * spent.as_secs_f64() / requests,
        }
    });
    seen.collect()
}

fn now() -> UnixNanos {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed();
    UnixNanos::default().plus(since.unwrap_or_default())
}
