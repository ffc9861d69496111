//! A small simulator: independent requests, log-normal latency, rare errors.

use std::collections::BTreeMap;

use crate::cell::{Cell, PodCell, RouteCell};
use crate::evalue::thinning::mix64;
use crate::sketch::Sketch;

/// A generator of splitmix64.
pub(super) struct Chance(pub(super) u64);

impl Chance {
    fn uniform(&mut self) -> f64 {
        self.0 = mix64(self.0);
        ((self.0 >> 11) as f64 + 0.5) * libm::ldexp(1.0, -53)
    }

    /// Box and Muller 1958.
    fn normal(&mut self) -> f64 {
        let angle = std::f64::consts::TAU * self.uniform();
        (-2.0 * libm::log(self.uniform())).sqrt() * libm::cos(angle)
    }

    fn poisson(&mut self, mean: f64) -> u64 {
        (mean + mean.sqrt() * self.normal()).max(0.0) as u64
    }
}

/// What a pod is in the simulator.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    pub(super) slower: f64,
    pub(super) error_rate: f64,
    pub(super) cpu: f64,
    pub(super) explicit: bool,
    /// Factor on latency beyond 0.12 s, which is P97.6.
    pub(super) tail: f64,
    /// Whether latency between 0.055 s and 0.11 s, P80 to P97, becomes 0.11 s.
    pub(super) bulge: bool,
}

pub(super) const GOOD: Kind = Kind {
    slower: 1.0,
    error_rate: 0.0012,
    cpu: 1.0,
    explicit: false,
    tail: 1.0,
    bulge: false,
};
/// The bounds of the example shop.
const BOUNDS: [f64; 18] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.23, 0.27, 0.31, 0.36, 0.42, 0.5, 0.75, 1.0,
    2.5, 5.0,
];

/// A pod at 40 requests a second: log-normal latency of σ 0.7, CPU with 5 % of noise.
pub(super) fn pod(name: &str, kind: Kind, chance: &mut Chance) -> PodCell {
    let mut latency = Sketch::Empty;
    if kind.explicit {
        latency = Sketch::explicit(BOUNDS.to_vec(), vec![0; BOUNDS.len() + 1]).expect("fits");
    }
    let requests = chance.poisson(200.0);
    let errors = (0..requests)
        .filter(|_| chance.uniform() < kind.error_rate)
        .count() as u64;
    for _ in errors..requests {
        let seconds = kind.slower * 0.03 * libm::exp(0.7 * chance.normal());
        let seconds = match seconds {
            s if kind.bulge && (0.055..0.11).contains(&s) => 0.11,
            s if s > 0.12 => kind.tail * s,
            s => s,
        };
        latency.add(seconds, 6);
    }
    let route = RouteCell {
        requests,
        errors,
        latency,
    };
    let noise = libm::exp(0.05 * chance.normal());
    PodCell {
        pod: name.into(),
        warm: true,
        coverage: 1.0,
        routes: BTreeMap::from([("GET /buy".into(), route)]),
        cpu_seconds: Some(kind.cpu * noise * 0.004 * requests as f64),
        cpu_limit_cores: None,
    }
}

pub(super) fn cell(index: u64, canary: Kind, chance: &mut Chance) -> Cell {
    // A service without errors has none in either arm.
    let error_rate = if canary.error_rate == 0.0 {
        0.0
    } else {
        GOOD.error_rate
    };
    let good = Kind {
        explicit: canary.explicit,
        error_rate,
        ..GOOD
    };
    let baseline = ["a", "b", "c", "d"]
        .map(|name| pod(name, good, chance))
        .to_vec();
    Cell {
        index,
        baseline,
        canary: vec![pod("e", canary, chance)],
    }
}
