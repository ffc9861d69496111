//! Which recorded instances stand for a baseline and a canary, and from when: drawn by a seed.

use std::ops::Range;

use davy_gate_core::cell::CELL_SECONDS;
use davy_gate_sim::chance::Chance;

/// How many instances each arm has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Shape {
    pub(super) name: &'static str,
    pub(super) baseline: usize,
    pub(super) canary: usize,
    /// Whether the gate saw the baseline before the canary came.
    pub(super) learns: bool,
}

/// The shapes that are judged.
pub(super) const SHAPES: [Shape; 3] = [
    Shape {
        name: "8+2",
        baseline: 8,
        canary: 2,
        learns: true,
    },
    Shape {
        name: "4+1",
        baseline: 4,
        canary: 1,
        learns: true,
    },
    // A script beside two instances: what it has not seen itself it does not know.
    Shape {
        name: "1+1",
        baseline: 1,
        canary: 1,
        learns: false,
    },
];

/// Longest history and longest rollout: 15 and 30 minutes.
const HISTORY_CELLS_MAX: u64 = 15 * 60 / CELL_SECONDS;
const JUDGED_CELLS_MAX: u64 = 30 * 60 / CELL_SECONDS;

/// When rollouts of a recording may begin, and how long they are, in cells.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Span {
    /// First cells of canaries.
    pub(super) starts: Range<u64>,
    /// Cells of the baseline before.
    pub(super) history: u64,
    /// Cells until the rollout is given up.
    pub(super) judged: u64,
}

/// One rollout that might have been.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Split {
    /// Its number under the seed.
    pub(super) number: u64,
    /// Instances of the baseline, by index, ascending.
    pub(super) baseline: Vec<usize>,
    /// Those of the canary; none is in both.
    pub(super) canary: Vec<usize>,
    /// The canary's first cell.
    pub(super) start: u64,
}

impl Span {
    /// Rollouts within the cells of instances alike: up to half as long as those, after up to three
    /// tenths of history.
    pub(super) fn alike(cells: &Range<u64>) -> Self {
        let recorded = cells.end.saturating_sub(cells.start);
        let history = HISTORY_CELLS_MAX.min(recorded * 3 / 10);
        let judged = JUDGED_CELLS_MAX.min(recorded / 2);
        Self {
            starts: cells.start + history..cells.end - judged + 1,
            history,
            judged,
        }
    }

    /// Rollouts within the cells of worse instances, up to two thirds as long as those; the history
    /// may lie before.
    pub(super) fn worse(cells: &Range<u64>, history: u64) -> Self {
        let recorded = cells.end.saturating_sub(cells.start);
        let judged = JUDGED_CELLS_MAX.min(recorded * 2 / 3);
        Self {
            starts: cells.start..cells.end - judged + 1,
            history,
            judged,
        }
    }

    /// How many rollouts fit in without sharing a cell.
    pub(super) fn disjoint(&self) -> u64 {
        let whole = self.starts.end - self.starts.start + self.judged - 1;
        whole / self.judged.max(1)
    }
}

impl Split {
    /// The split `number` under `seed`: canaries out of one pool, the baseline out of what another
    /// has besides; none when a pool is too small. A pure function of its arguments.
    pub(super) fn draw(
        shape: &Shape,
        pools: (&[usize], &[usize]),
        span: &Span,
        seed: u64,
        number: u64,
    ) -> Option<Self> {
        let mut chance = Chance::new(seed, number);
        let (baselines, canaries) = pools;
        let canary = choose(shape.canary, canaries.to_vec(), &mut chance)?;
        let others = baselines.iter().filter(|pod| !canary.contains(pod));
        let baseline = choose(shape.baseline, others.copied().collect(), &mut chance)?;
        let starts = span.starts.end.checked_sub(span.starts.start)?;
        let start = span.starts.start + below(starts, &mut chance)?;
        Some(Self {
            number,
            baseline,
            canary,
            start,
        })
    }
}

/// `count` of a pool, each as likely as the others, ascending.
fn choose(count: usize, mut pool: Vec<usize>, chance: &mut Chance) -> Option<Vec<usize>> {
    let mut chosen = Vec::with_capacity(count);
    for _ in 0..count {
        let at = below(pool.len() as u64, chance)?;
        chosen.push(pool.swap_remove(usize::try_from(at).ok()?));
    }
    chosen.sort_unstable();
    Some(chosen)
}

/// One of 0 to `end` − 1, of at most 2^32 as likely as the others to 2^-20.
fn below(end: u64, chance: &mut Chance) -> Option<u64> {
    let last = end.checked_sub(1)?;
    Some(((chance.uniform() * end as f64) as u64).min(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: [usize; 10] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

    #[test]
    fn a_split_takes_each_instance_once_and_all_as_often() {
        let span = Span::alike(&(1000..1000 + 720));
        for shape in &SHAPES {
            let mut canaries = [0_u32; 10];
            let mut starts = Vec::new();
            for number in 0..2000 {
                let split = Split::draw(shape, (&TEN, &TEN), &span, 7, number).expect("a split");
                assert_eq!(split.baseline.len(), shape.baseline);
                assert_eq!(split.canary.len(), shape.canary);
                let mut all = [split.baseline.clone(), split.canary.clone()].concat();
                all.sort_unstable();
                all.dedup();
                assert_eq!(all.len(), shape.baseline + shape.canary, "{split:?}");
                split.canary.iter().for_each(|pod| canaries[*pod] += 1);
                starts.push(split.start);
            }
            // Of 2000, one in ten or five: five standard deviations.
            let expected = 200 * u32::try_from(shape.canary).expect("few");
            let near = expected - 90..expected + 90;
            assert!(canaries.iter().all(|n| near.contains(n)), "{canaries:?}");
            assert!(starts.iter().all(|start| span.starts.contains(start)));
            starts.sort_unstable();
            starts.dedup();
            assert!(starts.len() > 150, "{} starts", starts.len());
        }
    }

    #[test]
    fn the_same_number_is_the_same_split() {
        let span = Span::alike(&(0..720));
        let draw =
            |seed, number| Split::draw(&SHAPES[1], (&TEN, &TEN), &span, seed, number).expect("one");
        assert_eq!(draw(1, 5), draw(1, 5));
        assert_ne!(draw(1, 5), draw(2, 5));
        assert_ne!(
            draw(1, 5),
            Split {
                number: 5,
                ..draw(1, 6)
            }
        );
    }

    #[test]
    fn a_pool_that_is_too_small_makes_none() {
        let span = Span::alike(&(0..720));
        let draw = |pools| Split::draw(&SHAPES[0], pools, &span, 1, 1);
        assert_eq!(draw((&TEN[..9], &TEN[..9])), None);
        assert_eq!(draw((&TEN, &[10])), None);
        let split = draw((&TEN, &[10, 11])).expect("a split");
        assert_eq!(split.canary, [10, 11]);
    }

    #[test]
    fn rollouts_stay_within_what_was_recorded() {
        let check = |span: Span, expected: (Range<u64>, u64, u64, u64)| {
            let found = (
                span.starts.clone(),
                span.history,
                span.judged,
                span.disjoint(),
            );
            assert_eq!(found, expected);
        };
        // Two hours: 15 minutes of history, 30 of rollout, three of which are disjoint.
        check(Span::alike(&(100..1540)), (280..1181, 180, 360, 3));
        // Forty minutes: as much as there is of both.
        check(Span::alike(&(100..580)), (244..341, 144, 240, 1));
        check(Span::worse(&(100..460), 180), (100..221, 180, 240, 1));
    }
}
