use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::super::tests::rendered;
use super::*;

fn settings(format: Format) -> FileSettings {
    FileSettings {
        format,
        zone: Zone::default(),
        line_bytes_max: 128,
    }
}

fn read(format: Format, reads: &[&[u8]]) -> (Vec<String>, RecordCounts) {
    let observed = UnixNanos::from_seconds(1_795_572_255);
    let mut file = FileRecords::new(settings(format), "/var/log/pods/app.log", 0);
    let mut records = Vec::new();
    for bytes in reads {
        file.push(bytes, observed, &mut records);
    }
    file.flush(observed, &mut records);
    assert!(!file.is_pending());
    let lines = records.into_iter().map(|Parsed { mut record, end }| {
        record
            .attributes
            .retain(|attribute| !attribute.key.starts_with("log.file."));
        format!("@{end} {}", rendered(&record).replace("\\n", "\n"))
    });
    (lines.collect(), file.counts())
}

#[track_caller]
fn check(format: Format, text: &str, expected: &Expect) {
    expected.assert_eq(&read(format, &[text.as_bytes()]).0.join("\n"));
}

#[test]
fn pieces_of_a_container_runtime_are_joined_and_read() {
    check(
        Format::Auto,
        "2016-10-06T00:17:09.6Z stdout P {\"level\":\"info\",\n\
         2016-10-06T00:17:09.7Z stderr F oops\n\
         2016-10-06T00:17:09.8Z stdout F \"msg\":\"joined\"}\n\
         2016-10-06T00:17:10Z stdout P never ended\n",
        &expect![[r#"
            @0 2016-10-06T00:17:09.700Z 0 "oops" log.iostream="stderr"
            @134 2016-10-06T00:17:09.600Z 9 info "joined" log.iostream="stdout"
            @176 2016-10-06T00:17:10Z 0 "never ended" log.iostream="stdout" davy.partial=true"#]],
    );
    check(
        Format::Docker,
        "{\"log\":\"a \",\"stream\":\"stdout\",\"time\":\"2016-10-06T00:17:09Z\"}\n",
        &expect![[r#"@61 2016-10-06T00:17:09Z 0 "a " log.iostream="stdout" davy.partial=true"#]],
    );
    assert_eq!(read(Format::Cri, &[b"not framed\n"]).1.lines_unframed, 1);
}

#[test]
fn odd_bytes_are_replaced_and_counted() {
    let (lines, counts) = read(
        Format::Auto,
        &[b"\0\0\0\0caf\xe9\n", b"\n  \n", &[b'x'; 200]],
    );
    expect![[r#"
        @9 - 0 "caf�"
        @213 - 0 "128 times x" davy.truncated=true davy.partial=true"#]]
    .assert_eq(&lines.join("\n").replace(&"x".repeat(128), "128 times x"));
    let expected = RecordCounts {
        lines_not_utf8: 1,
        lines_truncated: 1,
        lines_unframed: 0,
        nul_bytes: 4,
    };
    assert_eq!(counts, expected);
}

#[test]
fn a_crash_is_one_record() {
    check(
        Format::Auto,
        "before\npanic: boom [recovered]\n\npanic: boom\n\ngoroutine 1 [running]:\nmain.main()\n\
         \t/src/main.go:9\nexit status 2\n{\"msg\":\"after\"}\n",
        &expect![[r#"
            @7 - 0 "before"
            @110 - 21 "panic: boom [recovered]

            panic: boom

            goroutine 1 [running]:
            main.main()
            \t/src/main.go:9
            exit status 2"
            @126 - 0 "after""#]],
    );
}

/// The crashes were printed by programs of Go 1.26; long runs of frames were taken out.
#[test]
fn crashes_of_go_are_one_record_each() {
    let mut crashes = 0;
    for section in include_str!("tests/crashes.txt").split("===== ").skip(1) {
        let (head, crash) = section.split_once('\n').expect("a head");
        let (name, severity) = head.split_once(' ').expect("a name and a severity");
        let text = format!("2026/11/25 02:04:15 before\n{crash}2026/11/25 02:04:16 after\n");
        let observed = UnixNanos::from_seconds(1_795_572_255);
        let mut file = FileRecords::new(settings(Format::Auto), "app.log", 0);
        file.reader.settings.line_bytes_max = 1 << 16;
        let mut records = Vec::new();
        file.push(text.as_bytes(), observed, &mut records);
        file.flush(observed, &mut records);
        let bodies: Vec<_> = records.iter().map(|parsed| body(&parsed.record)).collect();
        let expected = [
            "2026/11/25 02:04:15 before",
            crash.trim_end(),
            "2026/11/25 02:04:16 after",
        ];
        assert_eq!(bodies, expected, "{name}");
        let found = records.get(1).map(|parsed| parsed.record.severity_number);
        assert_eq!(found, severity.parse().ok(), "{name}");
        crashes += 1;
    }
    assert_eq!(crashes, 14);
}

fn body(record: &LogRecord) -> &str {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    match record.body.as_ref().and_then(|any| any.value.as_ref()) {
        Some(Value::StringValue(text)) => text,
        other => panic!("a text is expected: {other:?}"),
    }
}

#[test]
fn what_only_mentions_a_crash_is_none() {
    for line in [
        "level=INFO msg=\"http: panic serving 1.2.3.4: boom\"",
        "{\"msg\":\"http: panic serving 1.2.3.4: boom\"}",
        "SIG: odd",
        "goroutine 7 was slow",
        "goroutines [3]:",
    ] {
        let (lines, _) = read(Format::Auto, &[line.as_bytes(), b"\n\tindented\n"]);
        assert_eq!(lines.len(), 2, "{line}: {lines:?}");
    }
}

#[test]
fn a_crash_keeps_what_fits_and_when_it_was_read() {
    let long = format!("panic: {}\n\ngoroutine 1 [running]:\n", "x".repeat(200));
    let (lines, counts) = read(Format::Text, &[long.as_bytes()]);
    let kept = format!("panic: {}", "x".repeat(121));
    assert_eq!(lines, [format!("@232 - 21 {kept:?} davy.truncated=true")]);
    assert_eq!(counts.lines_truncated, 1);

    let frames = format!(
        "panic: x\n\ngoroutine 1 [running]:\n{}",
        "main.f()\n".repeat(20)
    );
    let (lines, counts) = read(Format::Text, &[frames.as_bytes()]);
    assert_eq!((lines.len(), counts.lines_truncated), (1, 1));
    assert!(
        lines
            .iter()
            .all(|line| line.ends_with("davy.truncated=true")),
        "{lines:?}"
    );

    check(
        Format::Auto,
        "2016-10-06T00:17:09.6Z stderr F panic: boom\n\
         2016-10-06T00:17:09.7Z stderr F \n\
         2016-10-06T00:17:09.8Z stderr F goroutine 1 [running]:\n",
        &expect![[r#"
            @132 2016-10-06T00:17:09.600Z 21 "panic: boom

            goroutine 1 [running]:" log.iostream="stderr""#]],
    );
}

/// Guarantees: while a record waits for its end, no other says that the bytes before it are dealt
/// with; what is waited for comes after five seconds though other lines come all the while.
#[test]
fn what_is_pending_holds_the_offset_and_is_not_waited_for_for_ever() {
    let line = |second: u64, rest: &str| format!("2016-10-06T00:17:0{second}Z {rest}\n");
    let lines = [
        line(0, "stdout P never ended"),
        line(0, "stderr F panic: boom"),
        line(1, "stdout F [a] x"),
        line(1, "stdout P again"),
        line(2, "stdin F unframed"),
        line(6, "stdin F unframed"),
    ];
    let starts: Vec<u64> = lines
        .iter()
        .scan(0, |end, line| {
            Some(std::mem::replace(end, *end + line.len() as u64))
        })
        .collect();
    let mut file = FileRecords::new(settings(Format::Cri), "app.log", 0);
    let mut found = Vec::new();
    for (second, line) in [0, 0, 1, 1, 2, 6].into_iter().zip(&lines) {
        let observed = UnixNanos::from_seconds(1_795_572_255 + second);
        let mut records = Vec::new();
        file.push(line.as_bytes(), observed, &mut records);
        found.extend(records.iter().map(|parsed| {
            let partial = parsed
                .record
                .attributes
                .iter()
                .any(|a| a.key == "davy.partial");
            (second, body(&parsed.record).to_owned(), partial, parsed.end)
        }));
    }
    let record = |second, body: &str, partial, end| (second, body.to_owned(), partial, end);
    assert_eq!(
        found,
        [
            // The crash on the other stream is still being printed.
            record(1, "never ended[a] x", false, starts[1]),
            record(2, lines[4].trim_end(), false, starts[1]),
            record(6, "panic: boom", false, starts[2]),
            record(6, "again", true, starts[5]),
            record(
                6,
                lines[5].trim_end(),
                false,
                starts[5] + lines[5].len() as u64
            ),
        ]
    );
}

proptest! {
    /// Guarantees: how a file is cut into reads changes neither records nor ends, ends grow, and
    /// the last record deals with no byte beyond what was read.
    #[test]
    fn reads_do_not_matter(
        words in proptest::collection::vec(0usize..14, 0..24),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        const WORDS: [&str; 14] = [
            "\n", "2016-10-06T00:17:09Z stdout P a\n", "2016-10-06T00:17:09Z stdout F b\n",
            "2016-10-06T00:17:09Z stderr P c\n", "2016-10-06T00:17:09Z stderr F d\n",
            "2016-10-06T00:17:09Z stderr F panic: e\n", "2016-10-06T00:17:09Z stdout F panic: f\n",
            "2016-10-06T00:17:09Z stderr F \tg\n", "panic: h\n", "main.main()\n", "text\n",
            "{\"msg\":\"i\"}\n", "\0\0", "r0 0x0\r\n",
        ];
        let text: String = words.iter().filter_map(|word| WORDS.get(*word).copied()).collect();
        let bytes = text.as_bytes();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<_> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        let (whole, counts) = read(Format::Auto, &[bytes]);
        prop_assert_eq!(&read(Format::Auto, &pieces), &(whole.clone(), counts));
        let end = |line: &String| line[1..].split(' ').next().and_then(|end| end.parse().ok());
        let ends: Vec<Option<u64>> = whole.iter().map(end).collect();
        prop_assert!(ends.is_sorted(), "{:?}", whole);
        prop_assert!(ends.iter().all(|end| end.is_some_and(|end| end <= bytes.len() as u64)));
    }

    /// Guarantees: any bytes are records, and never more than there are lines.
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for (_, format) in Format::ALL {
            let (lines, _) = read(format, &[&bytes]);
            let newlines = bytes.iter().filter(|byte| **byte == b'\n').count();
            prop_assert!(lines.len() <= newlines + 1 + 3);
        }
    }
}
