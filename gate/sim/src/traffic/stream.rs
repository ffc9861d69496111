//! Cells of a rollout, one after the other.

use std::sync::Arc;

use davy_gate_core::cell::Cell;

use super::pod::{CELL, Pod, Weather, World, faded};
use super::shape::Counter;
use super::{SAME, Traffic};
use crate::chance::Chance;

/// Cells of a rollout of half an hour.
const HALF_HOUR: f64 = 360.0;
/// Memory of drift, in seconds.
const DRIFT_SECONDS: f64 = 300.0;

/// A traffic with its tables made, from which rollouts are drawn.
#[derive(Clone, Debug)]
pub struct Source {
    traffic: Traffic,
    routes: Vec<Arc<str>>,
    counter: Counter,
}

impl Source {
    /// Makes the tables of `traffic`.
    pub fn new(traffic: &Traffic) -> Self {
        let route = |i| format!("GET /{i:02}").into();
        Self {
            traffic: *traffic,
            routes: (0..traffic.routes.max(1)).map(route).collect(),
            counter: Counter::new(traffic.shape, traffic.buckets),
        }
    }

    /// The rollout `run` under `seed`.
    pub fn stream(&self, seed: u64, run: u64) -> Stream {
        Stream::new(self.clone(), seed, run)
    }
}

/// The cells of one rollout: first the history, in which the canary is not there.
#[derive(Clone, Debug)]
pub struct Stream {
    traffic: Traffic,
    routes: Vec<Arc<str>>,
    counter: Counter,
    chance: Chance,
    baseline: Vec<Pod>,
    canary: Vec<Pod>,
    drift: (f64, f64),
    burst_cells: u64,
    storm_cells: u64,
    cells: u64,
}

impl Stream {
    fn new(source: Source, seed: u64, run: u64) -> Self {
        let Source {
            traffic,
            routes,
            counter,
        } = source;
        let mut chance = Chance::new(seed, run);
        let spread = traffic.shared.drift;
        let drift = (spread * chance.normal(), spread * chance.normal());
        let mut arm = |prefix: char, pods: usize, share: f64, change| -> Vec<Pod> {
            let weights: Vec<f64> = (0..pods)
                .map(|_| libm::exp(traffic.own.unequal * chance.normal()))
                .collect();
            let all: f64 = weights.iter().sum();
            let pod = |(i, weight): (usize, &f64)| {
                let rate = traffic.rate * share * weight / all;
                Pod::new(
                    format!("{prefix}{i:02}"),
                    rate,
                    change,
                    &traffic,
                    &mut chance,
                )
            };
            weights.iter().enumerate().map(pod).collect()
        };
        let baseline = arm('b', traffic.baseline_pods, 1.0 - traffic.weight, SAME);
        let canary = arm('c', traffic.canary_pods, traffic.weight, traffic.canary);
        Self {
            traffic,
            routes,
            counter,
            chance,
            baseline,
            canary,
            drift,
            burst_cells: 0,
            storm_cells: 0,
            cells: 0,
        }
    }

    /// The next cell: of the baseline alone while there is history.
    pub fn next_cell(&mut self) -> Cell {
        let index = self.cells;
        self.cells += 1;
        let weather = self.weather(index);
        let age = index.checked_sub(self.traffic.history);
        let mut world = World {
            traffic: &self.traffic,
            routes: &self.routes,
            counter: &mut self.counter,
            chance: &mut self.chance,
        };
        let of = |pods: &mut Vec<Pod>, age: u64, world: &mut World<'_>| {
            pods.iter_mut()
                .filter_map(|pod| pod.cell(age, weather, world))
                .collect()
        };
        let baseline = of(&mut self.baseline, index, &mut world);
        let canary = match age {
            Some(age) => of(&mut self.canary, age, &mut world),
            None => Vec::new(),
        };
        Cell {
            index,
            baseline,
            canary,
        }
    }

    fn weather(&mut self, index: u64) -> Weather {
        let shared = self.traffic.shared;
        let chance = &mut self.chance;
        if shared.drift > 0.0 {
            self.drift.0 = faded(self.drift.0, DRIFT_SECONDS, shared.drift, chance);
            self.drift.1 = faded(self.drift.1, DRIFT_SECONDS, shared.drift, chance);
        }
        spell(&mut self.burst_cells, shared.bursts, 4.0, chance);
        spell(&mut self.storm_cells, shared.retries, 6.0, chance);
        let since = index.saturating_sub(self.traffic.history) as f64;
        let rise = 1.0 + (shared.rising - 1.0) * since / HALF_HOUR;
        let (burst, storm) = (self.burst_cells > 0, self.storm_cells > 0);
        let load = if burst { 2.0 } else { 1.0 } * if storm { 1.5 } else { 1.0 };
        let slow = if burst { libm::log(1.5) } else { 0.0 };
        Weather {
            load: load * rise * libm::exp(self.drift.1),
            log_latency: self.drift.0 + slow + libm::log(rise) / 3.0,
            storm,
        }
    }
}

/// Counts a spell down, and begins one of 1 to `cells_max` cells `an_hour` times an hour.
fn spell(left: &mut u64, an_hour: f64, cells_max: f64, chance: &mut Chance) {
    *left = left.saturating_sub(1);
    if *left == 0 && an_hour > 0.0 && chance.happens(an_hour * CELL / 3600.0) {
        *left = 1 + (cells_max * chance.uniform()) as u64;
    }
}
