//! One open file: reads what is new, and notices when it was emptied.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use davy_agent_core::fingerprint::{FINGERPRINT_BYTES_MAX, Fingerprint, Identity};
use davy_agent_core::record::{FileRecords, FileSettings, Parsed, RecordCounts};
use davy_proto::UnixNanos;

/// How long the rest of a line, of a container's pieces or of a crash is waited for.
const PARTIAL_WAIT: Duration = Duration::from_secs(5);
/// How long a file that was moved away is kept after its last byte: its writer may not have
/// opened the new one yet.
const MOVED_WAIT: Duration = Duration::from_secs(30);

/// What a file is, whatever its name: device and inode. While it is open neither is given away.
pub(super) type FileId = (u64, u64);

/// An open file.
#[derive(Debug)]
pub(super) struct TailedFile {
    pub(super) id: FileId,
    pub(super) path: PathBuf,
    /// Whether its path now leads elsewhere.
    pub(super) moved: bool,
    file: File,
    settings: FileSettings,
    records: FileRecords,
    fingerprint: Fingerprint,
    /// Counts of the file before it was emptied.
    reported: RecordCounts,
    /// When the last byte came.
    fresh: Instant,
    /// Whether it was found emptied, and is to be begun again.
    emptied: bool,
}

/// What a read found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Progress {
    /// The file was emptied since; it is to be begun again.
    Emptied,
    /// The end of the file, for now.
    End,
    /// Bytes; there may be more.
    More,
}

impl TailedFile {
    /// Opens the file; reads from its start, or from its end with `skip`.
    pub(super) fn open(
        path: &Path,
        settings: FileSettings,
        skip: bool,
        now: Instant,
    ) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let position = if skip { metadata.len() } else { 0 };
        let name = path.to_string_lossy();
        Ok(Self {
            id: (metadata.dev(), metadata.ino()),
            path: path.to_owned(),
            moved: false,
            file,
            settings,
            records: FileRecords::new(settings, &name, position),
            fingerprint: Fingerprint::default(),
            reported: RecordCounts::default(),
            fresh: now,
            emptied: false,
        })
    }

    /// Reads once, at most as much as fits into `buffer`.
    pub(super) fn read(
        &mut self,
        buffer: &mut [u8],
        (observed, now): (UnixNanos, Instant),
        records: &mut Vec<Parsed>,
    ) -> io::Result<Progress> {
        let length = self.file.metadata()?.len();
        let position = self.records.position();
        if length < position || (length > position && self.begins_otherwise()?) {
            self.records.flush(observed, records);
            self.emptied = true;
            return Ok(Progress::Emptied);
        }
        let read = match length > position {
            true => self.file.read_at(buffer, position)?,
            false => 0,
        };
        if read == 0 {
            if self.records.is_pending() && now.duration_since(self.fresh) >= PARTIAL_WAIT {
                self.records.flush(observed, records);
            }
            return Ok(Progress::End);
        }
        self.fresh = now;
        let bytes = buffer.get(..read).unwrap_or_default();
        self.records.push(bytes, observed, records);
        Ok(Progress::More)
    }

    /// Begins again at the start of the file that was emptied.
    pub(super) fn restart(&mut self) {
        let name = self.path.to_string_lossy();
        self.records = FileRecords::new(self.settings, &name, 0);
        self.fingerprint = Fingerprint::default();
        self.reported = RecordCounts::default();
        self.emptied = false;
    }

    /// Whether it was found emptied.
    pub(super) const fn is_emptied(&self) -> bool {
        self.emptied
    }

    /// Takes what is pending: at the end of the agent or of the file.
    pub(super) fn flush(&mut self, observed: UnixNanos, records: &mut Vec<Parsed>) {
        self.records.flush(observed, records);
    }

    /// Whether the file was moved away and no byte has come for a while.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.moved && now.duration_since(self.fresh) >= MOVED_WAIT
    }

    /// Bytes read.
    pub(super) const fn position(&self) -> u64 {
        self.records.position()
    }

    /// What happened since this was last asked.
    pub(super) fn news(&mut self) -> RecordCounts {
        let (counts, before) = (self.records.counts(), self.reported);
        self.reported = counts;
        RecordCounts {
            lines_not_utf8: counts.lines_not_utf8 - before.lines_not_utf8,
            lines_truncated: counts.lines_truncated - before.lines_truncated,
            lines_unframed: counts.lines_unframed - before.lines_unframed,
            nul_bytes: counts.nul_bytes - before.nul_bytes,
        }
    }

    /// Whether the file begins with other bytes than it did: `copytruncate`, and a writer so busy
    /// that the file is longer than before already.
    fn begins_otherwise(&mut self) -> io::Result<bool> {
        let mut head = [0; FINGERPRINT_BYTES_MAX];
        let read = self.file.read_at(&mut head, 0)?;
        let head = head.get(..read).unwrap_or_default();
        Ok(self.fingerprint.compare(head) != Identity::Same)
    }
}
