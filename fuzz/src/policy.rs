//! A policy, as YAML.
//!
//! * A policy that is read keeps what its documentation promises: chances in (0, 0.5), a zone
//!   between the limits of each ratio, unique names, durations that fit each other.
//! * Every mistake names a line that is there.
//! * Memory is bounded by the text's bytes.

use std::collections::BTreeSet;

use davy_config::Mistakes;
use davy_gate_core::policy::{OnDeadline, Policy};

use crate::memory::bounded;
use crate::{Target, seeds};

/// The target.
pub const TARGET: Target = Target {
    name: "policy",
    check,
    seeds: seeds::policies,
    dictionary: Some("policy.dict"),
    bytes_max: 2048,
    mutations: 75_000,
    code: crate::GATE,
};

/// A value of two bytes (`a,` of a list) is a node with its place, and may be a mistake whose
/// message says what would be right.
const TIMES: usize = 2048;
const BYTES: usize = 128 << 10;

/// Checks a policy.
pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let bound = (bytes.len(), TIMES, BYTES);
    let read = || Some(Policy::read("policy.yaml", text));
    match bounded(bound, "read a policy", read) {
        Some(Ok(policy)) => {
            is_right(&policy);
            let again = Policy::read("other.yaml", text);
            assert_eq!(again.as_ref(), Ok(&policy), "read twice");
        }
        Some(Err(mistakes)) => name_places(&mistakes, text),
        None => {}
    }
}

fn is_right(policy: &Policy) {
    let risk = policy.risk;
    for chance in [risk.false_rollback, risk.false_approval] {
        assert!(chance > 0.0 && chance < 0.5, "{risk:?}");
    }
    let timing = policy.timing;
    assert!(timing.min_duration <= timing.max_duration, "{timing:?}");
    assert!((1..=32).contains(&policy.objectives.len()), "objectives");
    let mut names = BTreeSet::new();
    for objective in &policy.objectives {
        assert!(
            names.insert(&objective.name),
            "{} stands twice",
            objective.name
        );
        assert!(
            (0.5..=0.9999).contains(&objective.quantile),
            "{objective:?}"
        );
        assert!((0.0..1.0).contains(&objective.negligible), "{objective:?}");
        let limited = objective.ratio.is_some() || !objective.absolute.is_empty();
        assert!(limited, "{objective:?} has no limit");
        if let Some(ratio) = objective.ratio {
            assert!(ratio.approve_below > ratio.rollback_above, "{ratio:?}");
            assert!(ratio.exceedance_below > ratio.exceedance_above, "{ratio:?}");
        }
    }
    if let OnDeadline::ApproveIfBelow(bounds) = &policy.on_deadline {
        assert!(!bounds.is_empty());
        for (name, bound) in bounds {
            assert!(names.contains(name), "{name} is no objective");
            assert!((1.0..=100.0).contains(bound), "{name}: {bound}");
        }
    }
}

fn name_places(mistakes: &Mistakes, text: &str) {
    // A carriage return alone ends a line too (YAML 1.2, 5.4).
    let breaks = text.matches(['\n', '\r']).count() - text.matches("\r\n").count();
    let last = breaks + usize::from(!text.ends_with(['\n', '\r']));
    let last = last.max(1);
    assert!(mistakes.len() > 0);
    for mistake in mistakes.iter() {
        let line = mistake.origin.line();
        assert!((1..=last).contains(&line), "{mistake}: of {last} lines");
        assert!(!mistake.message.is_empty());
    }
}
