//! Reading the value at the end of a line.
//!
//! Go prints `3690`, `0.000367619` and `1.2345678e+07`: a whole number of up to 2⁵³ and a power of
//! ten of up to 10²², both exact as `f64`, so that one multiplication or division rounds once, as
//! exact parsing does (Clinger, "How to read floating point numbers accurately", 1990). All else
//! goes to the parser of the slow path.

use memchr::memchr;

use crate::exposition::value;

/// The powers of ten that an `f64` holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];
/// The largest whole number below which all are exact as `f64`.
const EXACT_MAX: u64 = 1 << 53;
/// Digits that always fit a `u64`.
const DIGITS_MAX: usize = 19;

/// Returns the value at the start of `text` and the bytes it takes, its line feed included; `None`
/// when the rest of the line is no number.
#[inline]
pub(super) fn read(text: &[u8]) -> Option<(f64, usize)> {
    let (mantissa, length) = digits(text, 0);
    match text.get(length) {
        // The cast rounds to nearest, ties to even, as parsing would.
        Some(b'\n') if (1..=DIGITS_MAX).contains(&length) => Some((mantissa as f64, length + 1)),
        Some(b'.' | b'e') if length > 0 => {
            decimal(text, mantissa, length).or_else(|| unusual(text))
        }
        _ => unusual(text),
    }
}

/// Reads on after the digits before the point.
#[inline]
fn decimal(text: &[u8], mantissa: u64, length: usize) -> Option<(f64, usize)> {
    let (mut mantissa, mut at, mut exponent, mut count) = (mantissa, length, 0i32, length);
    if text.get(at) == Some(&b'.') {
        let (value, end) = digits(text.get(at + 1..)?, mantissa);
        (mantissa, at, count) = (value, at + 1 + end, count + end);
        exponent = -(end as i32);
        if end == 0 {
            return None;
        }
    }
    if count > DIGITS_MAX || mantissa > EXACT_MAX {
        return None;
    }
    if text.get(at) == Some(&b'e') {
        let sign = text.get(at + 1)?;
        let (power, end) = digits(text.get(at + 2..)?, 0);
        if !matches!(sign, b'+' | b'-') || !(1..=3).contains(&end) {
            return None;
        }
        let power = power as i32;
        exponent += if *sign == b'-' { -power } else { power };
        at += 2 + end;
    }
    if text.get(at) != Some(&b'\n') {
        return None;
    }
    let power = POWERS.get(exponent.unsigned_abs() as usize)?;
    let mantissa = mantissa as f64;
    let value = if exponent < 0 {
        mantissa / power
    } else {
        mantissa * power
    };
    Some((value, at + 1))
}

/// Reads digits onto `value`; returns the number, wrapped around when there are too many, and how
/// many digits there were.
#[inline]
fn digits(text: &[u8], mut value: u64) -> (u64, usize) {
    let mut length = 0;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        length += 1;
    }
    (value, length)
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
