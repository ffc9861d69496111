//! Prometheus's package of rules, as a process.

use std::collections::BTreeMap;

use davy_tests::kit::oracle;
use serde::Deserialize;
use serde_json::{Value, json};

use super::generate::{Generated, Set};

/// What it says of a list of rules.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    /// Why the rules are refused; empty when they are not.
    pub(super) error: String,
    /// What is left of each series; none of one that is dropped.
    pub(super) series: Option<Vec<Option<Set>>>,
}

/// The same, told apart.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) error: String,
    pub(super) series: Vec<Option<Set>>,
}

/// What it makes of characters in upper and in lower case, as far as they change.
#[derive(Debug, Deserialize)]
pub(super) struct Letters {
    pub(super) upper: BTreeMap<String, String>,
    pub(super) lower: BTreeMap<String, String>,
}

/// The process.
pub(super) struct Oracle(oracle::Oracle);

impl Oracle {
    /// Builds it unless it is built, and starts it.
    pub(super) fn start() -> Self {
        Self(oracle::Oracle::start("relabel").expect("Prometheus's rules"))
    }

    /// Asks about lists of rules and their series.
    pub(super) fn ask_all(&mut self, lists: &[(Vec<Generated>, Vec<Set>)]) -> Vec<Told> {
        let asked = lists.iter().map(|(rules, series)| {
            let rules: Vec<&Value> = rules.iter().map(|rule| &rule.json).collect();
            json!({"rules": rules, "series": series})
        });
        let lines = self.exchange(&asked.collect::<Vec<_>>());
        let told = lines.iter().map(|line| {
            let answer: Answer = serde_json::from_str(line).expect("an answer");
            Told {
                error: answer.error,
                series: answer.series.unwrap_or_default(),
            }
        });
        told.collect()
    }

    /// Asks about characters.
    pub(super) fn letters(mut self) -> Letters {
        let lines = self.exchange(&[json!({"letters": true})]);
        serde_json::from_str(&lines[0]).expect("an answer")
    }

    fn exchange(&mut self, asked: &[Value]) -> Vec<String> {
        let input: String = asked.iter().map(|line| format!("{line}\n")).collect();
        let told = self.0.exchange(input.as_bytes(), asked.len());
        told.expect("the oracle answers")
    }
}
