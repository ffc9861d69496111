//! What `/status` and `/config` show, and what `/metrics` measures when it is asked.

use davy_agent_core::exposition::Tally;
use davy_proto::UnixNanos;
use serde_json::{Value, json};

use crate::clock;
use crate::config::Loaded;
use crate::pipeline::{Feed, Intake, Lane};
use crate::running::Running;

/// Ticks of the kernel's CPU accounting a second; 100 on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// How the agent is.
pub fn status(running: &Running) -> Value {
    let addresses: Vec<(&str, String)> = running
        .addresses()
        .iter()
        .map(|(name, bound)| (*name, bound.to_string()))
        .collect();
    json!({
        "version": crate::version(),
        "now": stamp(Some(clock::now())),
        "started": stamp(Some(running.started)),
        "configuration": {
            "version": running.loaded.version(),
            "applied": stamp(Some(running.applied)),
            "error": running.error,
            "warnings": running.loaded.warnings,
        },
        "addresses": addresses.into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        "scrape": running.scrapes.iter().map(|(target, scrape)| {
            let status = scrape.status();
            json!({
                "target": target.name,
                "url": scrape.url(),
                "last_success": stamp(status.last_success),
                "error": status.last_error,
                "samples": status.samples,
                "duration_seconds": status.duration.as_secs_f64(),
                "left_out": left_out(&status.tally),
            })
        }).collect::<Vec<_>>(),
        "logs": running.tails.iter().map(|(settings, tail)| {
            let status = tail.status();
            let files = status.files.iter().map(|file| json!({
                "path": file.path,
                "read_bytes": file.read_bytes,
                "committed_bytes": file.committed_bytes,
                "last_success": stamp(file.last_read),
            }));
            let problems = status.problems.iter();
            let problems = problems.map(|(path, error)| json!({"path": path, "error": error}));
            json!({
                "paths": settings.paths,
                "files": files.collect::<Vec<_>>(),
                "problems": problems.collect::<Vec<_>>(),
            })
        }).collect::<Vec<_>>(),
        "destinations": destinations(running),
        "evidence": evidence(running),
    })
}

/// Every value with its origin, secrets masked.
pub fn configuration(loaded: &Loaded) -> Value {
    let setting = |setting: &davy_config::Setting| {
        json!({
            "key": setting.path,
            "value": setting.value,
            "origin": setting.origin.to_string(),
        })
    };
    json!({
        "version": loaded.version(),
        "settings": loaded.settings.iter().map(setting).collect::<Vec<_>>(),
        "warnings": loaded.warnings,
    })
}

/// Puts what is measured now into the metrics: the queues and the process.
pub fn measure(intake: &Intake) {
    let telemetry = intake.telemetry();
    let mut queues: std::collections::BTreeMap<_, (u64, u64)> = std::collections::BTreeMap::new();
    let lanes = intake.lanes();
    for lane in &lanes {
        let queue = queues
            .entry((lane.signal(), lane.destination()))
            .or_default();
        queue.0 += lane.counts().queued;
        queue.1 += lane.bytes();
    }
    for ((signal, destination), (items, bytes)) in queues {
        telemetry.queue(signal, destination, items, bytes);
    }
    if let Some((resident_bytes, cpu_seconds)) = process() {
        telemetry.process(resident_bytes, cpu_seconds);
    }
}

fn destinations(running: &Running) -> Vec<Value> {
    let lanes = running.intake.lanes();
    let destination = |(config, destination): &(_, crate::deliver::Destination)| {
        let config: &crate::config::DestinationConfig = config;
        let state = destination.health().snapshot();
        let queues = lanes
            .iter()
            .filter(|lane| lane.destination() == config.name);
        json!({
            "name": config.name,
            "endpoint": config.endpoint.origin(),
            "protocol": config.protocol.as_str(),
            "last_success": stamp(state.last_success),
            "last_failure": stamp(state.last_failure),
            "error": state.error,
            "warning": state.warning,
            "queues": queues.map(|lane| queue(lane)).collect::<Vec<_>>(),
        })
    };
    running.outputs.iter().map(destination).collect()
}

fn queue(lane: &Lane) -> Value {
    let counts = lane.counts();
    json!({
        "signal": lane.signal().as_str(),
        "feed": match lane.feed() { Feed::Stream => "stream", Feed::Tail => "tail" },
        "bytes": lane.bytes(),
        "items": counts.queued,
        "delivered": counts.delivered,
        "dropped": counts.dropped,
    })
}

fn evidence(running: &Running) -> Value {
    let Some((config, state)) = running.gate.state() else {
        return Value::Null;
    };
    let snapshot = state.snapshot();
    json!({
        "endpoint": config.destination.endpoint.origin(),
        "last_success": stamp(snapshot.last_sent),
        "waiting": snapshot.waiting,
        "error": snapshot.error,
        "report": snapshot.report.map(|report| report.to_string()),
    })
}

fn left_out(tally: &Tally) -> Value {
    json!({
        "bad_lines": tally.bad_lines,
        "first_bad_line": tally.first_bad.map(|first| first.to_string()),
        "duplicates": tally.duplicates,
    })
}

fn stamp(at: Option<UnixNanos>) -> Option<String> {
    at.map(|at| at.to_string())
}

/// Resident bytes and CPU seconds of this process, where the kernel says them.
fn process() -> Option<(u64, f64)> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = resident.split_whitespace().next()?.parse().ok()?;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name may hold anything; what follows its last parenthesis begins with field 3.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut ticks = fields.split_whitespace().skip(11).map(str::parse::<f64>);
    let user = ticks.next()?.ok()?;
    let system = ticks.next()?.ok()?;
    Some((kibibytes << 10, (user + system) / TICKS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_what_the_process_takes() {
        let (resident, seconds) = process().expect("/proc");
        assert!(resident > 1 << 20, "{resident}");
        assert!((0.0..1e6).contains(&seconds), "{seconds}");
    }
}
