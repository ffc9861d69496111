//! `davy-agent scrape URL`: scrape once, print what would be sent, or what would be evidence.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use davy_agent_core::evidence::{Evidence, EvidenceSettings, Origin};
use davy_transport::Access;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use prost::Message as _;

use super::convert::tell_what_is_missing;
use super::output;
use crate::cli::Scrape;
use crate::clock;
use crate::scrape::{Target, scrape_once};

/// Longest wait for the page.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Scrapes a page and prints what was asked for.
///
/// # Errors
///
/// The scrape fails, or the result can't be written.
pub async fn run(args: &Scrape) -> anyhow::Result<ExitCode> {
    let target = match target(args) {
        Ok(target) => target,
        Err(mistake) => {
            writeln!(io::stderr(), "{mistake}")?;
            return Ok(ExitCode::from(crate::EXIT_USAGE));
        }
    };
    let resource = target.identity.defaults.clone();
    let scraped = scrape_once(target).await;
    let scraped = scraped.with_context(|| format!("scraping {}", args.url))?;
    let request = ExportMetricsServiceRequest::decode(scraped.payload.bytes)?;
    if args.evidence {
        let mut evidence = Evidence::new(EvidenceSettings::with_resource(resource));
        let metrics = &request.resource_metrics;
        evidence.observe_metrics(metrics, Origin::Scrape { target: 0 }, clock::now());
        write!(io::stdout(), "{}", evidence.report())?;
    } else {
        output::metrics(&request, args.output, &mut io::stdout().lock())?;
    }
    tell_what_is_missing(&mut io::stderr(), &scraped.tally, &scraped.notes)?;
    Ok(ExitCode::SUCCESS)
}

/// What the command line names, or what is wrong with it.
fn target(args: &Scrape) -> Result<Target, String> {
    let target = Target::new(&args.url, (TIMEOUT, TIMEOUT), &[], &[]);
    let target = Target {
        access: Access::by_flags(args.ca_file.clone(), args.headers.clone()),
        ..target.map_err(|error| error.to_string())?
    };
    let target = match &args.socket {
        Some(socket) => target.on_socket(socket.clone()),
        None => target,
    };
    // A file that is missing is a mistake of the command line, not of the scrape.
    match target.client() {
        Ok(_) => Ok(target),
        Err(error) => Err(error.to_string()),
    }
}
