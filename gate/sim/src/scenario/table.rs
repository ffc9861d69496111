//! What the tables of scenarios are written in.

use davy_gate_core::judge::Assume;

use super::{Right, Scenario};
use crate::traffic::{Change, LIVELY, Own, QUIET, SAME, Traffic};

/// Drift and bursts, as services have them: what most scenarios begin from.
pub(super) const USUAL: Traffic = Traffic {
    shared: LIVELY,
    ..QUIET
};
pub(super) const STALLS: Own = Own {
    stalls: 60.0,
    ..QUIET.own
};
pub(super) const NOISY: Own = Own {
    noisy: 0.1,
    ..QUIET.own
};
pub(super) const fn differ(spread: f64, slowly: bool) -> Traffic {
    Traffic {
        own: Own {
            differ: spread,
            differ_slowly: slowly,
            ..QUIET.own
        },
        ..USUAL
    }
}
pub(super) const fn own(own: Own) -> Traffic {
    Traffic { own, ..USUAL }
}

pub(super) const SLOWER: Change = Change {
    latency: 1.35,
    ..SAME
};
pub(super) const FAILING: Change = Change {
    errors: 3.75,
    ..SAME
};
pub(super) const BUSIER: Change = Change { cpu: 1.16, ..SAME };
pub(super) const ALL_THREE: Change = Change {
    latency: 1.35,
    errors: 3.75,
    cpu: 1.16,
    ..SAME
};

pub(super) const fn new(
    name: &'static str,
    models: &'static str,
    right: Right,
    traffic: Traffic,
) -> Scenario {
    Scenario {
        name,
        models,
        right,
        traffic,
        cpu_above: 1.10,
        assume: Assume::Auto,
        limit: None,
        bake: 0,
    }
}

pub(super) const fn equal(name: &'static str, models: &'static str, traffic: Traffic) -> Scenario {
    new(name, models, Right::Equal, traffic)
}

pub(super) const fn bad(name: &'static str, models: &'static str, traffic: Traffic) -> Scenario {
    new(name, models, Right::Bad, traffic)
}

pub(super) const fn latency(factor: f64) -> Change {
    Change {
        latency: factor,
        ..SAME
    }
}

pub(super) const fn errors(factor: f64) -> Change {
    Change {
        errors: factor,
        ..SAME
    }
}

pub(super) const fn cpu(factor: f64) -> Change {
    Change {
        cpu: factor,
        ..SAME
    }
}
