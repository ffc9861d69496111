//! The scrape's fast path: a page's text into an encoded request, without reading what has not
//! changed.
//!
//! A program writes its series in the same order each time, and in OTLP every number that changes
//! from scrape to scrape has eight bytes. So the encoded request of the last scrape is kept, and
//! with it the page's text as literals with values between them. A new page is walked along the
//! literals; only the values between are read, and each overwrites its eight bytes. Nothing is
//! parsed, mapped, hashed or allocated.
//!
//! | what a page does | what it costs |
//! |---|---|
//! | the same series ([`segment`]) | a comparison and a number a sample |
//! | points come and go in a family sorted by labels ([`resync`]) | these points are read |
//! | a family comes, goes, or changes in any other way ([`build`]) | this family is read |
//! | the target describes itself otherwise; a page that is cut short | the whole page is read |
//! | scopes by label | the slow path, always |
//! | relabel rules, or start times that are synthesized | the slow path, by design |
//!
//! **Parts.** A text is cut where a `# HELP` or `# TYPE` line describes another name than the line
//! before ([`split`]). A part is read on its own only if that gives what reading the page gives: it
//! has one family, typed before its samples, and no other part's name can be taken for one of its
//! samples ([`names`]). A page that breaks this is one part.
//!
//! **The oracle** is the slow path, [`parse`](crate::exposition::parse) and [`Translator`]: for any
//! sequence of pages and failed scrapes the requests decode to the same, notes and tally included.
//! What the fast path does not know (`target_info`, exemplars, odd histograms, explicit timestamps)
//! is encoded by the slow path too, a family at a time, and kept as long as its text is the same.
//!
//! **State.** Until a page has been walked to its end nothing is changed that the next scrape would
//! compare with: values of points with a start time, which tell a reset, are staged.

use bytes::Bytes;
use davy_proto::Signal;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;

use crate::exposition::{
    Format, Limits, Options, Page, PageError, SeriesLimits, Tally, parse, sniff,
};
use crate::payload::Payload;
use crate::relabel::Rules;
use crate::series::StartTimes;
use crate::translate::{Identity, Notes, ScrapeStats, Translated, Translator};

use build::Context;
use kept::{Kept, Outcome};

mod block;
mod build;
mod kept;
mod message;
mod names;
mod number;
mod plain;
mod resync;
mod segment;
mod split;
#[cfg(test)]
mod tests;
mod wire;

/// Largest page that is kept: offsets have 32 bits, and a request may be some times its page.
const PAGE_BYTES_MAX: usize = 256 << 20;
/// Pages that are not tried after one that only the slow path takes: most targets that have one
/// have no others.
const PAGES_UNTRIED: u32 = 16;

/// One scrape as OTLP.
#[derive(Clone, Debug)]
pub struct Scraped {
    /// What is sent.
    pub payload: Payload,
    /// What was left out or set right in the translation.
    pub notes: Notes,
    /// What was left out of the page.
    pub tally: Tally,
    /// Bytes of the page that were read, not just compared.
    pub read: usize,
}

/// Turns the pages of one target into requests, one after the other.
#[derive(Debug)]
pub struct Template {
    identity: Identity,
    /// The slow path; it knows the scrape before when nothing is kept.
    translator: Translator,
    kept: Option<Kept>,
    untried: u32,
    rules: Rules,
    start_times: StartTimes,
}

impl Template {
    /// Creates a template for a target that was not scraped before.
    pub fn new(identity: Identity) -> Self {
        Self {
            translator: Translator::new(identity.clone()),
            identity,
            kept: None,
            untried: 0,
            rules: Rules::default(),
            start_times: StartTimes::default(),
        }
    }

    /// The same for a target with relabel rules.
    #[must_use]
    pub fn relabeled(mut self, rules: Rules) -> Self {
        self.rules = rules;
        self
    }

    /// The same with start times as `start_times` says.
    #[must_use]
    pub fn started(mut self, start_times: StartTimes) -> Self {
        self.start_times = start_times;
        self.translator = Translator::new(self.identity.clone()).started(start_times);
        self
    }

    /// Translates a scraped page. `at` is the scrape's time in Unix nanoseconds.
    ///
    /// # Errors
    ///
    /// As [`parse`] has them; then the scrape has [`failed`](Self::failed).
    pub fn translate(
        &mut self,
        body: &[u8],
        content_type: Option<&str>,
        options: &Options,
        at: u64,
        scrape: &ScrapeStats,
    ) -> Result<Scraped, PageError> {
        if !self.rules.is_empty() || self.start_times != StartTimes::Reported {
            return self.rewritten(body, content_type, options, at, scrape);
        }
        let Some((format, text)) = walkable(body, content_type, options)? else {
            return self.whole(body, content_type, options, at, scrape);
        };
        let context = Context {
            identity: &self.identity,
            options,
            format,
            at,
        };
        if self.kept.is_none() && self.translator.is_new() {
            self.kept = Some(Kept::new(format, options));
        }
        let kept = self.kept.as_mut();
        match kept.map(|kept| kept.scrape(text, &context, scrape)) {
            Some(Ok(outcome)) => Ok(scraped(outcome)),
            _ => self.whole(body, content_type, options, at, scrape),
        }
    }

    /// Says that a scrape failed: `up` is 0, and every series of the scrape before gets its marker.
    pub fn failed(&mut self, at: u64, scrape: &ScrapeStats) -> Scraped {
        let (bytes, items) = match &mut self.kept {
            Some(kept) if kept.is_known() => kept.failed(&self.identity, at, scrape),
            _ => {
                let payload = self.translator.failed(at, scrape).payload;
                (payload.bytes, payload.items)
            }
        };
        Scraped {
            payload: payload(bytes, items),
            notes: Notes::default(),
            tally: Tally::default(),
            read: 0,
        }
    }

    /// Takes the slow path with what the fast one does not know.
    fn rewritten(
        &mut self,
        body: &[u8],
        content_type: Option<&str>,
        options: &Options,
        at: u64,
        scrape: &ScrapeStats,
    ) -> Result<Scraped, PageError> {
        let limits = options.limits.series;
        // Limits hold for what the rules leave.
        let before = Options {
            limits: Limits {
                series: if self.rules.is_empty() {
                    limits
                } else {
                    SeriesLimits::NONE
                },
                ..options.limits
            },
            ..*options
        };
        let page = parse(body, content_type, &before)?;
        let process_start = page.process_start();
        let relabeled = match self.rules.is_empty() {
            true => None,
            false => Some(page.relabel(&self.rules)?),
        };
        if let Some(page) = &relabeled {
            page.check_series(&limits)?;
        }
        let page = relabeled.as_ref().unwrap_or(&page);
        let translator = &mut self.translator;
        let translated = translator.translate_started(page, process_start, at, scrape);
        Ok(read_whole(translated, page.tally.clone(), body))
    }

    fn slow(&mut self, page: &Page<'_>, at: u64, scrape: &ScrapeStats) -> Translated {
        if let Some(kept) = self.kept.take().filter(Kept::is_known) {
            let page = kept.page(&self.identity);
            self.translator.restore(page, kept.has_ended());
        }
        self.translator.translate(page, at, scrape)
    }

    /// Takes the slow path for the whole page, and tries to keep what it gave.
    fn whole(
        &mut self,
        body: &[u8],
        content_type: Option<&str>,
        options: &Options,
        at: u64,
        scrape: &ScrapeStats,
    ) -> Result<Scraped, PageError> {
        let page = parse(body, content_type, options)?;
        let translated = self.slow(&page, at, scrape);
        self.untried = self.untried.saturating_sub(1);
        if self.untried == 0
            && let Some((format, text)) = walkable(body, content_type, options)?
        {
            let context = Context {
                identity: &self.identity,
                options,
                format,
                at,
            };
            self.kept = keep(&context, text, scrape, &translated.request);
            match self.kept.is_some() {
                true => self.translator.forget(),
                false => self.untried = PAGES_UNTRIED,
            }
        }
        Ok(read_whole(translated, page.tally, body))
    }
}

fn read_whole(translated: Translated, tally: Tally, body: &[u8]) -> Scraped {
    Scraped {
        payload: translated.payload,
        notes: translated.notes,
        tally,
        read: body.len(),
    }
}

/// Returns the format of a page and the text in it that has samples, when it can be walked.
fn walkable<'b>(
    body: &'b [u8],
    content_type: Option<&str>,
    options: &Options,
) -> Result<Option<(Format, &'b [u8])>, PageError> {
    let limit = options.limits.body_bytes.min(PAGE_BYTES_MAX);
    if options.strict || body.len() > limit || body.starts_with(b"\xef\xbb\xbf") {
        return Ok(None);
    }
    let text = match sniff(content_type, body)? {
        Format::Protobuf => Some((Format::Protobuf, body)),
        Format::Text => Some((Format::Text, body)),
        Format::OpenMetrics => {
            // A page that is cut short is read as a whole.
            let text = body.strip_suffix(b"\n").unwrap_or(body);
            let text = text.strip_suffix(b"# EOF");
            let text = text.filter(|text| text.is_empty() || text.ends_with(b"\n"));
            text.map(|text| (Format::OpenMetrics, text))
        }
    };
    Ok(text)
}

/// Makes a page that the slow path has read into something to walk the next one along. Start times
/// are those the slow path gave.
fn keep(
    context: &Context<'_>,
    text: &[u8],
    scrape: &ScrapeStats,
    request: &ExportMetricsServiceRequest,
) -> Option<Kept> {
    let mut kept = Kept::new(context.format, context.options);
    kept.scrape(text, context, scrape).ok()?;
    let starts = starts(request);
    (kept.is_known() && kept.set_starts(&starts)).then_some(kept)
}

/// Returns the start times of the points of a request's first scope, in their order.
fn starts(request: &ExportMetricsServiceRequest) -> Vec<u64> {
    let scope = request.resource_metrics.first();
    let scope = scope.and_then(|metrics| metrics.scope_metrics.first());
    let metrics = scope.into_iter().flat_map(|scope| &scope.metrics);
    let mut starts = Vec::new();
    for data in metrics.filter_map(|metric| metric.data.as_ref()) {
        macro_rules! push {
            ($points:expr) => {
                starts.extend($points.iter().map(|point| point.start_time_unix_nano))
            };
        }
        match data {
            Data::Gauge(gauge) => push!(gauge.data_points),
            Data::Sum(sum) => push!(sum.data_points),
            Data::Histogram(histogram) => push!(histogram.data_points),
            Data::ExponentialHistogram(histogram) => push!(histogram.data_points),
            Data::Summary(summary) => push!(summary.data_points),
        }
    }
    starts
}

fn scraped(outcome: Outcome) -> Scraped {
    Scraped {
        payload: payload(outcome.bytes, outcome.items),
        notes: outcome.counts.notes,
        tally: outcome.counts.tally,
        read: outcome.read,
    }
}

fn payload(bytes: Bytes, items: u64) -> Payload {
    Payload {
        signal: Signal::Metrics,
        bytes,
        items,
    }
}
