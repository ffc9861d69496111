//! What a process uses, as Linux counts it.

use std::fs;
use std::time::Duration;

use anyhow::Context;

/// Length of a tick of `/proc/<pid>/stat`: `USER_HZ` is 100 on every Linux (`proc(5)`).
const TICK: Duration = Duration::from_millis(10);

/// Memory of a process, in KiB.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Resident now, pages of the binary included.
    pub resident: u64,
    /// Of that, heap and stacks: what is no file's.
    pub anonymous: u64,
    /// Most that was ever resident.
    pub peak: u64,
}

impl Memory {
    /// Reads `/proc/<pid>/status`.
    ///
    /// # Errors
    ///
    /// When the process is gone.
    pub fn of(pid: u32) -> anyhow::Result<Self> {
        let path = format!("/proc/{pid}/status");
        let status = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        let kib = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            let number =
                line.and_then(|rest| rest.trim_start_matches(':').split_whitespace().next());
            number
                .and_then(|number| number.parse().ok())
                .with_context(|| format!("{key} in {path}"))
        };
        Ok(Self {
            resident: kib("VmRSS")?,
            anonymous: kib("RssAnon")?,
            peak: kib("VmHWM")?,
        })
    }
}

/// Returns user and system time that the process has used.
///
/// # Errors
///
/// When the process is gone.
pub fn cpu(pid: u32) -> anyhow::Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    // The name may hold spaces; after it come the state and ten numbers, then utime and stime.
    let rest = stat.rsplit(')').next().unwrap_or_default();
    let ticks = rest.split_whitespace().skip(11).take(2);
    let ticks: Option<Vec<u32>> = ticks.map(|ticks| ticks.parse().ok()).collect();
    let ticks = ticks.filter(|ticks| ticks.len() == 2);
    let ticks = ticks.with_context(|| format!("utime and stime in {path}"))?;
    Ok(TICK * ticks.iter().sum::<u32>())
}
