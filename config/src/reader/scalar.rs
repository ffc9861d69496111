//! Single values out of text; each failure is the reason, for a person.

use std::ops::RangeInclusive;

pub(super) fn expected(what: &str, found: &str) -> String {
    format!("expected {what}, found {found:?}")
}

pub(super) fn not_empty(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        Err("is empty".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

pub(super) fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(expected("true or false", text)),
    }
}

pub(super) fn within<T: PartialOrd>(
    value: T,
    range: &RangeInclusive<T>,
    show: impl Fn(&T) -> String,
) -> Result<T, String> {
    if range.contains(&value) {
        return Ok(value);
    }
    let (low, high) = (show(range.start()), show(range.end()));
    Err(format!(
        "{} is out of range; expected {low} to {high}",
        show(&value)
    ))
}

/// Takes `text` for a URL as far as an endpoint needs it: scheme, host, optional port and path.
pub(super) fn parse_url(text: &str) -> Result<String, String> {
    let example = "a URL such as http://collector:4318";
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    let rest = rest.ok_or_else(|| expected(example, text))?;
    let authority = rest.split('/').next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let bad_host = host.is_empty() || (host.contains(':') && !host.starts_with('['));
    let bad_port = port.is_some_and(|port| port.parse::<u16>().is_err());
    if bad_host || bad_port || text.contains(['?', '#', '@', ' ']) || !text.is_ascii() {
        return Err(expected(example, text));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

pub(super) fn choose<T: Clone>(key: &str, text: &str, table: &[(&str, T)]) -> Result<T, String> {
    match table.iter().find(|(name, _)| *name == text) {
        Some((_, value)) => Ok(value.clone()),
        None => {
            let names: Vec<&str> = table.iter().map(|(name, _)| *name).collect();
            Err(format!(
                "unknown {key} {text:?}; expected {}",
                alternatives(&names)
            ))
        }
    }
}

/// `a, b or c`.
pub(super) fn alternatives(names: &[&str]) -> String {
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// `a, b and c`.
pub(super) fn sentence(names: &[&str]) -> String {
    let mut names = names.to_vec();
    names.dedup();
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => "none".to_owned(),
    }
}
