//! Rules, expressions and series by chance.

use std::collections::BTreeMap;

use davy_agent_core::relabel::{Action, RuleText};
use serde_json::{Map, Value, json};

use crate::exposition::draw::Draw;

/// Labels by name.
pub(super) type Set = BTreeMap<String, String>;

/// A rule as both read it.
#[derive(Clone, Debug)]
pub(super) struct Generated {
    pub(super) text: RuleText,
    pub(super) json: Value,
}

const NAMES: [&str; 10] = [
    "__name__", "a", "ab", "b", "code", "instance", "job", "le", "method", "ü",
];
const VALUES: [&str; 16] = [
    "",
    "1",
    "200",
    "A",
    "GET",
    "a",
    "a;b",
    "ab",
    "b",
    "go_gc",
    "http_requests_total",
    "x\ny",
    "é",
    "straße",
    "ǅİ",
    "500",
];

/// Returns the labels of a series.
pub(super) fn series(draw: &mut Draw) -> Set {
    let mut set = Set::new();
    set.insert("__name__".to_owned(), (*draw.pick(&VALUES[3..])).to_owned());
    for _ in 0..draw.below(5) {
        let name = (*draw.pick(&NAMES[1..])).to_owned();
        let value = (*draw.pick(&VALUES)).to_owned();
        if !value.is_empty() {
            set.insert(name, value);
        }
    }
    set
}

/// Returns a rule, which may be wrong.
pub(super) fn rule(draw: &mut Draw) -> Generated {
    let (word, action) = *draw.pick(&Action::ALL);
    let mut text = RuleText::default();
    let mut json = Map::new();
    if action != Action::Replace || draw.one_in(2) {
        let word = if draw.one_in(9) {
            word.to_uppercase()
        } else {
            word.to_owned()
        };
        text.action = Action::of_word(&word);
        json.insert("action".to_owned(), word.into());
    }
    let compares = matches!(action, Action::DropEqual | Action::KeepEqual);
    let on_names = matches!(
        action,
        Action::LabelDrop | Action::LabelKeep | Action::LabelMap
    );
    // What the action needs mostly, what it has no use for seldom.
    let has = |draw: &mut Draw, needed: bool| draw.one_in(12) != needed;
    if has(draw, !on_names) {
        let names: Vec<String> = (0..=draw.below(3)).map(|_| name(draw)).collect();
        json.insert("source_labels".to_owned(), names.clone().into());
        text.source_labels = Some(names);
    }
    if !compares && !on_names && draw.one_in(4) || draw.one_in(20) {
        let separator = *draw.pick(&[";", "", "-", "ab"]);
        json.insert("separator".to_owned(), separator.into());
        text.separator = Some(separator.to_owned());
    }
    if has(draw, !compares) && !draw.one_in(6) {
        let regex = expression(draw, 2);
        json.insert("regex".to_owned(), regex.clone().into());
        text.regex = Some(regex);
    }
    if has(draw, action == Action::HashMod) {
        text.modulus = *draw.pick(&[0, 1, 2, 7, 1000, 1 << 40, u64::MAX]);
        json.insert("modulus".to_owned(), text.modulus.into());
    }
    let sets = !on_names && !matches!(action, Action::Drop | Action::Keep);
    if has(draw, sets) {
        text.target_label = match action {
            Action::Replace if draw.one_in(3) => template(draw),
            _ if draw.one_in(15) => String::new(),
            _ => name(draw),
        };
        json.insert("target_label".to_owned(), text.target_label.clone().into());
    }
    let replaces = matches!(action, Action::LabelMap | Action::Replace);
    if replaces && !draw.one_in(4) || draw.one_in(20) {
        let replacement = template(draw);
        json.insert("replacement".to_owned(), replacement.clone().into());
        text.replacement = Some(replacement);
    }
    let json = Value::Object(json);
    Generated { text, json }
}

fn name(draw: &mut Draw) -> String {
    if draw.one_in(40) {
        return String::new();
    }
    (*draw.pick(&NAMES)).to_owned()
}

fn template(draw: &mut Draw) -> String {
    let parts = [
        "$1", "${1}", "$0", "$2", "$n", "${n}", "$$", "$", "a", "_", "x_$1", "${", "", "b", "$1x",
    ];
    (0..=draw.below(2)).map(|_| *draw.pick(&parts)).collect()
}

/// Returns the rule for letters.
pub(super) fn letters(action: &str) -> RuleText {
    RuleText {
        action: Action::of_word(action),
        source_labels: Some(vec!["source".to_owned()]),
        target_label: "out".to_owned(),
        ..RuleText::default()
    }
}

/// Returns a rule that puts the groups of a match into a label, and texts to match.
pub(super) fn pattern(draw: &mut Draw) -> (Generated, Vec<String>) {
    let regex = expression(draw, 4);
    let replacement = "[$0][$1][$2][$3][$n]";
    let text = RuleText {
        source_labels: Some(vec!["source".to_owned()]),
        regex: Some(regex.clone()),
        target_label: "out".to_owned(),
        replacement: Some(replacement.to_owned()),
        ..RuleText::default()
    };
    let json = json!({
        "source_labels": ["source"],
        "regex": regex,
        "target_label": "out",
        "replacement": replacement,
    });
    let texts = (0..8).map(|_| matching(draw)).collect();
    (Generated { text, json }, texts)
}

fn matching(draw: &mut Draw) -> String {
    let pieces = [
        "a", "b", "ab", "A", "k", "K", "\u{212a}", "s", "ſ", "1", "_", "-", " ", "\n", "\t", "é",
        ".", "x", "go_gc", "\\", "{", "}", "]", "0", "\u{b}", "E",
    ];
    (0..draw.below(6)).map(|_| *draw.pick(&pieces)).collect()
}

/// Returns an expression of Go's grammar, or nearly.
fn expression(draw: &mut Draw, depth: usize) -> String {
    let mut out = String::new();
    let branches = if draw.one_in(3) { 1 + draw.below(3) } else { 1 };
    for branch in 0..branches {
        if branch > 0 {
            out.push('|');
        }
        for _ in 0..draw.below(4) {
            out += &atom(draw, depth);
            if draw.one_in(3) {
                out += quantifier(draw);
            }
        }
    }
    out
}

fn quantifier(draw: &mut Draw) -> &'static str {
    const COMMON: &[&str] = &[
        "*", "+", "?", "*?", "+?", "??", "{2}", "{1,}", "{0,2}", "{1,3}?",
    ];
    const RARE: &[&str] = &[
        "**", "{2}{3}", "{,2}", "{2,1}", "{1001}", "{01}", "*+", "{0}", "{a}", "{",
    ];
    let from = if draw.one_in(12) { RARE } else { COMMON };
    draw.pick::<&str>(from)
}

fn atom(draw: &mut Draw, depth: usize) -> String {
    let plain = [
        "a", "b", "ab", "go_", "1", "-", "_", ".", ".*", ".+", "x", " ", "é", "/", "A",
    ];
    let escapes = [
        r"\d", r"\D", r"\s", r"\S", r"\w", r"\W", r"\b", r"\B", r"\A", r"\z", r"\.", r"\-", r"\n",
        r"\t", r"\x41", r"\x{61}", r"\x{e9}", r"\141", r"\0", r"\Qa.b\E", r"\Q*\E", r"\_", "^",
        "$", r"\v", r"\f", r"\r", r"\a", r"\\", r"\{",
    ];
    let wrong = [
        r"\pL",
        r"\p{Greek}",
        r"\PN",
        r"\8",
        r"\1",
        r"\Z",
        r"\G",
        r"\x{110000}",
        r"\xg",
        r"\C",
        "(?=a)",
        "(?#a)",
        "[",
        "(",
        ")",
        r"\Qa",
        "*",
        "]",
        "(?P<n>",
        "(?i)é",
        "[z-a]",
        r"\u0041",
        r"\x{}",
        "(?i)[à-ü]",
        r"\é",
        "(?P=n)",
        "(?<é>a)",
        "(?-)a",
        "(?i-)a",
        "\\",
    ];
    match draw.below(24) {
        0..=10 => (*draw.pick(&plain)).to_owned(),
        11..=14 => (*draw.pick(&escapes)).to_owned(),
        15..=17 => class(draw),
        18 if draw.one_in(3) => (*draw.pick(&wrong)).to_owned(),
        _ if depth == 0 => "k".to_owned(),
        _ => {
            let heads = [
                "(", "(", "(", "(?:", "(?:", "(?i:", "(?s:", "(?-s:", "(?m:", "(?U:", "(?im-s:",
                "(?P<n>", "(?<n>", "(?P<m_2>", "(?i)(", "(?U)(", "(?-s)(?:", "(?m)(",
            ];
            let head = *draw.pick(&heads);
            format!("{head}{})", expression(draw, depth - 1))
        }
    }
}

fn class(draw: &mut Draw) -> String {
    let items = [
        "a",
        "b-k",
        "0-9",
        "A-Z",
        "-",
        "_",
        "[:alpha:]",
        "[:^digit:]",
        "[:word:]",
        "[:space:]",
        r"\d",
        r"\W",
        r"\s",
        r"\]",
        r"\-",
        "^",
        "é",
        "à-ü",
        ".",
        r"\n",
        "[",
        r"\x41-\x43",
        "k",
        "s",
        "[:punct:]",
        "[:foo:]",
        "[:alpha",
        r"\pL",
        "&&",
        "~~",
        "--",
        "a-",
        r"\b",
        r"\Q",
    ];
    let heads = ["[", "[", "[", "[^", "[]", "[^]"];
    let mut out = (*draw.pick(&heads)).to_owned();
    for _ in 0..=draw.below(3) {
        // The last ten are rare.
        let most = if draw.one_in(8) {
            items.len()
        } else {
            items.len() - 10
        };
        out += items[draw.below(most)];
    }
    if draw.one_in(6) {
        out.push('-');
    }
    out.push(']');
    out
}
