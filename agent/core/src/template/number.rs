//! Reading the value at the end of a line.

use memchr::memchr;

use crate::exposition::{plain_line, value};

/// Returns the value at the start of `text` and the bytes it takes, its line feed included; `None`
/// when the rest of the line is no number.
#[inline]
pub(super) fn read(text: &[u8]) -> Option<(f64, usize)> {
    plain_line(text).or_else(|| unusual(text))
}

/// Reads any number that the slow path reads.
#[cold]
fn unusual(text: &[u8]) -> Option<(f64, usize)> {
    let length = memchr(b'\n', text)?;
    let token = std::str::from_utf8(text.get(..length)?).ok()?;
    Some((value(token)?, length + 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str) {
        let line = format!("{text}\nnext 1\n");
        let expected = value(text).map(|value| (value.to_bits(), text.len() + 1));
        let got = read(line.as_bytes()).map(|(value, length)| (value.to_bits(), length));
        assert_eq!(got, expected, "{text}");
    }

    #[test]
    fn reads_what_the_slow_path_reads() {
        for text in [
            "0",
            "-0",
            "3690",
            "0.000367619",
            "8.1713e-05",
            "1.2345678e+07",
            "1.795503863e+09",
            "1.7955038635446744e+09",
            "9007199254740993",
            "9999999999999999999",
            "1e22",
            "1e23",
            "18446744073709551616",
            "0.1",
            "0.3",
            "1e+22",
            "1e-22",
            "1e-23",
            "9.007199254740993e+15",
            "+Inf",
            "-Inf",
            "NaN",
            "",
            ".",
            "5.",
            ".5",
            "1.5e",
            "1.5e+",
            "1e5",
            "1_000",
            "0x1p4",
            "+1",
            "1 2",
            "1\r",
            "00012",
            "1.0000000000000000000000001",
            "4.9e-324",
            "1e400",
            "1 ",
        ] {
            check(text);
        }
        assert_eq!(read(b"12"), None, "a line that does not end");
    }

    proptest! {
        #[test]
        fn any_double_as_go_prints_it(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            check(&format!("{value}"));
            check(&format!("{value:e}"));
            check(&format!("{value:e}").replace('e', "e+").replace("+-", "-"));
        }

        #[test]
        fn short_decimals(mantissa in 0u64..1 << 60, point in 0usize..19, power in -40i32..40) {
            let digits = format!("{mantissa:020}");
            let (whole, fraction) = digits.split_at(20 - point);
            let whole = whole.trim_start_matches('0');
            check(&format!("{whole}.{fraction}"));
            check(&format!("{whole}.{fraction}e{power:+03}"));
            check(&format!("{mantissa}e{power:+03}"));
        }
    }
}
