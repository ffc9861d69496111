//! Families: what a `# TYPE` line says, and which samples belong to one.

use super::{LineError, Piece, Reason};

/// What a family measures, as its TYPE says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A count that only grows, until a reset.
    Counter,
    /// A current value.
    Gauge,
    /// A histogram that may shrink; OTLP has no form for it.
    GaugeHistogram,
    /// Cumulative buckets, a sum and a count.
    Histogram,
    /// Labels with the value 1.
    Info,
    /// Named booleans.
    StateSet,
    /// Quantiles the program computed itself, a sum and a count.
    Summary,
    /// No TYPE, or a TYPE that says so.
    Unknown,
}

impl Kind {
    /// Returns the kind that a TYPE line's word names; `untyped` is the text format's `unknown`.
    pub fn of_word(word: &str) -> Option<Self> {
        Some(match word {
            "counter" => Self::Counter,
            "gauge" => Self::Gauge,
            "gaugehistogram" => Self::GaugeHistogram,
            "histogram" => Self::Histogram,
            "info" => Self::Info,
            "stateset" => Self::StateSet,
            "summary" => Self::Summary,
            "unknown" | "untyped" => Self::Unknown,
            _ => return None,
        })
    }

    /// Returns the word for `metric.metadata["prometheus.type"]`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Histogram => "histogram",
            Self::Info => "info",
            Self::StateSet => "stateset",
            Self::Summary => "summary",
            Self::Unknown => "unknown",
        }
    }

    /// Returns the endings of OpenMetrics's sample names (its section "Suffixes").
    pub(crate) fn suffixes(self) -> &'static [&'static str] {
        match self {
            Self::Counter => &["_total", "_created"],
            Self::Gauge | Self::StateSet | Self::Unknown => &[""],
            Self::GaugeHistogram => &["_gcount", "_gsum", "_bucket"],
            Self::Histogram => &["_count", "_sum", "_bucket", "_created"],
            Self::Info => &["_info"],
            Self::Summary => &["_count", "_sum", "_created", ""],
        }
    }

    /// Returns what a sample is whose name is the family's plus `suffix`, or `None` when it
    /// belongs to another family.
    pub(crate) fn role(self, suffix: &str, format: Format) -> Option<Role> {
        let open = format == Format::OpenMetrics;
        Some(match (self, suffix) {
            (Self::Counter, "_total") if open => Role::Total,
            (Self::Counter | Self::Histogram | Self::Summary, "_created") if open => Role::Created,
            (Self::Info, "_info") if open => Role::Info,
            (Self::Histogram | Self::GaugeHistogram, "_bucket") => Role::Bucket,
            (Self::Histogram | Self::Summary, "_sum") => Role::Sum,
            (Self::Histogram | Self::Summary, "_count") => Role::Count,
            (Self::GaugeHistogram, "_gsum") => Role::Sum,
            (Self::GaugeHistogram, "_gcount") => Role::Count,
            // The other formats have no such type but in protobuf, which does not write names.
            (Self::GaugeHistogram, "_sum") if !open => Role::Sum,
            (Self::GaugeHistogram, "_count") if !open => Role::Count,
            (Self::Summary, "") => Role::Quantile,
            (Self::Histogram | Self::GaugeHistogram, "") => return None,
            (_, "") => Role::Value,
            _ => return None,
        })
    }
}

/// The format a page is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics text 1.0.
    OpenMetrics,
    /// Delimited messages `io.prometheus.client.MetricFamily`.
    Protobuf,
    /// Prometheus text 0.0.4, and 1.0.0 with its quoted names.
    Text,
}

impl Format {
    /// Returns the error of a page's line or message.
    pub(crate) fn error(self, line: u32, reason: Reason) -> LineError {
        let piece = match self {
            Self::OpenMetrics | Self::Text => Piece::Line,
            Self::Protobuf => Piece::Message,
        };
        LineError {
            piece,
            line,
            reason,
        }
    }
}

/// What a sample is to its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// A cumulative bucket; its bound is [`Sample::bound`](super::Sample::bound).
    Bucket,
    /// `_count` or `_gcount`.
    Count,
    /// `_created`: when the series began, in seconds since the epoch.
    Created,
    /// `_info` of an OpenMetrics info.
    Info,
    /// A quantile of a summary; which is [`Sample::bound`](super::Sample::bound).
    Quantile,
    /// `_sum` or `_gsum`.
    Sum,
    /// `_total` of an OpenMetrics counter.
    Total,
    /// The value itself: the sample's name is the family's.
    Value,
}

impl Role {
    /// Returns the label that holds the bound.
    pub(crate) fn key(self) -> Option<&'static str> {
        match self {
            Self::Bucket => Some("le"),
            Self::Quantile => Some("quantile"),
            _ => None,
        }
    }

    /// Returns what stands between the family's name and the OTLP metric's name.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Info => "_info",
            Self::Total => "_total",
            _ => "",
        }
    }
}
