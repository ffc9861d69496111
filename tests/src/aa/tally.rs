//! Verdicts counted: shares with exact 95 % intervals, and how long it took.

use davy_gate_sim::tally::Share;
use davy_proto::verdict::Verdict;
use serde::Serialize;

use super::judge::Judged;

/// What was said of many splits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Tally {
    pub(super) splits: u64,
    pub(super) rolled_back: Share,
    pub(super) approved: Share,
    pub(super) undecided: Share,
    /// Median seconds to the verdict, of the splits that were approved or rolled back.
    pub(super) median_seconds: Option<u64>,
    /// The ninth of ten deciles of the same.
    pub(super) p90_seconds: Option<u64>,
}

impl Tally {
    pub(super) fn of<'a>(judged: impl IntoIterator<Item = &'a Judged>) -> Self {
        let (mut n, mut counts, mut times) = (0, [0_u64; 3], Vec::new());
        for judged in judged {
            n += 1;
            match judged.verdict {
                Verdict::Rollback => counts[0] += 1,
                Verdict::Approve => counts[1] += 1,
                Verdict::Undecided => counts[2] += 1,
            }
            if judged.verdict != Verdict::Undecided {
                times.push(judged.seconds);
            }
        }
        times.sort_unstable();
        let quantile = |q: f64| times.get((q * times.len() as f64) as usize).copied();
        let [rolled_back, approved, undecided] = counts.map(|count| Share::of(count, n));
        Self {
            splits: n,
            rolled_back,
            approved,
            undecided,
            median_seconds: quantile(0.5),
            p90_seconds: quantile(0.9),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aa::split::Split;

    fn judged(verdict: Verdict, seconds: u64) -> Judged {
        Judged {
            split: Split {
                number: 0,
                baseline: vec![0],
                canary: vec![1],
                start: 1,
            },
            verdict,
            seconds,
            reason: String::new(),
        }
    }

    #[test]
    fn verdicts_are_counted_with_exact_intervals() {
        let mut all = vec![judged(Verdict::Undecided, 1800); 5];
        all.extend((1..=94).map(|n| judged(Verdict::Approve, 5 * n)));
        all.push(judged(Verdict::Rollback, 10_000));
        let tally = Tally::of(&all);
        assert_eq!(tally.splits, 100);
        let counts = [&tally.rolled_back, &tally.approved, &tally.undecided].map(|s| s.runs);
        assert_eq!(counts, [1, 94, 5]);
        // R: binom.test(1, 100)$conf.int
        let Share { low, high, .. } = tally.rolled_back;
        assert!((low - 0.000_253_146).abs() < 1e-8, "{low}");
        assert!((high - 0.054_459_4).abs() < 1e-6, "{high}");
        assert_eq!(tally.median_seconds, Some(240));
        assert_eq!(tally.p90_seconds, Some(430));
    }

    #[test]
    fn nothing_decided_has_no_time() {
        let tally = Tally::of(&[judged(Verdict::Undecided, 1800)]);
        assert_eq!((tally.median_seconds, tally.p90_seconds), (None, None));
        assert_eq!(Tally::of(&[]).rolled_back.high, 1.0);
    }
}
