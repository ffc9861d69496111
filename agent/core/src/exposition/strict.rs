//! What `--strict` asks of a page beyond its lines: suffixes, values, buckets.
//!
//! The authority is each format's text, not another parser: `exposition_formats.md` ("A histogram
//! must have a bucket with {le="+Inf"}. Its value must be identical to the value of x_count") and
//! the OpenMetrics 1.0 specification ("Total is a non-NaN", "Count and bucket values MUST be
//! integers", …). What a text leaves open is accepted.

use std::collections::BTreeMap;

use super::family::{Format, Kind, Role};
use super::{Exemplar, Family, LineError, Page, PageError, Reason, Sample};

/// Longest label set of an exemplar, in characters of names and values (OpenMetrics, "Exemplars").
const EXEMPLAR_CHARS_MAX: usize = 128;

/// Checks a page that was read with strict rules.
pub(crate) fn check(page: &Page<'_>) -> Result<(), PageError> {
    for native in &page.natives {
        let mut whole = native.positive().chain(native.negative());
        let mut floats = native.positive_floats().chain(native.negative_floats());
        let refused = whole
            .find_map(Result::err)
            .or_else(|| floats.find_map(Result::err));
        if let Some(reason) = refused {
            return Err(PageError::Line(page.format.error(native.message, reason)));
        }
    }
    if page.format == Format::OpenMetrics {
        clashes(page).map_err(PageError::Line)?;
    }
    for samples in page.samples.chunk_by(|a, b| a.family == b.family) {
        let Some(family) = samples.first().and_then(|sample| page.family(sample)) else {
            continue;
        };
        let checked = check_family(page, family, samples);
        checked.map_err(|error| PageError::Line(page.format.error(error.line, error.reason)))?;
    }
    Ok(())
}

fn at(sample: &Sample, reason: Reason) -> LineError {
    Format::Text.error(sample.line, reason)
}

/// "The name of a MetricFamily MUST NOT result in a potential clash for sample metric names": a
/// gauge `foo_created` beside a counter `foo`.
fn clashes(page: &Page<'_>) -> Result<(), LineError> {
    let mut owners: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (index, family) in page.families.iter().enumerate() {
        for suffix in family.kind.suffixes() {
            owners.insert((&family.name, suffix), index);
        }
    }
    for (index, family) in page.families.iter().enumerate() {
        // Only samples that are called like their family can look like another's.
        if !family.kind.suffixes().contains(&"") {
            continue;
        }
        let name = family.name.rsplit_once('_');
        let at = name.map_or(0, |(stem, _)| stem.len());
        let owner = owners.get(&family.name.split_at(at));
        if owner.is_some_and(|other| *other != index) {
            let mut samples = page.samples.iter();
            let first = samples.find(|sample| sample.family as usize == index);
            let line = first.map_or(1, |sample| sample.line);
            return Err(page.format.error(line, Reason::NameClash));
        }
    }
    Ok(())
}

fn check_family(page: &Page<'_>, family: &Family<'_>, all: &[Sample]) -> Result<(), LineError> {
    let open = page.format == Format::OpenMetrics;
    for sample in all {
        if open {
            open_sample(page, family, sample).map_err(|reason| at(sample, reason))?;
        }
    }
    let runs: Vec<&[Sample]> = page.runs(all).collect();
    if open {
        together(page, &runs)?;
    }
    for run in runs {
        match family.kind {
            Kind::Histogram | Kind::GaugeHistogram => histogram(run, family.kind, open)?,
            Kind::Summary => summary(run, open)?,
            _ => {}
        }
    }
    Ok(())
}

/// "Metrics MUST NOT be interleaved": a label set that was left does not come back.
fn together(page: &Page<'_>, runs: &[&[Sample]]) -> Result<(), LineError> {
    let mut firsts: Vec<(usize, &Sample)> = runs
        .iter()
        .filter_map(|run| run.first())
        .enumerate()
        .collect();
    firsts.sort_by(|(i, a), (j, b)| page.labels(a).cmp(page.labels(b)).then(i.cmp(j)));
    for pair in firsts.windows(2) {
        if let [(i, a), (j, b)] = pair
            && page.labels(a) == page.labels(b)
            && (*j != i + 1 || b.time_unix_nano <= a.time_unix_nano)
        {
            return Err(at(b, Reason::Interleaved));
        }
    }
    Ok(())
}

fn open_sample(page: &Page<'_>, family: &Family<'_>, sample: &Sample) -> Result<(), Reason> {
    let labels = page.labels(sample);
    let value = sample.value;
    let mut names = labels.iter().map(|label| label.name.as_ref());
    if family.name.starts_with('_') || names.any(|name| name.starts_with('_')) {
        return Err(Reason::NameReserved);
    }
    if let Some(exemplar) = page.exemplar(sample) {
        open_exemplar(page, sample, exemplar)?;
    }
    match (family.kind, sample.role) {
        (Kind::Counter | Kind::Info, Role::Value) => Err(Reason::SuffixMismatch),
        (Kind::Info | Kind::StateSet, _) if !family.unit.is_empty() => Err(Reason::UnitMisfit),
        (Kind::Counter, Role::Total) if value.is_nan() || value < 0.0 => {
            Err(Reason::CounterNegative)
        }
        (Kind::Info, _) if value != 1.0 => Err(Reason::InfoNotOne),
        (Kind::StateSet, _) => {
            let named = labels.iter().any(|label| label.name == family.name);
            let boolean = value == 0.0 || value == 1.0;
            if named && boolean {
                Ok(())
            } else {
                Err(Reason::StateMisfit)
            }
        }
        (Kind::Histogram | Kind::Summary, Role::Sum) if value.is_nan() || value < 0.0 => {
            Err(Reason::CountNegative)
        }
        (Kind::GaugeHistogram, Role::Sum) if value.is_nan() => Err(Reason::CountNegative),
        (_, Role::Quantile) if value < 0.0 => Err(Reason::QuantileNegative),
        (_, Role::Count | Role::Bucket) if value.is_nan() || value < 0.0 => {
            Err(Reason::CountNegative)
        }
        (_, Role::Count | Role::Bucket) if value.fract() != 0.0 => Err(Reason::CountNotWhole),
        _ => Ok(()),
    }
}

fn open_exemplar(page: &Page<'_>, sample: &Sample, exemplar: &Exemplar) -> Result<(), Reason> {
    if !matches!(sample.role, Role::Bucket | Role::Total) {
        return Err(Reason::ExemplarMisplaced);
    }
    let labels = page.exemplar_labels(exemplar).iter();
    let chars = labels.map(|l| l.name.chars().count() + l.value.chars().count());
    if chars.sum::<usize>() > EXEMPLAR_CHARS_MAX {
        return Err(Reason::ExemplarTooLong);
    }
    // "Each bucket covers the values less and or equal to it, and the value of the exemplar MUST be
    // within this range."
    match sample.role == Role::Bucket && exemplar.value > sample.bound {
        true => Err(Reason::ExemplarOutside),
        false => Ok(()),
    }
}

/// "Negative threshold buckets MAY be used, but then the Histogram MetricPoint MUST NOT contain a
/// sum value"; a gauge histogram's "sum MAY be negative" only then.
fn sum_of_negatives(run: &[Sample], kind: Kind) -> Result<(), LineError> {
    let Some(sum) = run.iter().find(|sample| sample.role == Role::Sum) else {
        return Ok(());
    };
    let mut buckets = run.iter().filter(|sample| sample.role == Role::Bucket);
    let has_negatives = buckets.any(|bucket| bucket.bound < 0.0);
    match (kind, has_negatives) {
        (Kind::Histogram, true) => Err(at(sum, Reason::SumOfNegatives)),
        (Kind::GaugeHistogram, false) if sum.value < 0.0 => Err(at(sum, Reason::CountNegative)),
        _ => Ok(()),
    }
}

fn histogram(run: &[Sample], kind: Kind, open: bool) -> Result<(), LineError> {
    if open {
        sum_of_negatives(run, kind)?;
    }
    let mut last: Option<&Sample> = None;
    for bucket in run.iter().filter(|sample| sample.role == Role::Bucket) {
        if bucket.bound.is_nan() || last.is_some_and(|last| bucket.bound <= last.bound) {
            return Err(at(bucket, Reason::BoundRepeated));
        }
        if open && last.is_some_and(|last| bucket.value < last.value) {
            return Err(at(bucket, Reason::CountsDecrease));
        }
        last = Some(bucket);
    }
    let Some(first) = run.first() else {
        return Ok(());
    };
    let infinite = last.filter(|bucket| bucket.bound == f64::INFINITY);
    let infinite = infinite.ok_or_else(|| at(first, Reason::InfinityMissing))?;
    let has_sum = run.iter().any(|sample| sample.role == Role::Sum);
    match run.iter().find(|sample| sample.role == Role::Count) {
        Some(count) if count.value != infinite.value => Err(at(count, Reason::CountMismatch)),
        // OpenMetrics: `_count` "if and only if a Sum Value is present".
        None if !open || has_sum => Err(at(infinite, Reason::CountMismatch)),
        Some(count) if open && !has_sum => Err(at(count, Reason::CountMismatch)),
        _ => Ok(()),
    }
}

fn summary(run: &[Sample], open: bool) -> Result<(), LineError> {
    let mut last = f64::NEG_INFINITY;
    for quantile in run.iter().filter(|sample| sample.role == Role::Quantile) {
        if !(0.0..=1.0).contains(&quantile.bound) {
            return Err(at(quantile, Reason::QuantileOutOfRange));
        }
        // "Quantiles MAY be in any order" (OpenMetrics); the text format wants them increasing.
        if quantile.bound <= last && !open {
            return Err(at(quantile, Reason::BoundRepeated));
        }
        last = quantile.bound;
    }
    Ok(())
}
