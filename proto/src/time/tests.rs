use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(text: &str, expected: Result<u64, TimeError>) {
    assert_eq!(
        UnixNanos::parse_rfc3339(text).map(UnixNanos::nanos),
        expected,
        "{text}"
    );
}

#[test]
fn reads_rfc_3339() {
    check("1970-01-01T00:00:00Z", Ok(0));
    check("2026-11-24T10:00:00Z", Ok(1_795_514_400 * NANOS));
    check("2026-11-24t10:00:00z", Ok(1_795_514_400 * NANOS));
    check(
        "2026-11-24T11:30:00.25+01:30",
        Ok(1_795_514_400 * NANOS + 250_000_000),
    );
    check("2000-02-29T23:59:60Z", Ok(951_868_800 * NANOS));
    check("1970-01-01T00:00:00.000000001Z", Ok(1));
}

#[test]
fn refuses_what_is_not() {
    for text in [
        "",
        "2026-11-24",
        "2026-11-24 10:00:00Z",
        "2026-11-24T10:00:00",
        "2026-11-24T10:00:00.Z",
        "2026-11-24T10:00:00+1:00",
        "2026-11-24T10:00:00+9223372036854775807:00",
        "+026-11-24T10:00:00Z",
        "2026-11-24T10:00:00.1234567890Z",
        "2026-11-24T10:00:00Zé",
        "é026-11-24T10:00:00Z",
    ] {
        check(text, Err(TimeError::Form));
    }
    for text in [
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "2600-01-01T00:00:00Z",
        "2026-01-01T24:00:00Z",
    ] {
        check(text, Err(TimeError::Range));
    }
}

#[test]
fn floors_to_the_grid() {
    let at = UnixNanos::from_seconds(13);
    assert_eq!(
        at.floor(Duration::from_secs(5)),
        UnixNanos::from_seconds(10)
    );
    assert_eq!(at.floor(Duration::ZERO), at);
}

proptest! {
    #[test]
    fn prints_and_parses_back(nanos in any::<u64>()) {
        let at = UnixNanos::new(nanos);
        prop_assert_eq!(UnixNanos::parse_rfc3339(&at.to_string()), Ok(at));
    }

    #[test]
    fn never_panics(text in "\\PC{0,40}") {
        let _ = UnixNanos::parse_rfc3339(&text);
    }
}
