//! A result for people and for scripts: as text, as JSON, as Markdown.

use std::fmt::Write as _;

use davy_proto::verdict::{Evaluation, Objective, ObjectiveVerdict};
use davy_proto::window::Window;

use crate::cli::Summary;
use crate::figures::{grouped, interval, percent, with_unit};

/// Heads of the table of objectives.
const HEADS: [&str; 7] = [
    "objective",
    "baseline",
    "canary",
    "ratio",
    "interval",
    "limits",
    "verdict",
];

/// What was seen of both arms.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Seen {
    /// Requests of the baseline.
    pub(super) baseline: u64,
    /// Requests of the canary.
    pub(super) canary: u64,
}

impl Seen {
    /// Counts the requests of a window.
    pub(super) fn add(&mut self, window: &Window, is_canary: bool) {
        let requests = window
            .routes
            .iter()
            .fold(0_u64, |n, r| n.saturating_add(r.requests));
        let side = if is_canary {
            &mut self.canary
        } else {
            &mut self.baseline
        };
        *side = side.saturating_add(requests);
    }
}

/// The result in the form that was asked for, with a line feed at its end.
pub(super) fn render(evaluation: &Evaluation, seen: &Seen, form: Summary) -> String {
    match form {
        Summary::Text => text(evaluation, seen),
        // Numbers that don't exist are left out, so it always serialises.
        Summary::Json => serde_json::to_string(evaluation).unwrap_or_default() + "\n",
        Summary::Markdown => markdown(evaluation, seen),
    }
}

fn text(evaluation: &Evaluation, seen: &Seen) -> String {
    let rows: Vec<[String; 7]> = evaluation.objectives.iter().map(row).collect();
    let table: Vec<[String; 7]> = [HEADS.map(str::to_owned)].into_iter().chain(rows).collect();
    let mut widths = [0; 7];
    for row in &table {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut out = format!("{}: {}\n\n", evaluation.verdict, reason(evaluation));
    for row in &table {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            // Writing to a String can't fail.
            let _ = write!(line, "  {cell:<width$}");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    let _ = writeln!(out, "\n  {}", facts(evaluation, seen));
    out
}

fn markdown(evaluation: &Evaluation, seen: &Seen) -> String {
    let escaped = |text: &str| text.replace('|', "\\|").replace(['\n', '\r'], " ");
    let mut out = format!(
        "### {}\n\n{}\n\n",
        evaluation.verdict,
        escaped(&reason(evaluation))
    );
    let line =
        |cells: &[String; 7]| format!("| {} |\n", cells.each_ref().map(|c| escaped(c)).join(" | "));
    out.push_str(&line(&HEADS.map(str::to_owned)));
    out.push_str("|---|--:|--:|--:|---|---|---|\n");
    for objective in &evaluation.objectives {
        out.push_str(&line(&row(objective)));
    }
    let _ = writeln!(out, "\n{}", escaped(&facts(evaluation, seen)));
    out
}

/// The reason without the verdict that stands before it anyway.
fn reason(evaluation: &Evaluation) -> String {
    let prefix = format!("{}: ", evaluation.verdict);
    evaluation
        .reason
        .strip_prefix(&prefix)
        .unwrap_or(&evaluation.reason)
        .to_owned()
}

fn facts(evaluation: &Evaluation, seen: &Seen) -> String {
    let mut text = format!(
        "after {} s; {} baseline and {} canary requests",
        evaluation.elapsed_seconds,
        grouped(seen.baseline as f64),
        grouped(seen.canary as f64)
    );
    for (name, share) in [
        ("confidence", evaluation.confidence),
        ("coverage", evaluation.coverage),
    ] {
        if let Some(share) = share {
            let _ = write!(text, "; {name} {}", percent(share));
        }
    }
    text
}

fn row(objective: &Objective) -> [String; 7] {
    let nothing = || "-".to_owned();
    let value = |number: Option<f64>| {
        number.map_or_else(nothing, |number| {
            with_unit(number, objective.unit.as_deref())
        })
    };
    let limits = match (
        objective.rollback_above,
        objective.approve_below,
        objective.limit,
    ) {
        (Some(above), Some(below), _) => format!("{above:.2} / {below:.2}"),
        (_, _, Some(limit)) => with_unit(limit, objective.unit.as_deref()),
        _ => nothing(),
    };
    let verdict = match (objective.verdict, &objective.reason) {
        (ObjectiveVerdict::Approve, _) => "safe".to_owned(),
        (ObjectiveVerdict::Rollback, _) => "worse".to_owned(),
        (ObjectiveVerdict::Undecided, None) => "undecided".to_owned(),
        (ObjectiveVerdict::Undecided, Some(why)) => format!("undecided: {why}"),
        (ObjectiveVerdict::Unavailable, None) => "can't be judged".to_owned(),
        (ObjectiveVerdict::Unavailable, Some(why)) => format!("can't be judged: {why}"),
    };
    [
        objective.name.clone(),
        value(objective.baseline),
        value(objective.canary),
        objective
            .ratio
            .map_or_else(nothing, |ratio| format!("{ratio:.2}")),
        interval(objective).unwrap_or_else(nothing),
        limits,
        verdict,
    ]
}

#[cfg(test)]
mod tests;
