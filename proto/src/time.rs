//! Instants: nanoseconds since the Unix epoch, written as RFC 3339 in UTC.
//!
//! Sixty lines instead of a date crate: both programs need exactly one format, and no time zone
//! but UTC is ever written. Reading accepts any numeric offset, as RFC 3339 has it. The calendar
//! arithmetic is Howard Hinnant's (*chrono-compatible low-level date algorithms*).

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const NANOS: u64 = 1_000_000_000;
const DAY_SECONDS: i64 = 86_400;

/// An instant in nanoseconds since 1970-01-01T00:00:00Z; reaches to the year 2554.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UnixNanos(u64);

/// Why a text is no instant.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TimeError {
    /// Not of the form `2026-11-24T10:00:00Z`.
    #[error("not an RFC 3339 time such as 2026-11-24T10:00:00Z")]
    Form,
    /// Well formed, but before 1970 or after 2554, or not a day of the calendar.
    #[error("time out of range")]
    Range,
}

impl UnixNanos {
    /// The instant `nanos` nanoseconds after the epoch.
    pub const fn new(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The instant `seconds` seconds after the epoch; saturates in the year 2554.
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(NANOS))
    }

    /// Nanoseconds since the epoch.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn seconds(self) -> u64 {
        self.0 / NANOS
    }

    /// Time passed since `earlier`; zero when it lies ahead.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The instant `duration` later; saturates.
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos_of(duration)))
    }

    /// The instant `duration` earlier; saturates at the epoch.
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(nanos_of(duration)))
    }

    /// The latest multiple of `step` since the epoch that is not after this instant; the instant
    /// itself when `step` is zero.
    pub fn floor(self, step: Duration) -> Self {
        match nanos_of(step) {
            0 => self,
            step => Self(self.0 - self.0 % step),
        }
    }

    /// Reads an RFC 3339 time, of any offset and up to nine digits after the second.
    ///
    /// # Errors
    ///
    /// [`TimeError`] when the text is not of that form or the instant can't be represented.
    pub fn parse_rfc3339(text: &str) -> Result<Self, TimeError> {
        let (date_time, fraction, offset_seconds) = split(text).ok_or(TimeError::Form)?;
        let [year, month, day, hour, minute, second] = date_time;
        let real = (1..=12).contains(&month)
            && (1..=days_in_month(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second <= 60;
        if !real {
            return Err(TimeError::Range);
        }
        // A leap second (60) is the first of the next minute, as POSIX time has it.
        let of_day = hour * 3600 + minute * 60 + second;
        let seconds = days_since_epoch(year, month, day) * DAY_SECONDS + of_day - offset_seconds;
        let seconds = u64::try_from(seconds).map_err(|_| TimeError::Range)?;
        let nanos = seconds
            .checked_mul(NANOS)
            .and_then(|nanos| nanos.checked_add(fraction));
        nanos.map(Self).ok_or(TimeError::Range)
    }
}

/// Writes RFC 3339 in UTC, with as many digits after the second as the instant needs.
impl fmt::Display for UnixNanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = i64::try_from(self.seconds()).map_err(|_| fmt::Error)?;
        let (year, month, day) = civil(seconds / DAY_SECONDS);
        let of_day = seconds % DAY_SECONDS;
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
        )?;
        match self.0 % NANOS {
            0 => {}
            nanos if nanos % 1_000_000 == 0 => write!(f, ".{:03}", nanos / 1_000_000)?,
            nanos if nanos % 1_000 == 0 => write!(f, ".{:06}", nanos / 1_000)?,
            nanos => write!(f, ".{nanos:09}")?,
        }
        f.write_str("Z")
    }
}

impl Serialize for UnixNanos {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UnixNanos {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse_rfc3339(&text).map_err(serde::de::Error::custom)
    }
}

fn nanos_of(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Year, month, day, hour, minute, second; nanoseconds; offset in seconds east of UTC.
fn split(text: &str) -> Option<([i64; 6], u64, i64)> {
    let (date_time, rest) = text.split_at_checked(19)?;
    let mut fields = [0; 6];
    let places = [
        (0, 4, '-'),
        (5, 7, '-'),
        (8, 10, 'T'),
        (11, 13, ':'),
        (14, 16, ':'),
        (17, 19, ' '),
    ];
    for (field, (start, end, mark)) in fields.iter_mut().zip(places) {
        *field = digits(date_time.get(start..end)?)?;
        let follows = date_time.get(end..=end).unwrap_or(" ");
        if !follows.eq_ignore_ascii_case(mark.encode_utf8(&mut [0; 4])) {
            return None;
        }
    }
    let offset_at = rest.find(['Z', 'z', '+', '-'])?;
    let (fraction, offset) = rest.split_at_checked(offset_at)?;
    Some((fields, nanoseconds(fraction)?, offset_seconds(offset)?))
}

fn nanoseconds(fraction: &str) -> Option<u64> {
    if fraction.is_empty() {
        return Some(0);
    }
    let digits_of = fraction
        .strip_prefix('.')
        .filter(|d| (1..=9).contains(&d.len()))?;
    let scale = 10_u64.pow(9 - u32::try_from(digits_of.len()).ok()?);
    Some(u64::try_from(digits(digits_of)?).ok()? * scale)
}

fn offset_seconds(offset: &str) -> Option<i64> {
    if offset.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn digits(text: &str) -> Option<i64> {
    let all = text.bytes().all(|byte| byte.is_ascii_digit());
    if all { text.parse().ok() } else { None }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = era * 400 + year + i64::from(month <= 2);
    (year, month, of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests;
