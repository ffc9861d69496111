//! MD5, by which `hashmod` spreads series. It protects nothing; the rules ask for it.

/// Returns the last eight bytes of a text's MD5, as a number that begins with the first of them.
pub(crate) fn last_half(text: &str) -> u64 {
    let [.., a, b, c, d, e, f, g, h] = md5::compute(text).0;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the test suite of RFC 1321, appendix A.5.
    #[test]
    fn the_last_half_counts() {
        for (text, expected) in [
            ("", 0xe980_0998_ecf8_427e),
            ("message digest", 0x525a_2f31_aaf1_61d0),
        ] {
            assert_eq!(last_half(text), expected, "{text}");
        }
    }
}
