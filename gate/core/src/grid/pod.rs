//! The open cells of one pod.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use davy_proto::UnixNanos;
use davy_proto::window::Window;

use super::{Outcome, PodLife, SILENT_CELLS, cell_end, cell_of};
use crate::cell::{CELL_SECONDS, PodCell};
use crate::normalize::sketch_of;

/// Cells for which counted intervals are remembered, closed ones included.
const REMEMBERED_CELLS: u64 = 24;
/// Most intervals of one part that are remembered: windows of 1 s over two minutes.
const INTERVALS_MAX: usize = 128;
/// Longest window in cells whose span counts as covered: an OTLP reader's minute.
const SPAN_CELLS_MAX: u64 = 24;

/// What is known of one pod.
#[derive(Debug)]
pub(super) struct Pod {
    first_seen: UnixNanos,
    last_seen: UnixNanos,
    /// Starts of the process that windows told, at most a few.
    starts: BTreeSet<UnixNanos>,
    restarts_forgotten: u64,
    /// Counted intervals and the content of each, by part: a route, or the CPU (`None`).
    parts: BTreeMap<Option<Arc<str>>, BTreeMap<Interval, BTreeSet<String>>>,
    open: BTreeMap<u64, OpenCell>,
}

type Interval = (UnixNanos, UnixNanos);

/// Parts of a cell in the order of their identity, not of their arrival: floats are summed and
/// sketches merged when the cell closes, so that the order of arrival changes no bit.
#[derive(Debug, Default)]
struct OpenCell {
    windows: BTreeMap<(UnixNanos, UnixNanos, String), Window>,
    covered: BTreeSet<Interval>,
}

impl Pod {
    pub(super) fn new(window: &Window) -> Self {
        Self {
            first_seen: window.end,
            last_seen: window.end,
            starts: BTreeSet::new(),
            restarts_forgotten: 0,
            parts: BTreeMap::new(),
            open: BTreeMap::new(),
        }
    }

    pub(super) fn take(&mut self, window: &Window, index: u64, open: u64) -> Outcome {
        let mut counted = Window {
            routes: Vec::new(),
            cpu: None,
            ..window.clone()
        };
        let mut worst = Outcome::Duplicate;
        for route in &window.routes {
            let content = serde_text(&Window {
                routes: vec![route.clone()],
                cpu: None,
                ..counted.clone()
            });
            match self.remember(Some(route.route.as_str().into()), window, content) {
                Outcome::Counted => {
                    if route
                        .latency
                        .as_ref()
                        .is_some_and(|latency| sketch_of(latency).is_err())
                    {
                        worst = Outcome::LatencyRefused;
                    }
                    counted.routes.push(route.clone());
                }
                Outcome::Overlap => worst = Outcome::Overlap,
                _ => {}
            }
        }
        if let Some(cpu) = window.cpu {
            let content = format!("{:?}", cpu.seconds.to_bits());
            match self.remember(None, window, content) {
                Outcome::Counted => counted.cpu = Some(cpu),
                Outcome::Overlap => worst = Outcome::Overlap,
                _ => {}
            }
        }
        let empty = window.routes.is_empty() && window.cpu.is_none();
        let new = !counted.routes.is_empty() || counted.cpu.is_some();
        let fresh = empty && self.cover(window, index, open);
        if !new && !fresh {
            return worst;
        }
        self.seen(window);
        self.cover(window, index, open);
        let cell = self.open.entry(index).or_default();
        let key = (counted.start, counted.end, serde_text(&counted));
        cell.windows.insert(key, counted);
        if worst == Outcome::Duplicate {
            Outcome::Counted
        } else {
            worst
        }
    }

    pub(super) fn close(&mut self, name: &Arc<str>, index: u64) -> Option<PodCell> {
        let oldest = cell_end(index.saturating_sub(REMEMBERED_CELLS));
        for intervals in self.parts.values_mut() {
            intervals.retain(|(_, end), _| *end > oldest);
        }
        self.parts.retain(|_, intervals| !intervals.is_empty());
        let cell = self.open.remove(&index)?;
        let coverage = covered(&cell.covered, index);
        let mut closed = PodCell {
            pod: Arc::clone(name),
            warm: true,
            coverage,
            routes: BTreeMap::new(),
            cpu_seconds: None,
            cpu_limit_cores: None,
        };
        for window in cell.windows.into_values() {
            add(&mut closed, window);
        }
        // A cell that is only spanned by a longer window has no evidence of its own.
        (!closed.routes.is_empty() || closed.cpu_seconds.is_some() || coverage > 0.0)
            .then_some(closed)
    }

    pub(super) fn first_open(&self) -> Option<u64> {
        self.open.keys().next().copied()
    }

    pub(super) fn last_cell(&self) -> u64 {
        cell_of(self.last_seen)
    }

    pub(super) fn is_live(&self, index: u64) -> bool {
        let born = cell_of(self.first_seen) <= index;
        born && self.last_cell() + SILENT_CELLS >= index
    }

    pub(super) fn reported(&self, index: u64) -> bool {
        self.last_seen >= cell_end(index)
    }

    pub(super) fn life(&self, name: &Arc<str>) -> PodLife {
        let again = self.starts.len().saturating_sub(1) as u64;
        PodLife {
            pod: Arc::clone(name),
            first_seen: self.first_seen,
            last_seen: self.last_seen,
            started: self.starts.last().copied(),
            restarts: self.restarts_forgotten + again,
        }
    }

    fn seen(&mut self, window: &Window) {
        self.first_seen = self.first_seen.min(window.end);
        self.last_seen = self.last_seen.max(window.end);
        // Clocks that are read twice differ by less than a second; a restart takes longer.
        let told = window
            .started
            .map(|at| UnixNanos::from_seconds(at.seconds()));
        let near = |at: UnixNanos| {
            self.starts
                .iter()
                .any(|s| s.seconds().abs_diff(at.seconds()) < 2)
        };
        if let Some(at) = told.filter(|at| !near(*at)) {
            self.starts.insert(at);
            if self.starts.len() > 16 {
                self.starts.pop_first();
                self.restarts_forgotten += 1;
            }
        }
    }

    /// Counts an interval of a part once.
    fn remember(&mut self, part: Option<Arc<str>>, window: &Window, content: String) -> Outcome {
        let intervals = self.parts.entry(part).or_default();
        let bounds = (window.start, window.end);
        if let Some(contents) = intervals.get_mut(&bounds) {
            let new = contents.len() < INTERVALS_MAX && contents.insert(content);
            return if new {
                Outcome::Counted
            } else {
                Outcome::Duplicate
            };
        }
        if intervals
            .keys()
            .any(|(start, end)| window.start < *end && *start < window.end)
        {
            return Outcome::Overlap;
        }
        if intervals.len() >= INTERVALS_MAX {
            return Outcome::Overlap;
        }
        intervals.insert(bounds, BTreeSet::from([content]));
        Outcome::Counted
    }

    /// Marks the span of a window as covered; false when it was.
    fn cover(&mut self, window: &Window, index: u64, open: u64) -> bool {
        let span = (window.start, window.end);
        let first = window.start.seconds() / CELL_SECONDS;
        let first = first.max(index.saturating_sub(SPAN_CELLS_MAX));
        for spanned in first.max(open)..index {
            self.open.entry(spanned).or_default().covered.insert(span);
        }
        self.open.entry(index).or_default().covered.insert(span)
    }
}

/// Content of a part as text: what tells a duplicate from another part.
fn serde_text(window: &Window) -> String {
    window.to_line()
}

fn add(cell: &mut PodCell, window: Window) {
    for route in window.routes {
        let sum = cell.routes.entry(route.route.as_str().into()).or_default();
        sum.requests = sum.requests.saturating_add(route.requests);
        sum.errors = sum.errors.saturating_add(route.errors);
        if let Some(Ok(sketch)) = route.latency.as_ref().map(sketch_of) {
            // Other bounds within one cell: the first of them counts, the outcome said so.
            let _ = sum.latency.merge(&sketch);
        }
    }
    if let Some(cpu) = window.cpu {
        cell.cpu_seconds = Some(cell.cpu_seconds.unwrap_or(0.0) + cpu.seconds);
        cell.cpu_limit_cores = cpu.limit_cores.or(cell.cpu_limit_cores);
    }
}

/// Share of a cell that intervals cover together.
fn covered(intervals: &BTreeSet<Interval>, index: u64) -> f64 {
    let (start, end) = (
        index * CELL_SECONDS * 1_000_000_000,
        cell_end(index).nanos(),
    );
    let (mut sum, mut reached) = (0, start);
    for (from, to) in intervals {
        let (from, to) = (from.nanos().max(reached), to.nanos().min(end));
        sum += to.saturating_sub(from);
        reached = reached.max(to);
    }
    sum as f64 / (end - start) as f64
}
