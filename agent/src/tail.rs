//! The tail source: follows log files and hands their records to the pipeline.
//!
//! A file is known by device and inode, not by its name. One that is rotated away is read to its
//! end before it is let go, however long that takes; one that is emptied in place (`copytruncate`)
//! is noticed by its size or its first bytes and read from its start. inotify wakes the tail, and
//! it looks once a second in any case.
//!
//! **Backpressure.** Nothing is dropped: when the pipeline has no room the tail reads no further,
//! for the file is the buffer. Meanwhile it goes on opening new files, so a rotation during an
//! outage loses nothing either. An offset counts as committed once all destinations have the
//! records before it; offsets are not kept across restarts yet, so a restarted agent reads the
//! files again from where [`StartAt`] says.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use davy_agent_core::Payload;
use davy_agent_core::offsets::Offsets;
use davy_agent_core::record::{FileSettings, LogResource, Parsed};
use davy_proto::{Signal, UnixNanos};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::clock;
use crate::pipeline::{Acknowledgement, Intake};

use file::{FileId, Progress, TailedFile};
use glob::Pattern;
use watch::Watch;

mod file;
mod glob;
#[cfg(test)]
mod tests;
mod watch;

/// How often the tail looks whether or not it was woken.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long lines are collected after a wake-up, so that a batch is more than one line.
const LINGER: Duration = Duration::from_millis(200);
/// Bytes of a file read at once; reading and parsing them takes well under a millisecond.
const READ_BYTES: usize = 32 << 10;
/// Bytes of a file in one payload, about; the lines are the size of what is sent, roughly.
const BATCH_BYTES: usize = 128 << 10;
/// Most files followed at once: each takes a descriptor and a few KiB.
const FILES_MAX: usize = 512;

/// Where a file that is there when the agent starts is read from. Later ones are read from their
/// start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum StartAt {
    /// Its first byte.
    #[default]
    Beginning,
    /// Its end: only what is written from now on.
    End,
}

/// What to follow and how.
#[derive(Clone, Debug, PartialEq)]
pub struct TailSettings {
    /// Paths, with `*` and `?` in any segment.
    pub paths: Vec<String>,
    /// How lines are read.
    pub file: FileSettings,
    /// Where to begin.
    pub start_at: StartAt,
    /// What the records have in common.
    pub resource: LogResource,
}

/// What is known of a followed file, for `/status`.
#[derive(Clone, Debug, PartialEq)]
pub struct FileStatus {
    /// Its path when it was opened.
    pub path: PathBuf,
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes whose records all destinations have.
    pub committed_bytes: u64,
    /// When bytes were last read from it.
    pub last_read: Option<UnixNanos>,
}

/// What is known of a tail, for `/status`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TailStatus {
    /// The followed files.
    pub files: Vec<FileStatus>,
    /// Files that can't be read, and why.
    pub problems: BTreeMap<PathBuf, String>,
}

/// A running tail.
#[derive(Debug)]
pub struct Tail {
    stop: oneshot::Sender<()>,
    shared: Arc<Mutex<Shared>>,
    task: JoinHandle<()>,
}

impl Tail {
    /// Starts to follow.
    pub fn start(settings: TailSettings, intake: Intake) -> Self {
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::default();
        let follower = Follower::new(settings, intake, Arc::clone(&shared));
        let task = tokio::spawn(follower.run(stopped));
        Self { stop, shared, task }
    }

    /// Returns what is known of its files.
    pub fn status(&self) -> TailStatus {
        let shared = lock(&self.shared);
        let file = |known: &Known| FileStatus {
            path: known.path.clone(),
            read_bytes: known.read_bytes,
            committed_bytes: lock(&known.offsets).committed(),
            last_read: known.last_read,
        };
        TailStatus {
            files: shared.files.values().map(file).collect(),
            problems: shared.problems.clone(),
        }
    }

    /// Reads all files to their ends, partial lines included, and hands the records to the
    /// pipeline; gives up after `grace`. Returns whether everything was handed over.
    pub async fn stop(self, grace: Duration) -> bool {
        // An error means that the task has ended already.
        let _ = self.stop.send(());
        let abort = self.task.abort_handle();
        let ended = tokio::time::timeout(grace, self.task).await;
        abort.abort();
        matches!(ended, Ok(Ok(())))
    }
}

#[derive(Debug, Default)]
struct Shared {
    files: BTreeMap<FileId, Known>,
    problems: BTreeMap<PathBuf, String>,
}

#[derive(Debug)]
struct Known {
    path: PathBuf,
    read_bytes: u64,
    last_read: Option<UnixNanos>,
    offsets: Arc<Mutex<Offsets>>,
}

/// Records of one file on their way out.
struct Outgoing {
    payload: Payload,
    offsets: Arc<Mutex<Offsets>>,
    /// Bytes of the file up to the end of the last record.
    end: u64,
}

struct Follower {
    settings: TailSettings,
    patterns: Vec<Pattern>,
    intake: Intake,
    shared: Arc<Mutex<Shared>>,
    watch: Watch,
    files: Vec<TailedFile>,
    /// The file whose turn it is.
    turn: usize,
    /// Whether the files there at the start have been opened.
    started: bool,
    buffer: Vec<u8>,
}

impl Follower {
    fn new(settings: TailSettings, intake: Intake, shared: Arc<Mutex<Shared>>) -> Self {
        let (watch, error) = Watch::new();
        if let Some(error) = error {
            warn!(%error, "no inotify: log files are looked at once a second");
        }
        Self {
            patterns: settings
                .paths
                .iter()
                .map(|path| Pattern::new(path))
                .collect(),
            settings,
            intake,
            shared,
            watch,
            files: Vec::new(),
            turn: 0,
            started: false,
            buffer: vec![0; READ_BYTES],
        }
    }

    async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        let mut stopping = false;
        loop {
            self.look();
            while let Some(outgoing) = self.next_outgoing(stopping) {
                self.hand_over(outgoing).await;
            }
            if stopping {
                return;
            }
            // All branches are cancel-safe: a channel, inotify's queue, timers.
            tokio::select! {
                _ = &mut stopped => stopping = true,
                () = self.woken() => {}
            }
        }
    }

    /// Waits until there may be something to read.
    async fn woken(&mut self) {
        tokio::select! {
            () = self.watch.changed() => tokio::time::sleep(LINGER).await,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }

    /// Waits for room, and goes on looking for files meanwhile.
    async fn hand_over(&mut self, outgoing: Outgoing) {
        let intake = self.intake.clone();
        let items = outgoing.payload.items;
        let delivery = intake.deliver_when_room(outgoing.payload);
        tokio::pin!(delivery);
        let acknowledgement = loop {
            tokio::select! {
                acknowledgement = &mut delivery => break acknowledgement,
                () = tokio::time::sleep(LOOK_EVERY) => self.look(),
            }
        };
        intake.telemetry().received(Signal::Logs, "tail", items);
        commit(acknowledgement, outgoing.offsets, outgoing.end);
        tokio::task::yield_now().await;
    }

    /// Opens files that are new, and notes which have been moved away.
    fn look(&mut self) {
        for file in &mut self.files {
            file.moved = true;
        }
        for pattern in self.patterns.clone() {
            let expansion = pattern.expand(FILES_MAX);
            for directory in &expansion.directories {
                self.watch.add(directory);
            }
            for path in &expansion.files {
                self.found(path);
            }
        }
        self.started = true;
    }

    fn found(&mut self, path: &Path) {
        let Ok(metadata) = std::fs::metadata(path) else {
            return;
        };
        let id = (metadata.dev(), metadata.ino());
        if let Some(known) = self.files.iter_mut().find(|file| file.id == id) {
            known.moved = false;
            return;
        }
        if self.files.len() >= FILES_MAX {
            self.problem(path, "too many files are followed already");
            return;
        }
        let skip = self.settings.start_at == StartAt::End && !self.started;
        match TailedFile::open(path, self.settings.file, skip, clock::monotonic()) {
            Ok(file) if self.files.iter().any(|known| known.id == file.id) => {}
            Ok(file) => self.follow(file),
            Err(error) => self.problem(path, &error.to_string()),
        }
    }

    fn follow(&mut self, file: TailedFile) {
        info!(path = %file.path.display(), position = file.position(), "log file found");
        let mut shared = lock(&self.shared);
        shared.problems.remove(&file.path);
        shared.files.insert(
            file.id,
            Known {
                path: file.path.clone(),
                read_bytes: file.position(),
                last_read: None,
                offsets: Arc::new(Mutex::new(Offsets::new(file.position()))),
            },
        );
        drop(shared);
        self.files.push(file);
    }

    fn problem(&self, path: &Path, problem: &str) {
        let mut shared = lock(&self.shared);
        let known = shared.problems.insert(path.to_owned(), problem.to_owned());
        if known.as_deref() != Some(problem) {
            warn!(path = %path.display(), problem, "log file can't be read");
        }
    }

    /// Reads until there is a batch of some file, or all are at their ends; takes what is partial
    /// as well when the agent is stopping.
    fn next_outgoing(&mut self, stopping: bool) -> Option<Outgoing> {
        let mut at_end = 0;
        while at_end < self.files.len() {
            self.turn %= self.files.len();
            let mut records = Vec::new();
            let (ended, over) = self.read_turn(stopping, &mut records);
            let outgoing = self.outgoing(records);
            if over {
                self.let_go();
            } else {
                self.turn += 1;
            }
            if outgoing.is_some() {
                return outgoing;
            }
            at_end = if ended && !over { at_end + 1 } else { 0 };
        }
        None
    }

    /// Reads the file whose turn it is, to its end or a batch's; whether it has ended for now, and
    /// whether it is over for good.
    fn read_turn(&mut self, stopping: bool, records: &mut Vec<Parsed>) -> (bool, bool) {
        let Some(file) = self.files.get_mut(self.turn) else {
            return (true, false);
        };
        let now = (clock::now(), clock::monotonic());
        let start = file.position();
        loop {
            match file.read(&mut self.buffer, now, records) {
                Ok(Progress::More) if file.position() - start < BATCH_BYTES as u64 => {}
                Ok(Progress::More) => return (false, false),
                Ok(Progress::End) => {
                    let over = file.is_over(now.1);
                    if over || stopping {
                        file.flush(now.0, records);
                    }
                    return (true, over);
                }
                Ok(Progress::Emptied) => {
                    info!(path = %file.path.display(), "log file was emptied");
                    return (false, false);
                }
                Err(error) => {
                    let (path, problem) = (file.path.clone(), error.to_string());
                    self.problem(&path, &problem);
                    return (true, false);
                }
            }
        }
    }

    /// The records of the file whose turn it is, ready to be sent.
    fn outgoing(&mut self, parsed: Vec<Parsed>) -> Option<Outgoing> {
        let file = self.files.get_mut(self.turn)?;
        let news = file.news();
        let telemetry = self.intake.telemetry();
        telemetry.anomaly("tail", "line_not_utf8", news.lines_not_utf8);
        telemetry.anomaly("tail", "line_truncated", news.lines_truncated);
        telemetry.anomaly("tail", "line_unframed", news.lines_unframed);
        telemetry.anomaly("tail", "nul_byte_skipped", news.nul_bytes);
        let mut shared = lock(&self.shared);
        let known = shared.files.get_mut(&file.id)?;
        if known.read_bytes != file.position() {
            known.read_bytes = file.position();
            known.last_read = Some(clock::now());
        }
        let offsets = Arc::clone(&known.offsets);
        if file.is_emptied() {
            file.restart();
            known.offsets = Arc::default();
            known.read_bytes = 0;
        }
        let end = parsed.last()?.end;
        let records = parsed.into_iter().map(|parsed| parsed.record).collect();
        Some(Outgoing {
            payload: self.settings.resource.payload(records),
            offsets,
            end,
        })
    }

    fn let_go(&mut self) {
        let file = self.files.remove(self.turn);
        info!(path = %file.path.display(), read_bytes = file.position(), "log file let go");
        lock(&self.shared).files.remove(&file.id);
    }
}

/// Moves the offset on once all destinations have the records.
fn commit(acknowledgement: Acknowledgement, offsets: Arc<Mutex<Offsets>>, end: u64) {
    let batch = lock(&offsets).sent(end);
    tokio::spawn(async move {
        if acknowledgement.acknowledged().await {
            lock(&offsets).acknowledge(batch);
        }
    });
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
