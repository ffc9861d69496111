//! Latency of a route: a histogram in one of three forms, all in seconds.

use serde::{Deserialize, Serialize};

/// Latency of the successful requests of a route in a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub enum Latency {
    /// Explicit bounds: a classic histogram.
    Explicit(Explicit),
    /// OTLP's exponential histogram.
    Exponential(Exponential),
    /// A high dynamic range histogram of microseconds, V2 with deflate, in base64.
    Hdr(String),
}

/// A histogram with explicit bounds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Explicit {
    /// Upper bounds in seconds, rising, inclusive.
    pub bounds_seconds: Vec<f64>,
    /// Observations a bucket, not cumulative; one more than bounds, the last bucket is open.
    pub counts: Vec<u64>,
}

/// OTLP's exponential histogram, positive range: bucket i holds (b^i, b^(i+1)], b = 2^(2^-scale).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exponential {
    /// Scale, −10 to 20.
    pub scale: i32,
    /// Observations that are zero, or too small for a bucket.
    pub zero_count: u64,
    /// Index of the first bucket.
    pub offset: i32,
    /// Observations a bucket, from `offset` on.
    pub counts: Vec<u64>,
}

impl Latency {
    /// Number of observations; saturates. `None` for the HDR form, which has to be decoded.
    pub fn total(&self) -> Option<u64> {
        let sum = |counts: &[u64]| counts.iter().fold(0_u64, |sum, n| sum.saturating_add(*n));
        match self {
            Self::Explicit(explicit) => Some(sum(&explicit.counts)),
            Self::Exponential(e) => Some(sum(&e.counts).saturating_add(e.zero_count)),
            Self::Hdr(_) => None,
        }
    }
}

/// All three forms as they are written.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bounds_seconds: Option<Vec<f64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scale: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    zero_count: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    offset: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    counts: Option<Vec<u64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hdr: Option<String>,
}

const FORMS: &str =
    "latency is {bounds_seconds, counts}, {scale, zero_count, offset, counts} or {hdr}";

impl TryFrom<Raw> for Latency {
    type Error = &'static str;

    fn try_from(raw: Raw) -> Result<Self, Self::Error> {
        match raw {
            Raw {
                bounds_seconds: Some(bounds_seconds),
                counts: Some(counts),
                scale: None,
                zero_count: None,
                offset: None,
                hdr: None,
            } => Ok(Self::Explicit(Explicit {
                bounds_seconds,
                counts,
            })),
            Raw {
                scale: Some(scale),
                counts: Some(counts),
                bounds_seconds: None,
                zero_count,
                offset,
                hdr: None,
            } => Ok(Self::Exponential(Exponential {
                scale,
                zero_count: zero_count.unwrap_or(0),
                offset: offset.unwrap_or(0),
                counts,
            })),
            Raw {
                hdr: Some(hdr),
                bounds_seconds: None,
                scale: None,
                zero_count: None,
                offset: None,
                counts: None,
            } => Ok(Self::Hdr(hdr)),
            _ => Err(FORMS),
        }
    }
}

impl From<Latency> for Raw {
    fn from(latency: Latency) -> Self {
        match latency {
            Latency::Explicit(explicit) => Self {
                bounds_seconds: Some(explicit.bounds_seconds),
                counts: Some(explicit.counts),
                ..Self::default()
            },
            Latency::Exponential(exponential) => Self {
                scale: Some(exponential.scale),
                zero_count: Some(exponential.zero_count),
                offset: Some(exponential.offset),
                counts: Some(exponential.counts),
                ..Self::default()
            },
            Latency::Hdr(hdr) => Self {
                hdr: Some(hdr),
                ..Self::default()
            },
        }
    }
}
