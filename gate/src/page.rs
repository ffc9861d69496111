//! The page: the state of every rollout, and one rollout in full.
//!
//! Plain HTML made on the server, no script: it reads well on a phone, refreshes itself and works
//! behind any proxy. Everything that comes from outside is escaped.

use std::fmt::Write as _;

use davy_proto::UnixNanos;
use davy_proto::verdict::{Evaluation, Objective, ObjectiveVerdict, TimelineEntry, Verdict};

mod interval;

/// A rollout as the page shows it.
#[derive(Clone, Debug)]
pub struct RolloutView {
    /// The last evaluation.
    pub evaluation: Evaluation,
    /// When it was made.
    pub updated: UnixNanos,
    /// Changes of verdict, oldest first.
    pub timeline: Vec<TimelineEntry>,
}

const STYLE: &str = include_str!("page/style.css");

/// The page of all rollouts, the latest first.
pub fn rollouts(views: &[RolloutView]) -> String {
    let mut body = String::from("<h1>Rollouts</h1>\n");
    if views.is_empty() {
        body.push_str(
            "<p>No rollout has been asked about yet. One begins with the first call of \
             <code>POST /v1/evaluate</code>, by Argo Rollouts or by hand.</p>\n",
        );
    }
    for view in views {
        card(&mut body, view);
    }
    body.push_str(
        "<p class=note>This gate keeps its state in memory: a restart begins every attempt \
         anew.</p>\n",
    );
    document("Davy: rollouts", &body)
}

/// The page of one rollout.
pub fn rollout(view: &RolloutView) -> String {
    let mut body = String::from("<p><a href=\"/\">← all rollouts</a></p>\n");
    card(&mut body, view);
    body.push_str("<h2>What happened</h2>\n<table class=timeline>\n");
    for entry in view.timeline.iter().rev() {
        let stands = if entry.is_final { " (final)" } else { "" };
        let _ = writeln!(
            body,
            "<tr><td>{}</td><td class={}>{}{stands}</td><td>{}</td></tr>",
            escape(&entry.at.to_string()),
            word(entry.verdict),
            word(entry.verdict),
            escape(&entry.reason),
        );
    }
    body.push_str("</table>\n");
    document(&format!("Davy: {}", view.evaluation.rollout.service), &body)
}

fn card(out: &mut String, view: &RolloutView) {
    let evaluation = &view.evaluation;
    let rollout = &evaluation.rollout;
    let verdict = word(evaluation.verdict);
    let place = match rollout.namespace.as_str() {
        "" => String::new(),
        namespace => format!("{namespace} / "),
    };
    let _ = write!(
        out,
        "<section class=\"card {verdict}\">\n<h2><a href=\"/rollouts/{id}\">{place}{service}</a> \
         <span class=badge>{verdict}{stands}</span></h2>\n\
         <p class=arms>canary <b>{canary}</b> against baseline <b>{baseline}</b></p>\n\
         <p class=reason>{reason}</p>\n<p class=facts>{facts}</p>\n",
        id = escape(&rollout.id),
        place = escape(&place),
        service = escape(&rollout.service),
        stands = if evaluation.is_final { ", final" } else { "" },
        canary = escape(rollout.canary.as_str()),
        baseline = escape(rollout.baseline.as_str()),
        reason = escape(&evaluation.reason),
        facts = escape(&facts(evaluation, view.updated)),
    );
    out.push_str("<div class=objectives>\n");
    for objective in &evaluation.objectives {
        row(out, objective);
    }
    out.push_str("</div>\n</section>\n");
}

fn facts(evaluation: &Evaluation, updated: UnixNanos) -> String {
    let mut facts = vec![format!("judged for {} s", evaluation.elapsed_seconds)];
    match evaluation.eta_seconds {
        Some(0) => {}
        Some(eta) => facts.push(format!("decision expected in {eta} s")),
        None => facts.push("no decision expected before the deadline".to_owned()),
    }
    if let Some(confidence) = evaluation.confidence {
        facts.push(format!("confidence {:.1} %", confidence * 100.0));
    }
    if let Some(coverage) = evaluation.coverage {
        facts.push(format!("coverage {:.0} %", coverage * 100.0));
    }
    facts.push(format!(
        "attempt {}, step {}",
        evaluation.attempt, evaluation.step
    ));
    facts.push(format!("at {updated}"));
    facts.join(" · ")
}

fn row(out: &mut String, objective: &Objective) {
    let state = match objective.verdict {
        ObjectiveVerdict::Approve => "safe",
        ObjectiveVerdict::Rollback => "worse",
        ObjectiveVerdict::Undecided => "undecided",
        ObjectiveVerdict::Unavailable => "unavailable",
    };
    let unit = objective.unit.as_deref().unwrap_or_default();
    let value = |v: Option<f64>| v.map_or_else(|| "–".to_owned(), |v| value(v, unit));
    let ratio = match (objective.ratio, objective.low, objective.high) {
        (Some(ratio), low, high) => format!("×{ratio:.2} {}", bounds(low, high)),
        (None, ..) => "–".to_owned(),
    };
    let _ = writeln!(
        out,
        "<div class=\"objective {state}\"><b>{}</b> <span>{state}</span> \
         <span>{} vs {}</span> <span>{}</span>{}{}</div>",
        escape(&objective.name),
        escape(&value(objective.canary)),
        escape(&value(objective.baseline)),
        escape(&ratio),
        interval::svg(objective),
        objective
            .reason
            .as_deref()
            .map(|reason| format!("<p>{}</p>", escape(reason)))
            .unwrap_or_default(),
    );
}

fn bounds(low: Option<f64>, high: Option<f64>) -> String {
    let bound = |b: Option<f64>| b.map_or_else(|| "?".to_owned(), |b| format!("{b:.2}"));
    format!("[{}, {}]", bound(low), bound(high))
}

/// A value in the unit that people use for it.
fn value(value: f64, unit: &str) -> String {
    match unit {
        "s" => format!("{:.0} ms", value * 1000.0),
        "1" => format!("{:.2} %", value * 100.0),
        "s/request" => format!("{:.3} ms CPU", value * 1000.0),
        "" => format!("{value}"),
        unit => format!("{value} {unit}"),
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Approve => "approve",
        Verdict::Rollback => "rollback",
        Verdict::Undecided => "undecided",
    }
}

fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=refresh content=5>\n<title>{}</title>\n<style>\n{STYLE}</style>\n\
         </head>\n<body>\n{body}</body>\n</html>\n",
        escape(title)
    )
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests;
