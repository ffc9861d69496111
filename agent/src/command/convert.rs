//! `davy-agent convert`: an exposition page in, one OTLP metrics request out.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use davy_agent_core::exposition::{self, DEFAULT_LIMITS, Options, Tally};
use davy_agent_core::translate::{self, Identity, Notes};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;

use super::output;
use crate::cli::Convert;
use crate::clock;

/// Converts a page. Exit code 1, with `line N: reason` on standard error, when it can't be read.
///
/// # Errors
///
/// The file can't be read, or the result not written.
pub fn run(args: &Convert) -> anyhow::Result<ExitCode> {
    let page = read(&args.file).with_context(|| format!("reading {}", args.file.display()))?;
    let options = if args.strict {
        Options::STRICT
    } else {
        Options::LENIENT
    };
    let page = match exposition::parse(&page, args.content_type.as_deref(), &options) {
        Ok(page) => page,
        Err(error) => {
            writeln!(io::stderr(), "{error}")?;
            return Ok(ExitCode::from(1));
        }
    };
    let identity = Identity {
        agent_version: crate::VERSION.to_owned(),
        ..Identity::default()
    };
    let (metrics, notes) = translate::convert(&page, &identity, clock::now().nanos());
    let resource_metrics = vec![metrics];
    output::metrics(
        &ExportMetricsServiceRequest { resource_metrics },
        args.output,
    )?;
    tell_what_is_missing(&mut io::stderr(), &page.tally, &notes)?;
    Ok(ExitCode::SUCCESS)
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    // One byte more than allowed, so that a page that is too large is refused and not cut.
    let bound = DEFAULT_LIMITS.body_bytes as u64 + 1;
    if file == Path::new("-") {
        io::stdin().lock().take(bound).read_to_end(&mut page)?;
    } else {
        File::open(file)?.take(bound).read_to_end(&mut page)?;
    }
    Ok(page)
}

/// Says on standard error what was left out of the page.
pub(super) fn tell_what_is_missing(
    out: &mut impl Write,
    tally: &Tally,
    notes: &Notes,
) -> io::Result<()> {
    if let Some(first) = tally.first_bad {
        writeln!(
            out,
            "{} lines were not read; the first: {first}",
            tally.bad_lines
        )?;
    }
    for (count, what) in [
        (
            tally.duplicates,
            "samples of series that were there already were left out",
        ),
        (
            tally.unholdable_timestamps,
            "samples have timestamps that OTLP can't hold",
        ),
        (notes.bad_counts, "points have counts that are none"),
        (
            notes.count_mismatches,
            "histograms have a +Inf bucket that is not their _count",
        ),
        (
            notes.decreasing_histograms,
            "histograms have decreasing buckets",
        ),
        (
            notes.gauge_histograms,
            "gauge histograms were left out: OTLP has none",
        ),
        (
            notes.reserved_names,
            "points have names of the scrape's own series",
        ),
        (
            notes.without_count,
            "histograms and summaries have no _count",
        ),
    ] {
        if count > 0 {
            writeln!(out, "{count} {what}")?;
        }
    }
    Ok(())
}
