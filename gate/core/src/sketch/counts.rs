//! Arithmetic of counts by bucket: none goes beyond a `u64`'s ends, as `saturating_add` has it.
//!
//! Counts are far from those ends, so all are added without asking, with a note of their highest
//! bits, and once more where one was near an end: a compiler turns that into vector instructions,
//! which a look at each is not.

/// Whether all are below 2^`bits`.
pub(super) fn below(bits: u32, counts: &[u64]) -> bool {
    counts.iter().fold(0, |any, count| any | count) >> bits == 0
}

/// Adds place by place; what is longer is left out.
pub(super) fn add(sums: &mut [u64], counts: &[u64]) {
    let len = sums.len().min(counts.len());
    let (sums, counts) = (&mut sums[..len], &counts[..len]);
    // Two numbers below 2^63 have a sum below 2^64.
    let mut any = 0;
    for (sum, count) in sums.iter_mut().zip(counts) {
        any |= *sum | count;
        *sum = sum.wrapping_add(*count);
    }
    if any >> 63 != 0 {
        for (sum, count) in sums.iter_mut().zip(counts) {
            *sum = sum.wrapping_sub(*count).saturating_add(*count);
        }
    }
}

/// Takes away place by place; what is longer is left out.
pub(super) fn subtract(sums: &mut [u64], counts: &[u64]) {
    let len = sums.len().min(counts.len());
    let (sums, counts) = (&mut sums[..len], &counts[..len]);
    // Of numbers below 2^63 a difference below 0 has the highest bit set.
    let mut any = 0;
    for (sum, count) in sums.iter_mut().zip(counts) {
        let difference = sum.wrapping_sub(*count);
        any |= *sum | count | difference;
        *sum = difference;
    }
    if any >> 63 != 0 {
        for (sum, count) in sums.iter_mut().zip(counts) {
            *sum = sum.wrapping_add(*count).saturating_sub(*count);
        }
    }
}

/// Sum of them.
pub(super) fn sum(counts: &[u64]) -> u64 {
    // As many as 2^12 numbers below 2^51 stay below 2^63.
    if counts.len() <= 1 << 12 && below(51, counts) {
        counts.iter().sum()
    } else {
        counts
            .iter()
            .fold(0, |sum: u64, &count| sum.saturating_add(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guarantees: at both ends of a `u64` too each count is what saturating arithmetic gives.
    #[test]
    fn agrees_with_saturating_arithmetic() {
        let ends = [0, 1, 5, 1 << 50, 1 << 62, 1 << 63, u64::MAX - 1, u64::MAX];
        for first in ends {
            for second in ends {
                for rest in [0, 7, u64::MAX] {
                    let (a, b) = ([3, first, rest, 9], [2, second, 4]);
                    let (mut more, mut less) = (a, a);
                    add(&mut more, &b);
                    subtract(&mut less, &b);
                    let each =
                        |of: fn(u64, u64) -> u64| [of(3, 2), of(first, second), of(rest, 4), 9];
                    assert_eq!(
                        more,
                        each(u64::saturating_add),
                        "{first} + {second}, {rest}"
                    );
                    assert_eq!(
                        less,
                        each(u64::saturating_sub),
                        "{first} - {second}, {rest}"
                    );
                    let all = [first, second, rest];
                    let expected = all.iter().fold(0u64, |sum, &x| sum.saturating_add(x));
                    assert_eq!(sum(&all), expected, "{all:?}");
                }
            }
        }
    }
}
