//! Where a series belongs after the rules: to which family, as what, and beside which others.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{Series, suffix};
use crate::exposition::{Family, Format, Kind, Label, Page, Role, Sample};

/// A sample's place in the new page.
#[derive(Clone, Debug)]
pub(super) struct Place<'r> {
    /// The family's name.
    pub(super) name: Cow<'r, str>,
    pub(super) kind: Kind,
    pub(super) role: Role,
    /// It left its family: its bound, if any, is a label like others.
    pub(super) is_alone: bool,
}

/// What tells points apart: name and kind of the family, labels, time.
type Key<'s> = (&'s str, Kind, &'s [Label<'s>], Option<u64>);

/// The samples that became one point.
#[derive(Clone, Copy, Debug)]
struct Group {
    /// The point of the old page that it is.
    owner: usize,
    has_count: bool,
}

/// Returns the place of each sample, none of those that were dropped, and how many were duplicates.
pub(super) fn places<'r>(
    page: &'r Page<'r>,
    all: &mut [Option<Series<'r>>],
) -> (Vec<Option<Place<'r>>>, usize) {
    let samples = page.samples.iter().zip(all.iter());
    let mut places: Vec<Option<Place<'r>>> = samples
        .map(|(sample, series)| place(page.family(sample)?, sample, series.as_ref()?, page.format))
        .collect();
    let doubled = points(page, all, &mut places);
    created(page, all, &mut places);
    (places, doubled)
}

/// Places a sample by its name and bound alone.
fn place<'r>(
    family: &Family<'r>,
    sample: &Sample,
    series: &Series<'r>,
    format: Format,
) -> Option<Place<'r>> {
    let role = sample.role;
    let ending = suffix(family, role, format);
    let stem = series
        .name
        .strip_suffix(ending)
        .filter(|stem| !stem.is_empty());
    let has_bound = !matches!(role, Role::Bucket | Role::Quantile) || series.bound.is_some();
    let (name, role) = match (stem, role) {
        // It goes with its point, which is placed first.
        (_, Role::Created) => return None,
        (Some(stem), _) if has_bound => {
            let unchanged = stem == family.name;
            let name = match (unchanged, ending.is_empty()) {
                (true, _) => family.name.clone(),
                (false, true) => series.name.clone(),
                (false, false) => Cow::Owned(stem.to_owned()),
            };
            (name, role)
        }
        // A number by another name is a number of that name.
        (_, Role::Info | Role::Total) => (series.name.clone(), Role::Value),
        _ => return Some(alone(series)),
    };
    Some(Place {
        name,
        kind: family.kind,
        role,
        is_alone: false,
    })
}

fn alone<'r>(series: &Series<'r>) -> Place<'r> {
    Place {
        name: series.name.clone(),
        kind: Kind::Unknown,
        role: Role::Value,
        is_alone: true,
    }
}

/// Looks at histograms and summaries as points: samples of one that was there first are
/// duplicates, samples of one without its count are by themselves. Returns how many were doubled.
fn points<'r>(
    page: &'r Page<'r>,
    all: &[Option<Series<'r>>],
    places: &mut [Option<Place<'r>>],
) -> usize {
    let (owners, had_count) = points_before(page);
    let mut groups: BTreeMap<Key<'_>, Group> = BTreeMap::new();
    let each = || page.samples.iter().zip(all).zip(&owners);
    for (((sample, series), owner), place) in each().zip(places.iter()) {
        if let (Some(series), Some(place)) = (series, place)
            && let Some(key) = key(sample, series, place)
        {
            let new = Group {
                owner: *owner,
                has_count: false,
            };
            let group = groups.entry(key).or_insert(new);
            group.has_count |= group.owner == *owner && place.role == Role::Count;
        }
    }
    let mut changes: Vec<Option<Change>> = Vec::with_capacity(places.len());
    for (((sample, series), owner), place) in each().zip(places.iter()) {
        let group = match (series, place) {
            (Some(series), Some(place)) => key(sample, series, place),
            _ => None,
        };
        let group = group.and_then(|key| groups.get(&key));
        let counted = had_count.get(*owner).copied().unwrap_or(false);
        changes.push(group.and_then(|group| match group.owner == *owner {
            false => Some(Change::Doubled),
            true if counted && !group.has_count => Some(Change::Alone),
            true => None,
        }));
    }
    let mut doubled = 0;
    let samples = page.samples.iter().zip(all);
    for ((change, place), (sample, series)) in changes.into_iter().zip(places).zip(samples) {
        match (change, series) {
            (Some(Change::Alone), Some(series)) => *place = Some(alone(series)),
            (Some(Change::Doubled), _) => {
                *place = None;
                // Beside a native histogram the samples are one series, counted by their count.
                let is_part = page.native_index(sample).is_some() && sample.role != Role::Count;
                doubled += usize::from(!is_part);
            }
            _ => {}
        }
    }
    doubled
}

/// What a point's place changes of a sample's.
enum Change {
    Alone,
    Doubled,
}

fn key<'s>(sample: &Sample, series: &'s Series<'_>, place: &'s Place<'_>) -> Option<Key<'s>> {
    let of_points = [Kind::GaugeHistogram, Kind::Histogram, Kind::Summary];
    let is_part = !place.is_alone && of_points.contains(&place.kind);
    let key = || {
        (
            place.name.as_ref(),
            place.kind,
            series.labels.as_slice(),
            sample.time_unix_nano,
        )
    };
    is_part.then(key)
}

/// Returns the point of the old page that each sample belongs to, and whether each has a count.
fn points_before(page: &Page<'_>) -> (Vec<usize>, Vec<bool>) {
    let mut numbers: BTreeMap<(u32, &[Label<'_>], Option<u64>), usize> = BTreeMap::new();
    let mut owners = Vec::with_capacity(page.samples.len());
    let mut had_count = Vec::new();
    for sample in &page.samples {
        let key = (sample.family, page.labels(sample), sample.time_unix_nano);
        let next = numbers.len();
        let owner = *numbers.entry(key).or_insert(next);
        if owner == had_count.len() {
            had_count.push(false);
        }
        if let Some(known) = had_count.get_mut(owner) {
            *known |= sample.role == Role::Count;
        }
        owners.push(owner);
    }
    (owners, had_count)
}

/// Places the samples that tell when points began: beside their points, with their labels.
fn created<'r>(
    page: &'r Page<'r>,
    all: &mut [Option<Series<'r>>],
    places: &mut [Option<Place<'r>>],
) {
    if !page
        .samples
        .iter()
        .any(|sample| sample.role == Role::Created)
    {
        return;
    }
    let mut points: BTreeMap<(u32, &[Label<'_>]), usize> = BTreeMap::new();
    for (index, (sample, place)) in page.samples.iter().zip(places.iter()).enumerate() {
        // Buckets and quantiles may have been placed otherwise than their point.
        let tells = !matches!(sample.role, Role::Bucket | Role::Created | Role::Quantile);
        if tells && place.as_ref().is_some_and(|place| !place.is_alone) {
            let key = (sample.family, page.labels(sample));
            let known = points.entry(key).or_insert(index);
            if sample.role == Role::Count {
                *known = index;
            }
        }
    }
    for (index, sample) in page.samples.iter().enumerate() {
        if sample.role != Role::Created {
            continue;
        }
        let point = points.get(&(sample.family, page.labels(sample)));
        let point = point.and_then(|point| {
            let (place, series) = (places.get(*point)?.clone()?, all.get(*point)?.clone()?);
            Some((place, series))
        });
        let (place, series) = match point {
            Some((place, series)) => {
                let role = Role::Created;
                (Some(Place { role, ..place }), Some(series))
            }
            None => (None, None),
        };
        if let (Some(known), Some(slot)) = (places.get_mut(index), all.get_mut(index)) {
            (*known, *slot) = (place, series);
        }
    }
}
