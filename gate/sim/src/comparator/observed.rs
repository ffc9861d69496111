//! A cell as comparators see it.

use davy_gate_core::cell::{Cell, PodCell};

use super::Histogram;

/// One arm, summed over its warm pods.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arm {
    /// Requests.
    pub requests: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// Latency of the others.
    pub latency: Histogram,
    /// CPU seconds.
    pub cpu_seconds: f64,
    /// CPU seconds a request of each pod.
    pub cpu_of_pods: Vec<f64>,
}

/// Both arms in one cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// The baseline.
    pub baseline: Arm,
    /// The canary.
    pub canary: Arm,
}

impl Observed {
    /// The cell summed; none where an arm has no warm pod with requests.
    pub fn of(cell: &Cell) -> Option<Self> {
        let observed = Self {
            baseline: Arm::of(&cell.baseline),
            canary: Arm::of(&cell.canary),
        };
        (observed.baseline.requests > 0 && observed.canary.requests > 0).then_some(observed)
    }
}

impl Arm {
    fn of(pods: &[PodCell]) -> Self {
        let mut arm = Self::default();
        for pod in pods.iter().filter(|pod| pod.warm) {
            let mut requests = 0;
            for route in pod.routes.values() {
                requests += route.requests;
                arm.errors += route.errors;
                arm.latency.add(&route.latency);
            }
            arm.requests += requests;
            if let Some(cpu) = pod.cpu_seconds.filter(|_| requests > 0) {
                arm.cpu_seconds += cpu;
                arm.cpu_of_pods.push(cpu / requests as f64);
            }
        }
        arm
    }

    /// Adds another cell, but for what it says of single pods.
    pub fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.latency.merge(&other.latency);
        self.cpu_seconds += other.cpu_seconds;
    }

    /// P99 in seconds.
    pub fn p99(&self) -> Option<f64> {
        self.latency.quantile_above(0.01)
    }

    /// Errors a request; none without requests.
    pub fn error_rate(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.errors as f64 / self.requests as f64)
    }

    /// CPU seconds a request; none without either.
    pub fn cpu(&self) -> Option<f64> {
        (self.requests > 0 && self.cpu_seconds > 0.0)
            .then(|| self.cpu_seconds / self.requests as f64)
    }
}
