//! The gate's own metrics, all of them; a field's comment is its HELP.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use davy_proto::verdict::{Evaluation, Verdict};
use davy_transport::Refusals;
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// A gauge of any value.
type Number = Gauge<f64, AtomicU64>;

/// Labels of an objective's ratio.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct BoundLabels {
    namespace: String,
    service: String,
    objective: String,
    bound: &'static str,
}

/// Labels of a verdict.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct VerdictLabels {
    namespace: String,
    service: String,
    verdict: &'static str,
}

/// A reason, from a fixed list.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct ReasonLabel {
    /// Why.
    pub reason: &'static str,
}

/// What was forgotten, from a fixed list.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct WhatLabel {
    /// `pod`, `recording` (a window that was not written), `rollout` or `service`.
    pub what: &'static str,
}

/// A listener and a reason, both from fixed lists.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct CutLabels {
    /// The listener: `http` or `otlp`.
    pub listener: &'static str,
    /// Why.
    pub reason: &'static str,
}

/// How it went, from a fixed list.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct OutcomeLabel {
    /// `ok` or `failed`.
    pub result: &'static str,
}

/// A result, from a fixed list.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct ResultLabels {
    /// What was run: `on_approve` or `on_rollback`.
    pub occasion: &'static str,
    /// How it went: `ok` or `failed`.
    pub result: &'static str,
}

/// The gate's metrics.
#[derive(Debug)]
pub struct Telemetry {
    registry: Registry,
    /// Windows of evidence taken into the grid.
    pub windows: Counter,
    /// Evidence that was not taken, by reason.
    pub refused: Family<ReasonLabel, Counter>,
    /// Requests with evidence of which nothing was taken, by reason.
    pub refused_requests: Family<ReasonLabel, Counter>,
    /// Connections ended before they asked anything more, by listener and reason.
    pub cut_connections: Family<CutLabels, Counter>,
    /// Changes of the certificate's files, by whether they could be used.
    pub certificate_renewals: Family<OutcomeLabel, Counter>,
    /// Evaluations answered.
    pub evaluations: Counter,
    /// Requests to the API that were refused, by reason.
    pub problems: Family<ReasonLabel, Counter>,
    /// Actuator commands run.
    pub actuations: Family<ResultLabels, Counter>,
    /// Rollouts in memory.
    pub rollouts: Gauge,
    forgotten: Family<WhatLabel, Counter>,
    ratio: Family<BoundLabels, Number>,
    verdict: Family<VerdictLabels, Gauge>,
}

impl Telemetry {
    /// A registry with everything at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("davy_gate");
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "What this gate was built from", build);
        let mut telemetry = Self {
            registry,
            windows: Counter::default(),
            refused: Family::default(),
            refused_requests: Family::default(),
            cut_connections: Family::default(),
            certificate_renewals: Family::default(),
            evaluations: Counter::default(),
            problems: Family::default(),
            actuations: Family::default(),
            rollouts: Gauge::default(),
            forgotten: Family::default(),
            ratio: Family::default(),
            verdict: Family::default(),
        };
        let registry = &mut telemetry.registry;
        let windows = telemetry.windows.clone();
        registry.register(
            "windows",
            "Windows of evidence taken into the grid",
            windows,
        );
        let refused = telemetry.refused.clone();
        registry.register(
            "refused_items",
            "Evidence that was not taken, by reason",
            refused,
        );
        let requests = telemetry.refused_requests.clone();
        registry.register(
            "refused_requests",
            "Requests with evidence of which nothing was taken, by reason",
            requests,
        );
        let cut = telemetry.cut_connections.clone();
        registry.register(
            "cut_connections",
            "Connections ended before they asked anything more, by listener and reason",
            cut,
        );
        let renewals = telemetry.certificate_renewals.clone();
        registry.register(
            "certificate_renewals",
            "Changes of the certificate's files, by whether they could be used",
            renewals,
        );
        let evaluations = telemetry.evaluations.clone();
        registry.register("evaluations", "Evaluations answered", evaluations);
        let problems = telemetry.problems.clone();
        registry.register(
            "problems",
            "Requests to the API that were refused, by reason",
            problems,
        );
        let actuations = telemetry.actuations.clone();
        registry.register("actuations", "Actuator commands run", actuations);
        registry.register("rollouts", "Rollouts in memory", telemetry.rollouts.clone());
        let forgotten = telemetry.forgotten.clone();
        registry.register(
            "forgotten",
            "What was dropped from memory to make room",
            forgotten,
        );
        let ratio = telemetry.ratio.clone();
        let help = "Canary over baseline: bound is low, point or high";
        registry.register("objective_ratio", help, ratio);
        let help = "State set: the verdict in force is 1";
        registry.register("verdict", help, telemetry.verdict.clone());
        telemetry
    }

    /// Takes over what an evaluation says.
    pub fn evaluated(&self, evaluation: &Evaluation) {
        let rollout = &evaluation.rollout;
        for objective in &evaluation.objectives {
            let bounds = [
                ("low", objective.low),
                ("point", objective.ratio),
                ("high", objective.high),
            ];
            for (bound, value) in bounds {
                let labels = BoundLabels {
                    namespace: rollout.namespace.clone(),
                    service: rollout.service.clone(),
                    objective: objective.name.clone(),
                    bound,
                };
                match value {
                    Some(value) => drop(self.ratio.get_or_create(&labels).set(value)),
                    None => drop(self.ratio.remove(&labels)),
                }
            }
        }
        let states = [
            ("approve", Verdict::Approve),
            ("rollback", Verdict::Rollback),
            ("undecided", Verdict::Undecided),
        ];
        for (verdict, state) in states {
            let labels = VerdictLabels {
                namespace: rollout.namespace.clone(),
                service: rollout.service.clone(),
                verdict,
            };
            self.verdict
                .get_or_create(&labels)
                .set(i64::from(evaluation.verdict == state));
        }
    }

    /// Forgets the series of a rollout that is shown no more.
    pub fn forget(&self, evaluation: &Evaluation) {
        let (namespace, service) = (&evaluation.rollout.namespace, &evaluation.rollout.service);
        for verdict in ["approve", "rollback", "undecided"] {
            self.verdict.remove(&VerdictLabels {
                namespace: namespace.clone(),
                service: service.clone(),
                verdict,
            });
        }
        for objective in &evaluation.objectives {
            for bound in ["low", "point", "high"] {
                self.ratio.remove(&BoundLabels {
                    namespace: namespace.clone(),
                    service: service.clone(),
                    objective: objective.name.clone(),
                    bound,
                });
            }
        }
    }

    /// Counts what was dropped from memory to make room.
    pub fn forgotten(&self, what: &'static str, count: u64) {
        let labels = WhatLabel { what };
        self.forgotten.get_or_create(&labels).inc_by(count);
    }

    /// The page for Prometheus, OpenMetrics text.
    pub fn page(&self) -> String {
        let mut page = String::new();
        // Writing to a String does not fail.
        let _ = encode(&mut page, &self.registry);
        page
    }
}

impl Telemetry {
    /// Counts a request with evidence that was refused.
    pub fn refused_request(&self, reason: &'static str) {
        let labels = ReasonLabel { reason };
        self.refused_requests.get_or_create(&labels).inc();
    }

    /// Counts a request to the API that was refused.
    pub fn problem(&self, reason: &'static str) {
        self.problems.get_or_create(&ReasonLabel { reason }).inc();
    }
}

/// Counts what a listener refuses by itself.
#[derive(Debug)]
pub struct Counted {
    /// The listener: `http` or `otlp`.
    pub listener: &'static str,
    /// Where it is counted.
    pub telemetry: Arc<Telemetry>,
}

impl Refusals for Counted {
    fn refused(&self, reason: &'static str) {
        self.telemetry.refused_request(reason);
    }

    fn cut(&self, reason: &'static str) {
        let listener = self.listener;
        let labels = CutLabels { listener, reason };
        self.telemetry.cut_connections.get_or_create(&labels).inc();
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::new()
    }
}
