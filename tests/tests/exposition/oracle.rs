//! Prometheus's own parsers, as a process: pages in, what they read out.

use davy_tests::kit::oracle;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// What both parsers read in a page.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    /// The server's parser.
    pub(super) textparse: Parsed,
    /// The client libraries' decoder; none for OpenMetrics.
    pub(super) expfmt: Option<Parsed>,
}

/// What one parser read before it ended or refused the page.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Parsed {
    /// Why it refused; empty when it did not.
    pub(super) error: String,
    #[serde(deserialize_with = "nullable")]
    pub(super) samples: Vec<Sample>,
    #[serde(deserialize_with = "nullable")]
    pub(super) natives: Vec<Native>,
    #[serde(deserialize_with = "nullable")]
    pub(super) types: Vec<Pair>,
    #[serde(deserialize_with = "nullable")]
    pub(super) helps: Vec<Pair>,
    #[serde(deserialize_with = "nullable")]
    pub(super) units: Vec<Pair>,
}

/// A name and what is said of it.
pub(super) type Pair = (String, String);

/// A series with a number, whose bits are in hex.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Sample {
    pub(super) labels: Vec<Pair>,
    pub(super) value: String,
    pub(super) time_ms: Option<i64>,
    pub(super) start_ms: i64,
    pub(super) exemplar: Option<Observed>,
}

/// An exemplar.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Observed {
    pub(super) labels: Vec<Pair>,
    pub(super) value: String,
    pub(super) time_ms: Option<i64>,
}

/// A series with a native histogram.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Native {
    pub(super) labels: Vec<Pair>,
    pub(super) time_ms: Option<i64>,
    pub(super) start_ms: i64,
    pub(super) schema: i32,
    pub(super) is_float: bool,
    pub(super) sum: String,
    pub(super) zero_threshold: String,
    pub(super) zero_count: String,
    pub(super) positive: Vec<Bucket>,
    pub(super) negative: Vec<Bucket>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) exemplars: Vec<Observed>,
}

/// A bucket that is not empty.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Bucket {
    pub(super) index: i64,
    pub(super) count: String,
}

/// What Go's `strconv.ParseFloat` says.
#[derive(Debug, Deserialize)]
pub(super) struct Number {
    pub(super) error: String,
    pub(super) value: String,
}

/// A page of client_golang, in hex.
#[derive(Debug, Deserialize)]
pub(super) struct Written {
    pub(super) content_type: String,
    pub(super) page: String,
}

fn nullable<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Returns the number whose bits these are; "nan" is every NaN.
pub(super) fn number(bits: &str) -> f64 {
    match bits {
        "nan" => f64::NAN,
        _ => f64::from_bits(u64::from_str_radix(bits, 16).expect("bits in hex")),
    }
}

/// The process.
pub(super) struct Oracle(oracle::Oracle);

impl Oracle {
    /// Builds it unless it is built, and starts it.
    pub(super) fn start() -> Self {
        Self(oracle::Oracle::start("textparse").expect("Prometheus's parsers"))
    }

    /// Asks about one page.
    pub(super) fn ask<T: DeserializeOwned>(&mut self, content_type: &str, page: &[u8]) -> T {
        self.ask_all(&[(content_type, page)]).remove(0)
    }

    /// Asks about many pages at once.
    pub(super) fn ask_all<T: DeserializeOwned>(&mut self, pages: &[(&str, &[u8])]) -> Vec<T> {
        let mut input = Vec::new();
        for (content_type, page) in pages {
            for part in [content_type.as_bytes(), page] {
                input.extend((part.len() as u32).to_be_bytes());
                input.extend(part);
            }
        }
        let told = self.0.exchange(&input, pages.len());
        let lines = told.expect("the oracle answers").into_iter();
        let answer = |line: String| {
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
        };
        lines.map(answer).collect()
    }
}
