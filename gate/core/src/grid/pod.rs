//! The open cells of one pod.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::sync::Arc;

use davy_proto::UnixNanos;
use davy_proto::window::{Latency, Route, Window};

use super::{Outcome, PodLife, SILENT_CELLS, cell_end, cell_of};
use crate::cell::{CELL_SECONDS, PodCell};
use crate::normalize::sketch_of;

/// Cells for which counted intervals are remembered, closed ones included.
const REMEMBERED_CELLS: u64 = 24;
/// Most intervals of one part that are remembered: windows of half a second over the cells
/// remembered, those that wait, and what a clock may be ahead.
const INTERVALS_MAX: usize = 512;
/// Most parts of a route in one interval: a collector splits a request into a few.
const CONTENTS_MAX: usize = 128;
/// Most starts of a process that are remembered; the oldest are dropped.
const STARTS_MAX: usize = 256;
/// Nanoseconds of a second.
const NANOS: f64 = 1e9;
/// Longest window in cells whose span counts as covered: an OTLP reader's minute.
const SPAN_CELLS_MAX: u64 = 24;

/// What is known of one pod.
#[derive(Debug)]
pub(super) struct Pod {
    first_seen: UnixNanos,
    last_seen: UnixNanos,
    /// Starts of the process that windows told, each with the end of the first of them.
    starts: BTreeMap<UnixNanos, UnixNanos>,
    /// Counted intervals and fingerprints of what was told of each, by part: a route, or the CPU
    /// (`None`).
    parts: BTreeMap<Option<Arc<str>>, BTreeMap<Interval, Vec<u64>>>,
    open: BTreeMap<u64, OpenCell>,
}

type Interval = (UnixNanos, UnixNanos);

/// Parts of a cell in the order of their identity, not of their arrival: floats are summed and
/// sketches merged when the cell closes, so that the order of arrival changes no bit.
#[derive(Debug, Default)]
struct OpenCell {
    windows: BTreeMap<(UnixNanos, UnixNanos, u64), Window>,
    covered: BTreeSet<Interval>,
}

impl Pod {
    pub(super) fn new(window: &Window) -> Self {
        Self {
            first_seen: window.end,
            last_seen: window.end,
            starts: BTreeMap::new(),
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
            match self.remember(Some(route.route.as_str().into()), window, route) {
                Outcome::Counted => {
                    if !self.fits(route, index) {
                        worst = Outcome::LatencyRefused;
                    }
                    counted.routes.push(route.clone());
                }
                Outcome::Duplicate => {}
                refused => worst = refused,
            }
        }
        if let Some(cpu) = window.cpu {
            match self.remember(None, window, &cpu.seconds) {
                Outcome::Counted => counted.cpu = Some(cpu),
                Outcome::Duplicate => {}
                refused => worst = refused,
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
        let key = (counted.start, counted.end, fingerprint(&counted));
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
        let mut cpu = None;
        for window in cell.windows.into_values() {
            cpu = cpu_nanos(&window)
                .map_or(cpu, |more| Some(cpu.unwrap_or(0u64).saturating_add(more)));
            add(&mut closed, window);
        }
        closed.cpu_seconds = cpu.map(|nanos| nanos as f64 / NANOS);
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
        let mut told: Vec<UnixNanos> = self.starts.values().copied().collect();
        told.sort_unstable();
        PodLife {
            pod: Arc::clone(name),
            first_seen: self.first_seen,
            last_seen: self.last_seen,
            started: self.starts.keys().next_back().copied(),
            restarts: told.split_off(1.min(told.len())),
        }
    }

    /// Drops the open cells before `oldest`; how many windows they held.
    pub(super) fn give_up(&mut self, oldest: u64) -> u64 {
        let kept = self.open.split_off(&oldest);
        let dropped = std::mem::replace(&mut self.open, kept);
        dropped.values().map(|cell| cell.windows.len() as u64).sum()
    }

    /// Whether the latency of a route makes a histogram, one that goes with those of the cell.
    fn fits(&self, route: &Route, index: u64) -> bool {
        let Some(latency) = &route.latency else {
            return true;
        };
        let windows = self.open.get(&index).map(|cell| cell.windows.values());
        let others = windows.into_iter().flatten().flat_map(|w| &w.routes);
        let mut others = others.filter(|other| other.route == route.route);
        sketch_of(latency).is_ok()
            && others.all(|other| other.latency.as_ref().is_none_or(|o| merges(o, latency)))
    }

    fn seen(&mut self, window: &Window) {
        self.first_seen = self.first_seen.min(window.end);
        self.last_seen = self.last_seen.max(window.end);
        // Clocks that are read twice differ by less than a second; a restart takes longer.
        let Some(at) = window.started.map(|at| at.seconds()) else {
            return;
        };
        let near = UnixNanos::from_seconds(at.saturating_sub(1))..UnixNanos::from_seconds(at + 2);
        if let Some((_, told)) = self.starts.range_mut(near).next() {
            *told = window.end.min(*told);
            return;
        }
        self.starts.insert(UnixNanos::from_seconds(at), window.end);
        if self.starts.len() > STARTS_MAX {
            self.starts.pop_first();
        }
    }

    /// Counts an interval of a part once.
    fn remember(
        &mut self,
        part: Option<Arc<str>>,
        window: &Window,
        content: &impl fmt::Debug,
    ) -> Outcome {
        let intervals = self.parts.entry(part).or_default();
        let (bounds, told) = ((window.start, window.end), fingerprint(content));
        if let Some(contents) = intervals.get_mut(&bounds) {
            if contents.contains(&told) || contents.len() >= CONTENTS_MAX {
                return Outcome::Duplicate;
            }
            contents.push(told);
            return Outcome::Counted;
        }
        // Intervals don't cut each other, so the last that begins before the end reaches furthest.
        let before = ..(window.end, UnixNanos::default());
        let last = intervals.range(before).next_back();
        if last.is_some_and(|((_, end), _)| *end > window.start) {
            return Outcome::Overlap;
        }
        if intervals.len() >= INTERVALS_MAX {
            return Outcome::TooManyWindows;
        }
        intervals.insert(bounds, vec![told]);
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

/// Whether two latencies of a route can be added.
fn merges(one: &Latency, other: &Latency) -> bool {
    match (one, other) {
        (Latency::Explicit(one), Latency::Explicit(other)) => {
            one.bounds_seconds == other.bounds_seconds
        }
        (Latency::Explicit(_), _) | (_, Latency::Explicit(_)) => false,
        _ => true,
    }
}

/// What tells a duplicate from another part: FNV-1a of 64 bits over the content as text.
/// Source: Fowler, Noll, Vo; <http://www.isthe.com/chongo/tech/comp/fnv/>.
fn fingerprint(content: &impl fmt::Debug) -> u64 {
    struct Fnv(u64);
    impl fmt::Write for Fnv {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let step =
                |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            self.0 = text.bytes().fold(self.0, step);
            Ok(())
        }
    }
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    // Nothing here fails to write.
    let _ = write!(hash, "{content:?}");
    hash.0
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
        cell.cpu_limit_cores = cpu.limit_cores.or(cell.cpu_limit_cores);
    }
}

/// CPU time of a window in whole nanoseconds: summed so, it does not matter into how many windows
/// it was split.
fn cpu_nanos(window: &Window) -> Option<u64> {
    window
        .cpu
        .map(|cpu| libm::round(cpu.seconds * NANOS) as u64)
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
