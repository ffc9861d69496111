//! Reading a policy: every mistake with its line and key, all at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use davy_config::{Collector, Mistakes, Reader, Value, parse};
use davy_proto::units::parse_duration;

use super::objective::INDICATORS;
use super::{
    Absolute, Assume, Gate, Indicator, Mode, Objective, OnAlert, OnDeadline, Policy, Ratio, Risk,
    Timing,
};

/// Most objectives of a policy: the answer of an evaluation has 2 KB.
const OBJECTIVES_MAX: usize = 32;
/// Longest duration.
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Policy {
    /// Reads a policy from YAML; `file` is named in mistakes.
    ///
    /// # Errors
    ///
    /// All mistakes of the text.
    pub fn read(file: &str, text: &str) -> Result<Self, Mistakes> {
        // A policy may come from another namespace's ConfigMap: it sees no environment.
        let document = parse(file, text, &|_| None)?;
        let collector = Collector::default();
        let mut top = collector.reader(&document.root);
        top.version(1);
        let standard = Self::standard();
        let policy = Self {
            service: top.string("service"),
            mode: top
                .choice(
                    "mode",
                    &[("enforce", Mode::Enforce), ("observe", Mode::Observe)],
                )
                .unwrap_or(standard.mode),
            objectives: objectives(&mut top),
            risk: risk(&mut top, standard.risk),
            timing: timing(&mut top, standard.timing),
            on_deadline: on_deadline(&mut top),
            on_alert: top
                .choice(
                    "on_alert",
                    &[("hold", OnAlert::Hold), ("rollback", OnAlert::Rollback)],
                )
                .unwrap_or(standard.on_alert),
        };
        bounds_name_objectives(&top, &policy);
        top.finish();
        collector.finish(policy).map(|(policy, _)| policy)
    }
}

fn objectives(top: &mut Reader<'_>) -> Vec<Objective> {
    if !top.has("objectives") {
        top.raw("objectives");
        return Objective::standard();
    }
    let mut names = BTreeSet::new();
    let mut found = Vec::new();
    for mut reader in top.each("objectives") {
        if let Some(objective) = objective(&mut reader) {
            if !names.insert(objective.name.clone()) {
                reader.mistake(
                    "name",
                    format!("{:?} is the name of another", objective.name),
                );
            }
            compares_once(&reader, &objective, &found);
            found.push(objective);
        }
        reader.finish();
    }
    if found.is_empty() {
        top.mistake("objectives", "at least one objective is needed");
    }
    if found.len() > OBJECTIVES_MAX {
        top.mistake("objectives", format!("at most {OBJECTIVES_MAX} objectives"));
    }
    found
}

/// Comparisons share one budget of risk and look at all routes, pooled and each.
fn compares_once(reader: &Reader<'_>, objective: &Objective, others: &[Objective]) {
    if objective.ratio.is_none() {
        return;
    }
    let same = |other: &&Objective| other.indicator == objective.indicator && other.ratio.is_some();
    if let Some(other) = others.iter().find(same) {
        let name = &other.name;
        reader.mistake(
            "indicator",
            format!("is compared with the baseline by {name:?} already"),
        );
    }
    if !objective.routes.is_empty() {
        let message = "narrows absolute limits only: a comparison looks at all routes, and at each";
        reader.mistake("routes", message);
    }
}

fn objective(reader: &mut Reader<'_>) -> Option<Objective> {
    let indicator = reader.choice("indicator", &INDICATORS);
    if indicator.is_none() && !reader.has("indicator") {
        reader.mistake("indicator", "is required");
    }
    let name = reader.string("name");
    let gate = reader.choice("gate", &[("require", Gate::Require), ("veto", Gate::Veto)]);
    let routes = reader.strings("routes", &[]);
    let keys = Keys::read(reader);
    let indicator = indicator?;
    let mut objective = Objective::of(name.as_deref().unwrap_or(indicator.as_str()), indicator);
    if !routes.is_empty() && !indicator.is_of_requests() {
        let message = "CPU and restarts are a pod's, and not a route's";
        reader.mistake("routes", message);
    }
    objective.routes = routes;
    keys.apply(reader, &mut objective);
    objective.gate = match gate {
        Some(Gate::Require) if objective.ratio.is_none() => {
            let message = "an absolute limit alone can't be proved safe: use veto, or add \
                           rollback_above and approve_below";
            reader.mistake("gate", message);
            Gate::Require
        }
        Some(gate) => gate,
        None if objective.ratio.is_some() => Gate::Require,
        None => Gate::Veto,
    };
    Some(objective)
}

/// The keys of limits as they stand there; which of them fit is the indicator's.
struct Keys {
    rollback_above: Option<f64>,
    approve_below: Option<f64>,
    exceedance_above: Option<f64>,
    exceedance_below: Option<f64>,
    quantile: Option<f64>,
    strict: Option<bool>,
    negligible: Option<f64>,
    max: Option<f64>,
    min_success: Option<f64>,
    max_utilization: Option<f64>,
    max_per_pod: Option<u64>,
}

/// The keys that only some indicators have.
const KEYS: [(&str, &[Indicator]); 11] = [
    (
        "rollback_above",
        &[
            Indicator::Latency,
            Indicator::Errors,
            Indicator::CpuPerRequest,
        ],
    ),
    (
        "approve_below",
        &[
            Indicator::Latency,
            Indicator::Errors,
            Indicator::CpuPerRequest,
        ],
    ),
    ("exceedance_above", &[Indicator::Latency]),
    ("exceedance_below", &[Indicator::Latency]),
    ("quantile", &[Indicator::Latency]),
    ("strict", &[Indicator::Latency]),
    ("negligible", &[Indicator::Errors]),
    ("max", &[Indicator::Latency]),
    ("min_success", &[Indicator::Errors]),
    (
        "max_utilization",
        &[Indicator::CpuUtilization, Indicator::CpuPerRequest],
    ),
    ("max_per_pod", &[Indicator::Restarts]),
];

impl Keys {
    fn read(reader: &mut Reader<'_>) -> Self {
        let ratio = |reader: &mut Reader<'_>, key| reader.float(key, 0.1..=100.0);
        let flag = |text: &str| {
            text.parse()
                .map_err(|_| "expected true or false".to_owned())
        };
        let count = |text: &str| {
            text.parse()
                .map_err(|_| "expected a whole number".to_owned())
        };
        Self {
            rollback_above: ratio(reader, "rollback_above"),
            approve_below: ratio(reader, "approve_below"),
            exceedance_above: ratio(reader, "exceedance_above"),
            exceedance_below: ratio(reader, "exceedance_below"),
            quantile: reader.float("quantile", 0.5..=0.9999),
            strict: reader.optional("strict", flag),
            negligible: reader.float("negligible", 0.0..=0.5),
            max: reader.optional("max", seconds),
            min_success: reader.float("min_success", 0.5..=0.999_999),
            max_utilization: reader.float("max_utilization", 0.01..=1.0),
            max_per_pod: reader.optional("max_per_pod", count),
        }
    }

    fn apply(self, reader: &Reader<'_>, objective: &mut Objective) {
        for (key, indicators) in KEYS {
            if reader.has(key) && !indicators.contains(&objective.indicator) {
                let message = format!("is no key of indicator {}", objective.indicator.as_str());
                reader.mistake(key, message);
            }
        }
        objective.quantile = self.quantile.unwrap_or(objective.quantile);
        objective.strict = self.strict.unwrap_or(false);
        objective.negligible = self.negligible.unwrap_or(objective.negligible);
        objective.absolute = [
            self.max.map(Absolute::MaxSeconds),
            self.min_success.map(Absolute::MinSuccess),
            self.max_utilization.map(Absolute::MaxUtilization),
            self.max_per_pod.map(Absolute::MaxPerPod),
        ]
        .into_iter()
        .flatten()
        .collect();
        let ratio_keys = [
            "rollback_above",
            "approve_below",
            "exceedance_above",
            "exceedance_below",
        ];
        let compares = ratio_keys.iter().any(|key| reader.has(key));
        // An absolute limit alone replaces the comparison.
        if !objective.absolute.is_empty() && !compares {
            objective.ratio = None;
        }
        if let Some(ratio) = &mut objective.ratio {
            self.limits(reader, ratio);
        } else if objective.absolute.is_empty() {
            reader.mistake("", "has no limit: add max_per_pod or max_utilization");
        }
    }

    fn limits(&self, reader: &Reader<'_>, ratio: &mut Ratio) {
        let pairs = [
            (
                "approve_below",
                self.rollback_above,
                self.approve_below,
                "rollback_above",
            ),
            (
                "exceedance_below",
                self.exceedance_above,
                self.exceedance_below,
                "exceedance_above",
            ),
        ];
        for (at, (key, low, high, low_key)) in pairs.into_iter().enumerate() {
            let Ratio {
                rollback_above,
                approve_below,
                exceedance_above,
                exceedance_below,
            } = ratio;
            let (low_place, high_place) = match at {
                0 => (rollback_above, approve_below),
                _ => (exceedance_above, exceedance_below),
            };
            *low_place = low.unwrap_or(*low_place);
            *high_place = high.unwrap_or(*high_place);
            if *high_place <= *low_place {
                let key = if reader.has(key) { key } else { low_key };
                let message = format!(
                    "between {low_key} ({low_place}) and approval ({high_place}) a zone must be \
                     left: a canary at a limit common to both is never decided"
                );
                reader.mistake(key, message);
            }
        }
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let found = parse_duration(text);
    let found = found.map_err(|error| format!("expected a duration such as 500ms: {error}"))?;
    if found.is_zero() {
        Err("must be more than 0".to_owned())
    } else {
        Ok(found.as_secs_f64())
    }
}

fn risk(top: &mut Reader<'_>, standard: Risk) -> Risk {
    let mut reader = top.nested("risk");
    let chance = |reader: &mut Reader<'_>, key, default| {
        let open = |text: &str| match text.parse::<f64>() {
            Ok(chance) if chance > 0.0 && chance < 0.5 => Ok(chance),
            _ => Err(format!(
                "expected a chance above 0 and below 0.5, found {text:?}"
            )),
        };
        reader.optional(key, open).unwrap_or(default)
    };
    let risk = Risk {
        false_rollback: chance(&mut reader, "false_rollback", standard.false_rollback),
        false_approval: chance(&mut reader, "false_approval", standard.false_approval),
        assume: reader.choice(
            "assume",
            &[("vary", Assume::Vary), ("alike", Assume::Alike)],
        ),
    };
    reader.finish();
    risk
}

fn timing(top: &mut Reader<'_>, standard: Timing) -> Timing {
    let mut reader = top.nested("timing");
    let range = || Duration::ZERO..=DAY;
    let timing = Timing {
        warm_up: reader.duration("warm_up", range(), standard.warm_up),
        min_duration: reader.duration("min_duration", range(), standard.min_duration),
        max_duration: reader.duration("max_duration", range(), standard.max_duration),
        bake: reader.duration("bake", range(), standard.bake),
    };
    if timing.min_duration > timing.max_duration {
        let key = if reader.has("min_duration") {
            "min_duration"
        } else {
            "max_duration"
        };
        reader.mistake(key, "min_duration is longer than max_duration");
    }
    reader.finish();
    timing
}

fn on_deadline(top: &mut Reader<'_>) -> OnDeadline {
    let is_map = |value: &Value| matches!(value, Value::Map(_));
    let table = [
        ("pause", OnDeadline::Pause),
        ("rollback", OnDeadline::Rollback),
    ];
    if !top
        .raw("on_deadline")
        .is_some_and(|node| is_map(&node.value))
    {
        return top
            .choice("on_deadline", &table)
            .unwrap_or(OnDeadline::Pause);
    }
    let mut reader = top.nested("on_deadline");
    let mut bounds = BTreeMap::new();
    for (name, text) in reader.texts("approve_if_below", false) {
        match text.parse::<f64>() {
            Ok(bound) if (1.0..=100.0).contains(&bound) => {
                bounds.insert(name, bound);
            }
            _ => reader.mistake(
                "approve_if_below",
                format!("{name}: expected a ratio from 1 to 100, found {text:?}"),
            ),
        }
    }
    if bounds.is_empty() {
        reader.mistake("approve_if_below", "names no objective");
    }
    reader.finish();
    OnDeadline::ApproveIfBelow(bounds)
}

/// A deadline that approves must bound every required objective, or it would approve unproved.
fn bounds_name_objectives(top: &Reader<'_>, policy: &Policy) {
    let OnDeadline::ApproveIfBelow(bounds) = &policy.on_deadline else {
        return;
    };
    for name in bounds.keys() {
        let named = |o: &&Objective| o.name == *name && o.ratio.is_some();
        if !policy.objectives.iter().any(|o| named(&o)) {
            let message = format!("approve_if_below: {name:?} is no objective with a ratio");
            top.mistake("on_deadline", message);
        }
    }
    for objective in &policy.objectives {
        if objective.gate == Gate::Require && !bounds.contains_key(&objective.name) {
            let name = &objective.name;
            let message = format!("approve_if_below: required objective {name:?} has no bound");
            top.mistake("on_deadline", message);
        }
    }
}
