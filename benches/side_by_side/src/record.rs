//! The run as a table for people, and as a file that is committed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use serde_json::json;

use super::measure::{Delivered, Figures};
use super::{LINE_BYTES, RATE, SERIES};

/// The machine, and how busy others kept it.
#[derive(Debug)]
pub(super) struct Machine {
    cores: usize,
    cpu: String,
    kernel: String,
    /// Processes that ran or wanted to, over the last minute.
    load: String,
}

impl Machine {
    /// Reads what Linux says of itself.
    ///
    /// # Errors
    ///
    /// When it says nothing.
    pub(super) fn read() -> anyhow::Result<Self> {
        let info = fs::read_to_string("/proc/cpuinfo")?;
        let model = info.lines().find(|line| line.starts_with("model name"));
        let model = model.and_then(|line| line.split(": ").nth(1));
        let load = fs::read_to_string("/proc/loadavg")?;
        Ok(Self {
            cores: std::thread::available_parallelism()?.get(),
            cpu: model.unwrap_or("unknown").to_owned(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?
                .trim()
                .to_owned(),
            load: load.split(' ').next().unwrap_or_default().to_owned(),
        })
    }

    /// One line.
    pub(super) fn line(&self) -> String {
        let Self {
            cores,
            cpu,
            kernel,
            load,
        } = self;
        format!("{cores} cores of {cpu}, Linux {kernel}, load {load} before the run")
    }
}

/// The table.
pub(super) fn table(figures: &[Figures]) -> String {
    let mut rows = vec![format!("{:36}", "")];
    let mut row = |name: &str, cell: &dyn Fn(&Figures) -> String| {
        let cells = figures
            .iter()
            .map(|figures| format!("{:>24}", cell(figures)));
        rows.push(format!("{name:36}{}", cells.collect::<String>()));
    };
    row("", &|f| f.name.to_owned());
    row("binary, MiB", &|f| {
        format!("{:.2}", f.binary_bytes as f64 / (1024.0 * 1024.0))
    });
    row("resident, median, MiB", &|f| mib(f.resident_kib_median));
    row("resident, peak since start, MiB", &|f| {
        mib(f.resident_kib_peak)
    });
    row("of it heap and stacks, MiB", &|f| mib(f.anonymous_kib));
    row("CPU, % of a core", &|f| format!("{:.2}", f.cpu_percent));
    row("data points arrived / produced", &|f| share(f.points));
    row("log lines arrived / produced", &|f| share(f.lines));
    row("spans arrived / produced", &|f| share(f.spans));
    row("requests with evidence", &|f| {
        f.evidence_requests
            .map_or_else(|| "-".to_owned(), |requests| requests.to_string())
    });
    rows.split_off(1).join("\n")
}

fn mib(kib: u64) -> String {
    format!("{:.2}", kib as f64 / 1024.0)
}

fn share(delivered: Delivered) -> String {
    format!("{} / {}", delivered.arrived, delivered.produced)
}

/// Writes the record.
///
/// # Errors
///
/// When the agent does not say what it is, or the file can't be written.
pub(super) fn write(
    file: &Path,
    agent: &Path,
    seconds: u64,
    machine: &Machine,
    figures: &[Figures],
) -> anyhow::Result<()> {
    let version = Command::new(agent)
        .arg("version")
        .output()
        .context("davy-agent version")?;
    let version = String::from_utf8(version.stdout)?;
    let record = json!({
        "command": format!(
            "cargo run -p davy-side-by-side -- --seconds {seconds}"
        ),
        "agent": version.lines().collect::<Vec<_>>(),
        "machine": {
            "cores": machine.cores,
            "cpu": machine.cpu,
            "kernel": machine.kernel,
            "load_before": machine.load,
        },
        "work": {
            "seconds": seconds,
            "series_every_5_seconds": SERIES,
            "lines_per_second": RATE,
            "line_bytes": LINE_BYTES,
            "spans_per_second": RATE,
        },
        "figures": figures,
    });
    let folder = file.parent().map(PathBuf::from).unwrap_or_default();
    fs::create_dir_all(&folder)?;
    fs::write(file, format!("{record:#}\n")).with_context(|| format!("write {}", file.display()))
}
