use super::*;

fn time() -> UnixNanos {
    UnixNanos::parse_rfc3339("2016-10-06T00:17:09.669794202Z").expect("a time")
}

fn piece(stream: Stream, partial: bool, text: &str) -> Piece<'_> {
    Piece {
        time: time(),
        stream,
        partial,
        text: text.into(),
    }
}

#[test]
fn cri_lines_are_read() {
    let check = |line: &str, expected| assert_eq!(cri(line), expected, "{line}");
    let stamp = "2016-10-06T00:17:09.669794202Z";
    let whole = piece(Stream::Stdout, false, "log content 1");
    check(&format!("{stamp} stdout F log content 1"), Some(whole));
    check(
        &format!("{stamp} stderr P a "),
        Some(piece(Stream::Stderr, true, "a ")),
    );
    check(
        &format!("{stamp} stdout F:tag x"),
        Some(piece(Stream::Stdout, false, "x")),
    );
    check(
        &format!("{stamp} stdout F "),
        Some(piece(Stream::Stdout, false, "")),
    );
    check(
        &format!("{stamp} stdout F"),
        Some(piece(Stream::Stdout, false, "")),
    );
    check(&format!("{stamp} stdin F x"), None);
    check(&format!("{stamp} stdout X x"), None);
    check("yesterday stdout F x", None);
    check("", None);
}

#[test]
fn docker_lines_are_read() {
    let check = |line: &str, expected| assert_eq!(docker(line), expected, "{line}");
    check(
        r#"{"log":"a \"b\"\n","stream":"stderr","time":"2016-10-06T00:17:09.669794202Z"}"#,
        Some(piece(Stream::Stderr, false, "a \"b\"")),
    );
    check(
        r#"{"log":"16 KiB of it","stream":"stdout","time":"2016-10-06T00:17:09.669794202Z"}"#,
        Some(piece(Stream::Stdout, true, "16 KiB of it")),
    );
    check(r#"{"log":"x\n","stream":"stdout"}"#, None);
    check(r#"{"msg":"an app's own","stream":"stdout"}"#, None);
}

#[test]
fn pieces_of_each_stream_are_put_together() {
    let mut assembler = Assembler::new(8);
    assert_eq!(assembler.push(&piece(Stream::Stdout, true, "ab")), None);
    let other = assembler
        .push(&piece(Stream::Stderr, false, "x"))
        .expect("whole");
    assert_eq!(other.text, "x");
    assert!(assembler.is_pending());
    let whole = assembler
        .push(&piece(Stream::Stdout, false, "cd"))
        .expect("whole");
    assert_eq!((whole.text.as_str(), whole.truncated), ("abcd", false));
    assert!(!assembler.is_pending());
    assert_eq!(assembler.flush(Stream::Stdout), None);

    assembler.push(&piece(Stream::Stdout, true, "12345"));
    assembler.push(&piece(Stream::Stdout, true, "67é9"));
    let cut = assembler.flush(Stream::Stdout).expect("pending");
    assert_eq!(
        (cut.text.as_str(), cut.truncated, cut.partial),
        ("1234567", true, true)
    );
}

#[test]
fn nothing_is_put_behind_a_cut() {
    let mut assembler = Assembler::new(4);
    assembler.push(&piece(Stream::Stdout, true, "abc"));
    assembler.push(&piece(Stream::Stdout, true, "é lost"));
    let cut = assembler
        .push(&piece(Stream::Stdout, false, "z"))
        .expect("whole");
    assert_eq!((cut.text.as_str(), cut.truncated), ("abc", true));
}
