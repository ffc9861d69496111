//! `davy-agent logs`: what would be sent of the lines of log files.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use davy_agent_core::json;
use davy_agent_core::record::{
    FileRecords, FileSettings, Format, LogResource, Parsed, RecordCounts, Zone, print,
};
use davy_proto::UnixNanos;
use prost::Message as _;

use crate::cli::{Logs, Output};
use crate::clock;

/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;
/// Longest line, as `logs.max_line_bytes` has it by default.
const LINE_BYTES_MAX: usize = 256 << 10;
/// Exit code of bad usage, as in `sysexits.h`.
const USAGE: u8 = 64;

/// Reads the files and prints their records; what was odd goes to standard error. A request is
/// printed for every 64 KiB of a file, one on a line as JSON.
///
/// # Errors
///
/// A file can't be read, or the result not written.
pub fn run(args: &Logs) -> anyhow::Result<ExitCode> {
    let Some(format) = Format::from_name(&args.format) else {
        let known = Format::ALL.map(|(name, _)| name).join(", ");
        writeln!(
            io::stderr(),
            "unknown format {:?}; expected one of {known}",
            args.format
        )?;
        return Ok(ExitCode::from(USAGE));
    };
    for path in &args.files {
        let mut out = io::stdout().lock();
        let counts = read(path, format, args.output, clock::now(), &mut out)
            .with_context(|| format!("reading {}", path.display()))?;
        tell_what_is_odd(&mut io::stderr(), path, counts)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn read(
    path: &Path,
    format: Format,
    form: Output,
    observed: UnixNanos,
    out: &mut impl Write,
) -> io::Result<RecordCounts> {
    let settings = FileSettings {
        format,
        zone: Zone::default(),
        line_bytes_max: LINE_BYTES_MAX,
    };
    let mut file = File::open(path)?;
    let mut records = FileRecords::new(settings, &path.to_string_lossy(), 0);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let mut parsed = Vec::new();
        let read = file.read(&mut buffer)?;
        match read {
            0 => records.flush(observed, &mut parsed),
            read => records.push(
                buffer.get(..read).unwrap_or_default(),
                observed,
                &mut parsed,
            ),
        }
        print_records(parsed, form, out)?;
        if read == 0 {
            out.flush()?;
            return Ok(records.counts());
        }
    }
}

fn print_records(parsed: Vec<Parsed>, form: Output, out: &mut impl Write) -> io::Result<()> {
    if parsed.is_empty() {
        return Ok(());
    }
    let records: Vec<_> = parsed.into_iter().map(|parsed| parsed.record).collect();
    let request = |records| LogResource::new(Vec::new(), crate::VERSION).request(records);
    match form {
        Output::Text => {
            for record in &records {
                writeln!(out, "{}", print::line(record))?;
            }
            Ok(())
        }
        Output::OtlpJson => writeln!(out, "{}", json::write_logs(&request(records))),
        Output::OtlpProto => out.write_all(&request(records).encode_to_vec()),
    }
}

fn tell_what_is_odd(out: &mut impl Write, path: &Path, counts: RecordCounts) -> io::Result<()> {
    let odd = [
        (
            counts.lines_not_utf8,
            "lines are not UTF-8: U+FFFD stands for what is not",
        ),
        (
            counts.lines_truncated,
            "lines are longer than 256 KiB and were cut",
        ),
        (
            counts.lines_unframed,
            "lines lack the framing of the format",
        ),
        (counts.nul_bytes, "NUL bytes were skipped"),
    ];
    for (count, what) in odd.into_iter().filter(|(count, _)| *count > 0) {
        writeln!(out, "{}: {count} {what}", path.display())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn printed(text: &[u8], form: Output) -> (String, RecordCounts) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("app.log");
        std::fs::write(&path, text).expect("written");
        let mut out = Vec::new();
        let observed = UnixNanos::from_seconds(1_795_572_255);
        let counts = read(&path, Format::Auto, form, observed, &mut out).expect("read");
        let out = String::from_utf8(out).expect("text");
        (out.replace(&*path.to_string_lossy(), "/app.log"), counts)
    }

    #[test]
    fn records_are_printed_for_people_and_programs() {
        let line =
            b"{\"time\":\"2026-11-25T02:04:15Z\",\"level\":\"WARN\",\"msg\":\"x\",\"n\":7}\nhalf";
        let (text, _) = printed(line, Output::Text);
        expect![[r#"
            2026-11-25T02:04:15Z 13 WARN "x" n=7 log.file.name="app.log" log.file.path="/app.log"
            - 0 "half" log.file.name="app.log" log.file.path="/app.log" davy.partial=true
        "#]]
        .assert_eq(&text);
        let (text, _) = printed(line, Output::OtlpJson);
        let requests: Vec<_> = text.lines().collect();
        let read = json::read_logs(requests.first().expect("one").as_bytes()).expect("valid");
        let scope = &read.resource_logs[0].scope_logs[0];
        assert_eq!(
            (requests.len(), scope.log_records[0].severity_number),
            (2, 13)
        );
    }

    #[test]
    fn what_is_odd_is_told() {
        let (_, counts) = printed(b"\0\0caf\xe9\n", Output::Text);
        let mut told = Vec::new();
        tell_what_is_odd(&mut told, Path::new("/app.log"), counts).expect("written");
        expect![[r#"
            /app.log: 1 lines are not UTF-8: U+FFFD stands for what is not
            /app.log: 2 NUL bytes were skipped
        "#]]
        .assert_eq(&String::from_utf8(told).expect("text"));
    }
}
