//! Why: the sentence for people, and the numbers of each objective.
//!
//! `latency p99 310 ms vs 230 ms: ratio 1.35 [1.21, 1.49] is above 1.10`: what, canary against
//! baseline, the ratio with its bounds (valid at all times), and the limit that decided.

use std::collections::BTreeMap;

use std::time::Duration;

use davy_proto::units::format_duration;
use davy_proto::verdict::{self, ObjectiveVerdict, finite};

use crate::attempt::assessed;
use crate::judge::{self, Assessment, ObjectiveAssessment};
use crate::policy::{Gate, Indicator, Objective, Policy};

mod limits;

pub use limits::{Restarts, unlimited};

/// What one pod an arm means for the promise.
const ALIKE: &str =
    "if the two pods are alike: with one each, version and node can't be told apart";

/// Why it is a rollback, by the judge's evidence.
pub fn rollback(policy: &Policy, last: &Assessment) -> String {
    if let Some(text) = limits::broken(policy, last) {
        return text;
    }
    let leading = last.leading.as_ref();
    let wanted = leading.map(|component| component.objective);
    let blamed = policy.objectives.iter().find_map(|objective| {
        let assessed = assessed(objective, last)?;
        (Some(assessed.objective) == wanted).then_some((objective, assessed))
    });
    let Some((objective, assessment)) = blamed else {
        return "the evidence together proves the canary worse".to_owned();
    };
    let limit = objective
        .ratio
        .map_or(f64::NAN, |ratio| ratio.rollback_above);
    let mut text = sentence(objective, assessment);
    let none_before = assessment.baseline == Some(0.0) && assessment.canary > Some(0.0);
    if none_before || assessment.ratio.is_some_and(|ratio| ratio > limit) {
        text.push_str(&format!(" is above {limit:.2}"));
    } else {
        // Another quantile, one route or an earlier time proved it.
        text.push_str(&format!(", yet proved above {limit:.2}"));
    }
    if let Some(route) = leading.and_then(|component| component.route.as_ref()) {
        text.push_str(&format!(", most of all on {}", short(route)));
    }
    if let Some(level) = leading.and_then(|component| component.level)
        && (level - objective.quantile).abs() > 1e-9
    {
        text.push_str(&format!(", seen at {}", quantile(level)));
    }
    with_alike(text, last)
}

/// Why it is an approval.
pub fn approve(policy: &Policy, last: &Assessment) -> String {
    let proved = required(policy, last).map(|(objective, found)| proved(objective, found));
    let proved: Vec<String> = proved.collect();
    with_alike(format!("proved safe: {}", proved.join(", ")), last)
}

/// What was proved of one objective, by its numbers where they say so themselves.
fn proved(objective: &Objective, found: &ObjectiveAssessment) -> String {
    let name = &objective.name;
    let limit = objective
        .ratio
        .map_or(f64::NAN, |ratio| ratio.approve_below);
    match (found.ratio, found.baseline.zip(found.canary)) {
        (Some(ratio), _) if ratio < limit => format!("{name} ratio {ratio:.2} below {limit:.2}"),
        // A floor proves the rate negligible, whatever the ratio is.
        (_, Some((baseline, canary))) if objective.negligible > 0.0 => format!(
            "{name} {} vs {}: below {limit:.2} times or {}",
            percent(canary),
            percent(baseline),
            percent(objective.negligible)
        ),
        (Some(ratio), _) => format!("{name} below {limit:.2}, by now {ratio:.2}"),
        (None, _) => format!("{name} below {limit:.2}"),
    }
}

/// Why the deadline's looser bounds approve.
pub fn below_looser_bounds(
    policy: &Policy,
    last: &Assessment,
    bounds: &BTreeMap<String, f64>,
) -> String {
    let sure = percent(1.0 - policy.risk.false_approval);
    let of = |objective: &Objective| {
        let high = assessed(objective, last)?.high?;
        let bound = bounds.get(&objective.name)?;
        Some(format!(
            "{} is at most {high:.2}× ({sure}), below {bound:.2}",
            objective.name
        ))
    };
    let proved: Vec<String> = policy.objectives.iter().filter_map(of).collect();
    with_alike(format!("at the deadline: {}", proved.join(", ")), last)
}

/// What an attempt waits for beside proofs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Waits {
    /// For how many cells the canary has been silent.
    pub silent_cells: u64,
    /// Whether all of the canary's pods are in their warm-up.
    pub is_warming: bool,
}

/// What it waits for.
pub fn undecided(
    policy: &Policy,
    last: &Assessment,
    eta: Option<Duration>,
    waits: &Waits,
) -> String {
    if waits.silent_cells > 0 {
        let seconds = waits.silent_cells * crate::cell::CELL_SECONDS;
        return format!("undecided: the canary has been silent for {seconds} s");
    }
    for (objective, assessment) in required(policy, last) {
        if let Some(reason) = &assessment.unavailable {
            if waits.is_warming && *reason == judge::Unavailable::NoCanary {
                let warm_up = format_duration(policy.timing.warm_up);
                return format!(
                    "undecided: {} is judged once the canary's warm-up of {warm_up} is over",
                    objective.name
                );
            }
            return format!("undecided: {} can't be judged: {reason}", objective.name);
        }
    }
    let open = required(policy, last).find(|(_, assessment)| !assessment.safe_proved);
    let waits = match open {
        Some((objective, assessment)) => {
            let limit = objective
                .ratio
                .map_or(f64::NAN, |ratio| ratio.approve_below);
            format!(
                "{} is not proved below {limit:.2} yet",
                sentence(objective, assessment)
            )
        }
        None if required(policy, last).next().is_none() => {
            "no objective is required, so none can prove the canary safe".to_owned()
        }
        None => "all is proved, min_duration is not over".to_owned(),
    };
    match (eta, last.eta) {
        (Some(eta), _) => format!("undecided: {} expected: {waits}", about(eta)),
        (None, crate::eta::Eta::PodsDiffer) => format!(
            "undecided: {waits}; it can't be before the deadline: pods of the baseline differ by \
             more than the tolerance"
        ),
        (None, _) => {
            format!("undecided: {waits}; not expected before the deadline at this traffic")
        }
    }
}

/// Of an approval that is judged on.
pub fn baking(reason: &str, rest: Duration) -> String {
    format!("{reason}; judged on for {}", format_duration(whole(rest)))
}

/// Of an approval that was judged on for `bake`.
pub fn baked(reason: &str, bake: Duration) -> String {
    format!(
        "{reason}; nothing spoke against it for {}",
        format_duration(bake)
    )
}

/// What is left of an evidence when one pod is left out, its logarithm.
pub fn single_pod(pod: &str, log_e: f64) -> String {
    let left = rounded(libm::exp(log_e).min(1e4));
    let left = if left < 0.01 {
        "nothing".to_owned()
    } else {
        format!("{left:.2} to 1")
    };
    format!(
        "; in pod {} alone: without it {left} speaks against the canary",
        short(pod)
    )
}

/// The canary's share of the requests is far from its weight.
pub fn uneven(share: f64, weight: f64) -> String {
    let (share, weight) = (percent(share), percent(weight));
    format!("the canary gets {share} of the requests, its weight is {weight}")
}

/// The canary was never called on a route, and on so many more.
pub fn missed_route(route: &str, share: f64, more: usize) -> String {
    let (route, share) = (short(route), percent(share));
    let more = match more {
        0 => String::new(),
        1 => ", nor of 1 more route".to_owned(),
        _ => format!(", nor of {more} more routes"),
    };
    format!("the canary never got a request of {route}, {share} of the baseline's{more}")
}

/// What is missing before the first judged cell.
pub fn nothing_yet(canary_seen: bool) -> String {
    if canary_seen {
        "undecided: no evidence of the baseline beside the canary's yet".to_owned()
    } else {
        "undecided: no evidence of the canary yet".to_owned()
    }
}

/// Why restarts are a rollback.
pub fn restarts(pod: &str, count: u64, max: u64) -> String {
    let times = if count == 1 { "once" } else { "several times" };
    format!(
        "pod {} was started again {times} ({count}), allowed are {max}",
        short(pod)
    )
}

/// Why silence is a rollback.
pub fn silent(seconds: u64) -> String {
    format!("the canary reported nothing for {seconds} s while the baseline went on")
}

/// The objectives of an evaluation, in the policy's order.
pub fn objectives(
    policy: &Policy,
    last: Option<&Assessment>,
    restarts: Restarts,
) -> Vec<verdict::Objective> {
    let mut found = Vec::new();
    let mut judged = limits::Judged::of(last);
    for objective in &policy.objectives {
        if objective.ratio.is_some() {
            found.push(compared(
                objective,
                last.and_then(|last| assessed(objective, last)),
            ));
        }
        let limits = objective.absolute.iter();
        found.extend(limits.map(|limit| judged.objective(objective, *limit, restarts)));
    }
    found
}

/// A number to four digits, so that answers are short and the same everywhere.
pub fn rounded(number: f64) -> f64 {
    if number == 0.0 || !number.is_finite() {
        return number;
    }
    let digits = 3.0 - libm::floor(libm::log10(libm::fabs(number)));
    let scale = libm::pow(10.0, digits);
    if !scale.is_finite() || scale == 0.0 {
        number
    } else {
        libm::round(number * scale) / scale
    }
}

/// A share in [0, 1] to four digits, rounded down.
pub fn at_least(share: f64) -> f64 {
    // What is a little below a whole number is that number, written in binary.
    libm::floor(share * 1e4 + 1e-6) / 1e4
}

fn compared(objective: &Objective, found: Option<&ObjectiveAssessment>) -> verdict::Objective {
    let number = |value: Option<f64>| value.map(rounded).and_then(finite);
    let limits = objective.ratio;
    let base = verdict::Objective {
        name: objective.name.clone(),
        rollback_above: limits.map(|ratio| ratio.rollback_above),
        approve_below: limits.map(|ratio| ratio.approve_below),
        ..verdict::Objective::default()
    };
    let Some(found) = found else {
        return verdict::Objective {
            reason: Some("no evidence yet".to_owned()),
            ..base
        };
    };
    let verdict = match found {
        _ if found.unavailable.is_some() => ObjectiveVerdict::Unavailable,
        _ if found.harm_proved => ObjectiveVerdict::Rollback,
        _ if found.safe_proved => ObjectiveVerdict::Approve,
        _ => ObjectiveVerdict::Undecided,
    };
    verdict::Objective {
        verdict,
        unit: Some(match objective.indicator {
            Indicator::CpuPerRequest => "s/request".to_owned(),
            _ => found.unit.to_owned(),
        }),
        baseline: number(found.baseline),
        canary: number(found.canary),
        ratio: number(found.ratio),
        low: number(found.low),
        high: number(found.high),
        reason: found.unavailable.as_ref().map(ToString::to_string),
        ..base
    }
}

fn required<'a>(
    policy: &'a Policy,
    last: &'a Assessment,
) -> impl Iterator<Item = (&'a Objective, &'a ObjectiveAssessment)> {
    let required = policy.objectives.iter().filter(|o| o.gate == Gate::Require);
    required.filter_map(move |objective| Some((objective, assessed(objective, last)?)))
}

/// `latency p99 310 ms vs 230 ms: ratio 1.35 [1.21, 1.49]`.
fn sentence(objective: &Objective, found: &ObjectiveAssessment) -> String {
    let what = match objective.indicator {
        Indicator::Latency if objective.name == "latency" => {
            format!("latency {}", quantile(objective.quantile))
        }
        Indicator::Latency => format!(
            "{} {}",
            short(&objective.name),
            quantile(objective.quantile)
        ),
        _ => short(&objective.name),
    };
    let value = |number: f64| match objective.indicator {
        Indicator::Latency => milliseconds(number),
        Indicator::Errors => percent(number),
        _ => format!("{} ms a request", rounded(number * 1e3)),
    };
    let mut text = what;
    if let (Some(canary), Some(baseline)) = (found.canary, found.baseline) {
        text.push_str(&format!(" {} vs {}", value(canary), value(baseline)));
    }
    if let Some(ratio) = found.ratio.filter(|ratio| ratio.is_finite()) {
        text.push_str(&format!(": ratio {ratio:.2}"));
    }
    match (found.low, found.high) {
        (None, None) => {}
        (low, high) => {
            let bound = |b: Option<f64>| b.map_or("?".to_owned(), |b| format!("{b:.2}"));
            text.push_str(&format!(" [{}, {}]", bound(low), bound(high)));
        }
    }
    text
}

fn with_alike(mut text: String, last: &Assessment) -> String {
    if last.one_pod_each {
        text.push_str(&format!("; {ALIKE}"));
    }
    text
}

fn quantile(q: f64) -> String {
    format!("p{}", rounded(q * 100.0))
}

fn milliseconds(seconds: f64) -> String {
    if seconds >= 10.0 {
        return format!("{seconds:.1} s");
    }
    let millis = seconds * 1e3;
    if millis >= 100.0 {
        format!("{millis:.0} ms")
    } else {
        format!("{} ms", rounded(millis))
    }
}

fn percent(share: f64) -> String {
    format!("{} %", rounded(share * 100.0))
}

/// Whole seconds, rounded up.
fn whole(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs() + u64::from(time.subsec_nanos() > 0))
}

fn about(time: Duration) -> String {
    match time.as_secs() {
        0 => "a moment is".to_owned(),
        seconds @ 1..=119 => format!("{seconds} more seconds"),
        seconds @ 120..=7199 => format!("{} more minutes", seconds.div_ceil(60)),
        _ => format!("{} more", format_duration(time)),
    }
}

/// Names are foreign; a sentence stays a sentence.
fn short(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(80).collect()
}

#[cfg(test)]
mod tests;
