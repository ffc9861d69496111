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
    let converted = convert(&page, args, &mut io::stdout().lock(), &mut io::stderr());
    Ok(if converted? {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

/// Returns whether the page could be read.
fn convert(
    page: &[u8],
    args: &Convert,
    out: &mut impl Write,
    complaints: &mut impl Write,
) -> io::Result<bool> {
    let options = if args.strict {
        Options::STRICT
    } else {
        Options::LENIENT
    };
    let page = match exposition::parse(page, args.content_type.as_deref(), &options) {
        Ok(page) => page,
        Err(error) => {
            writeln!(complaints, "{error}")?;
            return Ok(false);
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
        out,
    )?;
    tell_what_is_missing(complaints, &page.tally, &notes)?;
    Ok(true)
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
            "{} {}s were not read; the first: {first}",
            tally.bad_lines, first.piece
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
            notes.bad_natives,
            "native histograms have buckets that do not add up",
        ),
        (
            notes.unsupported_natives,
            "native histograms are of floats or of a schema that OTLP has not",
        ),
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

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use prost::Message as _;

    use super::*;
    use crate::cli::Output;

    #[track_caller]
    fn check(page: &str, strict: bool, expected: &Expect) {
        let args = Convert {
            file: "-".into(),
            content_type: None,
            strict,
            output: Output::Text,
        };
        let (mut out, mut complaints) = (Vec::new(), Vec::new());
        let read = convert(page.as_bytes(), &args, &mut out, &mut complaints).unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        expected.assert_eq(&format!("{}---\n{}{read}\n", text(out), text(complaints)));
    }

    #[test]
    fn text_and_complaints() {
        let page = "# TYPE a counter\na 1\na 2\nb c\n";
        check(
            page,
            false,
            &expect![[r#"
            resource
            scope davy-agent 0.1.0
            a counter 1
            ---
            1 lines were not read; the first: line 4: value is not a number
            1 samples of series that were there already were left out
            true
        "#]],
        );
        check(
            page,
            true,
            &expect![[r#"
            ---
            line 4: value is not a number
            false
        "#]],
        );
        check(
            "# TYPE a counter\n# EOF\n\n",
            true,
            &expect![[r#"
            ---
            line 3: text after `# EOF`
            false
        "#]],
        );
    }

    /// Guarantees: the three forms say the same.
    #[test]
    fn forms() {
        let page = std::fs::read("../tests/corpora/goapp.om").unwrap();
        let form = |output| {
            let (file, content_type) = ("-".into(), None);
            let args = Convert {
                file,
                content_type,
                strict: false,
                output,
            };
            let (mut out, mut complaints) = (Vec::new(), Vec::new());
            assert!(convert(&page, &args, &mut out, &mut complaints).unwrap());
            assert_eq!(complaints, b"");
            out
        };
        let mut binary = ExportMetricsServiceRequest::decode(&*form(Output::OtlpProto)).unwrap();
        let mut json = davy_agent_core::json::read_metrics(&form(Output::OtlpJson)).unwrap();
        let points = translate::items(&binary);
        assert_eq!(points, 154);
        // Each has the time at which it was made.
        for request in [&mut binary, &mut json] {
            assert_eq!(translate::items(request), points);
        }
        let lines = form(Output::Text);
        assert_eq!(
            lines.iter().filter(|byte| **byte == b'\n').count() as u64,
            points + 2
        );
    }
}
