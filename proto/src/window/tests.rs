use proptest::prelude::*;

use super::*;

/// The example of the documentation, on one line.
const LINE: &str = concat!(
    r#"{"version":1,"start":"2026-11-24T10:00:00Z","end":"2026-11-24T10:00:05Z","#,
    r#""service":"shop","namespace":"prod","arm":"6c5d8b9f7","#,
    r#""pod":"shop-6c5d8b9f7-x2x4z","started":"2026-11-24T09:58:12Z","#,
    r#""source":"histogram","routes":[{"route":"GET /buy","requests":212,"errors":1,"#,
    r#""codes":{"200":211,"503":1},"latency":{"bounds_seconds":[0.05,0.1,0.25,0.5],"#,
    r#""counts":[120,60,25,5,1]}}],"cpu":{"seconds":1.7,"limit_cores":2.0},"#,
    r#""build":{"version":"v1.1.0","commit":"4f1c2d9"}}"#,
);

#[track_caller]
fn check(from: &str, to: &str, expected: &str) {
    assert!(LINE.contains(from), "{from}");
    let result = Window::parse_line(&LINE.replacen(from, to, 1));
    let text = result.map_or_else(|error| error.to_string(), |_| "a window".to_owned());
    assert!(text.contains(expected), "{to}: {text}");
}

#[test]
fn reads_and_writes_the_documented_line() {
    let window = Window::parse_line(LINE).unwrap();
    assert_eq!(window.to_line(), LINE);
    assert_eq!(window.routes[0].codes["503"], 1);
    assert_eq!(window.end.since(window.start).as_secs(), 5);
}

#[test]
fn reads_other_forms() {
    let explicit = r#"{"bounds_seconds":[0.05,0.1,0.25,0.5],"counts":[120,60,25,5,1]}"#;
    check(
        explicit,
        r#"{"scale":5,"zero_count":0,"offset":-140,"counts":[1]}"#,
        "a window",
    );
    check(explicit, r#"{"hdr":"HISTFAAAABx4"}"#, "a window");
    check(explicit, r#"{"scale":5,"hdr":"x"}"#, "latency is");
    check(explicit, "{}", "latency is");
    check(
        r#","cpu":{"seconds":1.7,"limit_cores":2.0}"#,
        "",
        "a window",
    );
    check(r#""limit_cores":2.0"#, r#""limit_cores":2"#, "a window");
    check(r#""source":"histogram","#, "", "a window");
}

#[test]
fn refuses_what_contradicts_itself() {
    check(r#""version":1"#, r#""version":2"#, "version 2 is not known");
    check(r#""version":1,"#, "", "missing field `version`");
    check("10:00:05Z", "10:00:00Z", "end must be after start");
    check("10:00:05Z", "12:00:05Z", "end must be after start");
    check("10:00:05Z", "10:00:65Z", "time out of range");
    check(r#""pod""#, r#""pods""#, "unknown field `pods`");
    check(r#""errors":1"#, r#""error":1"#, "unknown field `error`");
    check(r#""limit_cores""#, r#""cores""#, "unknown field `cores`");
    check(
        r#""errors":1"#,
        r#""errors":213"#,
        "errors 213 exceed 212 requests",
    );
    check(r#""503":1"#, r#""503":2"#, "codes 213 exceed 212 requests");
    check("[120,", "[122,", "latency 213 exceed 212 requests");
    check(
        "[120,60,25,5,1]",
        "[120,60,25,5]",
        "4 bounds need 5 counts, not 4",
    );
    check(
        "0.25,0.5",
        "0.5,0.25",
        "bounds must be positive, finite and rising",
    );
    check("212", "-1", "invalid value");
    check(r#""6c5d8b9f7""#, r#""""#, "an arm has a name");
    check(r#""shop""#, r#""""#, "service must have 1 to 256 bytes");
    check("1.7", "-1.7", "cpu:");
    check(r#""histogram""#, r#""guess""#, "unknown variant");
    check(r#""4f1c2d9"}}"#, "", "EOF");
    let twice = r#"[{"route":"GET /buy","requests":0},{"route":"GET /buy","#;
    check(r#"[{"route":"GET /buy","#, twice, "stands there twice");
}

#[test]
fn refuses_a_scale_out_of_range() {
    let explicit = r#"{"bounds_seconds":[0.05,0.1,0.25,0.5],"counts":[120,60,25,5,1]}"#;
    check(explicit, r#"{"scale":21,"counts":[1]}"#, "scale must be in");
    check(
        explicit,
        r#"{"scale":5,"offset":2147483647,"counts":[1]}"#,
        "indexes fit 32 bits",
    );
}

proptest! {
    #[test]
    fn never_panics(line in "\\PC{0,200}") {
        let _ = Window::parse_line(&line);
    }

    #[test]
    fn a_cut_or_changed_line_never_panics(cut in 0..LINE.len(), byte in 32_u8..127) {
        let _ = Window::parse_line(&LINE[..cut]);
        let mut changed = LINE.as_bytes().to_vec();
        changed[cut] = byte;
        if let Ok(window) = Window::parse_line(&String::from_utf8(changed).unwrap()) {
            prop_assert_eq!(Window::parse_line(&window.to_line()), Ok(window));
        }
    }
}
