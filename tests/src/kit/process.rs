//! Real programs as child processes: started with a log file, ended with the test.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::TcpListener;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How often a condition is looked at while it is waited for.
pub(super) const POLL: Duration = Duration::from_millis(10);

/// Where [`free_port`] looks.
const PORTS: Range<u16> = 20_000..30_000;

/// A program that runs; killed when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with both its outputs in the file `log`, which is created or appended to.
    ///
    /// # Errors
    ///
    /// When the log can't be opened or the program can't be started.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let open = || File::options().create(true).append(true).open(log);
        let out = open().with_context(|| format!("open {}", log.display()))?;
        let err = open().with_context(|| format!("open {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        let child = command
            .spawn()
            .with_context(|| format!("start {name}: {command:?}"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log: log.to_owned(),
        })
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What the program has printed so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends a signal.
    ///
    /// # Errors
    ///
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        kill_process(Pid::from_child(&self.child), signal)
            .with_context(|| format!("signal {}", self.name))
    }

    /// Whether the program still runs.
    ///
    /// # Errors
    ///
    /// When the system does not know the child.
    pub fn is_running(&mut self) -> anyhow::Result<bool> {
        Ok(self
            .child
            .try_wait()
            .with_context(|| format!("look at {}", self.name))?
            .is_none())
    }

    /// Waits for the end of the program.
    ///
    /// # Errors
    ///
    /// When it still runs after `limit`; then it is left running.
    pub fn wait(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() >= end {
                bail!("{} still runs after {limit:?}:\n{}", self.name, self.log());
            }
            std::thread::sleep(POLL);
        }
    }

    /// Asks the program to end (SIGTERM) and kills it where it has not after `grace`.
    ///
    /// # Errors
    ///
    /// When it had to be killed.
    pub fn terminate(&mut self, grace: Duration) -> anyhow::Result<ExitStatus> {
        if self.is_running()? {
            self.signal(Signal::TERM)?;
        }
        self.wait(grace)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until `look` finds something.
///
/// # Errors
///
/// When it has not after `limit`; the message says `what` was waited for.
pub fn wait_until<T>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Option<T>,
) -> anyhow::Result<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if Instant::now() >= end {
            bail!("waited {limit:?} for {what}");
        }
        std::thread::sleep(POLL);
    }
}

/// Waits for the file that a program writes its addresses to: listener name → `host:port`.
///
/// # Errors
///
/// When the file is not there and whole after `limit`.
pub fn addresses(file: &Path, limit: Duration) -> anyhow::Result<BTreeMap<String, String>> {
    wait_until(&file.display().to_string(), limit, || {
        serde_json::from_str(&fs::read_to_string(file).ok()?).ok()
    })
}

/// Waits for a file with one `host:port` in it, as the Go apps write it.
///
/// # Errors
///
/// When the file is not there after `limit`.
pub fn address(file: &Path, limit: Duration) -> anyhow::Result<String> {
    wait_until(&file.display().to_string(), limit, || {
        let text = fs::read_to_string(file).ok()?;
        (!text.trim().is_empty()).then(|| text.trim().to_owned())
    })
}

/// A port of loopback that is free now, for a program whose port others must know before it runs.
///
/// It is below the range that the system gives out for port 0 and to outgoing connections, so that
/// only another caller of this function could take it, and each gets another.
///
/// # Panics
///
/// When no port is free.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes begin at different places.
    let begin = std::process::id().wrapping_mul(97) % PORTS.len() as u32;
    let free = (0..PORTS.len()).find_map(|_| {
        let offset = begin + u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + u16::try_from(offset % PORTS.len() as u32).unwrap_or(0);
        TcpListener::bind(("127.0.0.1", port)).ok().map(|_| port)
    });
    #[expect(clippy::expect_used, reason = "ten thousand ports are not all taken")]
    free.expect("a free port")
}
