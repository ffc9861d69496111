//! Durations (`5s`, `1m30s`, `250ms`) and sizes (`256KiB`, `4MiB`) as configuration writes them.
//!
//! Durations are Go's, without sign and fraction: whole numbers with a unit, in falling order.
//! Sizes are bytes, or have a binary (`KiB`, `MiB`, `GiB`) or decimal unit (`kB`, `MB`, `GB`).

use std::fmt;
use std::time::Duration;

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ByteSize(pub u64);

/// Why a text is no duration or size.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UnitError {
    /// No number where one belongs.
    #[error("a number is missing")]
    Number,
    /// Units repeat or grow: write `1m30s`, not `30s1m`.
    #[error("units must fall, as in 1h2m3s")]
    Order,
    /// Larger than 64 bits of nanoseconds (584 years) or bytes.
    #[error("too large")]
    Range,
    /// No unit, or none of the known ones.
    #[error("the unit must be one of {0}")]
    Unit(&'static str),
}

const DURATION_UNITS: [(&str, u64); 7] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("µs", 1_000),
    ("ns", 1),
];
const DURATION_NAMES: &str = "h, m, s, ms, us, ns";

const SIZE_UNITS: [(&str, u64); 8] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
    ("", 1),
];
const SIZE_NAMES: &str = "B, KiB, MiB, GiB, kB, MB, GB";

/// Reads a duration such as `5s`, `1m30s`, `250ms` or `0`.
///
/// # Errors
///
/// [`UnitError`] says what is wrong with the text.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut nanos: u64 = 0;
    let mut previous = u64::MAX;
    let mut rest = text;
    loop {
        let (number, after) = leading_number(rest)?;
        let unit_len = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_len);
        let scale = scale_of(unit, &DURATION_UNITS).ok_or(UnitError::Unit(DURATION_NAMES))?;
        if scale >= previous {
            return Err(UnitError::Order);
        }
        let part = number.checked_mul(scale).ok_or(UnitError::Range)?;
        nanos = nanos.checked_add(part).ok_or(UnitError::Range)?;
        if next.is_empty() {
            return Ok(Duration::from_nanos(nanos));
        }
        (previous, rest) = (scale, next);
    }
}

/// Writes a duration as [`parse_duration`] reads it, `1m30s` for ninety seconds.
pub fn format_duration(duration: Duration) -> String {
    let mut nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    if nanos == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, scale) in DURATION_UNITS.iter().filter(|(unit, _)| *unit != "µs") {
        if nanos >= *scale {
            text.push_str(&format!("{}{unit}", nanos / scale));
            nanos %= scale;
        }
    }
    text
}

/// Reads a size such as `256KiB`, `4MiB`, `1GB` or a bare number of bytes.
///
/// # Errors
///
/// [`UnitError`] says what is wrong with the text.
pub fn parse_size(text: &str) -> Result<ByteSize, UnitError> {
    let (number, unit) = leading_number(text)?;
    let scale = scale_of(unit.trim_start(), &SIZE_UNITS).ok_or(UnitError::Unit(SIZE_NAMES))?;
    number
        .checked_mul(scale)
        .map(ByteSize)
        .ok_or(UnitError::Range)
}

/// Writes a size as [`parse_size`] reads it, in the largest unit that keeps it whole.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = SIZE_UNITS.iter().take(3);
        match binary
            .into_iter()
            .find(|(_, scale)| self.0 > 0 && self.0.is_multiple_of(*scale))
        {
            Some((unit, scale)) => write!(f, "{}{unit}", self.0 / scale),
            None => write!(f, "{}B", self.0),
        }
    }
}

fn leading_number(text: &str) -> Result<(u64, &str), UnitError> {
    let len = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(len);
    if number.is_empty() {
        return Err(UnitError::Number);
    }
    number
        .parse()
        .map(|number| (number, rest))
        .map_err(|_| UnitError::Range)
}

fn scale_of(unit: &str, units: &[(&str, u64)]) -> Option<u64> {
    units
        .iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, scale)| *scale)
}

#[cfg(test)]
mod tests;
