//! Whether a text goes on as it did.
//!
//! Inline and 32 bytes at a time, since musl's `memcmp` goes byte by byte: there a walk along a
//! page would take some times as long, and so would reading it.

/// Returns what stands behind `literal`, when the text begins with it.
#[inline]
pub(crate) fn behind<'t>(text: &'t [u8], literal: &[u8]) -> Option<&'t [u8]> {
    let (begin, rest) = text.split_at_checked(literal.len())?;
    is_same(begin, literal).then_some(rest)
}

/// Returns whether two slices of the same length are the same.
#[inline]
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let (ones, _) = one.as_chunks::<32>();
    let (others, _) = other.as_chunks::<32>();
    if ones.iter().zip(others).any(|(one, other)| one != other) {
        return false;
    }
    // What is left is compared with bytes before it once more, or piece by piece in a short text.
    match (one.last_chunk::<32>(), other.last_chunk::<32>()) {
        (Some(one), Some(other)) => one == other,
        _ => is_same_short::<16>(one, other).unwrap_or_else(|| {
            is_same_short::<8>(one, other)
                .or_else(|| is_same_short::<4>(one, other))
                .unwrap_or_else(|| one.iter().eq(other))
        }),
    }
}

/// Compares slices of N to 2 N bytes by their first and last N; none when they are shorter.
#[inline]
fn is_same_short<const N: usize>(one: &[u8], other: &[u8]) -> Option<bool> {
    let first = one.first_chunk::<N>()? == other.first_chunk::<N>()?;
    Some(first && one.last_chunk::<N>()? == other.last_chunk::<N>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guarantees: any byte that differs is seen, whatever the length.
    #[test]
    fn every_byte_counts() {
        let text: Vec<u8> = (0..140_u32).map(|at| (at * 3 % 251) as u8).collect();
        for length in 0..text.len() {
            let literal = &text[..length];
            assert_eq!(behind(&text, literal), Some(&text[length..]));
            assert_eq!(behind(literal, &text), None);
            for at in 0..length {
                let mut other = literal.to_vec();
                other[at] ^= 1;
                assert_eq!(behind(&text, &other), None, "{length} bytes, {at}");
            }
        }
    }
}
