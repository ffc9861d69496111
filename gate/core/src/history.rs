//! Recent closed cells of a service: the baseline's past, from which the judge learns its spread.
//!
//! Bounded in cells (an hour) and in bytes; the oldest are dropped and counted.

use std::collections::{BTreeMap, VecDeque};

use davy_proto::Arm;

use crate::cell::PodCell;
use crate::grid::ArmCell;
use crate::sketch::Sketch;

/// Cells kept unless configured: an hour of 5 s.
pub const CELLS_MAX: usize = 720;
/// Bytes kept unless configured.
pub const BYTES_MAX: usize = 64 << 20;

/// Both arms, or more, in one closed cell.
pub type Arms = BTreeMap<Arm, ArmCell>;

/// Recent closed cells, oldest first.
#[derive(Debug)]
pub struct History {
    cells: VecDeque<(u64, Arms, usize)>,
    bytes: usize,
    cells_max: usize,
    bytes_max: usize,
    dropped: u64,
}

impl History {
    /// A history of at most so many cells and, roughly, bytes.
    pub fn new(cells_max: usize, bytes_max: usize) -> Self {
        Self {
            cells: VecDeque::new(),
            bytes: 0,
            cells_max,
            bytes_max,
            dropped: 0,
        }
    }

    /// Adds the next closed cell.
    pub fn push(&mut self, index: u64, arms: Arms) {
        let bytes = arms.values().flat_map(|arm| &arm.pods).map(pod_bytes).sum();
        self.bytes += bytes;
        self.cells.push_back((index, arms, bytes));
        while self.cells.len() > self.cells_max || self.bytes > self.bytes_max {
            let Some((_, _, bytes)) = self.cells.pop_front() else {
                return;
            };
            self.bytes -= bytes;
            self.dropped += 1;
        }
    }

    /// The cells, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Arms)> {
        self.cells.iter().map(|(index, arms, _)| (*index, arms))
    }

    /// Bytes kept, roughly.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Cells dropped for want of room.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

/// Bytes of a pod's cell, roughly: what grows is counted.
fn pod_bytes(pod: &PodCell) -> usize {
    let route = |(name, route): (&std::sync::Arc<str>, &crate::cell::RouteCell)| {
        let buckets = match &route.latency {
            Sketch::Empty => 0,
            Sketch::Explicit(explicit) => 2 * explicit.counts().len(),
            Sketch::Exponential(exponential) => exponential.counts().len(),
        };
        128 + name.len() + 8 * buckets
    };
    128 + pod.pod.len() + pod.routes.iter().map(route).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arms(pods: usize) -> Arms {
        let pod = |at: usize| PodCell {
            pod: format!("pod-{at}").into(),
            warm: true,
            coverage: 1.0,
            routes: BTreeMap::new(),
            cpu_seconds: None,
            cpu_limit_cores: None,
        };
        let cell = ArmCell {
            pods: (0..pods).map(pod).collect(),
            expected: pods,
        };
        BTreeMap::from([(Arm::new("v1").unwrap(), cell)])
    }

    #[test]
    fn the_oldest_cells_are_dropped_and_counted() {
        let mut history = History::new(3, usize::MAX);
        (0..5).for_each(|index| history.push(index, arms(1)));
        assert_eq!(
            history.iter().map(|(index, _)| index).collect::<Vec<_>>(),
            [2, 3, 4]
        );
        assert_eq!(history.dropped(), 2);
        let mut history = History::new(100, 1000);
        (0..50).for_each(|index| history.push(index, arms(2)));
        assert!(history.bytes() <= 1000 && history.dropped() > 40);
    }
}
