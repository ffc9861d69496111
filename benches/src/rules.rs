//! Relabel rules of a target, as they are usually written, and series to apply them to.

use std::borrow::Cow;

use davy_agent_core::relabel::{Action, Labels, Rule, RuleError, RuleText, Rules, TargetLabels};

/// A label's name and value.
pub type Pair<'p> = (&'p str, &'p str);

/// The series of a page, as rules see them: names and values, as they stand on the page.
pub fn series(page: &[u8]) -> Vec<Vec<Pair<'_>>> {
    let page = std::str::from_utf8(page).unwrap_or_default();
    let samples = page.lines().filter(|line| !line.starts_with('#'));
    samples
        .map(|line| {
            let (name, rest) = line.split_once('{').unwrap_or((line, ""));
            let labels = rest.rsplit_once('}').map_or("", |(labels, _)| labels);
            let labels = labels.split("\",").filter_map(|it| it.split_once("=\""));
            let labels = labels.map(|(name, value)| (name, value.trim_end_matches('"')));
            let of_target = [("instance", INSTANCE), ("job", JOB)];
            let name = [("__name__", name)];
            name.into_iter().chain(labels).chain(of_target).collect()
        })
        .collect()
}

/// Applies rules to a series; none when it is dropped.
pub fn apply<'p>(
    rules: &'p Rules,
    series: &[Pair<'p>],
) -> Option<Vec<(Cow<'p, str>, Cow<'p, str>)>> {
    let pairs = series.iter().copied();
    let mut labels = Labels::new(pairs.map(|(name, value)| (name.into(), value.into())));
    rules.apply(&mut labels).then(|| labels.finish())
}

/// Who the series belong to.
const INSTANCE: &str = "127.0.0.1:8080";
const JOB: &str = "shop";

/// Three rules for the pages of [`crate::ring::shop`]: gauges are dropped by their name, a label
/// that nobody asks for is dropped, and another is made of a part of a value.
///
/// # Errors
///
/// Never: it is a bench's to say so.
pub fn usual() -> Result<Rules, RuleError> {
    let names = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
    let text = |text: &str| Some(text.to_owned());
    let rules = [
        RuleText {
            source_labels: names(&["__name__"]),
            regex: text("shop_(?:stock|queue)_.*"),
            action: Some(Action::Drop),
            ..RuleText::default()
        },
        RuleText {
            regex: text("warehouse|pod|node"),
            action: Some(Action::LabelDrop),
            ..RuleText::default()
        },
        RuleText {
            source_labels: names(&["http_route"]),
            regex: text("/api/(v[0-9]+)/.*"),
            target_label: "api".to_owned(),
            ..RuleText::default()
        },
    ];
    let rules: Result<Vec<Rule>, RuleError> = rules.into_iter().map(Rule::new).collect();
    let target = TargetLabels {
        job: JOB.to_owned(),
        instance: INSTANCE.to_owned(),
        address: INSTANCE.to_owned(),
        scheme: "http".to_owned(),
        metrics_path: "/metrics".to_owned(),
    };
    Ok(Rules::new(rules?, target))
}
