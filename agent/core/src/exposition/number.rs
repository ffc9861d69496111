//! Numbers of a page: exact `f64` values and timestamps in Unix nanoseconds.
//!
//! Go prints `3690`, `0.000367619` and `1.2345678e+07`: a whole number of up to 2⁵³ and a power of
//! ten of up to 10²², both exact as `f64`, so that one multiplication or division rounds once, as
//! exact parsing does (Clinger, "How to read floating point numbers accurately", 1990). The rest
//! goes to Eisel–Lemire. Both give the nearest `f64`, as Go's `strconv.ParseFloat` does.

/// Digits that always fit a `u64`: 10^19 − 1 < 2^64.
const FAST_DIGITS_MAX: usize = 19;
/// The powers of ten that an `f64` holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];
/// The largest whole number below which all are exact as `f64`.
const EXACT_MAX: u64 = 1 << 53;

/// Which spellings of a number are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// Go's `strconv.ParseFloat`, which the text format names: hexadecimal floats too, and `_`
    /// between digits.
    Go,
    /// The `number` of OpenMetrics's ABNF.
    OpenMetrics,
}

/// Returns the value of a number, or `None` when it is not one or beyond the range of `f64`.
pub(crate) fn float(text: &str, spelling: Spelling) -> Option<f64> {
    let bytes = text.as_bytes();
    if let Some((value, length)) = plain(bytes)
        && length == bytes.len()
    {
        return Some(value);
    }
    if spelling == Spelling::Go && memchr::memchr(b'_', bytes).is_some() {
        return float(&without_underscores(text)?, spelling);
    }
    let (negative, digits) = match bytes.first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    let magnitude = match digits.as_bytes().first()? {
        b'0'..=b'9' | b'.' => finite(digits, spelling)?,
        _ => special(digits, digits.len() != text.len())?,
    };
    Some(if negative { -magnitude } else { magnitude })
}

/// Returns the number at the start of `text` and the bytes it takes, when it is written as Go does
/// and short enough to be exact; what follows it is the caller's to look at.
#[inline]
pub(super) fn plain(text: &[u8]) -> Option<(f64, usize)> {
    let (mantissa, length) = digits(text, 0);
    match text.get(length) {
        Some(b'.' | b'e') if length > 0 => decimal(text, mantissa, length),
        // The cast rounds to nearest, ties to even, as parsing would.
        _ => (1..=FAST_DIGITS_MAX)
            .contains(&length)
            .then_some((mantissa as f64, length)),
    }
}

/// Returns the same for a number that ends its line, with the line feed.
#[inline]
pub(crate) fn plain_line(text: &[u8]) -> Option<(f64, usize)> {
    let (mantissa, length) = digits(text, 0);
    match text.get(length)? {
        b'\n' if (1..=FAST_DIGITS_MAX).contains(&length) => Some((mantissa as f64, length + 1)),
        b'.' | b'e' if length > 0 => {
            let (value, length) = decimal(text, mantissa, length)?;
            (text.get(length) == Some(&b'\n')).then_some((value, length + 1))
        }
        _ => None,
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
    if count > FAST_DIGITS_MAX || mantissa > EXACT_MAX {
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
    let power = POWERS.get(exponent.unsigned_abs() as usize)?;
    let mantissa = mantissa as f64;
    let value = if exponent < 0 {
        mantissa / power
    } else {
        mantissa * power
    };
    Some((value, at))
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

fn small_integer(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() || bytes.len() > FAST_DIGITS_MAX {
        return None;
    }
    let mut value = 0u64;
    for byte in bytes {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    Some(value)
}

/// Returns a number without its underscores, each of which must stand between two digits or after
/// the prefix `0x` (Go's syntax of numbers).
fn without_underscores(text: &str) -> Option<String> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let prefix = unsigned.get(..2).unwrap_or_default();
    let hex = prefix.eq_ignore_ascii_case("0x");
    let is_digit = |byte: u8| byte.is_ascii_digit() || (hex && byte.is_ascii_hexdigit());
    let (mut before, digits) = match hex {
        true => (true, unsigned.get(2..)?),
        false => (false, unsigned),
    };
    let mut after_underscore = false;
    for byte in digits.bytes() {
        if (byte == b'_' && !before) || (after_underscore && !is_digit(byte)) {
            return None;
        }
        after_underscore = byte == b'_';
        before = is_digit(byte);
    }
    (!after_underscore).then(|| text.replace('_', ""))
}

fn special(word: &str, signed: bool) -> Option<f64> {
    if word.eq_ignore_ascii_case("inf") || word.eq_ignore_ascii_case("infinity") {
        return Some(f64::INFINITY);
    }
    // Go and the ABNF agree that NaN has no sign.
    (word.eq_ignore_ascii_case("nan") && !signed).then_some(f64::NAN)
}

fn finite(digits: &str, spelling: Spelling) -> Option<f64> {
    let prefix = digits.get(..2);
    if spelling == Spelling::Go && prefix.is_some_and(|p| p.eq_ignore_ascii_case("0x")) {
        return hexadecimal(digits.get(2..)?);
    }
    fast_float2::parse::<f64, _>(digits)
        .ok()
        .filter(|value| value.is_finite())
}

/// Reads `1F.8p-3` after its `0x`: a mantissa of any length, and an exponent that must be there
/// (Go: "hexadecimal mantissa requires a 'p' exponent").
fn hexadecimal(text: &str) -> Option<f64> {
    let at = text.find(['p', 'P'])?;
    let (mantissa, exponent) = (text.get(..at)?, text.get(at + 1..)?);
    let mut value = 0u64;
    let (mut shift, mut point, mut digits) = (0i64, false, 0usize);
    for c in mantissa.chars() {
        if c == '.' && !point {
            point = true;
            continue;
        }
        let digit = u64::from(c.to_digit(16)?);
        digits += 1;
        if value >> 60 == 0 {
            value = value << 4 | digit;
            shift -= if point { 4 } else { 0 };
        } else {
            // Beyond 64 bits only stickiness matters for rounding.
            value |= u64::from(digit != 0);
            shift += if point { 0 } else { 4 };
        }
    }
    let exponent = binary_exponent(exponent)?;
    if digits == 0 {
        return None;
    }
    nearest(value, shift.saturating_add(exponent))
}

/// Reads an exponent; beyond 10,000 only its sign matters.
fn binary_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let significant = digits.trim_start_matches('0');
    let magnitude = match significant.len() {
        0 => 0,
        1..=4 => significant.parse().ok()?,
        _ => 10_000,
    };
    Some(if text.starts_with('-') {
        -magnitude
    } else {
        magnitude
    })
}

/// Returns the `f64` nearest to `value × 2^exponent`, ties to even, or `None` beyond its range.
fn nearest(value: u64, exponent: i64) -> Option<f64> {
    if value == 0 {
        return Some(0.0);
    }
    let lead = i64::from(value.leading_zeros());
    let (value, exponent) = (value << lead, exponent - lead);
    // The power of two of the first bit; below −1022 there are fewer bits than 53.
    let first = exponent + 63;
    let bits = (53 + (first + 1022).min(0)).max(-1);
    let dropped = (64 - bits) as u32;
    let kept = value.checked_shr(dropped).unwrap_or(0);
    let rest = u128::from(value) & ((1u128 << dropped) - 1);
    let half = 1u128 << (dropped - 1);
    let up = rest > half || (rest == half && kept & 1 == 1);
    let rounded = (kept + u64::from(up)) as f64;
    let result = scale(rounded, exponent.checked_add(i64::from(dropped))?);
    result.is_finite().then_some(result)
}

/// Returns `value × 2^exponent`, in steps that stay within the range of `f64`.
fn scale(mut value: f64, mut exponent: i64) -> f64 {
    while exponent != 0 && value != 0.0 && value.is_finite() {
        let step = exponent.clamp(-1000, 1000);
        value *= 2f64.powi(step as i32);
        exponent -= step;
    }
    value
}

/// Reads an integer of milliseconds (text format); Unix nanoseconds, which may be negative.
pub(crate) fn milliseconds(text: &str) -> Option<i128> {
    let value: i64 = text.parse().ok()?;
    Some(i128::from(value) * 1_000_000)
}

/// Reads seconds with a fraction (OpenMetrics); Unix nanoseconds, which may be negative.
/// A decimal fraction is read digit by digit: an `f64` of the present has no nanoseconds.
pub(crate) fn seconds(text: &str) -> Option<i128> {
    if let Some(exact) = decimal_seconds(text) {
        return Some(exact);
    }
    let value = float(text, Spelling::OpenMetrics).filter(|value| value.is_finite())?;
    // Beyond this no `i128` of nanoseconds is exact, and OTLP holds no such time anyway.
    (value.abs() < 1e18).then(|| {
        let whole = value.floor();
        let nanos = ((value - whole) * 1e9).round();
        whole as i128 * 1_000_000_000 + nanos as i128
    })
}

fn decimal_seconds(text: &str) -> Option<i128> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1, text.get(1..)?),
        b'+' => (1, text.get(1..)?),
        _ => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = small_integer(whole.as_bytes())?;
    let mut nanos = 0u64;
    if !fraction.is_empty() {
        if !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let shown = fraction.get(..fraction.len().min(9))?;
        nanos = small_integer(shown.as_bytes())? * 10u64.pow(9 - shown.len() as u32);
    }
    Some(sign * (i128::from(whole) * 1_000_000_000 + i128::from(nanos)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<f64>) {
        let got = float(text, Spelling::Go);
        assert_eq!(got.map(f64::to_bits), expected.map(f64::to_bits), "{text}");
    }

    #[test]
    fn values() {
        check("0", Some(0.0));
        check("-0", Some(-0.0));
        check("3690", Some(3690.0));
        check("9999999999999999999", Some(1e19));
        check("9007199254740993", Some(9_007_199_254_740_992.0));
        check("18446744073709551616", Some(18_446_744_073_709_551_616.0));
        check("+1.5", Some(1.5));
        check(".5", Some(0.5));
        check("5.", Some(5.0));
        check("1.7955038635446744e+09", Some(1.795_503_863_544_674_4e9));
        check("4.9e-324", Some(5e-324));
        check("1.7976931348623157e308", Some(f64::MAX));
        check("1e400", None);
        check("NaN", Some(f64::NAN));
        check("nan", Some(f64::NAN));
        check("+NaN", None);
        check("+Inf", Some(f64::INFINITY));
        check("-inf", Some(f64::NEG_INFINITY));
        check("Infinity", Some(f64::INFINITY));
        check("0x1F.8p-3", Some(3.9375));
        check("0x1p-1074", Some(5e-324));
        check("0x1", None);
        check("0x0p5", Some(0.0));
        check("0x1p-99999999999", Some(0.0));
        check("0x1p99999999999", None);
        check("0x1p-1075", Some(0.0));
        check("0x1.8p-1075", Some(5e-324));
        check("0x1.fffffffffffff8p1023", None);
        check("1_000", Some(1000.0));
        check("0x_1F.8_0p-3", Some(3.9375));
        for word in [
            "", "-", "+", ".", "e5", "1e", "1__0", "_1", "1_", "1_.5", "1e_5", "0x1p_3", "1 ",
            "--1", "infinit", "0xp1", "½",
        ] {
            check(word, None);
        }
    }

    #[test]
    fn timestamps() {
        assert_eq!(
            milliseconds("1395066363000"),
            Some(1_395_066_363_000_000_000)
        );
        assert_eq!(milliseconds("-3982045"), Some(-3_982_045_000_000));
        assert_eq!(milliseconds("1.5"), None);
        assert_eq!(seconds("1520879607.789"), Some(1_520_879_607_789_000_000));
        assert_eq!(
            seconds("1604676851.123456789"),
            Some(1_604_676_851_123_456_789)
        );
        assert_eq!(seconds("1.604676851e9"), Some(1_604_676_851_000_000_000));
        assert_eq!(seconds("-1.5"), Some(-1_500_000_000));
        assert_eq!(seconds("0"), Some(0));
        assert_eq!(seconds("NaN"), None);
        assert_eq!(seconds("1e300"), None);
    }
}
