//! Relabelling: rules that drop series or change their labels, as Prometheus's
//! `metric_relabel_configs` do.
//!
//! A [`Rule`] is one entry of such a list, checked when it is made; [`Rules`] applies a list to one
//! series' [`Labels`]. What the rules make of a whole page, whose samples are points of families
//! and not series by themselves, is `Page::relabel` of `davy-agent-core`.
//!
//! Regular expressions are those of Go's package `regexp` ([`Pattern`]): they are read by Go's
//! grammar, and what has no equal here is refused when the rule is made, never matched otherwise.
//!
//! Source: `model/relabel/relabel.go` of prometheus/prometheus, against which the rules are tested.

pub use labels::Labels;
pub use pattern::{Pattern, PatternError};
pub use rule::{Action, Problem, Rule, RuleError, RuleText};

mod digest;
mod expand;
mod labels;
mod letters;
mod pattern;
mod rule;

/// The label that a series' name stands in.
pub const NAME_LABEL: &str = "__name__";

/// Who the series of a page belong to: what rules see of the target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetLabels {
    /// The label `job`: the service's name, with its namespace before a slash if it has one.
    pub job: String,
    /// The label `instance`.
    pub instance: String,
    /// `__address__`, host and port.
    pub address: String,
    /// `__scheme__`, `http` or `https`.
    pub scheme: String,
    /// `__metrics_path__`, without its query.
    pub metrics_path: String,
}

/// The rules of a target, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    rules: Vec<Rule>,
    target: TargetLabels,
}

/// Labels that Prometheus takes from a target before its scrapes; a rule sees one if it names it.
const OF_ADDRESS: [&str; 3] = ["__address__", "__metrics_path__", "__scheme__"];

impl Rules {
    /// Returns the rules of a target.
    pub fn new(rules: Vec<Rule>, target: TargetLabels) -> Self {
        Self { rules, target }
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Applies the rules to a series; false when it is dropped.
    pub fn apply<'r>(&'r self, labels: &mut Labels<'r>) -> bool {
        self.rules.iter().all(|rule| rule.apply(labels))
    }

    /// Returns the labels of the target that a series has beside those of the page, by name.
    pub fn of_target(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let target = &self.target;
        let always = [("instance", &target.instance), ("job", &target.job)];
        let values = [&target.address, &target.metrics_path, &target.scheme];
        let named = |(name, _): &(&str, _)| self.rules.iter().any(|rule| rule.reads(name));
        let of_address = OF_ADDRESS.into_iter().zip(values).filter(named);
        let all = always.into_iter().chain(of_address);
        all.map(|(name, value)| (name, value.as_str()))
    }

    /// Returns whether a label that the rules left is the target's own and not the series'.
    pub fn is_of_target(&self, name: &str, value: &str) -> bool {
        match name {
            "instance" => value == self.target.instance,
            "job" => value == self.target.job,
            _ => OF_ADDRESS.contains(&name),
        }
    }
}
