//! Figures as people read them: times, shares, counts, intervals.

use std::time::Duration;

use davy_gate_core::explain::rounded;
use davy_proto::UnixNanos;
use davy_proto::verdict::Objective;

/// The bounds of a ratio, `[0.95, 1.11]`; `?` stands for one that isn't known yet.
pub(crate) fn interval(objective: &Objective) -> Option<String> {
    let bound = |bound: Option<f64>| bound.map_or_else(|| "?".to_owned(), |b| format!("{b:.2}"));
    match (objective.low, objective.high) {
        (None, None) => None,
        (low, high) => Some(format!("[{}, {}]", bound(low), bound(high))),
    }
}

/// A value of an objective in its unit.
pub(crate) fn with_unit(number: f64, unit: Option<&str>) -> String {
    match unit {
        Some("s") => seconds(number),
        Some("1") => format!("{} %", three_digits(number * 100.0)),
        Some("s/request") => format!("{}/req", seconds(number)),
        Some("restarts") | None => rounded(number).to_string(),
        Some(unit) => format!("{} {unit}", rounded(number)),
    }
}

/// A number to three digits, without zeros at its end.
fn three_digits(number: f64) -> f64 {
    format!("{number:.2e}").parse().unwrap_or(number)
}

/// A share as `0.12 %`.
pub(crate) fn percent(share: f64) -> String {
    format!("{} %", rounded(share * 100.0))
}

/// A time as `230 ms`, `4.2 µs` or `1.35 s`, to three digits.
pub(crate) fn seconds(seconds: f64) -> String {
    let (scaled, unit) = match seconds.abs() {
        s if s >= 1.0 || s == 0.0 => (seconds, "s"),
        s if s >= 1e-3 => (seconds * 1e3, "ms"),
        _ => (seconds * 1e6, "µs"),
    };
    match scaled.abs() {
        s if s >= 100.0 => format!("{scaled:.0} {unit}"),
        s if s >= 10.0 => format!("{scaled:.1} {unit}"),
        _ => format!("{scaled:.2} {unit}"),
    }
}

/// A number with a comma between thousands, without decimals from a hundred on.
pub(crate) fn grouped(number: f64) -> String {
    if number.abs() < 100.0 {
        return rounded(number).to_string();
    }
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        let left = digits.len() - at;
        if at > 0 && left.is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A time to wait or that has passed, in whole seconds: `48 s`, `2 min 5 s`, `1 h 3 min`.
pub(crate) fn elapsed(seconds: u64) -> String {
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes, rest) {
        (0, 0, _) => format!("{rest} s"),
        (0, _, 0) => format!("{minutes} min"),
        (0, ..) => format!("{minutes} min {rest} s"),
        (_, 0, _) => format!("{hours} h"),
        _ => format!("{hours} h {minutes} min"),
    }
}

/// An instant to the second, `2026-11-24 10:00:05 UTC`.
pub(crate) fn instant(at: UnixNanos) -> String {
    let stamp = at.floor(Duration::from_secs(1)).to_string();
    stamp.replace('T', " ").replace('Z', " UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_people_read_them() {
        let check = |text: String, expected: &str| assert_eq!(text, expected);
        check(seconds(0.0), "0.00 s");
        check(seconds(4.2e-6), "4.20 µs");
        check(seconds(0.0123), "12.3 ms");
        check(seconds(0.23), "230 ms");
        check(seconds(1.5), "1.50 s");
        check(percent(0.0012), "0.12 %");
        check(with_unit(0.001_234_5, Some("1")), "0.123 %");
        check(with_unit(0.0045, Some("1")), "0.45 %");
        check(grouped(0.5), "0.5");
        check(grouped(999.0), "999");
        check(grouped(1_234_567.0), "1,234,567");
        check(elapsed(0), "0 s");
        check(elapsed(48), "48 s");
        check(elapsed(120), "2 min");
        check(elapsed(125), "2 min 5 s");
        check(elapsed(3600), "1 h");
        check(elapsed(3780), "1 h 3 min");
        check(
            instant(UnixNanos::from_seconds(1_800_000_005)),
            "2027-01-15 08:00:05 UTC",
        );
    }
}
