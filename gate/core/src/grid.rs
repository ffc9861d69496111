//! Windows fold into the grid of 5 s cells that the judge reads.
//!
//! * A window that lies within one cell counts there (1 s, 2.5 s, 5 s on the grid, or whatever a
//!   restart left of one). A longer one counts whole in the cell where it ends, never spread:
//!   where in its span the requests fell isn't known, and the judge's scores are of moments. Its
//!   length counts as coverage of all the cells it spans that are still open: windows of over 10 s
//!   lose coverage. A window off the grid (an SDK that exports at :03) counts where it ends too.
//! * The same part of a window again (route or CPU, with the same bounds and content) is a
//!   duplicate; one with the same bounds and other content is another part, as a collector that
//!   splits requests makes them; one that cuts an earlier interval of that part is refused. All
//!   are counted.
//! * A cell closes when every live pod of the service has reported to its end, or when it
//!   is two cells late. What arrives later is counted, and lost. A pod is live from its first
//!   window until it was silent for [`SILENT_CELLS`]. A pod that is not live and comes too late is
//!   waited for in the next cells: else one that always reports last would never be heard.
//!
//! Clocks are wrong now and then. Until the first cell has closed the grid begins with the earliest
//! one reported; a cell more than [`BEHIND_CELLS`] back is given up, so that one clock of 1970 does
//! not have it close every cell since; a pod that comes too late although it was waited for is
//! waited for no longer than [`PATIENCE_CELLS`].
//!
//! Time is an argument, folding is order-independent, and a grid holds one service.

mod pod;

use std::collections::BTreeMap;
use std::sync::Arc;

use davy_proto::window::Window;
use davy_proto::{Arm, UnixNanos};

use crate::cell::{CELL_SECONDS, PodCell};
use pod::Pod;

/// A cell closes at the latest that many cells after its end.
pub const LATE_CELLS: u64 = 2;
/// A pod that reported nothing for that many cells is no longer waited for.
pub const SILENT_CELLS: u64 = 3;
/// Most pods of a service; windows of more are refused, unless one that is gone makes room.
pub const PODS_MAX: usize = 512;
/// Cells that a pod is remembered after its last window.
const FORGET_CELLS: u64 = 720;
/// How far back a cell can be and still be closed: an hour, what history holds.
const BEHIND_CELLS: u64 = 720;
/// How long newcomers that never come in time are waited for.
const PATIENCE_CELLS: u64 = 6;

/// What became of a window.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Outcome {
    /// It counts, at least one part of it.
    Counted,
    /// All of it was counted before.
    Duplicate,
    /// Its cell was closed before.
    Late,
    /// A part cuts an interval that was counted.
    Overlap,
    /// The service has more pods than are kept.
    TooManyPods,
    /// The pod reports in more and shorter windows than are kept apart.
    TooManyWindows,
    /// Its latency makes no histogram, or none that goes with those of its cell; requests count.
    LatencyRefused,
}

/// The pods of one arm in one closed cell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ArmCell {
    /// The cells of the pods that reported, ordered by name.
    pub pods: Vec<PodCell>,
    /// How many live pods there are: those expected to report.
    pub expected: usize,
}

/// The open cells of one service.
#[derive(Debug, Default)]
pub struct Grid {
    arms: BTreeMap<Arm, BTreeMap<Arc<str>, Pod>>,
    /// First cell that isn't closed; 0 before the first was.
    open: u64,
    /// Pods that are not live and came too late, and the first and last cell that they missed. They
    /// change when cells close, never what is in them.
    newcomers: BTreeMap<(Arm, Arc<str>), (u64, u64)>,
    counts: BTreeMap<Outcome, u64>,
}

/// What a pod's life looks like: for restarts and silence.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PodLife {
    /// Name of the pod.
    pub pod: Arc<str>,
    /// End of its first window.
    pub first_seen: UnixNanos,
    /// End of its last window.
    pub last_seen: UnixNanos,
    /// When its process was started, where known.
    pub started: Option<UnixNanos>,
    /// The ends of the windows that first told of a new start of the process, in their order.
    pub restarts: Vec<UnixNanos>,
}

impl Grid {
    /// A grid without windows.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts a window.
    pub fn take(&mut self, window: &Window) -> Outcome {
        let outcome = self.fold(window);
        *self.counts.entry(outcome).or_default() += 1;
        outcome
    }

    /// How many windows had each outcome.
    pub fn counts(&self) -> &BTreeMap<Outcome, u64> {
        &self.counts
    }

    /// Arms seen, ordered by name.
    pub fn arms(&self) -> impl Iterator<Item = &Arm> {
        self.arms.keys()
    }

    /// The life of each pod of an arm, ordered by name.
    pub fn lives(&self, arm: &Arm) -> Vec<PodLife> {
        let pods = self.arms.get(arm);
        pods.into_iter()
            .flatten()
            .map(|(name, pod)| pod.life(name))
            .collect()
    }

    /// Closes the next cell, if it can be at `now`: its index and the cells of each arm.
    ///
    /// Call it until it gives none. Empty cells are closed too: silence is evidence.
    pub fn close(&mut self, now: UnixNanos) -> Option<(u64, BTreeMap<Arm, ArmCell>)> {
        self.give_up(cell_of(now).saturating_sub(BEHIND_CELLS));
        let index = match self.open {
            0 => self.pods().filter_map(Pod::first_open).min()?,
            open => open,
        };
        let end = cell_end(index);
        let late = end
            .nanos()
            .saturating_add(LATE_CELLS * CELL_SECONDS * 1_000_000_000);
        if now < end || (now.nanos() < late && !self.complete(index)) {
            return None;
        }
        self.open = index + 1;
        let mut arms = BTreeMap::new();
        for (arm, pods) in &mut self.arms {
            let mut cell = ArmCell::default();
            for (name, pod) in pods.iter_mut() {
                cell.expected += usize::from(pod.is_live(index));
                cell.pods.extend(pod.close(name, index));
            }
            arms.insert(arm.clone(), cell);
        }
        self.forget(index);
        Some((index, arms))
    }

    fn fold(&mut self, window: &Window) -> Outcome {
        let index = cell_of(window.end);
        if index < self.open {
            self.meet(window, index);
            return Outcome::Late;
        }
        let known = self
            .arms
            .get(&window.arm)
            .is_some_and(|p| p.contains_key(&*window.pod));
        if !known && self.pods().count() >= PODS_MAX && !self.make_room() {
            return Outcome::TooManyPods;
        }
        let pods = self.arms.entry(window.arm.clone()).or_default();
        let pod = pods
            .entry(window.pod.as_str().into())
            .or_insert_with(|| Pod::new(window));
        let outcome = pod.take(window, index, self.open);
        if !self.newcomers.is_empty() {
            self.newcomers.remove(&identity(window));
        }
        outcome
    }

    /// Remembers a pod that nobody waits for yet.
    fn meet(&mut self, window: &Window, index: u64) {
        let pods = self.arms.get(&window.arm);
        let pod = pods.and_then(|pods| pods.get(&*window.pod));
        let is_recent = index + SILENT_CELLS >= self.open;
        if !is_recent || pod.is_some_and(|pod| pod.is_live(self.open)) {
            return;
        }
        if self.newcomers.len() < PODS_MAX {
            let missed = self.newcomers.entry(identity(window));
            let (_, last) = missed.or_insert((index, index));
            *last = index.max(*last);
        }
    }

    /// Forgets the pod that has been gone for longest; false when all are live.
    fn make_room(&mut self) -> bool {
        let pods = self.arms.iter().flat_map(|(arm, pods)| {
            let of_arm = move |(name, pod)| (arm, name, pod);
            pods.iter().map(of_arm)
        });
        let gone = pods.filter(|(_, _, pod)| !pod.is_live(self.open) && pod.first_open().is_none());
        let longest = gone.min_by_key(|(_, _, pod): &(_, _, &Pod)| pod.last_cell());
        let Some((arm, name)) = longest.map(|(arm, name, _)| (arm.clone(), Arc::clone(name)))
        else {
            return false;
        };
        if let Some(pods) = self.arms.get_mut(&arm) {
            pods.remove(&name);
        }
        true
    }

    /// Drops what is left of cells before `oldest`, and doesn't close them.
    fn give_up(&mut self, oldest: u64) {
        if self.open >= oldest {
            return;
        }
        let lost: u64 = self
            .arms
            .values_mut()
            .flat_map(BTreeMap::values_mut)
            .map(|pod| pod.give_up(oldest))
            .sum();
        if lost > 0 {
            *self.counts.entry(Outcome::Late).or_default() += lost;
        }
        if self.open > 0 {
            self.open = oldest;
        }
    }

    fn pods(&self) -> impl Iterator<Item = &Pod> {
        self.arms.values().flat_map(BTreeMap::values)
    }

    /// Whether every live pod has reported to the end of the cell, and no newcomer is waited for.
    fn complete(&self, index: u64) -> bool {
        let is_awaited = |(first, last): &(u64, u64)| {
            last + SILENT_CELLS >= index && last - first < PATIENCE_CELLS
        };
        if self.newcomers.values().any(is_awaited) {
            return false;
        }
        self.pods()
            .filter(|pod| pod.is_live(index))
            .all(|pod| pod.reported(index))
    }

    fn forget(&mut self, index: u64) {
        self.newcomers
            .retain(|_, (_, last)| *last + SILENT_CELLS > index);
        for pods in self.arms.values_mut() {
            pods.retain(|_, pod| pod.last_cell() + FORGET_CELLS > index);
        }
        self.arms.retain(|_, pods| !pods.is_empty());
    }
}

fn identity(window: &Window) -> (Arm, Arc<str>) {
    (window.arm.clone(), window.pod.as_str().into())
}

/// The cell in which a window ends: an end on the grid belongs to the cell before it.
pub fn cell_of(end: UnixNanos) -> u64 {
    end.nanos().saturating_sub(1) / (CELL_SECONDS * 1_000_000_000)
}

/// First instant after a cell.
pub fn cell_end(index: u64) -> UnixNanos {
    UnixNanos::from_seconds(index.saturating_add(1).saturating_mul(CELL_SECONDS))
}

#[cfg(test)]
mod tests;
