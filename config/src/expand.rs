//! `${env:NAME}` in scalars, as the OpenTelemetry Collector has it.
//!
//! `${env:NAME}` and `${NAME}` are the variable's value, `${env:NAME:-text}` is `text` where the
//! variable is not set, `$$` is one dollar sign, any other dollar sign stays. What was put in is
//! text, not YAML, and is not expanded again. An unset variable without default is empty, and
//! said. Source: <https://opentelemetry.io/docs/collector/configuration/#environment-variables>.

/// How an environment variable is looked up.
pub type Environment<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// What expansion made of a text.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Expanded {
    pub(crate) text: String,
    /// Variables that are not set and have no default.
    pub(crate) unset: Vec<String>,
}

pub(crate) fn expand(text: &str, environment: &Environment<'_>) -> Result<Expanded, String> {
    let mut expanded = Expanded::default();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.text.push_str(before);
        rest = if let Some(after) = after.strip_prefix('$') {
            expanded.text.push('$');
            after
        } else if let Some(after) = after.strip_prefix('{') {
            let (reference, after) = after
                .split_once('}')
                .ok_or("`${` has no closing brace; a dollar sign is `$$`")?;
            substitute(reference, environment, &mut expanded)?;
            after
        } else {
            expanded.text.push('$');
            after
        };
    }
    expanded.text.push_str(rest);
    Ok(expanded)
}

fn substitute(
    reference: &str,
    environment: &Environment<'_>,
    expanded: &mut Expanded,
) -> Result<(), String> {
    let (name, default) = match reference
        .strip_prefix("env:")
        .unwrap_or(reference)
        .split_once(":-")
    {
        Some((name, default)) => (name, Some(default)),
        None => (reference.strip_prefix("env:").unwrap_or(reference), None),
    };
    if let Some((scheme, _)) = name.split_once(':') {
        return Err(format!(
            "unknown source `{scheme}:` in `${{{reference}}}`; expected `env:`"
        ));
    }
    if !is_name(name) {
        return Err(format!("`{name}` is no name of an environment variable"));
    }
    match environment(name).or_else(|| default.map(str::to_owned)) {
        Some(value) => expanded.text.push_str(&value),
        None => expanded.unset.push(name.to_owned()),
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        match name {
            "A" => Some("alpha".to_owned()),
            "EMPTY" => Some(String::new()),
            "DOLLAR" => Some("${env:A}".to_owned()),
            _ => None,
        }
    }

    #[track_caller]
    fn check(text: &str, expected: &str, unset: &[&str]) {
        let expanded = expand(text, &environment).expect(text);
        assert_eq!(
            (expanded.text.as_str(), expanded.unset),
            (expected, unset.iter().map(|n| (*n).to_owned()).collect())
        );
    }

    #[track_caller]
    fn refuse(text: &str, expected: &str) {
        assert_eq!(expand(text, &environment), Err(expected.to_owned()));
    }

    #[test]
    fn expands_as_the_collector() {
        check("plain", "plain", &[]);
        check("${env:A}", "alpha", &[]);
        check("${A}", "alpha", &[]);
        check("x${env:A}y${env:A}", "xalphayalpha", &[]);
        check("${env:B:-beta}", "beta", &[]);
        check("${env:B:-}", "", &[]);
        check("${env:B:-http://[::1]:1}", "http://[::1]:1", &[]);
        check("${env:A:-beta}", "alpha", &[]);
        check("${env:EMPTY:-beta}", "", &[]);
        check("${env:DOLLAR}", "${env:A}", &[]);
        check("$${env:A} $$ $x $", "${env:A} $ $x $", &[]);
        check("a${env:B}b${C}", "ab", &["B", "C"]);
    }

    #[test]
    fn refuses_what_it_cannot_mean() {
        refuse(
            "${env:A",
            "`${` has no closing brace; a dollar sign is `$$`",
        );
        refuse(
            "${file:/x}",
            "unknown source `file:` in `${file:/x}`; expected `env:`",
        );
        refuse("${env:1A}", "`1A` is no name of an environment variable");
        refuse("${}", "`` is no name of an environment variable");
    }
}
