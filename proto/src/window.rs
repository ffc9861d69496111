//! The normalised window: the evidence of one pod over a few seconds, one line of JSON.
//!
//! `serve --record` writes it, `replay` reads it, and the gate judges nothing else. Counts are
//! increments. `requests` counts all requests that ended in the window, `latency` the successful
//! ones alone. In files unknown fields are refused: a misspelt `errors` would otherwise be a good
//! canary.

mod check;
mod latency;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::limits::WINDOW_LINE_BYTES_MAX;
use crate::{Arm, UnixNanos};

pub use check::WindowError;
pub use latency::{Explicit, Exponential, Latency};

/// The evidence of one pod in `[start, end)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Version of the format.
    pub version: Version,
    /// First instant of the window.
    pub start: UnixNanos,
    /// First instant after the window; later than `start`.
    pub end: UnixNanos,
    /// Name of the service.
    pub service: String,
    /// Namespace, empty where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Arm that the pod belongs to.
    pub arm: Arm,
    /// Name of the pod, or of the instance outside Kubernetes.
    pub pod: String,
    /// When the process was started, where known: a change of it is a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<UnixNanos>,
    /// Where the latencies come from.
    #[serde(default)]
    pub source: Source,
    /// Evidence by route, each route once.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// CPU of the process, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
    /// What was built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<Build>,
}

/// Version of the format: 1.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Version;

/// Where latencies come from.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The application's own histogram.
    #[default]
    Histogram,
    /// Spans, weighted by their sampling probability.
    Spans,
}

/// The evidence of one route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Key of the route: `GET /buy`.
    pub route: String,
    /// Requests that ended in the window.
    pub requests: u64,
    /// Those of them that are errors.
    #[serde(default)]
    pub errors: u64,
    /// Requests by status, where the status is known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub codes: BTreeMap<String, u64>,
    /// Latency of the successful requests, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
}

/// CPU of one process in the window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cpu {
    /// CPU seconds used, all cores together; finite, not negative.
    pub seconds: f64,
    /// Limit in cores, where there is one; finite, positive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_cores: Option<f64>,
}

/// What was built.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    /// Version of the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Commit it was built from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

impl Window {
    /// Reads one line of recorded evidence.
    ///
    /// # Errors
    ///
    /// [`WindowError`] for what is no window: wrong JSON, unknown fields, or numbers that
    /// contradict each other. The caller adds the number of the line.
    pub fn parse_line(line: &str) -> Result<Self, WindowError> {
        if line.len() > WINDOW_LINE_BYTES_MAX {
            return Err(WindowError::LineTooLong { bytes: line.len() });
        }
        let window: Self = serde_json::from_str(line).map_err(|error| WindowError::json(&error))?;
        window.checked()
    }

    /// Writes the line that [`Window::parse_line`] reads, without its line feed.
    pub fn to_line(&self) -> String {
        // Strings, integers and checked floats always serialise.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The window, when its numbers agree with each other.
    ///
    /// # Errors
    ///
    /// [`WindowError`] names the first contradiction.
    pub fn checked(self) -> Result<Self, WindowError> {
        check::window(&self)?;
        Ok(self)
    }
}

impl TryFrom<u64> for Version {
    type Error = String;

    fn try_from(version: u64) -> Result<Self, String> {
        match version {
            1 => Ok(Self),
            other => Err(format!("version {other} is not known, this is 1")),
        }
    }
}

impl From<Version> for u64 {
    fn from(_: Version) -> Self {
        1
    }
}

#[cfg(test)]
mod tests;
