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
            @86 2016-10-06T00:17:09.700Z 0 "oops" log.iostream="stderr"
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
        @213 - 0 "128 times x" davy.truncated=true"#]]
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

proptest! {
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
