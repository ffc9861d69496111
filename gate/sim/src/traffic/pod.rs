//! One pod: what it remembers from cell to cell, and its cell.

use std::collections::BTreeMap;
use std::sync::Arc;

use davy_gate_core::cell::{CELL_SECONDS, PodCell, RouteCell};

use super::shape::Counter;
use super::{Change, Traffic};
use crate::chance::Chance;

/// Seconds of a cell.
pub(super) const CELL: f64 = CELL_SECONDS as f64;
/// Cells of a canary's warm-up of 30 s.
const WARM_UP_CELLS: u64 = 6;
/// Mean length of a noisy spell, in cells: 2 minutes.
const NOISY_CELLS: f64 = 24.0;
/// Octaves between neighboring routes.
const ROUTE_OCTAVES: f64 = 0.4;

/// The state of the service as both arms have it in a cell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weather {
    /// Factor on the requests.
    pub(super) load: f64,
    /// Change of ln latency.
    pub(super) log_latency: f64,
    /// Whether a retry storm is under way.
    pub(super) storm: bool,
}

/// A pod of either arm.
#[derive(Clone, Debug)]
pub(super) struct Pod {
    name: Arc<str>,
    /// Requests a second without any effect.
    rate: f64,
    change: Change,
    differ: f64,
    noisy: bool,
    timeout_cells: u64,
    cpu_noise: f64,
}

impl Pod {
    pub(super) fn new(
        name: String,
        rate: f64,
        change: Change,
        traffic: &Traffic,
        chance: &mut Chance,
    ) -> Self {
        Self {
            name: name.into(),
            rate,
            change,
            differ: traffic.own.differ * chance.normal(),
            noisy: chance.happens(traffic.own.noisy),
            timeout_cells: 0,
            cpu_noise: traffic.cpu_noise * chance.normal(),
        }
    }

    /// The pod's cell, `age` cells after its start; none when its window is lost. What is drawn
    /// does not depend on what is lost.
    pub(super) fn cell(
        &mut self,
        age: u64,
        weather: Weather,
        world: &mut World<'_>,
    ) -> Option<PodCell> {
        let traffic = world.traffic;
        self.wander(traffic, world.chance);
        let fate = world.chance.uniform();
        let share = if fate < 2.0 * traffic.own.lost {
            0.5
        } else {
            1.0
        };
        let moment = self.moment(age, weather, world.traffic);
        let mut routes = BTreeMap::new();
        let mut requests = 0;
        for (index, route) in world.routes.iter().enumerate() {
            let cell = self.route(
                index,
                share,
                moment,
                world.traffic,
                world.counter,
                world.chance,
            );
            requests += cell.requests;
            routes.insert(Arc::clone(route), cell);
        }
        let noise = self.cpu(traffic, world.chance);
        let cpu = requests as f64 * traffic.cpu_seconds * noise * moment.cpu;
        (fate >= traffic.own.lost).then(|| PodCell {
            pod: Arc::clone(&self.name),
            warm: !self.change.cold || age >= WARM_UP_CELLS,
            coverage: share,
            routes,
            cpu_seconds: (requests > 0).then_some(cpu),
            cpu_limit_cores: Some(traffic.cpu_cores),
        })
    }

    fn wander(&mut self, traffic: &Traffic, chance: &mut Chance) {
        let own = &traffic.own;
        if own.differ_slowly {
            self.differ = faded(self.differ, 600.0, own.differ, chance);
        }
        if own.noisy > 0.0 {
            let turns = if self.noisy {
                1.0 / NOISY_CELLS
            } else {
                own.noisy / (1.0 - own.noisy) / NOISY_CELLS
            };
            self.noisy ^= chance.happens(turns);
        }
        self.timeout_cells = self.timeout_cells.saturating_sub(1);
        if own.timeouts > 0.0 && chance.happens(own.timeouts * CELL / 3600.0) {
            self.timeout_cells = 2;
        }
    }

    fn moment(&self, age: u64, weather: Weather, traffic: &Traffic) -> Moment {
        let minutes = age as f64 * CELL / 60.0;
        let leak = 1.0 + self.change.leak * minutes;
        let cold = if self.change.cold {
            1.0 + 2.0 * libm::exp(-(age as f64 + 0.5) * CELL / 10.0)
        } else {
            1.0
        };
        let noisy = if self.noisy { 1.3 } else { 1.0 };
        let factor = traffic.latency * self.change.latency * leak * cold * noisy;
        Moment {
            load: weather.load,
            octaves: (weather.log_latency + self.differ) / std::f64::consts::LN_2
                + libm::log2(factor),
            cpu: self.change.cpu * leak * if self.noisy { 1.05 } else { 1.0 },
            storm: weather.storm,
        }
    }

    fn route(
        &self,
        index: usize,
        share: f64,
        moment: Moment,
        traffic: &Traffic,
        counter: &mut Counter,
        chance: &mut Chance,
    ) -> RouteCell {
        let routes = f64::from(traffic.routes.max(1));
        let mut octaves = moment.octaves + route_octaves(index);
        let mut of_route = 1.0 / routes;
        if index == 0 {
            octaves += libm::log2(self.change.first_route);
        }
        if index + 1 == traffic.routes as usize {
            of_route *= self.change.mix;
        } else if traffic.routes > 1 {
            of_route *= (1.0 - self.change.mix / routes) / (1.0 - 1.0 / routes);
        }
        let rate = self.rate * moment.load * of_route * share;
        let (error_rate, together) = if moment.storm {
            (0.03, 3)
        } else {
            (
                (traffic.errors * self.change.errors).min(1.0),
                traffic.error_cluster.max(1),
            )
        };
        let mean = rate * CELL;
        let errors = together * chance.poisson(mean * error_rate / together as f64);
        let mut succeed = chance.poisson(mean * (1.0 - error_rate));
        let requests = errors + succeed;
        let waiting = self.stalled(rate, traffic, counter, chance).min(succeed);
        succeed -= waiting;
        if self.timeout_cells > 0 {
            let out = chance.poisson(0.05 * mean).min(succeed);
            (0..out).for_each(|_| counter.add(1.0));
            succeed -= out;
        }
        counter.draw(succeed, octaves, chance);
        let bursts = traffic.own.clients / routes * CELL / 3600.0;
        let extra = if bursts > 0.0 {
            100 * chance.poisson(bursts)
        } else {
            0
        };
        counter.draw(extra, octaves + 1.0, chance);
        RouteCell {
            requests: requests + extra,
            errors,
            latency: counter.take(),
        }
    }

    /// Counts the requests that wait for the end of a stall: how many there are.
    fn stalled(
        &self,
        rate: f64,
        traffic: &Traffic,
        counter: &mut Counter,
        chance: &mut Chance,
    ) -> u64 {
        let mean = traffic.own.stalls * self.change.stalls * CELL / 3600.0;
        let mut waiting = 0;
        for _ in 0..chance.poisson(mean) {
            let length = 0.5 + 1.5 * chance.uniform();
            let came = chance.poisson(rate * length);
            (0..came).for_each(|_| counter.add(0.03 + length * chance.uniform()));
            waiting += came;
        }
        waiting
    }

    /// The factor on CPU a request: the mean of five seconds' noise.
    fn cpu(&mut self, traffic: &Traffic, chance: &mut Chance) -> f64 {
        let memory = traffic.cpu_memory;
        let new = traffic.cpu_noise * (1.0 - memory * memory).sqrt();
        let mut sum = 0.0;
        for _ in 0..CELL_SECONDS {
            self.cpu_noise = memory * self.cpu_noise + new * chance.normal();
            sum += self.cpu_noise;
        }
        libm::exp(sum / CELL)
    }
}

/// What pods share besides the weather.
#[derive(Debug)]
pub(super) struct World<'a> {
    pub(super) traffic: &'a Traffic,
    pub(super) routes: &'a [Arc<str>],
    pub(super) counter: &'a mut Counter,
    pub(super) chance: &'a mut Chance,
}

/// What a pod does in a cell, whatever the route.
#[derive(Clone, Copy, Debug)]
struct Moment {
    load: f64,
    octaves: f64,
    cpu: f64,
    storm: bool,
}

/// 0, then by turns slower and faster.
fn route_octaves(index: usize) -> f64 {
    let steps = index.div_ceil(2) as f64;
    let sign = if index % 2 == 1 { 1.0 } else { -1.0 };
    sign * steps * ROUTE_OCTAVES
}

/// The next cell of a wander of `spread` with a memory of `seconds` (Ornstein and Uhlenbeck 1930).
pub(super) fn faded(now: f64, seconds: f64, spread: f64, chance: &mut Chance) -> f64 {
    let left = libm::exp(-CELL / seconds);
    left * now + spread * (1.0 - left * left).sqrt() * chance.normal()
}
