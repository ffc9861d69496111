//! `davy-gate check-policy`: all mistakes of a policy at once; of a right one, how it was read, and
//! with a rate the expected time to each decision.

mod times;

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Context;
use davy_config::Node;
use davy_gate_core::policy::{
    Absolute, Assume, Gate, Indicator, Mode, Objective, OnAlert, OnDeadline, Policy,
};
use davy_proto::units::format_duration;

use super::{Usage, read_file};
use crate::cli::CheckPolicy;
use crate::figures::{percent, seconds};
use times::Expected;

/// Reads the policy and prints what it says.
pub(super) fn run(options: &CheckPolicy) -> anyhow::Result<ExitCode> {
    let name = options.file.display().to_string();
    let report = report(&name, &read_file(&options.file)?, options)?;
    io::stdout()
        .write_all(report.as_bytes())
        .context("print the report")?;
    Ok(ExitCode::SUCCESS)
}

fn report(name: &str, text: &str, options: &CheckPolicy) -> Result<String, Usage> {
    let expected = Expected::of(options);
    let policy = Policy::read(name, text);
    let (policy, expected) = match (policy, expected) {
        (Ok(policy), Ok(expected)) => (policy, expected),
        (policy, expected) => {
            let mut mistakes: Vec<String> = expected.err().unwrap_or_default();
            mistakes.extend(policy.err().map(|mistakes| mistakes.to_string()));
            return Err(Usage(mistakes.join("\n")));
        }
    };
    let mut out = format!("{name}: ok\n\n");
    // Writing to a String can't fail.
    let _ = write!(out, "{}", what_was_read(&policy, text));
    if let Some(expected) = expected {
        let _ = write!(out, "\n{}", expected.table(&policy));
    }
    Ok(out)
}

fn what_was_read(policy: &Policy, text: &str) -> String {
    let mode = match policy.mode {
        Mode::Enforce => "enforce",
        Mode::Observe => "observe: always approves, records what it would have said",
    };
    let service = policy
        .service
        .as_deref()
        .unwrap_or("every one without a policy of its own");
    let mut lines = vec![("service", service.to_owned()), ("mode", mode.to_owned())];
    let names = policy
        .objectives
        .iter()
        .map(|objective| objective.name.chars().count());
    let width = names.max().unwrap_or(0);
    for (at, objective) in policy.objectives.iter().enumerate() {
        let label = if at == 0 { "objectives" } else { "" };
        let gate = match objective.gate {
            Gate::Require => "require",
            Gate::Veto => "veto",
        };
        let name = &objective.name;
        lines.push((
            label,
            format!("{name:<width$}  {gate:<7}  {}", limits(objective)),
        ));
    }
    lines.push(("risk", risk(policy)));
    lines.push(("timing", timing(policy)));
    let alert = match policy.on_alert {
        OnAlert::Hold => "holds an approval",
        OnAlert::Rollback => "rolls back",
    };
    lines.push(("alert", alert.to_owned()));
    let by_default = left_out(text);
    if !by_default.is_empty() {
        lines.push(("by default", by_default.join(", ")));
    }
    let mut out = String::new();
    for (label, line) in lines {
        // Writing to a String can't fail.
        let _ = writeln!(out, "  {label:<10}  {line}");
    }
    out
}

fn limits(objective: &Objective) -> String {
    let what = match objective.indicator {
        Indicator::CpuPerRequest => "CPU seconds a request".to_owned(),
        Indicator::CpuUtilization => "share of the CPU limit".to_owned(),
        Indicator::Errors => "error rate".to_owned(),
        Indicator::Latency => {
            let quantile = percent(objective.quantile);
            let quantile = quantile.trim_end_matches(" %");
            let from = if objective.strict { "" } else { "P90 to " };
            format!("latency {from}P{quantile}")
        }
        Indicator::Restarts => "restarts of a pod".to_owned(),
    };
    let mut parts = Vec::new();
    if let Some(ratio) = &objective.ratio {
        let (rollback, approve) = (ratio.rollback_above, ratio.approve_below);
        parts.push(format!(
            "rollback above ×{rollback:.2}, approve below ×{approve:.2}"
        ));
        if objective.negligible > 0.0 {
            parts.push(format!(
                "below {} negligible",
                percent(objective.negligible)
            ));
        }
    }
    parts.extend(objective.absolute.iter().map(|limit| match limit {
        Absolute::MaxSeconds(max) => format!("at most {}", seconds(*max)),
        Absolute::MinSuccess(min) => format!("success at least {}", percent(*min)),
        Absolute::MaxUtilization(max) => format!("at most {} of the CPU limit", percent(*max)),
        Absolute::MaxPerPod(max) => format!("at most {max}"),
    }));
    if !objective.routes.is_empty() {
        parts.push(format!("of {}", objective.routes.join(", ")));
    }
    format!("{what}: {}", parts.join(", "))
}

fn risk(policy: &Policy) -> String {
    let risk = policy.risk;
    let assume = match risk.assume {
        None => "pods may differ, until 10 minutes of history show that they don't",
        Some(Assume::Alike) => "pods of a version are alike",
        Some(Assume::Vary) => "pods of a version may differ",
    };
    format!(
        "false rollback {}, false approval {}; {assume}",
        percent(risk.false_rollback),
        percent(risk.false_approval)
    )
}

fn timing(policy: &Policy) -> String {
    let timing = policy.timing;
    let [warm_up, min, max, bake] = [
        timing.warm_up,
        timing.min_duration,
        timing.max_duration,
        timing.bake,
    ]
    .map(format_duration);
    let then = match &policy.on_deadline {
        OnDeadline::Pause => "undecided".to_owned(),
        OnDeadline::Rollback => "rollback".to_owned(),
        OnDeadline::ApproveIfBelow(bounds) => {
            let bounds: Vec<String> = bounds
                .iter()
                .map(|(name, bound)| format!("{name} ×{bound:.2}"))
                .collect();
            format!("approve if below {}", bounds.join(", "))
        }
    };
    let bake = if timing.bake.is_zero() {
        String::new()
    } else {
        format!(", then {bake} of bake")
    };
    format!("warm-up {warm_up}, no approval before {min}{bake}, deadline {max}: {then}")
}

/// Keys that were left out, so that their defaults hold.
fn left_out(text: &str) -> Vec<&'static str> {
    const KEYS: [(&str, &[&str]); 6] = [
        ("mode", &[]),
        ("objectives", &[]),
        (
            "risk",
            &["risk.false_rollback", "risk.false_approval", "risk.assume"],
        ),
        (
            "timing",
            &[
                "timing.warm_up",
                "timing.min_duration",
                "timing.max_duration",
                "timing.bake",
            ],
        ),
        ("on_deadline", &[]),
        ("on_alert", &[]),
    ];
    let Ok(document) = davy_config::parse("", text, &|_| None) else {
        return Vec::new();
    };
    let below = |node: &Node, path: &str| {
        node.child(path.rsplit('.').next().unwrap_or_default())
            .is_none()
    };
    let mut found = Vec::new();
    for (key, parts) in KEYS {
        match document.root.child(key) {
            None => found.push(key),
            Some(node) => found.extend(parts.iter().copied().filter(|path| below(node, path))),
        }
    }
    found
}

#[cfg(test)]
mod tests;
