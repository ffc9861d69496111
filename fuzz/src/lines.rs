//! A log file in pieces.
//!
//! An input is a byte for the format, one for the longest line, four for where the reads are cut,
//! one for the record after which reading begins anew, and the file.
//!
//! * [`Lines`] give what cutting the whole file at its newlines gives, however it is read.
//! * Records are the same however the file is read; every offset behind one is the end of a line or
//!   of the file, and no smaller than the one before.
//! * A reader that begins at the offset behind a record misses none that came after it.
//! * What was read is the file's length, and memory is bounded by it.

use davy_agent_core::lines::{Line, Lines};
use davy_agent_core::record::{FileRecords, FileSettings, Format, Parsed, RecordCounts, Zone};
use davy_proto::UnixNanos;

use crate::memory::bounded;
use crate::must::{fail, same};
use crate::pieces::Numbers;
use crate::{Target, seeds};

/// The target.
pub const TARGET: Target = Target {
    name: "lines",
    check,
    seeds: seeds::logs,
    dictionary: Some("log.dict"),
    bytes_max: 2048,
    mutations: 25_000,
    code: crate::AGENT,
};

/// Blank lines are no records; a record of two bytes (`a`, a line feed) has two attributes of the
/// file's name and path.
const TIMES: usize = 2048;
const BYTES: usize = 64 << 10;

/// Checks a file.
pub fn check(bytes: &[u8]) {
    let mut numbers = Numbers(bytes);
    let format = usize::from(numbers.byte()) % Format::ALL.len();
    let format = Format::ALL.get(format).map_or(Format::Auto, |(_, it)| *it);
    let line_bytes_max = usize::from(numbers.byte()).max(1);
    let cuts = [numbers.short(), numbers.short()];
    let anew = usize::from(numbers.byte());
    let file = numbers.0;
    let reads = reads(file, cuts);
    let naive = naive(file, line_bytes_max);
    same(
        &naive,
        &by_lines(&[file], line_bytes_max),
        "lines of one read",
    );
    same(
        &naive,
        &by_lines(&reads, line_bytes_max),
        "lines of several reads",
    );

    let settings = FileSettings {
        format,
        zone: Zone::default(),
        line_bytes_max,
    };
    let bound = (file.len(), TIMES, BYTES);
    let (records, counts) = bounded(bound, "read a file", || records(settings, 0, &[file]));
    let (in_reads, counts_in_reads) = self::records(settings, 0, &reads);
    same(
        &described(&records),
        &described(&in_reads),
        "records of several reads",
    );
    assert_eq!(counts, counts_in_reads, "counts of several reads");
    offsets_are_ends(file, &records);
    if let Some(parsed) = records.get(anew % records.len().max(1)) {
        let end = parsed.end as usize;
        let rest = file.get(end..).unwrap_or_default();
        let (again, _) = self::records(settings, parsed.end, &[rest]);
        let after = records.len() - anew % records.len() - 1;
        assert!(
            again.len() >= after,
            "{} of {after} records again",
            again.len()
        );
    }
}

/// The file in up to four reads, or byte by byte.
fn reads(file: &[u8], [first, second]: [usize; 2]) -> Vec<&[u8]> {
    if first == 0xffff {
        return file.chunks(1 + second % 16).collect();
    }
    let length = file.len() + 1;
    let mut ends = [first % length, second % length];
    ends.sort_unstable();
    let [first, second] = ends;
    let parts = [
        file.get(..first),
        file.get(first..second),
        file.get(second..),
    ];
    parts.into_iter().flatten().collect()
}

fn by_lines(reads: &[&[u8]], line_bytes_max: usize) -> String {
    let mut found = String::new();
    let mut each = |line: Line<'_>| {
        found.push_str(&shown(line.bytes, line.end, line.truncated, line.partial));
    };
    let mut lines = Lines::new(line_bytes_max, 0);
    for read in reads {
        lines.push(read, &mut each);
    }
    lines.flush(&mut each);
    let length: usize = reads.iter().map(|read| read.len()).sum();
    assert_eq!(lines.position(), length as u64, "bytes read");
    assert!(!lines.is_pending(), "nothing waits after a flush");
    found
}

fn shown(bytes: &[u8], end: u64, truncated: bool, partial: bool) -> String {
    let text = String::from_utf8_lossy(bytes);
    format!("{text:?}@{end} {truncated} {partial}\n")
}

/// The lines of a file that is there as a whole.
fn naive(file: &[u8], line_bytes_max: usize) -> String {
    let mut found = String::new();
    let mut end = 0;
    for line in file.split_inclusive(|byte| *byte == b'\n') {
        end += line.len() as u64;
        let (line, partial) = match line.strip_suffix(b"\n") {
            Some(line) => (line, false),
            None => (line, true),
        };
        let hole = line.iter().take_while(|byte| **byte == 0).count();
        let line = line.get(hole..).unwrap_or_default();
        if let Some((cut, rest)) = line.split_at_checked(line_bytes_max)
            && let Some(next) = rest.first()
        {
            let cut = match next & 0xc0 {
                0x80 => without_last_character(cut),
                _ => cut,
            };
            found.push_str(&shown(cut, end, true, partial));
        } else if !partial {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            found.push_str(&shown(line, end, false, false));
        } else if !line.is_empty() {
            found.push_str(&shown(line, end, false, true));
        }
    }
    found
}

/// Without the start of a character: its first byte and up to two that continue it.
fn without_last_character(bytes: &[u8]) -> &[u8] {
    let continued = bytes.iter().rev().take(3);
    let continued = continued.take_while(|byte| *byte & 0xc0 == 0x80).count();
    let length = bytes.len().saturating_sub((continued + 1).min(3));
    bytes.get(..length).unwrap_or_default()
}

fn records(settings: FileSettings, from: u64, reads: &[&[u8]]) -> (Vec<Parsed>, RecordCounts) {
    let observed = UnixNanos::from_seconds(1_700_000_000);
    let mut file = FileRecords::new(settings, "/var/log/app.log", from);
    let mut records = Vec::new();
    for read in reads {
        file.push(read, observed, &mut records);
    }
    file.flush(observed, &mut records);
    assert!(!file.is_pending(), "nothing waits after a flush");
    let length: usize = reads.iter().map(|read| read.len()).sum();
    assert_eq!(file.position(), from + length as u64, "bytes read");
    (records, file.counts())
}

fn described(records: &[Parsed]) -> String {
    let lines = records.iter().map(|parsed| format!("{parsed:?}"));
    lines.collect::<Vec<_>>().join("\n")
}

fn offsets_are_ends(file: &[u8], records: &[Parsed]) {
    let mut before = 0;
    for Parsed { end, .. } in records {
        let at = usize::try_from(*end).unwrap_or(usize::MAX);
        let behind_newline = at
            .checked_sub(1)
            .is_none_or(|at| file.get(at) == Some(&b'\n'));
        if !(behind_newline || at == file.len()) {
            fail(&format!("offset {at} is the middle of a line"));
        }
        assert!(*end >= before, "offsets go back, to {end} from {before}");
        before = *end;
    }
}
