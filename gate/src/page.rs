//! The page: the state of every rollout, and one rollout in full.
//!
//! Plain HTML made on the server, no script: it reads well on a phone, refreshes itself and works
//! behind any proxy. Everything that comes from outside is escaped.

use std::fmt::Write as _;

use davy_proto::UnixNanos;
use davy_proto::verdict::{Evaluation, Objective, ObjectiveVerdict, TimelineEntry, Verdict};

mod interval;

use crate::figures::{elapsed, instant, with_unit};

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

/// What the pictures mean.
const LEGEND: &str = "<p class=note>● ratio of canary to baseline · <b>━</b> where it lies, as \
     far as proved · <span class=bad>┃</span> rolled back when proved above · \
     <span class=good>┃</span> approved when proved below · ┆ equal</p>\n";
pub(crate) const STYLE: &str = include_str!("page/style.css");

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
    if !views.is_empty() {
        body.push_str(LEGEND);
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
    body.push_str(LEGEND);
    body.push_str("<h2>What happened</h2>\n<table class=timeline>\n");
    for entry in view.timeline.iter().rev() {
        let stands = if entry.is_final { " (final)" } else { "" };
        let _ = writeln!(
            body,
            "<tr><td>{}</td><td class={}>{}{stands}</td><td>{}</td></tr>",
            escape(&instant(entry.at)),
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
    let mut facts = vec![format!(
        "judged for {}",
        elapsed(evaluation.elapsed_seconds)
    )];
    match evaluation.eta_seconds {
        Some(0) => {}
        Some(eta) => facts.push(format!("decision expected in {}", elapsed(eta))),
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
    facts.push(format!("at {}", instant(updated)));
    facts.join(" · ")
}

fn row(out: &mut String, objective: &Objective) {
    let state = match objective.verdict {
        ObjectiveVerdict::Approve => "safe",
        ObjectiveVerdict::Rollback => "worse",
        ObjectiveVerdict::Undecided => "undecided",
        ObjectiveVerdict::Unavailable => "unavailable",
    };
    let _ = writeln!(
        out,
        "<div class=\"objective {state}\"><b>{}</b> <span>{state}</span> \
         <span>{}</span> <span>{}</span>{}{}</div>",
        escape(&objective.name),
        escape(&values(objective)),
        escape(&ratio(objective)),
        interval::svg(objective),
        objective
            .reason
            .as_deref()
            .map(|reason| format!("<p>{}</p>", escape(reason)))
            .unwrap_or_default(),
    );
}

/// The canary's value beside the baseline's, or beside the limit that it has alone.
fn values(objective: &Objective) -> String {
    let value = |number: f64| with_unit(number, objective.unit.as_deref());
    let beside = match (objective.baseline, objective.limit) {
        (Some(baseline), _) => format!(" vs {}", value(baseline)),
        (None, Some(limit)) => format!(", limit {}", value(limit)),
        (None, None) => String::new(),
    };
    match objective.canary {
        Some(canary) => value(canary) + &beside,
        None => String::new(),
    }
}

/// The ratio and what is proved of it.
fn ratio(objective: &Objective) -> String {
    let Some(ratio) = objective.ratio else {
        return String::new();
    };
    match (objective.low, objective.high) {
        (Some(low), Some(high)) => format!("×{ratio:.2} [{low:.2}, {high:.2}]"),
        (Some(low), None) => format!("×{ratio:.2}, at least {low:.2}"),
        (None, Some(high)) => format!("×{ratio:.2}, at most {high:.2}"),
        (None, None) => format!("×{ratio:.2}"),
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

pub(crate) fn escape(text: &str) -> String {
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
