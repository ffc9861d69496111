//! Instructions a sample, and of a judge's step, as callgrind counts them: the same on a busy
//! machine as on an idle one.
//!
//! Each path runs twice in a process of its own, for few and for more scrapes; the difference is
//! what scrapes alone take. Needs Valgrind.

use std::hint::black_box;
use std::process::Command;

use anyhow::{Context, bail, ensure};
use davy_agent_core::exposition::{Options, parse};
use davy_agent_core::template::Template;
use davy_agent_core::translate::{Identity, ScrapeStats, Translator};
use davy_benches::ring::{self, Ring};
use davy_benches::{rollout, rules};
use davy_gate_core::judge::Verdict;

/// Scrapes of the two runs; both begin with one that nothing was known before.
const SCRAPES: [usize; 2] = [3, 13];
const PAGES: [(&str, &str); 3] = [
    ("shop", "10,000 series of a shop"),
    ("moving", "the same, 1 % come and go each scrape"),
    ("goapp", "`goapp.prom`, a small Go program's page"),
];
const PATHS: [&str; 4] = ["steady", "slow", "parse", "cold"];
/// Paths for the first of [`PAGES`] alone, whose series the rules are for: the rules by themselves,
/// and a scrape with them.
const RULES: [&str; 2] = ["rules", "relabeled"];
/// Steps of the judge: of the first half hour, and of the time after six hours.
const STEPS: [(&str, [usize; 2]); 2] = [
    ("in the first half hour", [0, 360]),
    ("after six hours", [4320, 4680]),
];

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["judge", steps] => judge(steps.parse()?),
        [page, path, scrapes] => scrape(&ring_of(page)?, path, scrapes.parse()?),
        _ => table(),
    }
}

fn table() -> anyhow::Result<()> {
    println!("| instructions a sample | steady | slow path | its parse | cold |");
    println!("|---|---|---|---|---|");
    for (page, what) in PAGES {
        let [steady, slow, parse, cold] = PATHS.map(|path| each(page, path));
        println!(
            "| {what} | {} | {} | {} | {} |",
            steady?, slow?, parse?, cold?
        );
    }
    let (page, what) = PAGES[0];
    let [alone, scrape] = RULES.map(|path| each(page, path));
    println!(
        "\n{what}, three relabel rules: {} by themselves, {} a scrape",
        alone?, scrape?
    );
    println!("\none rollout after a new cell, 8 + 2 pods, two routes:");
    for (when, steps) in STEPS {
        let [few, more] = steps.map(|steps| counted(&["judge", &steps.to_string()]));
        let each = (more? - few?) / (steps[1] - steps[0]) as u64;
        println!("{each} {when}");
    }
    Ok(())
}

/// Instructions a sample.
fn each(page: &str, path: &str) -> anyhow::Result<u64> {
    let samples = ring_of(page)?.samples() as u64;
    let [few, more] = SCRAPES.map(|scrapes| counted(&[page, path, &scrapes.to_string()]));
    let between = (SCRAPES[1] - SCRAPES[0]) as u64;
    Ok((more? - few?) / (between * samples))
}

/// Instructions of a process of this program.
fn counted(arguments: &[&str]) -> anyhow::Result<u64> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    command.arg(std::env::current_exe()?);
    command.args(arguments);
    let output = command
        .output()
        .context("start valgrind: is it installed?")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {said}");
    let collected = said.rsplit("Collected : ").next();
    let collected = collected.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    collected.with_context(|| format!("no count in: {said}"))
}

fn ring_of(page: &str) -> anyhow::Result<Ring> {
    Ok(match page {
        "shop" => ring::shop(10_000, 0),
        "moving" => ring::shop(10_000, 1),
        "goapp" => ring::program(include_str!("../../tests/corpora/goapp.prom")),
        other => bail!("no page {other}"),
    })
}

fn scrape(ring: &Ring, path: &str, scrapes: usize) -> anyhow::Result<()> {
    let mut template = Template::new(Identity::default());
    let (rules, series) = (rules::usual()?, rules::series(ring.page(0)));
    let mut relabeled = Template::new(Identity::default()).relabeled(rules.clone());
    let mut translator = Translator::new(Identity::default());
    let stats = ScrapeStats::default();
    for step in 0..scrapes {
        let (page, at) = (black_box(ring.page(step)), step as u64);
        let items = match path {
            "steady" => {
                let scraped = template.translate(page, None, &Options::LENIENT, at, &stats)?;
                scraped.payload.items
            }
            "rules" => {
                let kept = series
                    .iter()
                    .filter_map(|it| rules::apply(&rules, black_box(it)));
                kept.count() as u64
            }
            "relabeled" => {
                let scraped = relabeled.translate(page, None, &Options::LENIENT, at, &stats)?;
                // The rules drop the gauges.
                scraped.payload.items + ring.points() as u64 / 5
            }
            "slow" => {
                let page = parse(page, None, &Options::LENIENT)?;
                translator.translate(&page, at, &stats).payload.items
            }
            "parse" => parse(page, None, &Options::LENIENT)?.samples.len() as u64,
            "cold" => {
                let mut template = Template::new(Identity::default());
                let scraped = template.translate(page, None, &Options::LENIENT, at, &stats)?;
                scraped.payload.items
            }
            other => bail!("no path {other}"),
        };
        ensure!(items >= ring.points() as u64, "{items} points");
    }
    Ok(())
}

/// Judges so many cells of equal arms, after the history that a rollout has.
fn judge(steps: usize) -> anyhow::Result<()> {
    let cells: Vec<_> = (0..128).map(rollout::cell).collect();
    let mut judge = rollout::judge(&cells, 7);
    for step in 0..steps {
        let said = judge.step(black_box(&cells[step % cells.len()]));
        ensure!(said.cells == step as u64 + 1, "{said:?}");
        ensure!(said.verdict != Verdict::Rollback, "{said:?}");
    }
    Ok(())
}
