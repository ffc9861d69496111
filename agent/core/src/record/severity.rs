//! Severity numbers of OTLP from the levels of logging libraries.
//!
//! Source: the logs data model of OpenTelemetry, `SeverityNumber` and its appendix B; log/slog's
//! levels, whose zero is INFO, are shifted by nine as its bridge does.

use opentelemetry_proto::tonic::common::v1::any_value::Value;

/// Names without regard to case, with their numbers. Where appendix B gives syslog's and zap's
/// names a number of their own, it stands; the short ones are zerolog's (three letters) and
/// logrus's (four) on a console.
const NAMES: &[(&str, i32)] = &[
    ("trace", 1),
    ("trac", 1),
    ("trc", 1),
    ("debug", 5),
    ("debu", 5),
    ("dbg", 5),
    ("info", 9),
    ("inf", 9),
    ("information", 9),
    ("informational", 9),
    ("notice", 10),
    ("warn", 13),
    ("warning", 13),
    ("wrn", 13),
    ("error", 17),
    ("err", 17),
    ("erro", 17),
    ("dpanic", 18),
    ("crit", 18),
    ("critical", 18),
    ("panic", 19),
    ("pani", 19),
    ("pnc", 19),
    ("alert", 19),
    ("fatal", 21),
    ("fata", 21),
    ("ftl", 21),
    ("emerg", 21),
    ("emergency", 21),
];

/// Severity of a crash of Go's runtime.
pub(super) const CRASH: i32 = 21;
/// Severity of a panic that `net/http` recovered from: the request is lost, the program is not.
pub(super) const RECOVERED: i32 = 17;

/// Severity number and text of a level, where the value is a level at all; number 0 for a name that
/// is not known.
pub(super) fn of_value(value: &Value) -> Option<(i32, String)> {
    match value {
        Value::StringValue(name) if name.len() <= LEVEL_BYTES_MAX => {
            Some((of_name(name).unwrap_or_default(), name.clone()))
        }
        Value::IntValue(level) => of_level(*level).map(|number| (number, level.to_string())),
        _ => None,
    }
}

/// Longest text that is taken for a level: `INFORMATIONAL+100` and some.
const LEVEL_BYTES_MAX: usize = 24;

/// The number of a level's name, as `INFO`, `warning` or slog's `ERROR+2`.
pub(super) fn of_name(name: &str) -> Option<i32> {
    let split = name.find(['+', '-']).unwrap_or(name.len());
    let (word, offset) = name.split_at_checked(split)?;
    let known = NAMES
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(word));
    let offset = match offset {
        "" => 0,
        offset => offset.parse::<i32>().ok()?,
    };
    known.map(|(_, number)| number.saturating_add(offset).clamp(1, 24))
}

/// The number of a numeric level: tens are bunyan's, the rest slog's.
fn of_level(level: i64) -> Option<i32> {
    match level {
        10 => Some(1),
        20 => Some(5),
        30 => Some(9),
        40 => Some(13),
        50 => Some(17),
        60 => Some(21),
        -8..=15 => i32::try_from(level + 9).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_numbers_of_the_data_model() {
        let table = [
            ("DEBUG", 5),
            ("INFO", 9),
            ("WARN", 13),
            ("ERROR", 17),
            ("DEBUG-4", 1),
            ("INFO+2", 11),
            ("ERROR+4", 21),
            ("ERROR+100", 24),
            ("trace", 1),
            ("warning", 13),
            ("dpanic", 18),
            ("panic", 19),
            ("pani", 19),
            ("pnc", 19),
            ("fatal", 21),
            ("Notice", 10),
        ];
        for (name, number) in table {
            assert_eq!(of_name(name), Some(number), "{name}");
        }
        assert_eq!(of_name("INFO+x"), None);
        assert_eq!(of_name("audit"), None);
        assert_eq!(of_name(""), None);
    }

    #[test]
    fn numbers_are_slogs_or_bunyans() {
        for (level, number) in [(-4, 5), (0, 9), (4, 13), (8, 17), (30, 9), (50, 17)] {
            assert_eq!(of_level(level), Some(number), "{level}");
        }
        assert_eq!(of_level(1_700_000_000), None);
    }
}
