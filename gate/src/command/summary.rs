//! A result for people and for scripts: as text, as JSON, as Markdown; and numbers as people read
//! them.

use davy_gate_core::explain::rounded;

/// A share as `0.12 %`.
pub(super) fn percent(share: f64) -> String {
    format!("{} %", rounded(share * 100.0))
}

/// A time as `230 ms`, `4.2 µs` or `1.35 s`, to three digits.
pub(super) fn seconds(seconds: f64) -> String {
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
pub(super) fn grouped(number: f64) -> String {
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
