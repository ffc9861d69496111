//! What was chosen, and which objectives can be judged with it.

use std::collections::BTreeMap;
use std::fmt;

use davy_proto::indicator::Protocol;

use super::choice::{Chosen, Role};
use super::settings::SourceMode;
use super::{Evidence, Origin, Refusal};

/// What was chosen as latency, route, status and CPU, and what can be judged with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// The duration histogram taken for each protocol.
    pub latency: BTreeMap<Protocol, Chosen>,
    /// Whether latencies come from spans.
    pub spans: bool,
    /// The request counter beside a histogram without status, for each protocol.
    pub requests: BTreeMap<Protocol, String>,
    /// The CPU counter.
    pub cpu: Option<String>,
    /// Number of series watched.
    pub series: usize,
    /// Objectives by indicator, in the order of a policy.
    pub objectives: Vec<Judgeable>,
    /// What was observed and is no evidence, counted by reason.
    pub refused: BTreeMap<Refusal, u64>,
}

/// Whether an objective can be judged.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Judgeable {
    /// The indicator as a policy names it: `latency`, `errors`, `cpu_per_request`, `restarts`.
    pub indicator: &'static str,
    /// Whether it can be judged.
    pub judgeable: bool,
    /// Why, or why not.
    pub why: String,
}

/// The report on what was observed so far.
pub(super) fn report(evidence: &Evidence) -> Report {
    let choices = &evidence.choices;
    let mut latency = BTreeMap::new();
    let mut requests = BTreeMap::new();
    for protocol in Protocol::ALL {
        if let Some(details) = choices.details(protocol) {
            latency.insert(protocol, details.clone());
        }
        let has_status = choices
            .details(protocol)
            .is_some_and(|d| d.status.is_some());
        let counter = choices
            .metric(Role::Requests(protocol))
            .filter(|_| !has_status);
        requests.extend(counter.map(|counter| (protocol, counter.to_owned())));
    }
    let cpu = choices.metric(Role::Cpu).map(str::to_owned);
    let mut report = Report {
        latency,
        spans: evidence.spans_are_source(),
        requests,
        cpu,
        series: evidence.series.len(),
        objectives: Vec::new(),
        refused: evidence.refused.clone(),
    };
    report.objectives = objectives(&report, evidence);
    report
}

fn objectives(report: &Report, evidence: &Evidence) -> Vec<Judgeable> {
    let of = |indicator, judged: Result<String, String>| {
        let judgeable = judged.is_ok();
        Judgeable {
            indicator,
            judgeable,
            why: judged.unwrap_or_else(|why| why),
        }
    };
    vec![
        of("latency", latency(report, evidence)),
        of("errors", errors(report)),
        of("cpu_per_request", cpu(report)),
        of(
            "restarts",
            match evidence.creation {
                Some(start) => Ok(format!("the process says that it was started at {start}")),
                None => {
                    Err("neither process_start_time_seconds nor process.creation.time".to_owned())
                }
            },
        ),
    ]
}

fn latency(report: &Report, evidence: &Evidence) -> Result<String, String> {
    if let Some(chosen) = report.latency.values().next() {
        return Ok(chosen.to_string());
    }
    if report.spans {
        return Ok("SERVER spans, weighted by their sampling probability".to_owned());
    }
    if let Some(summary) = evidence.choices.summaries.values().next() {
        return Err(format!(
            "{summary} is a summary: quantiles of two pods can't be compared"
        ));
    }
    let names = || {
        evidence
            .settings
            .http
            .duration
            .iter()
            .take(3)
            .map(String::as_str)
    };
    Err(match evidence.settings.source {
        SourceMode::Spans => "no SERVER span was seen".to_owned(),
        SourceMode::Auto | SourceMode::Histogram => {
            let names = names().collect::<Vec<_>>().join(", ");
            format!("no duration histogram: none of {names} and others was seen")
        }
    })
}

fn errors(report: &Report) -> Result<String, String> {
    if report.spans {
        return Ok("status of SERVER spans".to_owned());
    }
    if let Some((status, metric)) = report.latency.values().find_map(|chosen| {
        chosen
            .status
            .as_ref()
            .map(|status| (status, &chosen.metric))
    }) {
        return Ok(format!("label {status} of {metric}"));
    }
    match report.requests.values().next() {
        Some(counter) => Ok(format!("counter {counter} beside the histogram")),
        None if report.latency.is_empty() => Err("no requests were found".to_owned()),
        None => {
            Err("the histogram has no status label and there is no counter beside it".to_owned())
        }
    }
}

fn cpu(report: &Report) -> Result<String, String> {
    let counted = report.spans || !report.latency.is_empty() || !report.requests.is_empty();
    match &report.cpu {
        Some(counter) if counted => Ok(format!("{counter} over the requests")),
        Some(_) => Err("no requests to divide by".to_owned()),
        None => Err("neither process_cpu_seconds_total nor process.cpu.time".to_owned()),
    }
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.metric, self.kind)?;
        match (self.scale, self.bounds) {
            (Some(scale), _) => write!(f, " of scale {scale}")?,
            (_, Some(bounds)) => write!(f, " with {bounds} bounds")?,
            _ => {}
        }
        match self.origin {
            Origin::Scrape { .. } => f.write_str(", scraped"),
            Origin::Otlp => f.write_str(", by OTLP"),
        }
    }
}

/// A few aligned lines for people.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (protocol, chosen) in &self.latency {
            let unknown = || "not found".to_owned();
            writeln!(f, "{protocol:?} latency  {chosen}")?;
            writeln!(
                f,
                "{protocol:?} route    {}",
                chosen.route.clone().unwrap_or_else(unknown)
            )?;
            writeln!(
                f,
                "{protocol:?} status   {}",
                chosen.status.clone().unwrap_or_else(unknown)
            )?;
        }
        for (protocol, counter) in &self.requests {
            writeln!(f, "{protocol:?} requests {counter}")?;
        }
        writeln!(
            f,
            "CPU           {}",
            self.cpu.as_deref().unwrap_or("not found")
        )?;
        writeln!(f, "series        {}", self.series)?;
        for objective in &self.objectives {
            let verb = if objective.judgeable {
                "can be judged:"
            } else {
                "can't be judged:"
            };
            writeln!(f, "{:<16}{verb} {}", objective.indicator, objective.why)?;
        }
        for (reason, count) in &self.refused {
            writeln!(f, "left out: {count} ({})", reason.as_str())?;
        }
        Ok(())
    }
}
