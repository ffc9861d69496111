//! The backend goes away for a while, under load.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use davy_tests::kit::agent::Agent;
use davy_tests::kit::receiver::Receiver;
use davy_tests::kit::sender::{Lines, Rates, Spans, number, produce};

use super::{PATIENCE, folder, records, spans, start};

/// Load before and after the outage.
const AROUND: Duration = Duration::from_secs(2);

/// A minute where there is time for it, else so long that every backoff has begun to grow.
fn outage() -> Duration {
    let is_long = std::env::var_os("DAVY_LONG").is_some();
    Duration::from_secs(if is_long { 60 } else { 12 })
}

/// What one run produced, and what became of it.
struct Run {
    spans: Spans,
    lines: Lines,
    /// Spans and log records that the backend got, each once.
    delivered: (BTreeSet<u64>, BTreeSet<String>),
    /// Spans and log records that came twice.
    repeated: (usize, usize),
    /// Items that the agent says to have dropped for want of room.
    dropped: f64,
    /// Items that the agent says to have dropped at all.
    dropped_all: f64,
}

/// Scenario: the backend is there, goes away under load, comes back; the agent is stopped once it
/// has delivered what it kept.
async fn run(variables: &[(&str, &str)], rates: Rates, padding: usize, outage: Duration) -> Run {
    let folder = folder();
    let mut receiver = Receiver::start().await.expect("a receiver");
    receiver.keep();
    let endpoint = format!("http://{}", receiver.address());
    let log = folder.path().join("app.log");
    let agent = agent(folder.path(), &log, &endpoint, variables);
    let mut spans = Spans::to(agent.listener("otlp_http").expect("a listener")).expect("a sender");
    spans.padding = padding;
    let mut lines = Lines::to(&log).expect("a log");
    let mut load = async |duration| {
        let produced = produce(&mut spans, &mut lines, rates, duration).await;
        produced.expect("the agent answers");
    };
    load(AROUND).await;
    receiver.go_down().await.expect("the backend ends");
    load(outage).await;
    receiver.come_back().await.expect("the backend is back");
    load(AROUND).await;
    let empty = |bytes: f64| bytes == 0.0;
    let queue = ("davy_agent_queue_bytes", &[][..]);
    agent
        .wait_for_metric(PATIENCE, queue, empty)
        .await
        .expect("the queues empty");
    let written = lines.written;
    let all = receiver
        .wait_for(PATIENCE, |counts| counts.logs >= written)
        .await;
    all.expect("every line");
    let metrics = agent.metrics().expect("the agent's metrics");
    let drops = |labels: &[(&str, &str)]| {
        davy_tests::kit::agent::sum(&metrics, "davy_agent_dropped_items_total", labels)
    };
    let (dropped, dropped_all) = (drops(&[("reason", "queue_full")]), drops(&[]));
    agent.stop().expect("the agent ends well");
    let kept = receiver.kept();
    let numbers: Vec<_> = self::spans(&kept)
        .iter()
        .filter_map(|(_, span)| number(span))
        .collect();
    let bodies: Vec<_> = records(&kept)
        .iter()
        .filter_map(|(_, record)| super::as_text(record.body.as_ref()?).map(str::to_owned))
        .collect();
    let (n_spans, n_records) = (numbers.len(), bodies.len());
    let delivered: (BTreeSet<_>, BTreeSet<_>) =
        (numbers.into_iter().collect(), bodies.into_iter().collect());
    let repeated = (n_spans - delivered.0.len(), n_records - delivered.1.len());
    Run {
        spans,
        lines,
        delivered,
        repeated,
        dropped,
        dropped_all,
    }
}

fn agent(folder: &Path, log: &Path, endpoint: &str, variables: &[(&str, &str)]) -> Agent {
    let mut all = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "none"),
        ("DAVY_LOG_PATHS", log.to_str().expect("a path")),
        ("OTEL_SERVICE_NAME", "shop"),
    ];
    all.extend(variables);
    start(folder, &all)
}

fn missing(run: &Run) -> Vec<u64> {
    let produced = run.spans.accepted + run.spans.refused;
    (0..produced)
        .filter(|n| !run.delivered.0.contains(n))
        .collect()
}

#[track_caller]
fn check_lines(run: &Run) {
    let missing: Vec<_> = (0..run.lines.written)
        .filter(|n| !run.delivered.1.contains(&format!("line {n}")))
        .collect();
    assert_eq!(
        missing, [0_u64; 0],
        "lines that never arrived, of {}",
        run.lines.written
    );
    assert_eq!(run.delivered.1.len() as u64, run.lines.written);
}

/// Scenario: 500 spans/s and 200 lines/s, 16 MiB for the queues.
/// Guarantees: nothing is lost, nothing is counted as dropped, nothing comes twice.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_while_there_is_room() {
    let rates = Rates {
        spans: 500,
        lines: 200,
    };
    let run = run(&[("DAVY_SPOOL_MAX_BYTES", "16MiB")], rates, 0, outage()).await;
    assert_eq!(
        missing(&run),
        [0_u64; 0],
        "spans that never arrived, of {}",
        run.spans.accepted
    );
    assert_eq!((run.spans.refused, run.dropped_all), (0, 0.0));
    let least = rates.spans * (outage() + AROUND * 2).as_secs();
    assert!(run.spans.accepted >= least, "{} spans", run.spans.accepted);
    check_lines(&run);
    assert_eq!(run.repeated, (0, 0), "spans and records that came twice");
}

/// Scenario: 1 MiB for the queues, and several times that in the outage.
/// Guarantees: delivered + counted drops = produced, exactly; of the log file nothing is lost,
/// since the file is the buffer.
#[tokio::test(flavor = "multi_thread")]
async fn what_there_is_no_room_for_is_counted_exactly() {
    let rates = Rates {
        spans: 2_000,
        lines: 200,
    };
    let variables = [("DAVY_SPOOL_MAX_BYTES", "1MiB")];
    let run = run(&variables, rates, 400, Duration::from_secs(6)).await;
    let delivered = run.delivered.0.len() as f64;
    assert!(
        run.dropped > 1000.0,
        "{} dropped: the queue has to overflow",
        run.dropped
    );
    assert_eq!(run.dropped, run.dropped_all, "all for the same reason");
    assert_eq!(delivered + run.dropped, run.spans.accepted as f64);
    assert_eq!((run.spans.refused, run.repeated), (0, (0, 0)));
    let missing = missing(&run);
    let newest = missing.last().copied().unwrap_or_default();
    let oldest = missing.first().copied().unwrap_or_default();
    assert_eq!(
        newest - oldest + 1,
        missing.len() as u64,
        "the oldest, and no other"
    );
    check_lines(&run);
}

/// Scenario: as above, but the agent is told to refuse what it has no room for.
/// Guarantees: what it took is delivered, all of it; the rest stayed with the sender, who was told.
#[tokio::test(flavor = "multi_thread")]
async fn what_there_is_no_room_for_is_refused() {
    let rates = Rates {
        spans: 2_000,
        lines: 200,
    };
    let variables = [
        ("DAVY_SPOOL_MAX_BYTES", "1MiB"),
        ("DAVY_SPOOL_WHEN_FULL", "refuse"),
    ];
    let run = run(&variables, rates, 400, Duration::from_secs(6)).await;
    assert!(
        run.spans.refused > 1000,
        "{} refused: the queue has to be full",
        run.spans.refused
    );
    assert_eq!(run.delivered.0.len() as u64, run.spans.accepted);
    assert_eq!(missing(&run).len() as u64, run.spans.refused);
    assert_eq!((run.dropped_all, run.repeated), (0.0, (0, 0)));
    check_lines(&run);
}
