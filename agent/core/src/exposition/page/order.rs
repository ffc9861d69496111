//! The order of a page's samples, and the duplicates in it.

use std::cmp::Ordering;

use super::Builder;
use crate::exposition::{Label, LineError, Page, Reason, Role, Sample};
use crate::series::{hash_text, mix};

impl Builder<'_> {
    pub(super) fn drop_duplicates(&mut self) -> Result<(), LineError> {
        match self.page.drop_duplicates() {
            Some(line) if self.options.strict => {
                Err(self.page.format.error(line, Reason::DuplicateSample))
            }
            _ => Ok(()),
        }
    }
}

impl Page<'_> {
    /// Drops samples of a series that is there already, counted; returns the first one's line.
    pub(in crate::exposition) fn drop_duplicates(&mut self) -> Option<u32> {
        let page = &*self;
        let hashed = page
            .samples
            .iter()
            .map(|sample| hash(sample, page.labels(sample)));
        let mut order: Vec<(u64, u32)> = hashed.zip(0..).collect();
        let sample = |index: u32| page.samples.get(index as usize);
        let compared = |a: u32, b: u32| match (sample(a), sample(b)) {
            (Some(a), Some(b)) => compare(page, a, b),
            _ => Ordering::Equal,
        };
        // Equal hashes are compared in full, so no page can make this worse than n log n.
        order.sort_unstable_by(|a, b| {
            a.0.cmp(&b.0)
                .then_with(|| compared(a.1, b.1))
                .then(a.1.cmp(&b.1))
        });
        let mut doubled: Vec<u32> = order
            .windows(2)
            .filter_map(|pair| match pair {
                [a, b] if a.0 == b.0 && compared(a.1, b.1).is_eq() => Some(b.1),
                _ => None,
            })
            .collect();
        doubled.sort_unstable();
        let first = doubled.first().and_then(|first| sample(*first))?.line;
        self.tally.duplicates += doubled.len() as u64;
        let (mut index, mut next) = (0u32, doubled.iter().copied().peekable());
        self.samples.retain(|_| {
            let drop = next.next_if_eq(&index).is_some();
            index += 1;
            !drop
        });
        Some(first)
    }
}

/// Where client libraries write a sample of a point: buckets before sum before count.
fn rank(role: Role) -> u8 {
    match role {
        Role::Bucket | Role::Quantile => 0,
        Role::Value | Role::Total | Role::Info => 1,
        Role::Sum => 2,
        Role::Count => 3,
        Role::Created => 4,
    }
}

/// Compares the identities of two samples.
pub(super) fn compare(page: &Page<'_>, a: &Sample, b: &Sample) -> Ordering {
    a.family
        .cmp(&b.family)
        .then_with(|| {
            let shared = (a.first_label, a.end_label) == (b.first_label, b.end_label);
            if shared {
                Ordering::Equal
            } else {
                page.labels(a).cmp(page.labels(b))
            }
        })
        .then_with(|| (rank(a.role), a.role).cmp(&(rank(b.role), b.role)))
        .then_with(|| a.bound.total_cmp(&b.bound))
        .then_with(|| a.time_unix_nano.cmp(&b.time_unix_nano))
}

/// Duplicates are compared in full, so the hash's quality matters for speed alone.
fn hash(sample: &Sample, labels: &[Label<'_>]) -> u64 {
    let mut state = mix(u64::from(sample.family), sample.role as u64);
    state = mix(state, sample.bound.to_bits());
    state = mix(state, sample.time_unix_nano.unwrap_or(0));
    for label in labels {
        state = hash_text(state, &label.name);
        state = hash_text(state, &label.value);
    }
    state
}
