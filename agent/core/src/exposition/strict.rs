//! What `--strict` asks of a page beyond its lines: suffixes, values, buckets.
//!
//! The authority is each format's text, not another parser: `exposition_formats.md` ("A histogram
//! must have a bucket with {le="+Inf"}. Its value must be identical to the value of x_count") and
//! the OpenMetrics 1.0 specification ("Total is a non-NaN", "Count and bucket values MUST be
//! integers", …). What a text leaves open is accepted.

use super::family::{Format, Kind, Role};
use super::{Family, LineError, Page, PageError, Reason, Sample};

/// Longest label set of an exemplar, in characters of names and values (OpenMetrics, "Exemplars").
const EXEMPLAR_CHARS_MAX: usize = 128;

/// Checks a page that was read with strict rules.
pub(crate) fn check(page: &Page<'_>) -> Result<(), PageError> {
    for native in &page.natives {
        let mut buckets = native.positive().chain(native.negative());
        if let Some(reason) = buckets.find_map(Result::err) {
            return Err(PageError::Line(page.format.error(native.message, reason)));
        }
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
            Kind::Histogram | Kind::GaugeHistogram => histogram(run, open)?,
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
    if let Some(exemplar) = page.exemplar(sample) {
        if !matches!(sample.role, Role::Bucket | Role::Total) {
            return Err(Reason::ExemplarMisplaced);
        }
        let labels = page.exemplar_labels(exemplar).iter();
        let chars = labels.map(|l| l.name.chars().count() + l.value.chars().count());
        if chars.sum::<usize>() > EXEMPLAR_CHARS_MAX {
            return Err(Reason::ExemplarTooLong);
        }
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
        (Kind::Histogram, Role::Sum) | (Kind::Summary, Role::Sum)
            if value.is_nan() || value < 0.0 =>
        {
            Err(Reason::CountNegative)
        }
        (_, Role::Count | Role::Bucket) if value.is_nan() || value < 0.0 => {
            Err(Reason::CountNegative)
        }
        (_, Role::Count | Role::Bucket) if value.fract() != 0.0 => Err(Reason::CountNotWhole),
        _ => Ok(()),
    }
}

fn histogram(run: &[Sample], open: bool) -> Result<(), LineError> {
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
