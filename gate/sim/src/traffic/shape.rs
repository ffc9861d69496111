//! Distributions of latency, cut into steps of 1/256 octave, and the buckets it is counted in.

use std::f64::consts::SQRT_2;
use std::sync::Arc;

use davy_gate_core::sketch::Sketch;

use crate::chance::{Alias, Chance};

/// P99 of the log-normal shape, in seconds.
pub(crate) const P99_SECONDS: f64 = 0.230;
/// σ of the log-normal shape.
pub(crate) const SIGMA: f64 = 0.7;
/// The 99 % quantile of the standard normal.
const Z99: f64 = 2.326_347_874_040_841;

/// Steps an octave.
const STEPS: f64 = 256.0;
/// Octaves that are drawn from: 15 µs to 64 s.
const OCTAVES: std::ops::Range<i32> = -16..6;
/// Octaves that a sketch may hold: effects move latency beyond what is drawn.
const HELD: std::ops::Range<i32> = -24..12;
/// Fixed point of bucket positions.
const FIXED_BITS: u32 = 24;

/// Bounds of the example shop's classic histogram, in seconds.
const CLASSIC: [f64; 18] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.23, 0.27, 0.31, 0.36, 0.42, 0.5, 0.75, 1.0,
    2.5, 5.0,
];

/// A distribution of latency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// Of five requests four hit a cache and take 5 ms (σ 0.3); the fifth is as `LogNormal`.
    Cache,
    /// 98 % as `LogNormal`, 2 % from 150 ms on with a Pareto tail of exponent 1.5.
    HeavyTail,
    /// P99 of 230 ms, σ 0.7.
    LogNormal,
}

/// What latency is counted in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Buckets {
    /// Classic buckets with the 18 bounds of the example shop.
    Classic,
    /// Exponential ones of a scale in [0, 8]: 5 is what the agent makes of spans, 3 a native
    /// histogram of factor 1.1, 6 what statistics were first measured with.
    Exponential(i32),
}

impl Shape {
    /// Share of the requests that take longer than `seconds`.
    pub fn above(self, seconds: f64) -> f64 {
        let log_normal = |median: f64, sigma: f64| {
            0.5 * libm::erfc(libm::log(seconds / median) / sigma / SQRT_2)
        };
        let usual = log_normal(P99_SECONDS / libm::exp(Z99 * SIGMA), SIGMA);
        match self {
            Self::LogNormal => usual,
            Self::Cache => 0.8 * log_normal(0.005, 0.3) + 0.2 * usual,
            Self::HeavyTail => 0.98 * usual + 0.02 * libm::pow((seconds / 0.150).max(1.0), -1.5),
        }
    }

    /// The quantile `level` in (0, 1), in seconds, by bisection.
    pub fn quantile(self, level: f64) -> f64 {
        let (mut low, mut high) = (f64::from(OCTAVES.start), f64::from(OCTAVES.end));
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if self.above(libm::exp2(middle)) > 1.0 - level {
                low = middle;
            } else {
                high = middle;
            }
        }
        libm::exp2(0.5 * (low + high))
    }
}

/// Draws latencies and counts them.
#[derive(Clone, Debug)]
pub(super) struct Counter {
    steps: Arc<Alias>,
    buckets: Buckets,
    /// log2 of classic bounds.
    bounds: Vec<f64>,
    counts: Vec<u64>,
    touched: (usize, usize),
}

impl Counter {
    pub(super) fn new(shape: Shape, buckets: Buckets) -> Self {
        let edge = |i: i32| libm::exp2(f64::from(OCTAVES.start) + f64::from(i) / STEPS);
        let n = (OCTAVES.end - OCTAVES.start) * STEPS as i32;
        let weights: Vec<f64> = (0..n)
            .map(|i| (shape.above(edge(i)) - shape.above(edge(i + 1))).max(0.0))
            .collect();
        let width = match buckets {
            Buckets::Classic => CLASSIC.len() + 1,
            Buckets::Exponential(scale) => {
                ((HELD.end - HELD.start) as usize) << scale.clamp(0, 8) as u32
            }
        };
        Self {
            steps: Arc::new(Alias::new(&weights)),
            buckets,
            bounds: CLASSIC.iter().map(|&bound| libm::log2(bound)).collect(),
            counts: vec![0; width],
            touched: (usize::MAX, 0),
        }
    }

    /// Counts `n` requests of the shape, each `octaves` slower.
    pub(super) fn draw(&mut self, n: u64, octaves: f64, chance: &mut Chance) {
        let Buckets::Exponential(scale) = self.buckets else {
            for _ in 0..n {
                let step = self.steps.draw(chance) as f64 + 0.5;
                self.count(f64::from(OCTAVES.start) + step / STEPS + octaves);
            }
            return;
        };
        // Fixed point: the position of a step in buckets, and that of the shift.
        let unit = f64::from(1u32 << FIXED_BITS);
        let buckets = f64::from(1u32 << scale.clamp(0, 8) as u32);
        let step = (unit * buckets / STEPS) as i64;
        let first = f64::from(OCTAVES.start - HELD.start) + octaves + 0.5 / STEPS;
        let first = (first * buckets * unit) as i64;
        let place = |drawn: usize| (first + step * drawn as i64) >> FIXED_BITS;
        let last = self.counts.len() as i64 - 1;
        let (steps, counts) = (&*self.steps, self.counts.as_mut_slice());
        let reach = place(0)..=place(steps.len().saturating_sub(1));
        let (mut lowest, mut highest) = (usize::MAX, 0);
        let mut hit = |at: usize| {
            if let Some(count) = counts.get_mut(at) {
                *count += 1;
            }
            (lowest, highest) = (lowest.min(at), highest.max(at));
        };
        // Where all that may be drawn is held, no draw needs to be brought back to it.
        if *reach.start() >= 0 && *reach.end() <= last {
            steps.each(n, chance, |drawn| hit(place(drawn) as usize));
        } else {
            steps.each(n, chance, |drawn| hit(place(drawn).clamp(0, last) as usize));
        }
        self.touched = (self.touched.0.min(lowest), self.touched.1.max(highest));
    }

    /// Counts one request of `seconds`.
    pub(super) fn add(&mut self, seconds: f64) {
        self.count(libm::log2(seconds.max(1e-6)));
    }

    /// Counts one request of 2^`octave` seconds.
    fn count(&mut self, octave: f64) {
        let at = match self.buckets {
            Buckets::Classic => self.bounds.partition_point(|&bound| bound < octave),
            Buckets::Exponential(scale) => {
                let position = libm::ldexp(octave - f64::from(HELD.start), scale.clamp(0, 8));
                (position.max(0.0) as usize).min(self.counts.len() - 1)
            }
        };
        self.hit(at);
    }

    fn hit(&mut self, at: usize) {
        if let Some(count) = self.counts.get_mut(at) {
            *count += 1;
        }
        self.touched = (self.touched.0.min(at), self.touched.1.max(at));
    }

    /// The sketch of what was counted since the last one.
    pub(super) fn take(&mut self) -> Sketch {
        let (first, last) = std::mem::replace(&mut self.touched, (usize::MAX, 0));
        let range = first.min(last)..last + 1;
        let made = match self.buckets {
            _ if first == usize::MAX => Ok(Sketch::Empty),
            Buckets::Classic => Sketch::explicit(CLASSIC.to_vec(), self.counts.clone()),
            Buckets::Exponential(scale) => {
                let zero = HELD.start << scale.clamp(0, 8) as u32;
                let counts = self.counts.get(range.clone()).unwrap_or_default().to_vec();
                Sketch::exponential(scale.clamp(0, 8), 0, zero + first as i32, counts)
            }
        };
        if let Some(counts) = self.counts.get_mut(range) {
            counts.fill(0);
        }
        made.unwrap_or_default()
    }
}
