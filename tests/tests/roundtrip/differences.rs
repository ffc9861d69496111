//! What may differ between a scrape by Prometheus and one by the agent, and why. All else must not.

use std::collections::BTreeSet;

use super::held::{Bucket, Held, Labels, Sample, Series};

/// Labels that only one side has, or each with a value of its own.
const LABELS: &[(&str, &str)] = &[
    (
        "job",
        "a scrape's is configured; by OTLP it is the resource's service.name",
    ),
    (
        "otel_scope_name",
        "the agent names itself as the scope of metrics that name none",
    ),
    ("otel_scope_version", "the agent's, of the same scope"),
];

/// Series that only one side has.
const ONE_SIDED: &[(&str, &str)] = &[
    (
        "target_info",
        "its labels are the resource; Prometheus writes one of each resource of OTLP",
    ),
    (
        "gaugehistogram",
        "OTLP has no form for the type; the agent counts it",
    ),
    (
        "stamped",
        "a sample with a timestamp of its own ends by its age in Prometheus, unless \
         track_timestamps_staleness is on; the agent says that it is gone",
    ),
    (
        "*_created",
        "OpenMetrics tells by it when a series began: a start time in OTLP, never a series",
    ),
    (
        "size_bytes_sum",
        "a summary of OTLP has a sum: 0 where the page has none",
    ),
];

/// Series whose values are each side's own.
const OWN_VALUES: &[(&str, &str)] = &[("scrape_duration_seconds", "each scrape takes its time")];

/// What Prometheus scrapes as, what it takes OTLP for, and why.
const KINDS: &[(&str, &str, &str)] = &[
    ("", "gauge", "what has no type is a gauge in OTLP"),
    (
        "info",
        "gauge",
        "an info is a sum that is not monotonic in OTLP",
    ),
    ("stateset", "gauge", "a stateset likewise"),
];

/// The unit of a series as scraped and as sent, and why; a star stands for any.
const UNITS: &[(&str, &str, &str, &str)] = &[
    (
        "scrape_duration_seconds",
        "",
        "seconds",
        "the agent says the unit of what it adds to a page, Prometheus none",
    ),
    (
        "*",
        "bytes",
        "",
        "Prometheus's OpenMetrics parser keeps a UNIT for the families after it that have none",
    ),
];

/// Why exemplars of native histograms are sent that a scrape has not.
pub(super) const EXEMPLARS: &str = "Prometheus's parser of protobuf takes the exemplars of a family's first native histogram alone";

/// Why a name that needs quotes is written with underscores where Prometheus scrapes protobuf.
const ESCAPED: &str = "Prometheus asks for names as they are in its text formats alone, so client_golang escapes them";

/// What Prometheus makes of the width of a native histogram's bucket of zeros.
const ZERO_BUCKET: &str = "Prometheus's OTLP receiver writes 1e-128 whatever the point says";

/// Which rows of the tables were needed.
pub(super) type Used = BTreeSet<&'static str>;

/// All rows, by what [`Used`] names them.
pub(super) fn rows() -> Used {
    let pairs = LABELS.iter().chain(ONE_SIDED).chain(OWN_VALUES);
    let pairs = pairs.map(|(_, why)| *why);
    let kinds = KINDS.iter().map(|(_, _, why)| *why);
    let units = UNITS.iter().map(|(_, _, _, why)| *why);
    pairs
        .chain(kinds)
        .chain(units)
        .chain([EXEMPLARS, ESCAPED, ZERO_BUCKET])
        .collect()
}

/// What differs and may not.
pub(super) fn of(
    scraped: &Series,
    sent: &Series,
    moves: fn(&Labels) -> bool,
    used: &mut Used,
) -> Vec<String> {
    let (scraped, sent) = (without_own(scraped, used), without_own(sent, used));
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    for (labels, ours) in &sent {
        let escaped = escaped(labels);
        let (labels, theirs) = match (scraped.get(labels), scraped.get(&escaped)) {
            (None, Some(theirs)) => {
                used.insert(ESCAPED);
                (&escaped, Some(theirs))
            }
            (theirs, _) => (labels, theirs),
        };
        match theirs {
            Some(theirs) => compare(labels, theirs, ours, moves(labels), used, &mut found),
            None if is_one_sided(labels, ours, used) => {}
            None => found.push(format!("only sent: {labels:?} {ours:?}")),
        }
        seen.insert(labels.clone());
    }
    for (labels, theirs) in scraped.iter().filter(|(labels, _)| !seen.contains(*labels)) {
        if !is_one_sided(labels, theirs, used) {
            found.push(format!("only scraped: {labels:?} {theirs:?}"));
        }
    }
    found
}

/// Names as the scheme `underscores` writes them.
fn escaped(labels: &Labels) -> Labels {
    let plain = |name: &str| name.replace(|c: char| !c.is_ascii_alphanumeric() && c != ':', "_");
    let pair = |(key, value): (&String, &String)| match key.as_str() {
        "__name__" => (key.clone(), plain(value)),
        key => (plain(key), value.clone()),
    };
    labels.iter().map(pair).collect()
}

/// The series without the labels that differ.
fn without_own(series: &Series, used: &mut Used) -> Series {
    let own = series
        .iter()
        .map(|(labels, held)| (own_labels_off(labels, used), held.clone()));
    let stripped: Series = own.collect();
    assert_eq!(
        stripped.len(),
        series.len(),
        "labels that tell series apart are gone"
    );
    stripped
}

/// Labels without those that are each side's own.
pub(super) fn own_labels_off(labels: &Labels, used: &mut Used) -> Labels {
    let mut labels = labels.clone();
    let is_agents = labels
        .get("otel_scope_name")
        .is_some_and(|name| name == "davy-agent");
    for (key, why) in LABELS {
        if (*key == "job" || is_agents) && labels.remove(*key).is_some() {
            used.insert(why);
        }
    }
    labels
}

fn is_one_sided(labels: &Labels, held: &Held, used: &mut Used) -> bool {
    let name = name(labels);
    let row = ONE_SIDED
        .iter()
        .find(|(what, _)| match what.strip_prefix('*') {
            Some(ending) => name.ends_with(ending),
            None => *what == name || *what == held.kind,
        });
    used.extend(row.map(|(_, why)| *why));
    row.is_some()
}

pub(super) fn name(labels: &Labels) -> &str {
    labels.get("__name__").map_or("", String::as_str)
}

fn compare(
    labels: &Labels,
    scraped: &Held,
    sent: &Held,
    moves: bool,
    used: &mut Used,
    found: &mut Vec<String>,
) {
    let kinds = (scraped.kind.as_str(), sent.kind.as_str());
    let row = KINDS
        .iter()
        .find(|(theirs, ours, _)| (*theirs, *ours) == kinds);
    used.extend(row.map(|(_, _, why)| *why));
    let units = (scraped.unit.as_str(), sent.unit.as_str());
    let unit = UNITS.iter().find(|(of, theirs, ours, _)| {
        (*theirs, *ours) == units && (*of == "*" || *of == name(labels))
    });
    used.extend(unit.map(|(_, _, _, why)| *why));
    if (kinds.0 != kinds.1 && row.is_none()) || (units.0 != units.1 && unit.is_none()) {
        let pairs = (kinds, units);
        found.push(format!(
            "{labels:?}: type and unit, scraped and sent: {pairs:?}"
        ));
    }
    let own = OWN_VALUES.iter().find(|(what, _)| *what == name(labels));
    used.extend(own.map(|(_, why)| *why));
    if own.is_none() && !moves && !is_same(&scraped.value, &sent.value, used) {
        let (ours, theirs) = (&sent.value, &scraped.value);
        found.push(format!("{labels:?}: sent {ours:?}, scraped {theirs:?}"));
    }
}

fn is_same(scraped: &Sample, sent: &Sample, used: &mut Used) -> bool {
    match (scraped, sent) {
        (Sample::Number(theirs), Sample::Number(ours)) => is_same_number(*theirs, *ours),
        (
            Sample::Histogram {
                count,
                sum,
                buckets,
            },
            Sample::Histogram {
                count: our_count,
                sum: our_sum,
                buckets: our_buckets,
            },
        ) => {
            let pairs = buckets.iter().zip(our_buckets);
            is_same_number(*count, *our_count)
                && is_same_number(*sum, *our_sum)
                && buckets.len() == our_buckets.len()
                && pairs
                    .into_iter()
                    .all(|(theirs, ours)| is_same_bucket(theirs, ours, used))
        }
        _ => false,
    }
}

/// Bit for bit, but for the bits of what is no number.
fn is_same_number(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

/// Rule 3: both bounds belong to it, as of the bucket around zero alone.
fn is_same_bucket(theirs: &Bucket, ours: &Bucket, used: &mut Used) -> bool {
    let is_zero = theirs.0 == 3 && ours.0 == 3 && ours.2 == "1e-128";
    if is_zero && theirs != ours {
        used.insert(ZERO_BUCKET);
    }
    theirs == ours || (is_zero && theirs.3 == ours.3)
}
