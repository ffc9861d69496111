//! Davy's relabel rules beside Prometheus's own package `model/relabel`, as a process: generated
//! rules, expressions and series, and every letter of Unicode.

use std::collections::BTreeMap;

use davy_agent_core::relabel::{
    Labels, PatternError, Problem, Rule, RuleError, Rules, TargetLabels,
};
use generate::{Generated, Set};
use oracle::Oracle;

use crate::exposition::draw::Draw;

mod generate;
mod oracle;

/// Lists of rules drawn, each with some series.
const LISTS: u64 = 6000;
/// Expressions drawn, each matched against some texts.
const PATTERNS: u64 = 12_000;
/// Lists asked about at once.
const BATCH: usize = 200;

/// What Davy makes of series; or the rule that it refuses.
fn ours(rules: &[Generated], series: &[Set]) -> Result<Vec<Option<Set>>, RuleError> {
    let rules: Result<Vec<Rule>, RuleError> = rules
        .iter()
        .map(|rule| Rule::new(rule.text.clone()))
        .collect();
    let rules = Rules::new(rules?, TargetLabels::default());
    let apply = |set: &Set| {
        let pairs = set.iter().map(|(name, value)| (name.into(), value.into()));
        let mut labels = Labels::new(pairs);
        let owned = |labels: Labels<'_>| {
            let pairs = labels.finish().into_iter();
            pairs
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect()
        };
        rules.apply(&mut labels).then(|| owned(labels))
    };
    Ok(series.iter().map(apply).collect())
}

/// Whether Davy may refuse what Go takes: what it says it can't do.
fn is_known(error: &RuleError) -> bool {
    match &error.problem {
        Problem::RunsOn => true,
        Problem::Pattern(pattern) => matches!(
            pattern,
            PatternError::Letter(_)
                | PatternError::Nested
                | PatternError::TooLarge
                | PatternError::UnclosedQuote
                | PatternError::Unicode(_)
                | PatternError::Unopened
        ),
        _ => false,
    }
}

/// How often each side refused, and series were dropped or changed.
#[derive(Debug, Default)]
struct Seen {
    refused: usize,
    only_by_davy: usize,
    dropped: usize,
    changed: usize,
    same: usize,
}

fn compare(all: &[(Vec<Generated>, Vec<Set>)]) -> Seen {
    let mut oracle = Oracle::start();
    let mut seen = Seen::default();
    for batch in all.chunks(BATCH) {
        for ((rules, series), theirs) in batch.iter().zip(oracle.ask_all(batch)) {
            let shown = || {
                rules
                    .iter()
                    .map(|rule| rule.json.to_string())
                    .collect::<Vec<_>>()
            };
            match (ours(rules, series), theirs.error.as_str()) {
                (Ok(ours), "") => {
                    for ((before, ours), theirs) in series.iter().zip(ours).zip(theirs.series) {
                        assert_eq!(ours, theirs, "{before:?} {:#?}", shown());
                        match ours {
                            None => seen.dropped += 1,
                            Some(after) if after == *before => seen.same += 1,
                            Some(_) => seen.changed += 1,
                        }
                    }
                }
                (Err(_), error) if !error.is_empty() => seen.refused += 1,
                (Err(error), _) => {
                    assert!(
                        is_known(&error),
                        "only Davy refuses: {error}: {:#?}",
                        shown()
                    );
                    seen.only_by_davy += 1;
                }
                (Ok(_), error) => panic!("only Prometheus refuses: {error}: {:#?}", shown()),
            }
        }
    }
    seen
}

/// Scenario: lists of rules of every action, some of them wrong, over series.
/// Guarantees: both refuse the same rules, and make the same of every series.
#[test]
fn rules_do_what_prometheus_does() {
    let lists = (0..LISTS).map(|seed| {
        let mut draw = Draw(seed);
        let rules = (0..=draw.below(3))
            .map(|_| generate::rule(&mut draw))
            .collect();
        let series = (0..12).map(|_| generate::series(&mut draw)).collect();
        (rules, series)
    });
    let seen = compare(&lists.collect::<Vec<_>>());
    println!("{seen:?}");
    // Each outcome has been seen often, or this compares nothing.
    assert!(
        seen.changed > 10_000 && seen.dropped > 10_000 && seen.same > 5_000,
        "{seen:?}"
    );
    assert!(seen.refused > 500, "{seen:?}");
}

/// Scenario: expressions drawn from Go's grammar, its corners and mistakes among them; the groups of
/// a match are put into a label.
/// Guarantees: both refuse the same, match the same texts, and with the same groups; what only
/// Davy refuses is what it says it can't do.
#[test]
fn expressions_match_what_go_matches() {
    let lists = (0..PATTERNS).map(|seed| {
        let mut draw = Draw(seed ^ 0x5eed);
        let (rule, texts) = generate::pattern(&mut draw);
        let series = texts.into_iter().map(|text| {
            let source = ("source".to_owned(), text);
            BTreeMap::from([("__name__".to_owned(), "m".to_owned()), source])
        });
        (vec![rule], series.collect())
    });
    let seen = compare(&lists.collect::<Vec<_>>());
    println!("{seen:?}");
    assert!(seen.changed > 10_000 && seen.same > 10_000, "{seen:?}");
    assert!(seen.refused > 500, "{seen:?}");
}

/// Guarantees: `lowercase` and `uppercase` turn every character into what Go turns it into. Letters
/// that are younger than one side's Unicode may differ; there are few.
#[test]
fn letters_have_the_case_that_go_gives_them() {
    let theirs = Oracle::start().letters();
    for (action, theirs) in [("uppercase", theirs.upper), ("lowercase", theirs.lower)] {
        let rule = generate::letters(action);
        let rules = Rules::new(
            vec![Rule::new(rule).expect("a rule")],
            TargetLabels::default(),
        );
        let mut differing = Vec::new();
        for c in (1..=0x10_ffff).filter_map(char::from_u32) {
            let before = c.to_string();
            let mut labels = Labels::new([("source".into(), before.as_str().into())]);
            assert!(rules.apply(&mut labels));
            let after = labels.value("out").to_owned();
            if after != *theirs.get(&before).unwrap_or(&before) {
                differing.push(format!("U+{:04X} {before} {after}", u32::from(c)));
            }
        }
        println!("{action}: {differing:?}");
        assert!(differing.len() <= 80, "{action}: {differing:?}");
        // Unicode 16 gave upper cases to two old letters too.
        let is_young = |text: &String| {
            let code = text[2..].split(' ').next().expect("a number");
            let code = u32::from_str_radix(code, 16).expect("a number");
            code > 0x1c80 || [0x19b, 0x264].contains(&code)
        };
        assert!(differing.iter().all(is_young), "{action}: {differing:?}");
    }
}
