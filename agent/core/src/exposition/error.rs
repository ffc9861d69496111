//! Why a line or a page was refused.

use std::fmt;

use thiserror::Error;

use crate::payload::Malformed;

/// A page that could not be read at all.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PageError {
    /// The page is larger than allowed.
    #[error("page is larger than {limit} bytes")]
    BodyTooLarge {
        /// Bytes allowed.
        limit: usize,
    },
    /// The page has more samples or families than allowed.
    #[error("page has more than {limit} samples")]
    TooManySamples {
        /// Samples allowed.
        limit: usize,
    },
    /// The scrape has more samples than its target's limit, as Prometheus counts them.
    #[error("sample limit exceeded: {samples} samples, {limit} allowed")]
    SampleLimit {
        /// Samples there are.
        samples: usize,
        /// Samples allowed.
        limit: usize,
    },
    /// A limit on names, values or labels is exceeded, or `--strict` refuses the line.
    #[error("{0}")]
    Line(LineError),
    /// The page is in a format that is not read.
    #[error("{media_type} is not read; ask for delimited protobuf, OpenMetrics or text")]
    Unsupported {
        /// The media type.
        media_type: &'static str,
    },
}

/// What a page consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A line of text.
    Line,
    /// A delimited message: one family.
    Message,
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Line => "line",
            Self::Message => "message",
        })
    }
}

/// A line, or a message of a protobuf page, that could not be read.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("{piece} {line}: {reason}")]
pub struct LineError {
    /// What is counted in `line`.
    pub piece: Piece,
    /// The line or message, from 1.
    pub line: u32,
    /// Why.
    pub reason: Reason,
}

/// Why a line could not be read.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Exemplar is malformed.
    #[error("exemplar is malformed")]
    BadExemplar,
    /// Label name is malformed.
    #[error("label name is malformed")]
    BadLabelName,
    /// Label set is malformed.
    #[error("label set is malformed")]
    BadLabelSet,
    /// Metric name is malformed.
    #[error("metric name is malformed")]
    BadName,
    /// Timestamp is malformed.
    #[error("timestamp is malformed")]
    BadTimestamp,
    /// Type is not one of the format's.
    #[error("type is not one of the format's")]
    BadType,
    /// Line is not UTF-8.
    #[error("line is not UTF-8")]
    BadUtf8,
    /// Value is not a number.
    #[error("value is not a number")]
    BadValue,
    /// Bucket or quantile has no numeric `le` or `quantile` label.
    #[error("bucket or quantile has no numeric `le` or `quantile` label")]
    BoundMissing,
    /// Quote in HELP is not escaped.
    #[error("quote in HELP is not escaped")]
    BareQuote,
    /// Bound of a bucket or quantile is not above the one before it.
    #[error("bound of a bucket or quantile is not above the one before it")]
    BoundRepeated,
    /// Line ends in a carriage return.
    #[error("line ends in a carriage return")]
    CarriageReturn,
    /// `_count` is not the value of the bucket `+Inf`.
    #[error("`_count` is not the value of the bucket `+Inf`")]
    CountMismatch,
    /// Count or sum is negative or NaN.
    #[error("count or sum is negative or NaN")]
    CountNegative,
    /// Count is not an integer.
    #[error("count is not an integer")]
    CountNotWhole,
    /// Bucket is smaller than the one before it.
    #[error("bucket is smaller than the one before it")]
    CountsDecrease,
    /// Counter is negative or NaN.
    #[error("counter is negative or NaN")]
    CounterNegative,
    /// Label stands twice.
    #[error("label stands twice")]
    DuplicateLabel,
    /// HELP, TYPE or UNIT stands twice for one name.
    #[error("HELP, TYPE or UNIT stands twice for one name")]
    DuplicateMetadata,
    /// Series stands twice.
    #[error("series stands twice")]
    DuplicateSample,
    /// Empty line.
    #[error("empty line")]
    EmptyLine,
    /// Exemplar where the format has none.
    #[error("exemplar where the format has none")]
    ExemplarMisplaced,
    /// Exemplar is above its bucket's bound.
    #[error("exemplar is above its bucket's bound")]
    ExemplarOutside,
    /// Exemplar's labels are longer than 128 characters.
    #[error("exemplar's labels are longer than 128 characters")]
    ExemplarTooLong,
    /// Histogram has no bucket `+Inf`.
    #[error("histogram has no bucket `+Inf`")]
    InfinityMissing,
    /// Info's value is not 1.
    #[error("info's value is not 1")]
    InfoNotOne,
    /// Lines of one metric are not together.
    #[error("lines of one metric are not together")]
    Interleaved,
    /// A series has more labels than its target's limit; its name, `job` and `instance` count.
    #[error("label limit exceeded: {labels} labels, {limit} allowed")]
    LabelLimit {
        /// Labels there are.
        labels: usize,
        /// Labels allowed.
        limit: usize,
    },
    /// A label's name is longer than its target's limit.
    #[error("label name length limit exceeded: {bytes} bytes, {limit} allowed")]
    LabelNameLimit {
        /// Bytes of the name.
        bytes: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Relabel rules leave a label without a name.
    #[error("relabel rules leave a label without a name")]
    LabelUnnamed,
    /// A label's value or a metric's name is longer than its target's limit.
    #[error("label value length limit exceeded: {bytes} bytes, {limit} allowed")]
    LabelValueLimit {
        /// Bytes of the value.
        bytes: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Label has no value.
    #[error("label has no value")]
    LabelWithoutValue,
    /// HELP, TYPE or UNIT stands after the metric's samples.
    #[error("HELP, TYPE or UNIT stands after the metric's samples")]
    MetadataLate,
    /// Sample has no name.
    #[error("sample has no name")]
    MissingName,
    /// Space is missing.
    #[error("space is missing")]
    MissingSeparator,
    /// Name could be that of another family's sample.
    #[error("name could be that of another family's sample")]
    NameClash,
    /// Relabel rules leave the series without a name.
    #[error("relabel rules leave the series without a name")]
    NameRemoved,
    /// Name begins with an underscore, which is reserved.
    #[error("name begins with an underscore, which is reserved")]
    NameReserved,
    /// Name is longer than allowed.
    #[error("name is longer than allowed")]
    NameTooLong,
    /// Page does not end in `# EOF`.
    #[error("page does not end in `# EOF`")]
    NoEof,
    /// Last line does not end in a line feed.
    #[error("last line does not end in a line feed")]
    NoNewline,
    /// Line beginning with `#` is not HELP, TYPE, UNIT or EOF.
    #[error("line beginning with `#` is not HELP, TYPE, UNIT or EOF")]
    NotMetadata,
    /// Tokens are not separated by one space.
    #[error("tokens are not separated by one space")]
    NotOneSpace,
    /// Value of a quantile is negative.
    #[error("value of a quantile is negative")]
    QuantileNegative,
    /// Quantile is not between 0 and 1.
    #[error("quantile is not between 0 and 1")]
    QuantileOutOfRange,
    /// Stateset's sample has no label of its family's name, or is not 0 or 1.
    #[error("stateset's sample has no label of its family's name, or is not 0 or 1")]
    StateMisfit,
    /// Backslash is not followed by a backslash, `n` or a quote.
    #[error("backslash is not followed by a backslash, `n` or a quote")]
    StrayBackslash,
    /// Histogram has a sum and a negative bound.
    #[error("histogram has a sum and a negative bound")]
    SumOfNegatives,
    /// Sample's name does not fit its family's type.
    #[error("sample's name does not fit its family's type")]
    SuffixMismatch,
    /// Timestamp is negative or beyond the range of OTLP.
    #[error("timestamp is negative or beyond the range of OTLP")]
    TimestampUnholdable,
    /// Deltas of a native histogram do not fit its spans, or a count in it is negative.
    #[error("buckets of a native histogram do not add up")]
    NativeMisfit,
    /// More labels than allowed.
    #[error("more labels than allowed")]
    TooManyLabels,
    /// More samples or exemplars than allowed.
    #[error("more samples than allowed")]
    TooManySamples,
    /// Text after the sample.
    #[error("text after the sample")]
    Trailing,
    /// Comma before the closing brace.
    #[error("comma before the closing brace")]
    TrailingComma,
    /// Text after `# EOF`.
    #[error("text after `# EOF`")]
    TrailingEof,
    /// Name both before and within the braces.
    #[error("name both before and within the braces")]
    TwoNames,
    /// Label set is not closed.
    #[error("label set is not closed")]
    UnclosedBraces,
    /// Quote is not closed.
    #[error("quote is not closed")]
    UnclosedQuote,
    /// Unit is not the ending of the metric's name.
    #[error("unit is not the ending of the metric's name")]
    UnitMisfit,
    /// Label value is not quoted.
    #[error("label value is not quoted")]
    UnquotedValue,
    /// Label value is longer than allowed.
    #[error("label value is longer than allowed")]
    ValueTooLong,
    /// Metric has no value of its family's type.
    #[error("metric has no value of its family's type")]
    ValueMissing,
    /// Bytes are no message of the protobuf wire format.
    #[error("{0}")]
    Wire(Malformed),
}

impl From<Malformed> for Reason {
    fn from(malformed: Malformed) -> Self {
        Self::Wire(malformed)
    }
}

impl Reason {
    /// Returns whether a limit of the target's own is exceeded.
    pub fn is_series_limit(self) -> bool {
        matches!(
            self,
            Self::LabelLimit { .. } | Self::LabelNameLimit { .. } | Self::LabelValueLimit { .. }
        )
    }

    /// Returns whether a limit is exceeded, which fails the page and not the line.
    pub(crate) fn is_limit(self) -> bool {
        matches!(
            self,
            Self::NameTooLong | Self::TooManyLabels | Self::TooManySamples | Self::ValueTooLong
        )
    }
}
