//! The table of expected times, and what to change where the deadline comes first.

use std::fmt::Write as _;
use std::time::Duration;

use davy_gate_core::expect::{
    CPU_SIGMA, Expectation, LATENCY_SIGMA, LimitExpectation, Traffic, approval_seconds,
    expectations, limit_expectations,
};
use davy_gate_core::policy::{Absolute, Assume, Gate, Indicator, Policy};
use davy_proto::units::format_duration;

use crate::cli::CheckPolicy;
use crate::figures::{grouped, percent, seconds};

/// Seconds that the baseline was watched alone: with some history and with none.
const HISTORIES: [(&str, f64); 2] = [("2m of history", 120.0), ("no history", 0.0)];
/// Highest rate that is taken to be one, in requests a second.
const RATE_MAX: f64 = 1e9;
/// Marks times after the deadline.
const LATE: &str = "*";
/// Rates that a remedy may ask for, as multiples of the present one.
const RATE_FACTORS: [f64; 10] = [1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 20.0];

/// The traffic that was asked about.
pub(super) struct Expected {
    traffic: Traffic,
}

impl Expected {
    /// The traffic of the flags; none without a rate.
    ///
    /// # Errors
    ///
    /// All mistakes of the flags.
    pub(super) fn of(options: &CheckPolicy) -> Result<Option<Self>, Vec<String>> {
        let (rate, weight, errors) = (options.rate.unwrap_or(1.0), options.weight, options.errors);
        let mut mistakes = Vec::new();
        let mut check = |is_right: bool, what: String| {
            if !is_right {
                mistakes.push(what);
            }
        };
        check(
            rate > 0.0 && rate <= RATE_MAX,
            format!("--rate: {rate} is not above 0"),
        );
        check(
            weight > 0.0 && weight < 1.0,
            format!("--weight: {weight} is not in (0, 1)"),
        );
        check(
            (0.0..1.0).contains(&errors),
            format!("--errors: {errors} is not in [0, 1)"),
        );
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let traffic = Traffic {
            rate,
            weight,
            errors,
            history_seconds: 0.0,
        };
        Ok(options.rate.map(|_| Self { traffic }))
    }

    /// The times as a table, the assumptions, and remedies.
    pub(super) fn table(&self, policy: &Policy) -> String {
        let columns = HISTORIES.map(|(_, seconds)| {
            let traffic = self.with(seconds);
            (
                expectations(policy, &traffic),
                limit_expectations(policy, &traffic),
            )
        });
        let rows = rows(policy, &columns);
        let heads = HISTORIES.map(|(head, _)| format!("{head} "));
        let width = rows
            .iter()
            .map(|(what, _)| what.chars().count())
            .max()
            .unwrap_or(0);
        let Traffic {
            rate,
            weight,
            errors,
            ..
        } = self.traffic;
        let mut out = format!(
            "expected at {} requests/s, {} of them the canary's, errors {}:\n\n",
            grouped(rate),
            percent(weight),
            percent(errors)
        );
        for (what, times) in [(String::new(), heads)].iter().chain(&rows) {
            let [history, none] = times;
            // Writing to a String can't fail.
            let _ = write!(out, "  {what:<width$}  {history:>14}  {none:>11}");
            out.truncate(out.trim_end().len());
            out.push('\n');
        }
        if rows
            .iter()
            .any(|(_, times)| times.iter().any(|time| time.ends_with(LATE)))
        {
            let deadline = format_duration(policy.timing.max_duration);
            let _ = writeln!(out, "\n  {LATE} after the deadline of {deadline}");
        }
        let _ = writeln!(
            out,
            "\n  assumed: latency log-normal (σ {LATENCY_SIGMA}), CPU a request ±{} a cell, {}, \
             traffic steady{}",
            percent(CPU_SIGMA),
            self.pods(),
            on_routes(policy)
        );
        out.push_str(&self.remedies(policy));
        out
    }

    fn with(&self, history_seconds: f64) -> Traffic {
        Traffic {
            history_seconds,
            ..self.traffic
        }
    }

    fn pods(&self) -> String {
        let pods = ((1.0 - self.traffic.weight) / self.traffic.weight)
            .round()
            .clamp(1.0, 100.0);
        format!(
            "{pods} baseline {} to a canary's one",
            if pods == 1.0 { "pod" } else { "pods" }
        )
    }

    /// For each required objective that is not expected to be proved in time: what would do.
    fn remedies(&self, policy: &Policy) -> String {
        let traffic = self.with(0.0);
        let deadline = policy.timing.max_duration;
        let mut out = String::new();
        let required = policy.objectives.iter().filter(|o| o.gate == Gate::Require);
        for name in required.map(|objective| objective.name.as_str()) {
            let time = approve_seconds(policy, &traffic, name);
            if in_time(time, deadline) {
                continue;
            }
            let takes = match time {
                Some(seconds) => format!("takes {}", duration(seconds)),
                None => "takes more than a day".to_owned(),
            };
            let _ = writeln!(
                out,
                "\n  {name} {takes} without history, the deadline is {}. Any of these would do:",
                format_duration(deadline)
            );
            for remedy in remedies(policy, &traffic, name, time) {
                let _ = writeln!(out, "    - {remedy}");
            }
        }
        out
    }
}

/// What is taken of limits on some routes, whose traffic isn't known.
fn on_routes(policy: &Policy) -> String {
    let some = |limits: &[Absolute]| !limits.is_empty();
    let narrowed = policy.objectives.iter();
    let narrowed = narrowed.filter(|o| some(&o.absolute) && !o.routes.is_empty());
    let names: Vec<&str> = narrowed.map(|objective| objective.name.as_str()).collect();
    if names.is_empty() {
        return String::new();
    }
    format!(
        ",\n           all of it on the routes of {}",
        names.join(" and ")
    )
}

/// Expectations of comparisons and of absolute limits.
type Column = (Vec<Expectation>, Vec<LimitExpectation>);

fn rows(policy: &Policy, columns: &[Column; 2]) -> Vec<(String, [String; 2])> {
    let mut rows = Vec::new();
    let [(with, with_limits), (without, without_limits)] = columns;
    let deadline = policy.timing.max_duration;
    let time = |seconds: Option<u64>| {
        let late = if in_time(seconds, deadline) {
            " "
        } else {
            LATE
        };
        format!(
            "{}{late}",
            seconds.map_or_else(|| "over a day".to_owned(), duration)
        )
    };
    let names = with.iter().map(|e| &e.name);
    let names = names.chain(with_limits.iter().map(|e| &e.name));
    let width = names.map(|name| name.chars().count()).max().unwrap_or(0);
    for (with, without) in with.iter().zip(without) {
        let name = format!("{:<width$}", with.name);
        let times = [with.approve_seconds, without.approve_seconds].map(time);
        rows.push((format!("{name}  no different: approve"), times));
        for ((ratio, with), (_, without)) in
            with.rollback_seconds.iter().zip(&without.rollback_seconds)
        {
            let blank = " ".repeat(width);
            let times = [*with, *without].map(time);
            rows.push((format!("{blank}  ×{ratio:<5.2} worse: rollback"), times));
        }
    }
    for (with, without) in with_limits.iter().zip(without_limits) {
        let mut name = with.name.as_str();
        for ((value, with_history), (_, none)) in
            with.rollback_seconds.iter().zip(&without.rollback_seconds)
        {
            let what = broken(with.limit, *value);
            let times = [*with_history, *none].map(time);
            rows.push((format!("{name:<width$}  {what}: rollback"), times));
            name = "";
        }
    }
    let whole = [with, without].map(|column| time(approval_seconds(policy, column)));
    rows.push((format!("{:<width$}  approve", "all"), whole));
    rows
}

/// What breaks a limit: so many requests, or so much of the CPU.
fn broken(limit: Absolute, value: f64) -> String {
    let value = percent(value);
    match limit {
        Absolute::MaxSeconds(max) => format!("{value} above {}", seconds(max)),
        Absolute::MaxUtilization(_) => format!("{value} of the CPU"),
        Absolute::MinSuccess(_) | Absolute::MaxPerPod(_) => format!("{value} fail"),
    }
}

/// Changes, each of which alone brings the objective in before the deadline.
fn remedies(policy: &Policy, traffic: &Traffic, name: &str, time: Option<u64>) -> Vec<String> {
    let deadline = policy.timing.max_duration;
    let proves = |policy: &Policy, traffic: &Traffic| {
        in_time(approve_seconds(policy, traffic, name), deadline)
    };
    let mut found = Vec::new();
    if let Some(seconds) = time {
        // A quarter more than expected: it is a mean.
        let longer = (seconds * 5 / 4).div_ceil(60) * 60;
        found.push(format!("timing.max_duration: {}", duration(longer)));
    }
    let rates = RATE_FACTORS.iter().map(|factor| traffic.rate * factor);
    if let Some(rate) = rates
        .into_iter()
        .find(|&rate| proves(policy, &Traffic { rate, ..*traffic }))
    {
        found.push(format!(
            "{} requests/s instead of {}",
            grouped(rate),
            grouped(traffic.rate)
        ));
    }
    let weights = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5]
        .into_iter()
        .filter(|&w| w > traffic.weight);
    let mut weights = weights.map(|weight| Traffic { weight, ..*traffic });
    if let Some(more) = weights.find(|more| proves(policy, more)) {
        found.push(format!(
            "{} of the traffic to the canary",
            percent(more.weight)
        ));
    }
    if proves(
        policy,
        &Traffic {
            history_seconds: 900.0,
            ..*traffic
        },
    ) {
        found.push("15m of the baseline's history before the canary starts".to_owned());
    }
    if policy.risk.assume != Some(Assume::Alike) {
        let mut alike = policy.clone();
        alike.risk.assume = Some(Assume::Alike);
        if proves(&alike, traffic) {
            found.push("risk.assume: alike, where pods of one version are alike".to_owned());
        }
    }
    found.extend(looser_negligible(policy, traffic, name));
    found.push(format!(
        "gate: veto on {name}, so that it must only not be proved bad"
    ));
    found
}

/// A higher rate of errors that doesn't matter; none where no reasonable one helps.
fn looser_negligible(policy: &Policy, traffic: &Traffic, name: &str) -> Option<String> {
    let at = policy
        .objectives
        .iter()
        .position(|objective| objective.name == name)?;
    let mut looser = policy.clone();
    let objective = looser.objectives.get_mut(at)?;
    if objective.indicator != Indicator::Errors {
        return None;
    }
    let now = objective.negligible;
    for negligible in [0.0005, 0.001, 0.002, 0.003, 0.005, 0.01] {
        if negligible <= now {
            continue;
        }
        looser.objectives.get_mut(at)?.negligible = negligible;
        if in_time(
            approve_seconds(&looser, traffic, name),
            policy.timing.max_duration,
        ) {
            return Some(format!("negligible: {negligible} on {name}"));
        }
    }
    None
}

fn approve_seconds(policy: &Policy, traffic: &Traffic, name: &str) -> Option<u64> {
    let expected = expectations(policy, traffic);
    expected
        .iter()
        .find(|expectation| expectation.name == name)?
        .approve_seconds
}

fn in_time(seconds: Option<u64>, deadline: Duration) -> bool {
    seconds.is_some_and(|seconds| Duration::from_secs(seconds) <= deadline)
}

fn duration(seconds: u64) -> String {
    format_duration(Duration::from_secs(seconds))
}
