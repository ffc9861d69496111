//! What the judge is given: the evidence of every pod in one cell of the 5 s grid.
//!
//! A cell is closed by the clock, never by a value (docs/statistics.md, section 3). The grid makes
//! cells out of windows; the judge reads nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::sketch::Sketch;

/// Length of a cell in seconds. Cells start at multiples of it since the Unix epoch.
pub const CELL_SECONDS: u64 = 5;

/// The evidence of both arms in one closed cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Start of the cell in units of [`CELL_SECONDS`] since the Unix epoch.
    pub index: u64,
    /// The baseline's pods, ordered by name.
    pub baseline: Vec<PodCell>,
    /// The canary's pods, ordered by name.
    pub canary: Vec<PodCell>,
}

/// The evidence of one pod in one cell.
#[derive(Clone, Debug, PartialEq)]
pub struct PodCell {
    /// Name of the pod, unique within its arm.
    pub pod: Arc<str>,
    /// Whether the pod is past its warm-up: before, its latency and CPU are not judged, its errors
    /// are.
    pub warm: bool,
    /// Share of the cell that the pod's windows cover, in [0, 1].
    pub coverage: f64,
    /// Evidence by route.
    pub routes: BTreeMap<Arc<str>, RouteCell>,
    /// CPU seconds used in the cell, where the pod reports them.
    pub cpu_seconds: Option<f64>,
    /// The pod's CPU limit in cores, where it has one.
    pub cpu_limit_cores: Option<f64>,
}

/// The evidence of one route of one pod in one cell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RouteCell {
    /// All requests that ended in the cell.
    pub requests: u64,
    /// Those of them that count as errors.
    pub errors: u64,
    /// Latency of the successful ones, in seconds.
    pub latency: Sketch,
}
