//! Templates: `$1`, `${name}` and `$$` in a replacement, as Go's `Regexp.Expand` reads them.

/// Writes a template with its references filled in: `group` gives a group's text by number, and
/// `named` by name.
pub(crate) fn expand<'v>(
    template: &str,
    group: impl Fn(usize) -> Option<&'v str>,
    named: impl Fn(&str) -> Option<&'v str>,
) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let Some((name, after)) = reference(after) else {
            // Malformed: the dollar sign stands for itself.
            out.push('$');
            rest = after;
            continue;
        };
        let text = match number(name) {
            Some(number) => group(number),
            None => named(name),
        };
        out.push_str(text.unwrap_or_default());
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Splits the name off that follows a dollar sign, in braces or as far as it goes.
fn reference(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('{');
    let start = inner.unwrap_or(text);
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = start.find(|c| !is_word(c)).unwrap_or(start.len());
    let (name, rest) = start
        .split_at_checked(end)
        .filter(|(name, _)| !name.is_empty())?;
    match inner {
        Some(_) => Some((name, rest.strip_prefix('}')?)),
        None => Some((name, rest)),
    }
}

/// Returns whether a template has a reference that goes on in letters beyond ASCII: in Go they
/// belong to its name, which no group can have.
pub(crate) fn runs_on(template: &str) -> bool {
    template.split('$').skip(1).any(|behind| {
        let name = behind.strip_prefix('{').unwrap_or(behind);
        let rest = name.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
        rest.starts_with(|c: char| !c.is_ascii() && c.is_alphanumeric())
    })
}

/// Returns the number that a name is: decimal, without a zero before it.
fn number(name: &str) -> Option<usize> {
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
    let is_plain = name == "0" || !name.starts_with('0');
    (is_number && is_plain).then(|| name.parse().unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_expands() {
        let groups = ["whole", "one", "two"];
        let named = |name: &str| (name == "n").then_some("two");
        for (template, expected) in [
            ("$1", "one"),
            ("${1}x", "onex"),
            ("$1x", ""),
            ("$n-${n}", "two-two"),
            ("$0$3$00", "whole"),
            ("$$1", "$1"),
            ("$", "$"),
            ("a$ b", "a$ b"),
            ("${1", "${1"),
            ("${}", "${}"),
            ("$1.$2", "one.two"),
            ("$99999999999999999999", ""),
        ] {
            let expanded = expand(template, |n| groups.get(n).copied(), named);
            assert_eq!(expanded, expected, "{template}");
        }
    }
}
