//! Stamps of log lines: RFC 3339 and its relatives, Go's `log`, klog's, numbers since the epoch.

use std::fmt::Write as _;

use davy_proto::UnixNanos;
use opentelemetry_proto::tonic::common::v1::any_value::Value;

/// A fixed offset from UTC, for stamps that name none.
///
/// Names of zones would need their database; a sidecar's file system has none.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Zone {
    /// Minutes east of UTC, −1439 to 1439.
    minutes: i32,
}

/// Why a text is no zone.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not UTC and no offset such as +02:00")]
pub struct ZoneError;

impl Zone {
    /// Reads `UTC`, `Z`, or an offset such as `+02:00` or `-0330`.
    ///
    /// # Errors
    ///
    /// [`ZoneError`] for everything else.
    pub fn parse(text: &str) -> Result<Self, ZoneError> {
        if text == "UTC" {
            return Ok(Self::default());
        }
        match offset(text) {
            Some((minutes, "")) => Ok(Self { minutes }),
            _ => Err(ZoneError),
        }
    }
}

/// Seconds before 1973 and numbers beyond nanoseconds are no stamps: `"time": 0.25` is a duration.
const SECONDS_MIN: u64 = 100_000_000;

/// The instant that a value is: a date, or a number since the epoch.
pub(super) fn of_value(value: &Value, zone: Zone) -> Option<UnixNanos> {
    match value {
        Value::StringValue(text) => match stamp(text, zone) {
            Some((at, "")) => Some(at),
            _ => number(text),
        },
        Value::IntValue(since) => number(&since.to_string()),
        // Rust prints the shortest text that reads back the same, which is what was written.
        Value::DoubleValue(since) => number(&since.to_string()),
        _ => None,
    }
}

/// A number since the epoch; seconds, milliseconds, microseconds or nanoseconds by magnitude,
/// with its fraction.
pub(super) fn number(text: &str) -> Option<UnixNanos> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let nanos_per_unit = match whole {
        0..SECONDS_MIN => return None,
        SECONDS_MIN..100_000_000_000 => 1_000_000_000,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        _ => 1,
    };
    let mut nanos = whole.checked_mul(nanos_per_unit)?;
    let mut unit = nanos_per_unit;
    for digit in fraction.bytes() {
        unit /= 10;
        nanos = nanos.checked_add(u64::from(digit - b'0') * unit)?;
    }
    Some(UnixNanos::new(nanos))
}

/// The stamp at the start of `text`, and what follows it.
///
/// Reads `2006-01-02T15:04:05.999999999Z07:00`, with a blank for the `T`, slashes in the date, a
/// comma before the fraction, an offset without colon, or none at all.
pub(super) fn stamp(text: &str, zone: Zone) -> Option<(UnixNanos, &str)> {
    let (date_time, rest) = text.split_at_checked(19)?;
    let mut canonical = String::with_capacity(40);
    for (index, byte) in date_time.bytes().enumerate() {
        let fits = match index {
            4 | 7 => byte == b'-' || byte == b'/',
            10 => byte == b'T' || byte == b't' || byte == b' ',
            13 | 16 => byte == b':',
            _ => byte.is_ascii_digit(),
        };
        if !fits {
            return None;
        }
        canonical.push(match index {
            4 | 7 => '-',
            10 => 'T',
            _ => char::from(byte),
        });
    }
    let (minutes, rest) = finish(&mut canonical, rest, zone);
    push_offset(&mut canonical, minutes);
    let at = UnixNanos::parse_rfc3339(&canonical).ok()?;
    Some((at, rest))
}

/// klog's stamp, `0102 15:04:05.678901`, in the nearest year past, and what follows it.
///
/// A stamp up to a day ahead counts as past: clocks differ, and klog writes local time. On the last
/// day of a year that may be the next one.
pub(super) fn klog(text: &str, zone: Zone, observed: UnixNanos) -> Option<(UnixNanos, &str)> {
    let (month, rest) = text.split_at_checked(2)?;
    let (day, rest) = rest.split_at_checked(2)?;
    let (clock, rest) = rest.strip_prefix(' ')?.split_at_checked(8)?;
    let latest = observed.plus(DAY);
    let year: i32 = observed.to_string().get(..4)?.parse().ok()?;
    // 29 February may lie eight years back.
    (-1..=8).find_map(|back| {
        let mut canonical = format!("{:04}-{month}-{day}T{clock}", year - back);
        let (minutes, rest) = finish(&mut canonical, rest, zone);
        push_offset(&mut canonical, minutes);
        let at = UnixNanos::parse_rfc3339(&canonical).ok()?;
        (at <= latest).then_some((at, rest))
    })
}

const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

/// Appends the fraction in `text` and returns the offset in minutes and what follows both.
fn finish<'a>(canonical: &mut String, text: &'a str, zone: Zone) -> (i32, &'a str) {
    let mut rest = text;
    if let Some(after) = text.strip_prefix(['.', ',']) {
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        // More than nine digits are cut: there is nothing below the nanosecond.
        if let (Some(kept), Some(behind)) = (after.get(..digits.min(9)), after.get(digits..))
            && digits > 0
        {
            canonical.push('.');
            canonical.push_str(kept);
            rest = behind;
        }
    }
    let spaced = rest
        .strip_prefix(' ')
        .filter(|spaced| spaced.starts_with(['+', '-']));
    match offset(rest).or_else(|| spaced.and_then(offset)) {
        Some((minutes, rest)) => (minutes, rest),
        None => (zone.minutes, rest),
    }
}

/// The offset at the start of `text` in minutes east, and what follows it.
fn offset(text: &str) -> Option<(i32, &str)> {
    if let Some(rest) = text.strip_prefix(['Z', 'z']) {
        return Some((0, rest));
    }
    let sign = match text.bytes().next()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, rest) = text.get(1..)?.split_at_checked(2)?;
    let rest = rest.strip_prefix(':').unwrap_or(rest);
    let (minutes, rest) = rest.split_at_checked(2)?;
    let two = |text: &str| -> Option<i32> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        if digits { text.parse().ok() } else { None }
    };
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    (hours < 24 && minutes < 60).then_some((sign * (hours * 60 + minutes), rest))
}

fn push_offset(canonical: &mut String, minutes: i32) {
    let sign = if minutes < 0 { '-' } else { '+' };
    let minutes = minutes.abs();
    // Writing to a string can't fail.
    let _ = write!(canonical, "{sign}{:02}:{:02}", minutes / 60, minutes % 60);
}

#[cfg(test)]
mod tests;
