use std::fmt::Write as _;

use expect_test::{expect, expect_file};
use proptest::prelude::*;

use super::*;

pub(super) use super::print::line as rendered;

fn observed() -> UnixNanos {
    UnixNanos::parse_rfc3339("2026-11-25T03:00:00Z").expect("a time")
}

fn parse(format: Format, line: &str) -> LogRecord {
    Parser::new(format, Zone::default()).parse(line, observed())
}

#[track_caller]
fn check(line: &str, expected: &expect_test::Expect) {
    expected.assert_eq(&rendered(&parse(Format::Auto, line)));
}

/// The lines were written by slog, zap 1.28, zerolog 1.35, logrus 1.10, log and klog 2.140, and a
/// panic of Go 1.26.
#[test]
fn lines_of_go_libraries_are_read() {
    let settings = FileSettings {
        format: Format::Auto,
        zone: Zone::default(),
        line_bytes_max: 1 << 16,
    };
    let mut file = FileRecords::new(settings, "/var/log/app.log", 0);
    let mut records = Vec::new();
    file.push(include_bytes!("tests/go.txt"), observed(), &mut records);
    file.flush(observed(), &mut records);
    let mut found = String::new();
    for Parsed { mut record, .. } in records {
        assert_eq!(record.observed_time_unix_nano, observed().nanos());
        record
            .attributes
            .retain(|attribute| !attribute.key.starts_with("log.file."));
        let _ = writeln!(found, "{}", rendered(&record));
    }
    expect_file!["tests/go.expected"].assert_eq(&found);
}

#[test]
fn what_is_not_what_it_seems_stays_an_attribute() {
    check(
        r#"{"time":0.25,"level":{"a":1},"trace_id":"xyz","span_id":"00","msg":"m"}"#,
        &expect![[r#"- 0 "m" time=0.25 level={ a=1 } trace_id="xyz" span_id="00""#]],
    );
    check(
        r#"{"level":"AUDIT","message":{"text":"m"}}"#,
        &expect![[r#"- 0 AUDIT { text="m" }"#]],
    );
    check(
        r#"{"trace_id":"00000000000000000000000000000000","trace_flags":"01","msg":5}"#,
        &expect![[r#"- 0 5 trace_id="00000000000000000000000000000000" trace_flags=01"#]],
    );
}

#[test]
fn of_duplicate_keys_the_last_counts() {
    check(
        r#"{"msg":"first","a":1,"msg":"second","a":{"b":1,"b":2}}"#,
        &expect![[r#"- 0 "second" a={ b=2 }"#]],
    );
    let many: Vec<_> = (0..40)
        .map(|key| format!(r#""k{}":{key}"#, key % 20))
        .collect();
    let record = parse(Format::Json, &format!("{{{}}}", many.join(",")));
    let found: Vec<_> = record
        .attributes
        .iter()
        .map(|kept| kept.value.clone())
        .collect();
    let expected: Vec<_> = (20..40).map(|key| Some(integer(key))).collect();
    assert_eq!(found, expected);
}

#[test]
fn what_is_almost_a_format_is_text() {
    for line in [
        r#"{"msg":"cut off"#,
        r#"{"msg":"more"} behind"#,
        "[1,2,3]",
        "I1125 without a header",
        "a = b, and level=INFO is mentioned",
        "x=1 y=2",
        r#"level=INFO msg="never closed"#,
        "I9925 02:04:15.613444   24243 main.go:46] no such month",
    ] {
        let record = parse(Format::Auto, line);
        assert_eq!(record.body, Some(string(line)), "{line}");
        assert_eq!(record.attributes, [], "{line}");
    }
    let deep = format!("{{\"msg\":{}1{}}}", "[".repeat(40), "]".repeat(40));
    assert_eq!(parse(Format::Auto, &deep).body, Some(string(deep)));
}

#[test]
fn text_keeps_its_line_and_lends_time_and_level() {
    check(
        "2026-11-25 02:04:15,613 [WARNING] disk",
        &expect![[
            r#"2026-11-25T02:04:15.613Z 13 WARNING "2026-11-25 02:04:15,613 [WARNING] disk""#
        ]],
    );
    check(
        "we got an error here",
        &expect![[r#"- 0 "we got an error here""#]],
    );
    check(
        "ERROR: it failed",
        &expect![[r#"- 17 ERROR "ERROR: it failed""#]],
    );
}

#[test]
fn colors_are_removed_and_nothing_else() {
    for (line, expected) in [
        ("\u{1b}[31mERRO\u{1b}[0m[0000] red", "ERRO[0000] red"),
        ("\u{1b}[1;38:5:9mx\u{1b}[m\u{1b}[2Ky\u{1b}[ @z", "xyz"),
        // What only begins like a sequence is kept, and so is what follows it.
        ("cut \u{1b}[", "cut \u{1b}["),
        ("cut \u{1b}[31", "cut \u{1b}[31"),
        ("\u{1b}[31\u{1b}[0mx", "\u{1b}[31x"),
        (
            "a \u{1b}[\u{65e5}\u{672c} 12",
            "a \u{1b}[\u{65e5}\u{672c} 12",
        ),
        ("\u{1b}]0;title\u{7}x", "\u{1b}]0;title\u{7}x"),
    ] {
        assert_eq!(text::without_colors(line), expected, "{line:?}");
    }
}

#[test]
fn formats_have_names() {
    for (name, format) in Format::ALL {
        assert_eq!(Format::from_name(name), Some(format));
        assert_eq!(format.as_str(), name);
    }
    assert_eq!(Format::from_name("xml"), None);
}

proptest! {
    #[test]
    fn any_line_is_a_record(line in "\\PC{0,80}") {
        for (_, format) in Format::ALL {
            prop_assert!(parse(format, &line).observed_time_unix_nano > 0);
        }
    }

    #[test]
    fn lines_that_look_right_never_panic(
        line in r#"(\{"|[IWEF]|time=|20|level=)[0-9a-z:{}"=\\\[\]/., TZ+éX-]{0,60}"#,
    ) {
        for (_, format) in Format::ALL {
            prop_assert!(parse(format, &line).observed_time_unix_nano > 0);
        }
    }
}
