//! What is remembered of a pod's series: which intervals were counted, and the last total.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use davy_proto::UnixNanos;
use davy_proto::indicator::Protocol;
use davy_proto::limits::WINDOW_SECONDS_MAX;

use super::choice::Role;
use super::point::{Point, Temporality, Value, difference};
use super::{Refusal, Settings};

/// Intervals remembered of a delta series: over five minutes of 5 s windows, longer than any sender
/// holds back.
const INTERVALS_MAX: usize = 64;

/// All that is remembered of one pod.
#[derive(Debug, Default)]
pub(super) struct PodState {
    pub(super) last_seen: UnixNanos,
    /// The best rank seen for each role, and when it was.
    pub(super) ranks: BTreeMap<Role, (usize, UnixNanos)>,
    /// Protocols whose histograms carry a status.
    pub(super) status_seen: BTreeSet<Protocol>,
    series: BTreeMap<String, Series>,
    /// Start and time of each metric's last snapshot.
    snapshots: BTreeMap<String, (UnixNanos, UnixNanos)>,
}

#[derive(Debug)]
enum Series {
    Cumulative {
        start: UnixNanos,
        end: UnixNanos,
        value: Value,
    },
    Delta(Intervals),
}

/// Intervals that were counted, by start.
#[derive(Debug, Default)]
struct Intervals {
    seen: VecDeque<(UnixNanos, UnixNanos)>,
    /// What begins before it is no longer remembered.
    floor: UnixNanos,
}

impl PodState {
    /// How many series are remembered.
    pub(super) fn len(&self) -> usize {
        self.series.len()
    }

    /// Remembers when each metric was collected.
    pub(super) fn collected(&mut self, times: &BTreeMap<&str, (UnixNanos, UnixNanos)>) {
        for (metric, times) in times {
            let known = self.snapshots.entry((*metric).to_owned()).or_insert(*times);
            if times.1 > known.1 {
                *known = *times;
            }
        }
    }

    /// The increment that a point stands for, counted once.
    pub(super) fn count<'p>(
        &mut self,
        key: String,
        point: Point<'p>,
        settings: &Settings,
    ) -> Result<Point<'p>, Refusal> {
        match point.temporality {
            Temporality::Gauge => Ok(point),
            _ if !self.series.contains_key(&key) && self.len() >= settings.pod_series_max => {
                Err(Refusal::TooManySeries)
            }
            Temporality::Delta => self.delta(key, point),
            Temporality::Cumulative => self.cumulative(key, point, settings),
        }
    }

    fn delta<'p>(&mut self, key: String, point: Point<'p>) -> Result<Point<'p>, Refusal> {
        if point.start == UnixNanos::default() {
            return Err(Refusal::NoStart);
        }
        check_period(point.start, point.end)?;
        let series = self
            .series
            .entry(key)
            .or_insert_with(|| Series::Delta(Intervals::default()));
        if let Series::Cumulative { .. } = series {
            *series = Series::Delta(Intervals::default());
        }
        match series {
            Series::Delta(intervals) => intervals.insert(point.start, point.end)?,
            Series::Cumulative { .. } => return Err(Refusal::Temporality),
        }
        Ok(point)
    }

    fn cumulative<'p>(
        &mut self,
        key: String,
        point: Point<'p>,
        settings: &Settings,
    ) -> Result<Point<'p>, Refusal> {
        let metric = key.split('\u{1f}').nth(1).unwrap_or_default();
        let snapshot = self.snapshots.get(metric).copied();
        let counted = match self.series.get(&key) {
            Some(Series::Cumulative { start, end, value }) => {
                if point.end < *end {
                    return Err(Refusal::OutOfOrder);
                }
                if point.end == *end {
                    return Err(Refusal::Duplicate);
                }
                Ok(increment(&point, (*start, *end), value))
            }
            _ => first(&point, snapshot, settings),
        };
        let Point {
            start,
            end,
            attributes,
            temporality,
            value,
        } = point;
        self.series
            .insert(key, Series::Cumulative { start, end, value });
        let (start, value) = counted?;
        check_period(start, end)?;
        Ok(Point {
            start,
            end,
            attributes,
            temporality,
            value,
        })
    }
}

impl Intervals {
    fn insert(&mut self, start: UnixNanos, end: UnixNanos) -> Result<(), Refusal> {
        if self.seen.contains(&(start, end)) {
            return Err(Refusal::Duplicate);
        }
        if start < self.floor {
            return Err(Refusal::TooOld);
        }
        if self.seen.iter().any(|(s, e)| start < *e && *s < end) {
            return Err(Refusal::Overlap);
        }
        let at = self.seen.partition_point(|(s, _)| *s < start);
        self.seen.insert(at, (start, end));
        if self.seen.len() > INTERVALS_MAX
            && let Some((_, end)) = self.seen.pop_front()
        {
            self.floor = end;
        }
        Ok(())
    }
}

/// Since when and how much a known series grew.
fn increment(
    point: &Point<'_>,
    before: (UnixNanos, UnixNanos),
    older: &Value,
) -> (UnixNanos, Value) {
    let (start, end) = before;
    let restarted = point.start != start && point.start > UnixNanos::default();
    let grown = if restarted {
        None
    } else {
        difference(&point.value, older)
    };
    match grown {
        Some(value) => (end, value),
        // After a reset the value counts from zero, since the reset when its time is known.
        None if restarted => (end.max(point.start), point.value.clone()),
        None => (end, point.value.clone()),
    }
}

/// A first point counts when it can't hold anything older than one window.
fn first(
    point: &Point<'_>,
    snapshot: Option<(UnixNanos, UnixNanos)>,
    settings: &Settings,
) -> Result<(UnixNanos, Value), Refusal> {
    let known = point.start > UnixNanos::default() && point.start < point.end;
    match snapshot {
        // The snapshot before, of the same process, did not have this series.
        Some((start, end)) if known && start == point.start && end < point.end => {
            return Ok((end, point.value.clone()));
        }
        Some((_, end)) if known && point.start >= end => {
            return Ok((point.start, point.value.clone()));
        }
        _ => {}
    }
    if known && point.end.since(point.start) <= settings.window {
        Ok((point.start, point.value.clone()))
    } else {
        Err(Refusal::FirstPoint)
    }
}

fn check_period(start: UnixNanos, end: UnixNanos) -> Result<(), Refusal> {
    let length = end.since(start);
    let right = end > start && length.as_secs() < WINDOW_SECONDS_MAX;
    if right { Ok(()) } else { Err(Refusal::Period) }
}
