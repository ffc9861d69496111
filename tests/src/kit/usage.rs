//! What a process uses, as Linux counts it.

use std::collections::BTreeMap;
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

/// CPU time of a process by the scheduler's own clock: to the nanosecond, where [`cpu`] has ticks.
#[derive(Debug)]
pub struct CpuClock {
    pid: u32,
    /// What each thread had used when it was last looked at, nanoseconds.
    threads: BTreeMap<String, u64>,
}

impl CpuClock {
    /// A clock of the process; it should be read every second or so, for what a thread uses between
    /// the last look at it and its end is missed.
    pub fn new(pid: u32) -> Self {
        let threads = BTreeMap::new();
        Self { pid, threads }
    }

    /// Returns user and system time that the process's threads have used.
    ///
    /// # Errors
    ///
    /// When the process is gone, or Linux keeps no `schedstat`.
    pub fn read(&mut self) -> anyhow::Result<Duration> {
        let tasks = format!("/proc/{}/task", self.pid);
        let context = || format!("read {tasks}");
        for task in fs::read_dir(&tasks).with_context(context)? {
            let task = task.with_context(context)?;
            // A thread may end meanwhile.
            let Ok(stat) = fs::read_to_string(task.path().join("schedstat")) else {
                continue;
            };
            let ran = stat.split(' ').next().and_then(|ran| ran.parse().ok());
            let ran = ran.with_context(|| format!("schedstat in {tasks}"))?;
            let thread = task.file_name().to_string_lossy().into_owned();
            self.threads.insert(thread, ran);
        }
        Ok(Duration::from_nanos(self.threads.values().sum()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// Guarantees: what a busy thread uses shows in both clocks.
    #[test]
    fn clocks_agree() {
        let pid = std::process::id();
        let mut clock = CpuClock::new(pid);
        let (fine, coarse) = (clock.read().expect("schedstat"), cpu(pid).expect("stat"));
        let begin = Instant::now();
        while cpu(pid).expect("stat") < coarse + Duration::from_millis(300) {
            assert!(begin.elapsed() < Duration::from_secs(60));
        }
        let used = clock.read().expect("schedstat") - fine;
        let close = Duration::from_millis(200)..Duration::from_secs(30);
        assert!(close.contains(&used), "{used:?}");
    }
}
