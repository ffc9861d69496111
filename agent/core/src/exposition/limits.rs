//! Limits that a target names itself, which Prometheus calls `sample_limit`, `label_limit`,
//! `label_name_length_limit` and `label_value_length_limit`.
//!
//! They hold for series as Prometheus stores them, after relabel rules: a metric's name is a
//! label's value, `le` and `quantile` are labels, and so are the target's `job` and `instance`.
//! One series over a limit fails the scrape.

use super::{LineError, Page, PageError, Reason, Role};

/// Limits of series; a breach fails the page as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesLimits {
    /// Samples of a scrape.
    pub samples: usize,
    /// Labels of a series: its name, `job` and `instance` count.
    pub labels: usize,
    /// Bytes of a label's name.
    pub label_name_bytes: usize,
    /// Bytes of a label's value, and of a metric's name.
    pub label_value_bytes: usize,
}

impl SeriesLimits {
    /// No limits.
    pub const NONE: Self = Self {
        samples: usize::MAX,
        labels: usize::MAX,
        label_name_bytes: usize::MAX,
        label_value_bytes: usize::MAX,
    };

    fn are_of_labels(&self) -> bool {
        let samples = self.samples;
        *self
            != Self {
                samples,
                ..Self::NONE
            }
    }
}

/// The labels that each series has beside those of the page: its name, `instance` and `job`.
const OTHER_LABELS: usize = 3;

/// Checks the number of samples.
///
/// # Errors
///
/// [`PageError::SampleLimit`].
pub fn check_samples(page: &Page<'_>, limits: &SeriesLimits) -> Result<(), PageError> {
    if limits.samples == usize::MAX {
        return Ok(());
    }
    let (samples, limit) = (page.counts().kept, limits.samples);
    match samples > limit {
        true => Err(PageError::SampleLimit { samples, limit }),
        false => Ok(()),
    }
}

/// Checks the labels of every series.
pub(super) fn check(page: &Page<'_>, limits: &SeriesLimits) -> Result<(), LineError> {
    if !limits.are_of_labels() {
        return Ok(());
    }
    let natives = page.natives.iter().map(|native| {
        let labels = page.native_labels(native);
        (native.family, labels, 0, 0, native.message)
    });
    let samples = page
        .samples
        .iter()
        .filter(|sample| page.native(sample).is_none());
    let samples = samples.map(|sample| {
        let (bound, suffix) = match sample.role {
            Role::Bucket => (1, "_bucket".len()),
            Role::Quantile => (1, 0),
            Role::Count => (0, "_count".len()),
            Role::Sum => (0, "_sum".len()),
            role => (0, role.suffix().len()),
        };
        (
            sample.family,
            page.labels(sample),
            bound,
            suffix,
            sample.line,
        )
    });
    for (family, labels, bound, suffix, line) in natives.chain(samples) {
        let name = page
            .families
            .get(family as usize)
            .map_or(0, |family| family.name.len());
        let refuse = |reason| Err(page.format.error(line, reason));
        let (count, limit) = (labels.len() + bound + OTHER_LABELS, limits.labels);
        if count > limit {
            return refuse(Reason::LabelLimit {
                labels: count,
                limit,
            });
        }
        let limit = limits.label_name_bytes;
        let names = labels.iter().map(|label| label.name.len());
        if let Some(bytes) = names.into_iter().find(|bytes| *bytes > limit) {
            return refuse(Reason::LabelNameLimit { bytes, limit });
        }
        let limit = limits.label_value_bytes;
        let mut values = labels
            .iter()
            .map(|label| label.value.len())
            .chain([name + suffix]);
        if let Some(bytes) = values.find(|bytes| *bytes > limit) {
            return refuse(Reason::LabelValueLimit { bytes, limit });
        }
    }
    Ok(())
}

impl Page<'_> {
    /// Checks all limits of series, as after relabel rules.
    ///
    /// # Errors
    ///
    /// [`PageError`]: the first limit that is exceeded.
    pub fn check_series(&self, limits: &SeriesLimits) -> Result<(), PageError> {
        check(self, limits).map_err(PageError::Line)?;
        check_samples(self, limits)
    }
}
