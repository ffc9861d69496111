//! Runs as tables for people, and as a file that is committed.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context;
use davy_tests::kit::machine::{Machine, commit};
use serde_json::json;

use super::measure::{Figures, Run};

/// What is to be known of the runs.
#[derive(Debug)]
pub(super) struct About<'a> {
    /// How to do it again.
    pub(super) command: String,
    /// What else the machine did.
    pub(super) note: &'a str,
    /// Processes that ran or wanted to, before each run.
    pub(super) load_averages: &'a [f64],
}

/// The table of a run.
pub(super) fn table(run: &Run) -> String {
    let plan = &run.plan;
    let head = format!(
        "{} series of {} bytes, {} target(s) a subject, every {} s for {} s{}",
        plan.series,
        run.page_bytes,
        plan.targets,
        plan.interval,
        plan.seconds,
        if plan.gzip {
            ", gzip where asked for"
        } else {
            ""
        },
    );
    let mut rows = vec![head];
    let mut row = |name: &str, cell: &dyn Fn(&Figures) -> String| {
        let cells = run.figures.iter().map(|f| format!("{:>24}", cell(f)));
        rows.push(format!("{name:28}{}", cells.collect::<String>()));
    };
    row("", &|f| f.name.to_owned());
    row("program, MiB", &|f| mib(f.binary_bytes / 1024));
    row("resident, median, MiB", &|f| mib(f.resident_kib_median));
    row("resident, peak, MiB", &|f| mib(f.resident_kib_peak));
    row("of it heap and stacks, MiB", &|f| mib(f.anonymous_kib));
    row("scrapes", &|f| f.scrapes.to_string());
    row("CPU a scrape, ms", &|f| {
        format!("{:.3}", f.cpu_ms_per_scrape)
    });
    row("CPU a sample, ns", &|f| {
        format!("{:.0}", f.cpu_ns_per_sample)
    });
    row("million samples a core s", &|f| {
        format!("{:.3}", f.samples_per_core_second / 1e6)
    });
    row("points or samples, all came", &|f| f.items.to_string());
    row("sent, bytes an item", &|f| {
        let each = f.sent_bytes as f64 / f.items.max(1) as f64;
        format!("{each:.2} {}", f.encoding)
    });
    rows.push(format!(
        "servers beside: pages {:.2} s of CPU, sink {:.2} s",
        run.pages_cpu_seconds, run.sink_cpu_seconds
    ));
    rows.join("\n")
}

fn mib(kib: u64) -> String {
    format!("{:.2}", kib as f64 / 1024.0)
}

/// Writes the record.
///
/// # Errors
///
/// When the agent does not say what it is, or the file can't be written.
pub(super) fn write(
    file: &Path,
    agent: &Path,
    about: &About<'_>,
    runs: &[Run],
) -> anyhow::Result<()> {
    let version = Command::new(agent).arg("version").output();
    let version = version.context("davy-agent version")?.stdout;
    let version = String::from_utf8(version)?;
    let record = json!({
        "command": about.command,
        "commit": commit(),
        "agent": version.lines().collect::<Vec<_>>(),
        "machine": Machine::read()?,
        "note": about.note,
        "load_averages": about.load_averages,
        "runs": runs,
    });
    fs::write(file, format!("{record:#}\n")).with_context(|| format!("write {}", file.display()))
}
