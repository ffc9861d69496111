use super::*;

fn utc(minutes: i32) -> Zone {
    Zone { minutes }
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let found = of_value(&Value::StringValue(text.to_owned()), utc(0));
    assert_eq!(
        found.map(|at| at.to_string()).as_deref(),
        Some(expected),
        "{text}"
    );
}

#[test]
fn stamps_are_read_in_all_their_forms() {
    check(
        "2026-11-25T02:04:15.589720067Z",
        "2026-11-25T02:04:15.589720067Z",
    );
    check("2026-11-25T02:04:15Z", "2026-11-25T02:04:15Z");
    check("2026-11-25T02:04:15.613+0100", "2026-11-25T01:04:15.613Z");
    check("2026-11-25T02:04:15+01:00", "2026-11-25T01:04:15Z");
    check("2026-11-25 02:04:15.613 -0330", "2026-11-25T05:34:15.613Z");
    check("2026/11/25 02:04:15", "2026-11-25T02:04:15Z");
    check("2026/11/25 02:04:15.123456", "2026-11-25T02:04:15.123456Z");
    check("2026-11-25 02:04:15,613", "2026-11-25T02:04:15.613Z");
    check(
        "2026-11-25T02:04:15.1234567891234Z",
        "2026-11-25T02:04:15.123456789Z",
    );
}

#[test]
fn numbers_are_read_by_their_magnitude() {
    check("1795572255", "2026-11-25T02:04:15Z");
    check("1795572255.589938", "2026-11-25T02:04:15.589938Z");
    check("1795572255613", "2026-11-25T02:04:15.613Z");
    check("1795572255613.5", "2026-11-25T02:04:15.613500Z");
    check("1795572255613123", "2026-11-25T02:04:15.613123Z");
    check("1795572255613123456", "2026-11-25T02:04:15.613123456Z");
    let double = Value::DoubleValue(1_795_572_255.589_938);
    let at = of_value(&double, utc(0)).expect("a stamp");
    assert_eq!(at.to_string(), "2026-11-25T02:04:15.589938Z");
}

#[test]
fn what_is_no_stamp_is_none() {
    for text in [
        "",
        "now",
        "12",
        "0.25",
        "-1795572255",
        "1795572255x",
        ".5",
        "2026-13-25T02:04:15Z",
        "2026-11-25",
        "2026-11-25T02:04:15Z later",
        "99999999999999999999",
        "2026-11-25T02:04:15é",
    ] {
        let found = of_value(&Value::StringValue(text.to_owned()), utc(0));
        assert_eq!(found, None, "{text}");
    }
    for value in [
        Value::DoubleValue(f64::NAN),
        Value::DoubleValue(-1.0),
        Value::IntValue(-5),
    ] {
        assert_eq!(of_value(&value, utc(0)), None);
    }
}

#[test]
fn a_zone_stands_in_where_a_stamp_names_none() {
    let two = Zone::parse("+02:00").expect("a zone");
    let read = |text: &str| stamp(text, two).map(|(at, rest)| (at.to_string(), rest.to_owned()));
    let expected = |at: &str, rest: &str| Some((at.to_owned(), rest.to_owned()));
    assert_eq!(
        read("2026/11/25 02:04:15 x"),
        expected("2026-11-25T00:04:15Z", " x")
    );
    assert_eq!(
        read("2026/11/25 02:04:15Z x"),
        expected("2026-11-25T02:04:15Z", " x")
    );
    assert_eq!(Zone::parse("UTC"), Ok(utc(0)));
    assert_eq!(Zone::parse("-0330"), Ok(utc(-210)));
    for wrong in ["", "Europe/Berlin", "+2", "+25:00", "+02:00 "] {
        assert_eq!(Zone::parse(wrong), Err(ZoneError), "{wrong}");
    }
}

#[test]
fn klogs_year_is_the_nearest_past() {
    let check = |text: &str, observed: &str, expected: &str| {
        let observed = UnixNanos::parse_rfc3339(observed).expect("a time");
        let at = klog(text, utc(0), observed).map(|(at, _)| at.to_string());
        assert_eq!(at.as_deref(), Some(expected), "{text} seen {observed}");
    };
    check(
        "1125 02:04:15.613444",
        "2026-11-25T02:04:16Z",
        "2026-11-25T02:04:15.613444Z",
    );
    check(
        "1231 23:59:59.000000",
        "2027-01-01T00:00:01Z",
        "2026-12-31T23:59:59Z",
    );
    check(
        "1126 01:00:00.000000",
        "2026-11-25T12:00:00Z",
        "2026-11-26T01:00:00Z",
    );
    check(
        "0229 12:00:00.000000",
        "2026-11-25T12:00:00Z",
        "2024-02-29T12:00:00Z",
    );
    // The app's clock is a moment ahead, at the turn of the year.
    check(
        "0101 00:00:00.000100",
        "2026-12-31T23:59:59.999Z",
        "2027-01-01T00:00:00.000100Z",
    );
    check(
        "0102 00:00:01.000000",
        "2026-12-31T23:59:59Z",
        "2026-01-02T00:00:01Z",
    );
    let never = klog(
        "0230 12:00:00.000000",
        utc(0),
        UnixNanos::from_seconds(1_795_572_255),
    );
    assert_eq!(never, None);
}
