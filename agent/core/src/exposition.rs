//! Exposition pages: what a program's `/metrics` answers, read into families and samples.
//!
//! One pass, nothing copied: names, labels and help borrow from the page, and only a string with
//! an escape in it is allocated. Labels and exemplars of all samples stand in one arena each, so a
//! page of ten thousand samples costs a handful of allocations.
//!
//! Text, OpenMetrics and delimited protobuf ([`protobuf`]) give the same [`Page`]; protobuf alone
//! has native histograms ([`Native`]).
//!
//! Reading is lenient: a bad line costs that line, is counted, and the first one is kept with its
//! number and reason ([`Tally`]). With [`Options::strict`] the text of the format's specification
//! is the authority, and the first offence fails the page (`line 12: …`). Limits fail the page
//! either way, as they fail a scrape of Prometheus.
//!
//! A series that stands twice keeps its first sample; the others are counted.

use std::borrow::Cow;

use number::Spelling;
pub(crate) use number::plain_line;
use page::Builder;
pub(crate) use relabeled::Counts;

pub use error::{LineError, PageError, Piece, Reason};
pub use family::{Format, Kind, Role};
pub use limits::{SeriesLimits, check_samples};
pub use protobuf::{Buckets, FloatBuckets, Native};
pub use sniff::{ACCEPT, sniff};

mod bound;
mod error;
mod family;
mod limits;
mod line;
mod number;
mod page;
mod protobuf;
mod reader;
mod relabeled;
mod sniff;
mod strict;
#[cfg(test)]
mod tests;

/// The gauge by which client libraries tell when their program started, in seconds.
const PROCESS_START: &str = "process_start_time_seconds";

/// Bounds of a page. A breach fails the page as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the page, decompressed.
    pub body_bytes: usize,
    /// Samples on the page, and families beside them.
    pub samples: usize,
    /// Labels of one sample.
    pub labels_per_sample: usize,
    /// Bytes of a metric's or label's name.
    pub name_bytes: usize,
    /// Bytes of a label's value.
    pub value_bytes: usize,
    /// Those that a target names itself.
    pub series: SeriesLimits,
}

/// Limits that no honest program comes near.
pub const DEFAULT_LIMITS: Limits = Limits {
    body_bytes: 16 << 20,
    samples: 200_000,
    labels_per_sample: 64,
    name_bytes: 1024,
    value_bytes: 64 << 10,
    series: SeriesLimits::NONE,
};

/// How to read a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bounds of the page.
    pub limits: Limits,
    /// Refuse what the format's specification refuses.
    pub strict: bool,
    /// Take the timestamps of samples; otherwise all are of the scrape's time.
    pub honor_timestamps: bool,
}

impl Options {
    /// Reads leniently, within the default limits.
    pub const LENIENT: Self = Self {
        limits: DEFAULT_LIMITS,
        strict: false,
        honor_timestamps: true,
    };
    /// Refuses what the specification refuses, within the default limits.
    pub const STRICT: Self = Self {
        limits: DEFAULT_LIMITS,
        strict: true,
        honor_timestamps: true,
    };
}

/// A page, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<'a> {
    /// The format it was read as.
    pub format: Format,
    /// Families in order of appearance.
    pub families: Vec<Family<'a>>,
    /// Samples, grouped by family, otherwise in the page's order.
    pub samples: Vec<Sample>,
    /// What was left out.
    pub tally: Tally,
    labels: Vec<Label<'a>>,
    exemplars: Vec<Exemplar>,
    /// Native histograms, grouped by family; each has classic samples beside it, `+Inf` at least.
    natives: Vec<Native<'a>>,
    /// Samples as Prometheus counts them, when relabel rules were applied.
    relabeled: Option<Counts>,
}

impl<'a> Page<'a> {
    /// Returns a sample's labels, sorted by name, without empty values and without `le` and
    /// `quantile` where these are [`Sample::bound`].
    pub fn labels(&self, sample: &Sample) -> &[Label<'a>] {
        let (from, to) = (sample.first_label as usize, sample.end_label as usize);
        self.labels.get(from..to).unwrap_or_default()
    }

    /// Returns samples of one family in runs of equal labels and timestamp: in a histogram's or
    /// summary's family a run is, on an orderly page, one point.
    pub(crate) fn runs<'s>(&'s self, samples: &'s [Sample]) -> impl Iterator<Item = &'s [Sample]> {
        samples.chunk_by(|a, b| a.time_unix_nano == b.time_unix_nano && self.are_alike(a, b))
    }

    /// Returns whether two samples have the same labels.
    pub(crate) fn are_alike(&self, a: &Sample, b: &Sample) -> bool {
        (a.first_label, a.end_label) == (b.first_label, b.end_label)
            || self.labels(a) == self.labels(b)
    }

    /// Returns the family of a sample.
    pub fn family(&self, sample: &Sample) -> Option<&Family<'a>> {
        self.families.get(sample.family as usize)
    }

    /// Returns a sample's exemplar.
    pub fn exemplar(&self, sample: &Sample) -> Option<&Exemplar> {
        self.exemplars.get(sample.exemplar? as usize)
    }

    /// Returns whether a sample or an exemplar states this time.
    pub(crate) fn has_time(&self, time: u64) -> bool {
        let samples = self.samples.iter().map(|sample| sample.time_unix_nano);
        let exemplars = self.exemplars.iter().map(|it| it.time_unix_nano);
        let natives = self.natives.iter().map(|native| native.time_unix_nano);
        let mut all = samples.chain(exemplars).chain(natives);
        all.any(|stated| stated == Some(time))
    }

    /// Returns when the program started, as its page says, in Unix nanoseconds; 0 when it does not.
    pub(crate) fn process_start(&self) -> u64 {
        let is_it = |sample: &&Sample| {
            let family = self.family(sample);
            family.is_some_and(|family| family.name == PROCESS_START)
                && self.labels(sample).is_empty()
        };
        let found = self.samples.iter().find(is_it);
        found.map_or(0, |sample| crate::translate::start_of_seconds(sample.value))
    }

    /// Returns the native histograms, grouped by family.
    pub fn natives(&self) -> &[Native<'a>] {
        &self.natives
    }

    /// Returns the native histogram of the point that a classic sample belongs to.
    pub(crate) fn native(&self, sample: &Sample) -> Option<&Native<'a>> {
        self.natives.get(self.native_index(sample)?)
    }

    /// Returns its index.
    fn native_index(&self, sample: &Sample) -> Option<usize> {
        let key = (sample.family, sample.first_label);
        let from = self
            .natives
            .partition_point(|native| (native.family, native.first_label) < key);
        let natives = self.natives.get(from..).unwrap_or_default().iter();
        let at = natives
            .take_while(|native| (native.family, native.first_label) == key)
            .position(|native| native.time_unix_nano == sample.time_unix_nano)?;
        Some(from + at)
    }

    /// Returns how many samples the page had, and how many are left after relabel rules, as
    /// Prometheus counts them: in protobuf a native histogram is one, and the classic samples
    /// beside it and the field that tells when a series began are none.
    pub(crate) fn counts(&self) -> Counts {
        let is_counted = |s: &&Sample| s.role != Role::Created && self.native(s).is_none();
        self.relabeled.unwrap_or_else(|| {
            let samples = match self.format {
                Format::Protobuf => {
                    self.samples.iter().filter(is_counted).count() + self.natives.len()
                }
                Format::OpenMetrics | Format::Text => self.samples.len(),
            };
            Counts {
                scraped: samples,
                kept: samples,
            }
        })
    }

    /// Returns a native histogram's labels, as [`Self::labels`] does.
    pub fn native_labels(&self, native: &Native<'_>) -> &[Label<'a>] {
        let (from, to) = (native.first_label as usize, native.end_label as usize);
        self.labels.get(from..to).unwrap_or_default()
    }

    /// Returns a native histogram's exemplars.
    pub fn native_exemplars(&self, native: &Native<'_>) -> &[Exemplar] {
        let (from, to) = (native.first_exemplar as usize, native.end_exemplar as usize);
        self.exemplars.get(from..to).unwrap_or_default()
    }

    /// Returns an exemplar's labels in the page's order.
    pub fn exemplar_labels(&self, exemplar: &Exemplar) -> &[Label<'a>] {
        let (from, to) = (exemplar.first_label as usize, exemplar.end_label as usize);
        self.labels.get(from..to).unwrap_or_default()
    }
}

/// What the lines beginning with `#` say about a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family<'a> {
    /// The name in these lines: in OpenMetrics without `_total` and the like.
    pub name: Cow<'a, str>,
    /// TYPE; [`Kind::Unknown`] without one.
    pub kind: Kind,
    /// HELP, unescaped; empty without one.
    pub help: Cow<'a, str>,
    /// UNIT; empty without one.
    pub unit: &'a str,
}

/// One line with a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Index into [`Page::families`].
    pub family: u32,
    /// What it is to its family.
    pub role: Role,
    /// `le` of a bucket or `quantile`; 0 for other roles.
    pub bound: f64,
    /// The value.
    pub value: f64,
    /// An explicit timestamp, Unix nanoseconds.
    pub time_unix_nano: Option<u64>,
    /// The line or message it stands in, from 1.
    pub line: u32,
    /// Where its line begins in the text that was read; and its value, when that ends the line.
    pub(crate) line_at: u32,
    pub(crate) value_at: Option<u32>,
    first_label: u32,
    end_label: u32,
    exemplar: Option<u32>,
}

/// A label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label<'a> {
    /// Its name, unquoted.
    pub name: Cow<'a, str>,
    /// Its value, unescaped.
    pub value: Cow<'a, str>,
}

/// One observation shown beside a sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// The observed value.
    pub value: f64,
    /// When, Unix nanoseconds.
    pub time_unix_nano: Option<u64>,
    first_label: u32,
    end_label: u32,
}

/// What was left out of a page, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Lines that could not be read.
    pub bad_lines: u64,
    /// The first of them.
    pub first_bad: Option<LineError>,
    /// Samples of a series that was there already.
    pub duplicates: u64,
    /// Samples whose timestamp OTLP can't hold.
    pub unholdable_timestamps: u64,
}

/// Reads a page.
///
/// # Errors
///
/// A [`PageError`]: a limit is exceeded, the format is not read here, or, with
/// [`Options::strict`], the first line that the specification refuses.
///
/// # Complexity
///
/// One pass, and a sort of one 64-bit number a sample to find duplicates.
///
/// ```
/// use davy_agent_core::exposition::{Options, parse};
///
/// let page = b"# TYPE jobs gauge\njobs{queue=\"a,b\"} 3\nnonsense\n";
/// let page = parse(page, None, &Options::LENIENT)?;
/// assert_eq!(page.samples[0].value, 3.0);
/// assert_eq!(page.labels(&page.samples[0])[0].value, "a,b");
/// assert_eq!(page.tally.first_bad.map(|e| e.line), Some(3));
/// # Ok::<(), davy_agent_core::exposition::PageError>(())
/// ```
pub fn parse<'a>(
    bytes: &'a [u8],
    content_type: Option<&str>,
    options: &Options,
) -> Result<Page<'a>, PageError> {
    let limit = options.limits.body_bytes.min(u32::MAX as usize);
    if bytes.len() > limit {
        return Err(PageError::BodyTooLarge { limit });
    }
    let format = sniff(content_type, bytes)?;
    let page = match format {
        Format::Protobuf => protobuf::read(bytes, options)?,
        Format::OpenMetrics | Format::Text => reader::read(bytes, format, options)?,
    };
    if options.strict {
        strict::check(&page)?;
    }
    check_samples(&page, &options.limits.series)?;
    Ok(page)
}

/// Reads parts of a page one after the other, in the same memory.
#[derive(Debug)]
pub(crate) struct Parts<'a>(Builder<'a>);

/// A part of a page: lines of a text, or messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'p, 'a> {
    pub(crate) page: &'p Page<'a>,
    /// Lines; messages are none.
    pub(crate) lines: u32,
    /// Whether `# EOF` was among them, which it need not be.
    pub(crate) has_end: bool,
}

impl<'a> Parts<'a> {
    /// Expects parts of up to so many bytes.
    pub(crate) fn new(format: Format, options: &Options, bytes: usize) -> Self {
        Self(Builder::new(format, options, bytes))
    }

    /// Reads a part, leniently.
    pub(crate) fn read(&mut self, bytes: &'a [u8]) -> Result<Part<'_, 'a>, PageError> {
        let Self(builder) = self;
        builder.clear();
        let (lines, has_end) = match builder.page.format {
            Format::OpenMetrics | Format::Text => reader::read_lines(builder, bytes)?,
            Format::Protobuf => {
                protobuf::read_messages(builder, bytes)?;
                (0, false)
            }
        };
        builder.finish().map_err(PageError::Line)?;
        Ok(Part {
            page: &builder.page,
            lines,
            has_end,
        })
    }
}

/// Returns the value of a number as lenient reading takes it.
pub(crate) fn value(text: &str) -> Option<f64> {
    number::float(text, Spelling::Go)
}
