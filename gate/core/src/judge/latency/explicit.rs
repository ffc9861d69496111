//! The ratio of quantiles where buckets are explicit.
//!
//! Bounds can't be moved by a ratio, but they can be compared with each other: "the canary is
//! above bound b_j no more often than the baseline above b_i" is what a canary that is at most
//! b_j/b_i times slower there must fulfil. So at a ratio r of the ladder, with the baseline at its
//! threshold b_i:
//!
//! * harm compares the canary at the lowest b_j ≥ r·b_i. If it is above that more often than the
//!   baseline above b_i, it is more than r times slower.
//! * safety compares it at the highest b_j ≤ r·b_i. If it is above that less often, it is less
//!   than r times slower.
//!
//! Rounding outwards keeps both true and makes them coarse: between two bounds nothing is told
//! apart, so equal arms get the ratio of the next bound to the threshold as their `high`. Where
//! there is no bound to compare with nothing is said: no `high` when the threshold is the highest
//! bound, for what lies beyond it is in the open bucket.
//!
//! Source: docs/statistics.md, section 3, with the shift of 5.1 replaced by a pair of bounds; the
//! quantile is that of the bound nearest the objective's (section 5.5).

/// Bounds are the same when they differ by less than this share: they are written in decimals.
const SAME: f64 = 1e-9;

/// The index of the bound at which the canary is compared for a ratio, of `bounds` in seconds, the
/// baseline being compared at the bound of index `edge`.
pub(super) fn bound_beyond(bounds: &[f64], edge: i32, ratio: f64, harm: bool) -> Option<i32> {
    let edge = usize::try_from(edge).ok()?;
    let wanted = bounds.get(edge)? * ratio;
    let found = if harm {
        let lower = bounds.partition_point(|&bound| bound < wanted * (1.0 - SAME));
        (lower < bounds.len()).then_some(lower)?
    } else {
        if edge + 1 == bounds.len() {
            return None;
        }
        let not_above = bounds.partition_point(|&bound| bound <= wanted * (1.0 + SAME));
        not_above.checked_sub(1)?
    };
    i32::try_from(found).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_rounded_outwards_to_what_the_bounds_offer() {
        let bounds = [0.1, 0.2, 0.25, 0.5, 1.0];
        let check = |edge, ratio, harm, expected: Option<f64>| {
            let found = bound_beyond(&bounds, edge, ratio, harm);
            let found = found.map(|index| bounds[index as usize]);
            assert_eq!(found, expected, "{edge}, {ratio}, {harm}");
        };
        check(1, 1.0, true, Some(0.2));
        check(1, 1.1, true, Some(0.25));
        check(1, 1.25, true, Some(0.25));
        check(1, 1.35, true, Some(0.5));
        check(1, 0.5, true, Some(0.1));
        check(1, 0.35, true, Some(0.1));
        check(1, 6.0, true, None);
        check(1, 1.2, false, Some(0.2));
        check(1, 1.25, false, Some(0.25));
        check(1, 2.4, false, Some(0.25));
        check(1, 5.0, false, Some(1.0));
        check(4, 2.0, false, None);
        check(4, 1.0, true, Some(1.0));
        check(4, 1.1, true, None);
        check(-1, 1.0, true, None);
    }
}
