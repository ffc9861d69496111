//! Traffic of a rollout: what requests, latency, errors and CPU of each pod do, cell by cell.
//!
//! A [`Traffic`] is plain numbers; a [`Source`] makes its tables, and a [`Stream`] of it the
//! judge's cells. Arrivals are Poisson, so errors, routes and stalls are thinned Poisson counts of
//! their own and need no binomial draws. Latency is drawn request by request from an alias table
//! over steps of 1/256 octave and put straight into the sketch: at some hundred requests a cell
//! that is faster than a binomial for each of some hundred buckets, and as exact.
//!
//! Effects are of three kinds: *shared* ones hit both arms at once (drift, bursts, load), *own*
//! ones hit a pod by itself (stalls, a noisy node), *changes* are the canary's alone.

mod pod;
mod shape;
mod stream;
#[cfg(test)]
mod tests;

pub use shape::{Buckets, Shape};
pub use stream::{Source, Stream};

/// What one rollout's traffic is. Factors are 1, rates and shares 0 where there is no such effect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Traffic {
    /// Pods of the baseline, at least 1.
    pub baseline_pods: usize,
    /// Pods of the canary, at least 1.
    pub canary_pods: usize,
    /// Requests a second of both arms together, above 0.
    pub rate: f64,
    /// Share of them that the canary gets, in (0, 1).
    pub weight: f64,
    /// Error rate of the baseline, in [0, 1).
    pub errors: f64,
    /// Errors that come together, at least 1.
    pub error_cluster: u64,
    /// Distribution of latency.
    pub shape: Shape,
    /// Factor on the latency of both arms.
    pub latency: f64,
    /// What latency is counted in.
    pub buckets: Buckets,
    /// Routes, each with an equal share of the requests and a latency of its own, at least 1: the
    /// first is as the shape says, the others by turns 0.4 octaves slower and faster.
    pub routes: u32,
    /// CPU seconds a request.
    pub cpu_seconds: f64,
    /// CPU limit of a pod in cores.
    pub cpu_cores: f64,
    /// Spread of ln CPU a request, of each pod, from second to second.
    pub cpu_noise: f64,
    /// How much of a second's noise is left a second later, in [0, 1).
    pub cpu_memory: f64,
    /// Shared effects.
    pub shared: Shared,
    /// Effects of single pods, in both arms alike.
    pub own: Own,
    /// What the canary does differently.
    pub canary: Change,
    /// Cells of the baseline alone before the canary starts.
    pub history: u64,
}

/// What hits both arms at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shared {
    /// Spread of the slow wander of ln latency and of ln load, with a memory of 5 minutes.
    pub drift: f64,
    /// Bursts an hour: for 5 to 20 s load is doubled and latency is 1.5 times.
    pub bursts: f64,
    /// Load at the end of the half hour over that at its start; latency rises by its cube root.
    pub rising: f64,
    /// Retry storms an hour: for 10 to 30 s 3 % of the requests fail, three at a time as each is
    /// sent again, and load is half as much again.
    pub retries: f64,
}

/// What hits a pod by itself, in both arms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Own {
    /// Stalls an hour: for 0.5 to 2 s no request is answered, and all that came wait for the end.
    pub stalls: f64,
    /// Share of the time, in spells of 2 minutes, in which the node is noisy: latency 1.3 times,
    /// CPU 1.05 times.
    pub noisy: f64,
    /// Spread of ln latency between pods.
    pub differ: f64,
    /// Whether that spread wanders, with a memory of 10 minutes, or stands.
    pub differ_slowly: bool,
    /// Share of windows that never arrive; as many arrive by half.
    pub lost: f64,
    /// Client bursts an hour: a client sends one pod 100 requests that are twice as slow, in a cell.
    pub clients: f64,
    /// Spells of 10 s an hour in which 5 % of a pod's requests end in a timeout of one second.
    pub timeouts: f64,
    /// Spread of ln requests between pods of an arm.
    pub unequal: f64,
}

/// What the canary does differently.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// Factor on every latency.
    pub latency: f64,
    /// Factor on the latency of the first route alone.
    pub first_route: f64,
    /// Factor on the share of requests that the last route gets.
    pub mix: f64,
    /// Factor on the error rate.
    pub errors: f64,
    /// Factor on CPU a request.
    pub cpu: f64,
    /// Factor on the rate of stalls.
    pub stalls: f64,
    /// Growth a minute of latency and CPU.
    pub leak: f64,
    /// Whether the canary starts cold, three times as slow, warm after its warm-up of 30 s.
    pub cold: bool,
}

/// Requests, latency, errors and CPU of a quiet service: 200 requests a second, P99 of 230 ms at
/// σ 0.7, 0.12 % errors, CPU that varies by 5 % with a memory of 0.9 a second and takes 80 % of its
/// limit, four pods beside one canary, 15 minutes of history.
pub const QUIET: Traffic = Traffic {
    baseline_pods: 4,
    canary_pods: 1,
    rate: 200.0,
    weight: 0.2,
    errors: 0.0012,
    error_cluster: 1,
    shape: Shape::LogNormal,
    latency: 1.0,
    buckets: Buckets::Exponential(5),
    routes: 1,
    cpu_seconds: 0.004,
    cpu_cores: 0.2,
    cpu_noise: 0.05,
    cpu_memory: 0.9,
    shared: Shared {
        drift: 0.0,
        bursts: 0.0,
        rising: 1.0,
        retries: 0.0,
    },
    own: Own {
        stalls: 0.0,
        noisy: 0.0,
        differ: 0.0,
        differ_slowly: false,
        lost: 0.0,
        clients: 0.0,
        timeouts: 0.0,
        unequal: 0.0,
    },
    canary: SAME,
    history: 180,
};

/// A canary that is no different.
pub const SAME: Change = Change {
    latency: 1.0,
    first_route: 1.0,
    mix: 1.0,
    errors: 1.0,
    cpu: 1.0,
    stalls: 1.0,
    leak: 0.0,
    cold: false,
};

/// Drift and bursts as services have them: latency and load wander by 10 %, ten bursts an hour.
pub const LIVELY: Shared = Shared {
    drift: 0.10,
    bursts: 10.0,
    rising: 1.0,
    retries: 0.0,
};

impl Traffic {
    /// The same with other pods, each of which gets an equal share of the requests.
    pub const fn pods(self, baseline: usize, canary: usize) -> Self {
        Self {
            baseline_pods: baseline,
            canary_pods: canary,
            weight: canary as f64 / (baseline + canary) as f64,
            ..self
        }
    }

    /// The same with another canary.
    pub const fn canary(self, canary: Change) -> Self {
        Self { canary, ..self }
    }
}
