//! CPU per request, compared on its logarithm and in units of the baseline's own spread.
//!
//! Source: statistics.md section 3. The canary's residual is shrunk by √min(1, n_c/n_b): less
//! traffic, more noise.

use super::CpuLimits;
use super::assessment::Unavailable;
use super::frame::Frame;
use super::interval::{HARM, Interval, SAFETY};
use crate::combine::log_mean;
use crate::eta::{self, Eta};
use crate::evalue::permutation;
use crate::kappa::{Assume, CpuScale, Kappa, Use};

/// Tilts in units of the residual's standard deviation.
const TILTS: [f64; 6] = [0.15, 0.3, 0.6, 1.0, 1.5, 2.5];
/// Tilts of the grid, which informs and does not decide.
const COARSE: [f64; 3] = [0.3, 0.6, 1.5];
/// Weight of CPU in the harm mixture.
pub(super) const WEIGHT: f64 = 0.32;

/// The state of the CPU objective.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cpu {
    limits: CpuLimits,
    weight: f64,
    harm: Vec<f64>,
    safe: Vec<f64>,
    kappa: Kappa,
    kappa_safe: Kappa,
    scale: CpuScale,
    grid: Vec<Vec<f64>>,
    safe_grid: Vec<Vec<f64>>,
    cells: u64,
    cells_of_step: u64,
    /// CPU seconds and requests since the first judged cell: baseline, canary.
    observed: ((f64, f64), (f64, f64)),
    pods: (usize, usize),
}

impl Cpu {
    pub(super) fn new(limits: CpuLimits, scale: f64) -> Self {
        Self {
            limits,
            weight: WEIGHT * scale,
            harm: vec![0.0; TILTS.len()],
            safe: vec![0.0; TILTS.len()],
            kappa: Kappa::new(Use::RollbackCpu),
            kappa_safe: Kappa::new(Use::ApproveCpu),
            scale: CpuScale::default(),
            grid: vec![vec![0.0; COARSE.len()]; HARM.len()],
            safe_grid: vec![vec![0.0; COARSE.len()]; SAFETY.len()],
            cells: 0,
            cells_of_step: 0,
            observed: ((0.0, 0.0), (0.0, 0.0)),
            pods: (1, 1),
        }
    }

    /// Fixes the form of κ, at the first judged cell.
    pub(super) fn begin(&mut self, one_pod: bool, assume: Assume, harm_weight: f64) {
        self.weight *= harm_weight;
        self.kappa
            .begin(one_pod, Use::RollbackCpu.prior(assume, one_pod));
        self.kappa_safe
            .begin(one_pod, Use::ApproveCpu.prior(assume, one_pod));
    }

    /// Learns memory from a cell of history or a judged one.
    pub(super) fn learn(&mut self, frame: &Frame<'_>, judged: bool) {
        let y = baseline(frame);
        for kappa in [&mut self.kappa, &mut self.kappa_safe] {
            kappa.learn(&y, judged.then_some(0.0));
        }
    }

    /// Learns the scale, after the cell was judged.
    pub(super) fn learn_scale(&mut self, frame: &Frame<'_>) {
        self.scale.add(&baseline(frame));
    }

    /// Judges a cell.
    pub(super) fn step(&mut self, frame: &Frame<'_>) {
        self.cells += 1;
        self.cells_of_step += 1;
        let arm = |pods: std::ops::Range<usize>| -> Vec<(f64, f64)> {
            let known = |pod| per_request(frame, pod).map(|y| (y, frame.requests_of(pod) as f64));
            pods.filter_map(known).collect()
        };
        let (baseline, canary) = (arm(frame.baseline()), arm(frame.canary()));
        if baseline.is_empty() || canary.is_empty() {
            return;
        }
        self.pods = (baseline.len(), canary.len());
        let mean = |arm: &[(f64, f64)], of: fn(&(f64, f64)) -> f64| {
            arm.iter().map(of).sum::<f64>() / arm.len() as f64
        };
        let center = mean(&baseline, |x| x.0);
        let traffic = (mean(&baseline, |x| x.1), mean(&canary, |x| x.1));
        let shrink = (traffic.1 / traffic.0.max(1.0)).min(1.0).sqrt();
        let sd = self.scale.value();
        let mut scratch = (Vec::new(), Vec::new(), Vec::new());
        let mut add = |sums: &mut Vec<f64>, ratio: f64, tilts: &[f64], sign: f64| {
            for (sum, tilt) in sums.iter_mut().zip(tilts) {
                let by = sign * tilt / sd;
                scratch.0.clear();
                scratch
                    .0
                    .extend(baseline.iter().map(|(y, _)| by * (y - center)));
                scratch.1.clear();
                let limit = libm::log(ratio);
                scratch.1.extend(
                    canary
                        .iter()
                        .map(|(y, _)| by * ((y - center - limit) * shrink)),
                );
                *sum += permutation::log_e(&scratch.0, &scratch.1, &mut scratch.2);
            }
        };
        add(&mut self.harm, self.limits.rollback_above, &TILTS, 1.0);
        add(&mut self.safe, self.limits.approve_below, &TILTS, -1.0);
        self.grid
            .iter_mut()
            .zip(HARM)
            .for_each(|(sums, r)| add(sums, r, &COARSE, 1.0));
        self.safe_grid
            .iter_mut()
            .zip(SAFETY)
            .for_each(|(sums, r)| add(sums, r, &COARSE, -1.0));
        self.observe(frame);
    }

    fn observe(&mut self, frame: &Frame<'_>) {
        let add = |(cpu, n): &mut (f64, f64), pods: std::ops::Range<usize>| {
            for pod in pods.filter(|&pod| per_request(frame, pod).is_some()) {
                *cpu += frame.cpu.get(pod).copied().flatten().unwrap_or(0.0);
                *n += frame.requests_of(pod) as f64;
            }
        };
        add(&mut self.observed.0, frame.baseline());
        add(&mut self.observed.1, frame.canary());
    }

    /// Starts safety anew.
    pub(super) fn restart_safety(&mut self) {
        self.cells_of_step = 0;
        self.safe.fill(0.0);
        self.safe_grid.iter_mut().for_each(|sums| sums.fill(0.0));
    }

    /// Parts of the harm mixture: (ln E, weight).
    pub(super) fn parts(&self) -> impl Iterator<Item = (f64, f64)> + Clone {
        let kappa = self.kappa.at(self.cells.max(1));
        let weight = self.weight / TILTS.len() as f64;
        self.harm.iter().map(move |e| (e / kappa, weight))
    }

    fn safe_kappa(&self) -> f64 {
        self.kappa_safe.at(self.cells_of_step.max(1))
    }

    /// ln E of safety.
    pub(super) fn safe_log_e(&self) -> f64 {
        let kappa = self.safe_kappa();
        let parts: Vec<f64> = self.safe.iter().map(|e| e / kappa).collect();
        log_mean(&parts)
    }

    /// Takes the grid into `interval`.
    pub(super) fn bound(&self, interval: &mut Interval, wanted: (f64, f64)) {
        let mean = |sums: &Vec<f64>, kappa: f64| {
            let parts: Vec<f64> = sums.iter().map(|e| e / kappa).collect();
            log_mean(&parts)
        };
        let (kappa, kappa_safe) = (self.kappa.at(self.cells.max(1)), self.safe_kappa());
        let harm = self.grid.iter().map(|sums| mean(sums, kappa));
        let safety = self.safe_grid.iter().map(|sums| mean(sums, kappa_safe));
        interval.update(harm, safety, wanted);
    }

    /// Why CPU can't be judged.
    pub(super) fn unavailable(&self) -> Option<Unavailable> {
        let ((_, baseline), (_, canary)) = self.observed;
        if baseline > 0.0 && canary > 0.0 {
            return None;
        }
        // Nothing is observed of either arm unless both report in the same cell.
        Some(if self.seen_baseline() {
            Unavailable::NoCanary
        } else {
            Unavailable::NoBaseline
        })
    }

    fn seen_baseline(&self) -> bool {
        self.scale != CpuScale::default()
    }

    /// CPU seconds per request: baseline, canary.
    pub(super) fn values(&self) -> (Option<f64>, Option<f64>) {
        let per = |(cpu, n): (f64, f64)| (n > 0.0).then_some(cpu / n);
        (per(self.observed.0), per(self.observed.1))
    }

    /// Expected time until proved safe at ratio 1: the separation of two Gaussian means, no more
    /// than one cell can say.
    pub(super) fn eta(&self, wanted: f64) -> Eta {
        let distance = libm::log(self.limits.approve_below) / self.scale.value();
        let (b, c) = (self.pods.0 as f64, self.pods.1 as f64);
        let most = permutation::log_choose(self.pods.0 + self.pods.1, self.pods.1);
        let growth = (distance * distance / 2.0 * b * c / (b + c)).min(most);
        let growth = if self.unavailable().is_some() {
            0.0
        } else {
            growth
        };
        let raw = self.safe_log_e() * self.safe_kappa();
        eta::expect(raw, growth, self.cells_of_step, wanted, |t| {
            self.kappa_safe.at(t)
        })
    }
}

/// ln of the CPU seconds per request of a slot, where it is judged.
fn per_request(frame: &Frame<'_>, pod: usize) -> Option<f64> {
    let cpu = frame
        .cpu
        .get(pod)
        .copied()
        .flatten()
        .filter(|_| frame.is_warm(pod))?;
    let requests = frame.requests_of(pod);
    (requests > 0).then(|| libm::log(cpu) - libm::log(requests as f64))
}

fn baseline(frame: &Frame<'_>) -> Vec<Option<f64>> {
    frame
        .baseline()
        .map(|pod| per_request(frame, pod))
        .collect()
}
