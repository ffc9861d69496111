//! What a person sees while a check runs: what was found, a line every cell, what changed.

use std::io::Write;
use std::time::Duration;

use davy_gate_core::judge::Unavailable;
use davy_gate_core::policy::{Gate, Policy};
use davy_proto::units::format_duration;
use davy_proto::verdict::{Evaluation, Objective, ObjectiveVerdict, Verdict};

use super::source::Source;
use super::target::Side;
use crate::command::summary::Seen;
use crate::figures::{grouped, interval, percent};

/// Until then no expectation is told where there is none.
const EXPECTS_AFTER: Duration = Duration::from_secs(60);

/// Writes progress. Nothing here can fail the check: what can't be written is left out.
pub(super) struct Progress<W> {
    out: W,
    is_colored: bool,
}

impl<W: Write> Progress<W> {
    pub(super) fn new(out: W, is_colored: bool) -> Self {
        Self { out, is_colored }
    }

    pub(super) fn note(&mut self, text: &str) {
        // Nobody may be reading.
        let _ = writeln!(self.out, "davy-gate: {text}");
    }

    /// Says what is judged and what can't be, and who doesn't answer.
    pub(super) fn found(&mut self, sources: &[Source], policy: &Policy) {
        let [baseline, canary] = Side::ALL.map(|side| {
            sources
                .iter()
                .filter(|source| source.target.side == side)
                .count()
        });
        self.note(&format!(
            "scraping {baseline} baseline and {canary} canary {} every 5 s",
            if canary == 1 { "instance" } else { "instances" }
        ));
        let reported = sources.iter().filter_map(|source| source.report.as_ref());
        // An instance that had requests tells more than one that just came up.
        let telling = reported.max_by_key(|report| {
            report
                .objectives
                .iter()
                .filter(|objective| objective.judgeable)
                .count()
        });
        for judgeable in telling.iter().flat_map(|report| &report.objectives) {
            let objective = policy
                .objectives
                .iter()
                .find(|objective| objective.indicator.as_str() == judgeable.indicator);
            let Some(objective) = objective else { continue };
            let name = &objective.name;
            let text = match (judgeable.judgeable, objective.gate) {
                (true, _) => format!("{name}: {}", judgeable.why),
                (false, Gate::Require) => {
                    format!(
                        "{name}: can't be judged so far, and is required: {}",
                        judgeable.why
                    )
                }
                (false, Gate::Veto) => {
                    format!("{name}: can't be judged so far: {}", judgeable.why)
                }
            };
            let _ = writeln!(self.out, "  {text}");
        }
        for source in sources {
            self.changed(source, false);
        }
    }

    /// Says when a target stops answering, and when it answers again.
    pub(super) fn changed(&mut self, source: &Source, was_failing: bool) {
        let (side, pod) = (source.target.side.as_str(), &source.target.pod);
        match &source.failing {
            Some(failing) if !was_failing => self.note(&format!(
                "{side} {pod} can't be scraped, its coverage is lost: {}",
                failing.reason
            )),
            None if was_failing => self.note(&format!("{side} {pod} is scraped again")),
            _ => {}
        }
    }

    /// One line on how things stand.
    pub(super) fn step(&mut self, elapsed: Duration, answer: &Evaluation, seen: &Seen) {
        let seconds = elapsed.as_secs();
        let mut parts = vec![
            format!("{:>2}:{:02}", seconds / 60, seconds % 60),
            format!(
                "{} + {} requests",
                grouped(seen.baseline as f64),
                grouped(seen.canary as f64)
            ),
        ];
        let waits = Side::ALL
            .into_iter()
            .find(|side| requests(seen, *side) == 0);
        if waits.is_none() {
            parts.extend(answer.objectives.iter().filter_map(objective));
        }
        if let Some(coverage) = answer.coverage.filter(|share| *share < 0.995) {
            parts.push(format!(
                "coverage {}",
                percent((coverage * 100.0).round() / 100.0)
            ));
        }
        let eta = match (answer.is_final, waits, answer.eta_seconds) {
            (true, _, _) => String::new(),
            (false, Some(side), _) => format!(", waiting for requests of the {}", side.as_str()),
            (false, None, Some(eta)) => {
                format!(", {} to go", format_duration(Duration::from_secs(eta)))
            }
            // At first there is too little to expect anything from.
            (false, None, None) if elapsed < EXPECTS_AFTER => String::new(),
            (false, None, None) => ", not expected before the deadline".to_owned(),
        };
        parts.push(format!("{}{eta}", self.colored(answer.verdict)));
        // Nobody may be reading.
        let _ = writeln!(self.out, "{}", parts.join("  "));
    }

    fn colored(&self, verdict: Verdict) -> String {
        let color = match verdict {
            Verdict::Approve => 32,
            Verdict::Rollback => 31,
            Verdict::Undecided => 33,
        };
        if self.is_colored {
            format!("\x1b[{color}m{verdict}\x1b[0m")
        } else {
            verdict.to_string()
        }
    }
}

fn requests(seen: &Seen, side: Side) -> u64 {
    match side {
        Side::Baseline => seen.baseline,
        Side::Canary => seen.canary,
    }
}

/// A comparison in short: `latency 1.02 [0.95, 1.11] safe`; nothing of other objectives that are
/// as they should be.
fn objective(objective: &Objective) -> Option<String> {
    let name = &objective.name;
    let compared = objective.rollback_above.is_some();
    match objective.verdict {
        // Nothing yet: it warms up, or had no requests of that kind.
        ObjectiveVerdict::Unavailable if waits(objective) => return Some(format!("{name} ?")),
        ObjectiveVerdict::Unavailable => return Some(format!("{name} can't be judged")),
        ObjectiveVerdict::Rollback if !compared => return Some(format!("{name} worse")),
        _ if !compared => return None,
        _ => {}
    }
    let ratio = match (objective.ratio, objective.canary, objective.unit.as_deref()) {
        (Some(ratio), _, _) => format!("{ratio:.2}"),
        // Without errors of the baseline there is no ratio.
        (None, Some(canary), Some("1")) => percent(canary),
        _ => "?".to_owned(),
    };
    let mut text = format!("{name} {ratio}");
    if let Some(interval) = interval(objective) {
        text.push(' ');
        text.push_str(&interval);
    }
    match objective.verdict {
        ObjectiveVerdict::Approve => text.push_str(" safe"),
        ObjectiveVerdict::Rollback => text.push_str(" worse"),
        ObjectiveVerdict::Undecided | ObjectiveVerdict::Unavailable => {}
    }
    Some(text)
}

/// Whether it is judged as soon as both arms report it.
fn waits(objective: &Objective) -> bool {
    let waits = [Unavailable::NoBaseline, Unavailable::NoCanary].map(|why| why.to_string());
    objective
        .reason
        .as_ref()
        .is_some_and(|reason| waits.contains(reason))
}

/// Why an instance never answered.
pub(super) fn why_silent(source: &Source) -> String {
    let reason = source
        .failing
        .as_ref()
        .map_or("not scraped yet", |failing| &*failing.reason);
    format!(
        "  {} {} never answered: {reason}",
        source.target.side.as_str(),
        source.target.url
    )
}

/// Which objectives can't be judged by an instance's page, and why.
pub(super) fn why_not_judgeable(source: &Source) -> String {
    let (side, url) = (source.target.side.as_str(), &source.target.url);
    let mut text = format!("  {side} {url} counts no requests:");
    let Some(report) = &source.report else {
        return why_silent(source);
    };
    for objective in report
        .objectives
        .iter()
        .filter(|objective| !objective.judgeable)
    {
        text.push_str(&format!("\n    {}: {}", objective.indicator, objective.why));
    }
    text
}
