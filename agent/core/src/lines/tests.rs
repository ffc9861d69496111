use proptest::prelude::*;

use super::*;

/// Lines of `pieces` pushed one after the other, then flushed: text, end, `T` cut, `P` partial.
fn lines(line_bytes_max: usize, pieces: &[&[u8]]) -> Vec<String> {
    let mut found = Vec::new();
    let mut each = |line: Line<'_>| {
        let text = String::from_utf8_lossy(line.bytes).into_owned();
        let cut = if line.truncated { " T" } else { "" };
        let partial = if line.partial { " P" } else { "" };
        found.push(format!("{text}@{}{cut}{partial}", line.end));
    };
    let mut lines = Lines::new(line_bytes_max, 0);
    for piece in pieces {
        lines.push(piece, &mut each);
    }
    lines.flush(&mut each);
    found
}

#[track_caller]
fn check(pieces: &[&[u8]], expected: &[&str]) {
    assert_eq!(lines(8, pieces), expected);
}

#[test]
fn lines_end_at_newlines_however_they_arrive() {
    check(&[b"a\nbc\n"], &["a@2", "bc@5"]);
    check(&[b"a", b"\nb", b"c", b"\n"], &["a@2", "bc@5"]);
    check(&[b"a\r\nb\r", b"\n"], &["a@3", "b@6"]);
    check(&[b"\n\na\n"], &["@1", "@2", "a@4"]);
    check(&[b"a\nrest"], &["a@2", "rest@6 P"]);
}

#[test]
fn long_lines_are_cut_and_their_rest_passed_over() {
    check(&[b"12345678\nx\n"], &["12345678@9", "x@11"]);
    check(&[b"123456789abc\nx\n"], &["12345678@13 T", "x@15"]);
    check(
        &[b"1234567", b"89", b"abc", b"d\nx\n"],
        &["12345678@14 T", "x@16"],
    );
    // A character is not cut in half.
    check(&["1234567é\n".as_bytes()], &["1234567@10 T"]);
    check(&["123456€\n".as_bytes()], &["123456@10 T"]);
}

/// Guarantees: what is committed once a line is delivered is never the middle of a line, from which
/// a reader that starts again would make a line of its own.
#[test]
fn a_cut_line_ends_at_its_newline_however_it_arrives() {
    let mut found = Vec::new();
    let mut lines = Lines::new(8, 0);
    let mut each = |line: Line<'_>| found.push((line.end, line.truncated, line.partial));
    lines.push(b"12345678", &mut each);
    lines.push(b"9", &mut each);
    assert!(lines.is_pending(), "the newline is still to come");
    lines.push(b"abc\nx\n", &mut each);
    // Flushed, it has no newline yet; what comes of it then is passed over.
    lines.push(b"123456789", &mut each);
    lines.flush(&mut each);
    lines.flush(&mut each);
    lines.push(b"abc", &mut each);
    assert!(!lines.is_pending());
    lines.push(b"\ny\n", &mut each);
    let expected = [
        (13, true, false),
        (15, false, false),
        (24, true, true),
        (30, false, false),
    ];
    assert_eq!(found, expected);
}

#[test]
fn holes_are_skipped_where_a_line_begins() {
    check(&[b"\0\0\0\0\0\0\0\0\0\0", b"\0a\n"], &["a@13"]);
    check(&[b"a\0b\n"], &["a\0b@4"]);
    let mut lines = Lines::new(8, 0);
    lines.push(&[0; 100], |_| panic!("a hole is no line"));
    assert!(!lines.is_pending());
    assert_eq!((lines.nul_bytes(), lines.position()), (100, 100));
}

#[test]
fn flushed_pieces_are_marked_and_so_is_what_follows() {
    let mut found = Vec::new();
    let mut lines = Lines::new(8, 100);
    let mut each = |line: Line<'_>| found.push((line.bytes.to_vec(), line.end, line.partial));
    lines.push(b"ab", &mut each);
    assert!(lines.is_pending());
    lines.flush(&mut each);
    lines.flush(&mut each);
    lines.push(b"cd\nef\n", &mut each);
    lines.push(b"gh", &mut each);
    lines.flush(&mut each);
    lines.push(b"\nij\n", &mut each);
    let expected: [(&[u8], u64, bool); 5] = [
        (b"ab", 102, true),
        (b"cd", 105, true),
        (b"ef", 108, false),
        (b"gh", 110, true),
        (b"ij", 114, false),
    ];
    assert_eq!(
        found,
        expected.map(|(text, end, partial)| (text.to_vec(), end, partial))
    );
}

#[test]
fn a_carriage_return_ends_a_flushed_line_too() {
    let mut found = Vec::new();
    let mut lines = Lines::new(8, 0);
    let mut each = |line: Line<'_>| found.push(String::from_utf8_lossy(line.bytes).into_owned());
    lines.push(b"ab", &mut each);
    lines.flush(&mut each);
    lines.push(b"cd\r\nef\r\n", &mut each);
    assert_eq!(found, ["ab", "cd", "ef"]);
}

proptest! {
    /// Guarantees: how a stream is cut into reads changes no line.
    #[test]
    fn reads_do_not_matter(
        stream in "[a\\n\r\0é]{0,60}",
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let bytes = stream.as_bytes();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<_> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        prop_assert_eq!(lines(8, &pieces), lines(8, &[bytes]));
    }
}
