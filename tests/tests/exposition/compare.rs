//! What two parsers disagree about.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use super::series::{Labels, Native, Observed, Point, Said};

/// What is compared beside samples, native histograms and exemplars.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope {
    /// Types, help and units of names that have one each.
    pub(super) metadata: bool,
    /// Start times.
    pub(super) starts: bool,
    /// Exemplars and native histograms; the text format has none, and expfmt tells none.
    pub(super) exemplars: bool,
    pub(super) natives: bool,
}

impl Scope {
    pub(super) const ALL: Self = Self {
        metadata: true,
        starts: true,
        exemplars: true,
        natives: true,
    };
    pub(super) const SAMPLES: Self = Self {
        metadata: false,
        starts: false,
        exemplars: false,
        natives: false,
    };
}

/// Returns what differs, at most a few lines of it.
pub(super) fn differences(ours: &Said, theirs: &Said, scope: Scope) -> Vec<String> {
    let mut found = Vec::new();
    maps(&ours.series, &theirs.series, &mut found, |a, b| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_point(a, b, scope))
    });
    if scope.natives {
        maps(&ours.natives, &theirs.natives, &mut found, |a, b| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_native(a, b))
        });
    }
    if scope.metadata {
        for (ours, theirs) in [
            (&ours.types, &theirs.types),
            (&ours.helps, &theirs.helps),
            (&ours.units, &theirs.units),
        ] {
            metadata(ours, theirs, &mut found);
        }
    }
    found.truncate(6);
    found
}

/// Returns the series of theirs that are not in ours, or not with all their points.
pub(super) fn missing<'s>(ours: &Said, theirs: &'s Said) -> Vec<&'s Labels> {
    let is_there = |labels: &Labels, points: &[Point]| {
        let own = ours.series.get(labels).map_or(&[][..], Vec::as_slice);
        let same = |b: &Point| own.iter().any(|a| same_point(a, b, Scope::SAMPLES));
        points.iter().all(same)
    };
    let series = theirs.series.iter();
    let missing = series.filter(|(labels, points)| !is_there(labels, points));
    missing.map(|(labels, _)| labels).collect()
}

fn maps<V: Debug>(
    ours: &BTreeMap<Labels, V>,
    theirs: &BTreeMap<Labels, V>,
    found: &mut Vec<String>,
    same: impl Fn(&V, &V) -> bool,
) {
    let keys: BTreeSet<&Labels> = ours.keys().chain(theirs.keys()).collect();
    for key in keys {
        let (a, b) = (ours.get(key), theirs.get(key));
        let is_same = match (a, b) {
            (Some(a), Some(b)) => same(a, b),
            _ => false,
        };
        if !is_same {
            found.push(format!("{key:?}\n  davy {a:?}\n  other {b:?}"));
        }
    }
}

/// An empty HELP or UNIT is none.
fn metadata(
    ours: &BTreeMap<String, Option<String>>,
    theirs: &BTreeMap<String, Option<String>>,
    found: &mut Vec<String>,
) {
    for (name, other) in theirs {
        if let (Some(other), Some(Some(own))) = (other, ours.get(name))
            && own.trim() != other.trim()
        {
            found.push(format!("of {name:?}: davy {own:?}, other {other:?}"));
        }
    }
}

fn same_value(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

/// Seconds in a float, times a thousand, are a millisecond off as often as not.
fn same_time(a: Option<i64>, b: Option<i64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.abs_diff(b) <= 1,
        (a, b) => a == b,
    }
}

fn same_exemplar(a: &Option<Observed>, b: &Option<Observed>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => {
            a.labels == b.labels && a.bits == b.bits && same_time(a.time_ms, b.time_ms)
        }
        (a, b) => a.is_none() && b.is_none(),
    }
}

fn same_point(a: &Point, b: &Point, scope: Scope) -> bool {
    same_value(a.value, b.value)
        && same_time(a.time_ms, b.time_ms)
        && (!scope.starts || a.start_ms.abs_diff(b.start_ms) <= 1)
        && (!scope.exemplars || same_exemplar(&a.exemplar, &b.exemplar))
}

fn same_native(a: &Native, b: &Native) -> bool {
    a.start_ms.abs_diff(b.start_ms) <= 1 && {
        let mut a = a.clone();
        a.start_ms = b.start_ms;
        a == *b
    }
}
