//! Upper and lower case a character at a time, as Go's `strings.ToUpper` and `ToLower` have it:
//! by the simple mappings of Unicode, which keep a character one (`ß` has no upper case).

/// Returns the text in lower case.
pub(crate) fn lower(text: &str) -> String {
    text.chars().map(lower_char).collect()
}

/// Returns the text in upper case.
pub(crate) fn upper(text: &str) -> String {
    text.chars().map(upper_char).collect()
}

fn lower_char(c: char) -> char {
    // In full case mapping it becomes an i and a dot.
    match c {
        '\u{130}' => 'i',
        _ => single(c.to_lowercase()).unwrap_or(c),
    }
}

fn upper_char(c: char) -> char {
    // Greek letters with an iota below: in full mapping the iota becomes a letter of its own.
    let step = match c {
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => 8,
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => 9,
        _ => return single(c.to_uppercase()).unwrap_or(c),
    };
    char::from_u32(u32::from(c) + step).unwrap_or(c)
}

/// Returns the only character of a mapping.
fn single(mut mapped: impl Iterator<Item = char>) -> Option<char> {
    let first = mapped.next();
    first.filter(|_| mapped.next().is_none())
}
