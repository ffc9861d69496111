//! Ten thousand rollouts on one core: CPU of a cell of each, and memory of all.
//!
//! `cargo run --profile bench -p davy-benches --example fleet`

use std::fs;
use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use davy_benches::rollout;
use davy_gate_core::judge::{Judge, Verdict};

const ROLLOUTS: usize = 10_000;
/// Rollouts that are begun; the others are copies of them.
const BEGUN: u64 = 16;
const CELLS: usize = 128;
/// Cells of each rollout that are timed, after as many as a verdict takes at least.
const ROUNDS: usize = 12;
/// How often a rollout has a cell.
const CELL: Duration = Duration::from_secs(5);
const MEBIBYTES_MAX: u64 = 1024;

fn main() -> anyhow::Result<()> {
    let cells: Vec<_> = (0..CELLS as u64).map(rollout::cell).collect();
    let begun: Vec<Judge> = (0..BEGUN)
        .map(|seed| rollout::judge(&cells, seed))
        .collect();
    let mut fleet: Vec<Judge> = begun.iter().cycle().take(ROLLOUTS).cloned().collect();
    let mut verdicts = 0;
    let mut slowest = Duration::ZERO;
    for round in 0..2 * ROUNDS {
        let started = Instant::now();
        for (number, judge) in fleet.iter_mut().enumerate() {
            let said = judge.step(black_box(&cells[(number + round) % CELLS]));
            ensure!(said.cells == round as u64 + 1, "{said:?}");
            verdicts += usize::from(said.verdict == Verdict::Rollback);
        }
        if round >= ROUNDS {
            slowest = slowest.max(started.elapsed());
        }
    }
    let peak = peak_mebibytes()?;
    println!(
        "{ROLLOUTS} rollouts of 8 + 2 pods and two routes: a cell of each takes at most {:.2} s of \
         the 5 s until the next one, on one core; {peak} MiB resident at most",
        slowest.as_secs_f64()
    );
    // Equal arms: the chance of a wrong rollback is 1 %, over half an hour.
    ensure!(verdicts < ROLLOUTS / 100, "{verdicts} rolled back");
    ensure!(slowest < CELL, "one core is not enough");
    ensure!(peak < MEBIBYTES_MAX, "more than {MEBIBYTES_MAX} MiB");
    Ok(())
}

fn peak_mebibytes() -> anyhow::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = peak.and_then(|peak| peak.split_whitespace().next());
    Ok(kibibytes.context("no VmHWM")?.parse::<u64>()? / 1024)
}
