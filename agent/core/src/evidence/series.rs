//! Increments of series, whatever their temporality.

use std::collections::BTreeMap;

use super::distribution::Distribution;
use super::{Origin, Refusal};

/// Windows after which a series of an SDK that was not seen again is forgotten: 5 minutes of 5 s.
const FORGET_WINDOWS: u32 = 60;

/// A value that grows.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// A counter.
    Number(f64),
    /// A histogram.
    Distribution(Distribution),
}

impl Value {
    fn since(&self, earlier: &Self) -> Option<Self> {
        match (self, earlier) {
            (Self::Number(now), Self::Number(then)) if now >= then => {
                Some(Self::Number(now - then))
            }
            (Self::Distribution(now), Self::Distribution(then)) => {
                now.since(then).map(Self::Distribution)
            }
            _ => None,
        }
    }
}

/// One point of a series.
#[derive(Clone, Debug)]
pub(super) struct Point {
    /// Start in nanoseconds since the epoch; 0 where unknown.
    pub(super) start: u64,
    /// Time in nanoseconds since the epoch.
    pub(super) time: u64,
    /// Whether the value is an increment already.
    pub(super) delta: bool,
    /// The value.
    pub(super) value: Value,
}

/// What is known about the stream that a point belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    /// The first point of an unknown series counts in full.
    pub(super) first_counts: bool,
    /// The process was started since the last snapshot.
    pub(super) restarted: bool,
    /// Number of the observation.
    pub(super) mark: u64,
}

#[derive(Clone, Debug)]
struct Seen {
    start: u64,
    time: u64,
    value: Option<Value>,
    windows_ago: u32,
    mark: u64,
}

/// The last point of every watched series.
#[derive(Debug)]
pub(super) struct Series {
    seen: BTreeMap<(Origin, String), Seen>,
    max_series: usize,
}

impl Series {
    pub(super) fn new(max_series: usize) -> Self {
        Self {
            seen: BTreeMap::new(),
            max_series,
        }
    }

    /// Number of series watched.
    pub(super) fn len(&self) -> usize {
        self.seen.len()
    }

    /// The increment that `point` brings; none when it is the base of later ones.
    pub(super) fn advance(
        &mut self,
        key: (Origin, String),
        point: Point,
        context: Context,
    ) -> Result<Option<Value>, Refusal> {
        let Some(seen) = self.seen.get_mut(&key) else {
            if self.seen.len() >= self.max_series {
                return Err(Refusal::SeriesLimit);
            }
            let Point {
                start,
                time,
                delta,
                value,
            } = point;
            let kept = (!delta).then(|| value.clone());
            let mark = context.mark;
            self.seen.insert(
                key,
                Seen {
                    start,
                    time,
                    value: kept,
                    windows_ago: 0,
                    mark,
                },
            );
            return Ok((delta || context.first_counts).then_some(value));
        };
        (seen.windows_ago, seen.mark) = (0, context.mark);
        if point.time == seen.time && point.start == seen.start {
            return Err(Refusal::Duplicate);
        }
        let overlaps = point.delta && point.start != 0 && point.start < seen.time;
        if point.time <= seen.time || overlaps {
            return Err(Refusal::OutOfOrder);
        }
        let moved = seen.start != 0 && point.start > seen.start;
        let increment = match &seen.value {
            Some(then) if !point.delta && !moved && !context.restarted => point
                .value
                .since(then)
                .unwrap_or_else(|| point.value.clone()),
            _ => point.value.clone(),
        };
        let value = (!point.delta).then_some(point.value);
        (seen.start, seen.time, seen.value) = (point.start, point.time, value);
        Ok(Some(increment))
    }

    /// Forgets a series that was said to have ended.
    pub(super) fn forget(&mut self, key: &(Origin, String)) {
        self.seen.remove(key);
    }

    /// Forgets the series of an origin that observation `mark` did not have.
    pub(super) fn keep(&mut self, origin: Origin, mark: u64) {
        self.seen
            .retain(|(of, _), seen| *of != origin || seen.mark == mark);
    }

    /// Forgets all of an origin.
    pub(super) fn forget_origin(&mut self, origin: Origin) {
        self.seen.retain(|(of, _), _| *of != origin);
    }

    /// A window has ended.
    pub(super) fn age(&mut self) {
        for seen in self.seen.values_mut() {
            seen.windows_ago = seen.windows_ago.saturating_add(1);
        }
        self.seen.retain(|(origin, _), seen| {
            matches!(origin, Origin::Scrape { .. }) || seen.windows_ago <= FORGET_WINDOWS
        });
    }
}
