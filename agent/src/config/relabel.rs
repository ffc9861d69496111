//! Relabel rules; keys and defaults are Prometheus's.

use davy_agent_core::relabel::{Action, Rule, RuleText};
use davy_config::Reader;

/// Reads the rules of a target.
pub(super) fn read(reader: &mut Reader<'_>) -> Vec<Rule> {
    reader
        .each("relabel")
        .into_iter()
        .filter_map(rule)
        .collect()
}

fn rule(mut reader: Reader<'_>) -> Option<Rule> {
    let source_labels = reader.list("source_labels", |label| Ok(label.to_owned()));
    let separator = text(&mut reader, "separator");
    let regex = text(&mut reader, "regex");
    let modulus = reader.optional("modulus", |text| {
        let number = text.parse::<u64>();
        number.map_err(|_| format!("expected a whole number, found {text:?}"))
    });
    let target_label = text(&mut reader, "target_label");
    let replacement = text(&mut reader, "replacement");
    let is_named = reader.has("action");
    let action = reader.optional("action", |word| {
        Action::of_word(word).ok_or_else(|| {
            let words = Action::ALL.map(|(word, _)| word);
            format!(
                "unknown action {word:?}; expected one of {}",
                words.join(", ")
            )
        })
    });
    // What the action would have needed can't be told without one.
    let rule = (action.is_some() || !is_named).then(|| {
        Rule::new(RuleText {
            source_labels,
            separator,
            regex,
            modulus: modulus.unwrap_or(0),
            target_label: target_label.unwrap_or_default(),
            replacement,
            action,
        })
    });
    let rule = match rule {
        Some(Ok(rule)) => Some(rule),
        Some(Err(error)) => {
            reader.mistake(error.key, error.problem.to_string());
            None
        }
        None => None,
    };
    reader.finish();
    rule
}

/// A text that may be empty, but must be there: Prometheus takes a key without a value as an empty
/// text where others take it as no key.
fn text(reader: &mut Reader<'_>, key: &'static str) -> Option<String> {
    if reader.is_null(key) {
        reader.mistake(key, "has no value; write \"\" for an empty one");
    }
    reader.optional(key, |text| Ok(text.to_owned()))
}
