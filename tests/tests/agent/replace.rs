//! One component is replaced under load; the others go on.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use davy_tests::kit::agent::Agent;
use davy_tests::kit::http;
use davy_tests::kit::receiver::{Received, Receiver};
use davy_tests::kit::sender::{Lines, Rates, Spans, number, produce};
use davy_tests::kit::shop::Shop;
use rustix::process::Signal;

use super::{AGENT, PATIENCE, folder, metrics, records, spans, text};

const RATES: Rates = Rates {
    spans: 500,
    lines: 200,
};

/// What the file says in turn.
#[derive(Clone)]
struct Version {
    endpoint: String,
    interval: &'static str,
    arm: &'static str,
    scrape: String,
    log: String,
}

impl Version {
    fn write(&self, file: &Path) {
        let Self {
            endpoint,
            interval,
            arm,
            scrape,
            log,
        } = self;
        let text = format!(
            "version: 1\n\
             resource: {{service.name: shop, davy.arm: {arm}}}\n\
             scrape: [{{url: \"{scrape}\", interval: {interval}}}]\n\
             logs: [{{paths: [\"{log}\"]}}]\n\
             export: [{{endpoint: \"{endpoint}\"}}]\n"
        );
        // As a ConfigMap's mount does it: the file is replaced as a whole.
        let beside = file.with_extension("new");
        std::fs::write(&beside, text).expect("write the configuration");
        std::fs::rename(&beside, file).expect("replace the configuration");
    }
}

/// Writes a version, sends SIGHUP and waits until it is applied, under load all the while.
async fn apply(
    agent: &Agent,
    (version, file): (&Version, &Path),
    spans: &mut Spans,
    lines: &mut Lines,
) {
    let applied = (
        "davy_agent_config_reloads_total",
        &[("outcome", "applied")][..],
    );
    let before = agent
        .metric(applied.0, applied.1)
        .expect("the agent's metrics");
    version.write(file);
    agent.process.signal(Signal::HUP).expect("SIGHUP");
    let produced = produce(spans, lines, RATES, Duration::from_secs(3)).await;
    produced.expect("the agent answers");
    let later = agent
        .wait_for_metric(PATIENCE, applied, |now| now > before)
        .await;
    later.unwrap_or_else(|error| panic!("{error:#}:\n{}", agent.process.log()));
}

fn scrapes(kept: &[Received]) -> usize {
    metrics(kept)
        .iter()
        .filter(|(_, metric)| metric.name == "up")
        .count()
}

/// Scenario: under 500 spans/s, 200 lines/s and a scrape each second, the file changes three times:
/// another backend, another scrape interval, another arm; and once it is broken.
/// Guarantees: each span and each line arrives exactly once, at the old backend or the new; no
/// sender is refused; the readiness holds; the broken version changes nothing and is said.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_replaced_disturbs_nothing_else() {
    let folder = folder();
    let shop = Shop::start(folder.path(), &[]).expect("the shop starts");
    let first = Receiver::start().await.expect("a receiver");
    let second = Receiver::start().await.expect("another");
    first.keep();
    second.keep();
    let url = |receiver: &Receiver| format!("http://{}", receiver.address());
    let log = folder.path().join("app.log");
    let file = folder.path().join("davy.yaml");
    let mut version = Version {
        endpoint: url(&first),
        interval: "1s",
        arm: "v1",
        scrape: format!("http://{}/metrics", shop.authority),
        log: log.display().to_string(),
    };
    version.write(&file);
    let arguments = ["--config".as_ref(), file.as_os_str()];
    let agent = Agent::start_with(AGENT, folder.path(), &[], &arguments).expect("it starts");
    let mut spans = Spans::to(agent.listener("otlp_http").expect("a listener")).expect("a sender");
    let mut lines = Lines::to(&log).expect("a log");
    let produced = produce(&mut spans, &mut lines, RATES, Duration::from_secs(3)).await;
    produced.expect("the agent answers");

    version.endpoint = url(&second);
    apply(&agent, (&version, &file), &mut spans, &mut lines).await;
    let settled = (first.counts(), first.requests());
    version.interval = "2s";
    apply(&agent, (&version, &file), &mut spans, &mut lines).await;
    version.arm = "v2";
    apply(&agent, (&version, &file), &mut spans, &mut lines).await;
    assert_eq!(
        (first.counts(), first.requests()),
        settled,
        "the old backend gets nothing more"
    );

    std::fs::write(&file, "version: 1\nexport: [{endpoint: 3\n").expect("write nonsense");
    agent.process.signal(Signal::HUP).expect("SIGHUP");
    let refused = (
        "davy_agent_config_reloads_total",
        &[("outcome", "refused")][..],
    );
    agent
        .wait_for_metric(PATIENCE, refused, |now| now > 0.0)
        .await
        .expect("it is refused");
    let produced = produce(&mut spans, &mut lines, RATES, Duration::from_secs(2)).await;
    produced.expect("the agent answers");
    let admin = agent.listener("admin").expect("admin");
    http::page(admin, "/readyz").expect("ready all the while");
    let status = http::page(admin, "/status").expect("the status");
    assert!(status.contains("davy.yaml:2"), "{status}");

    let (n_spans, n_lines) = (spans.accepted, lines.written);
    let metrics = agent.metrics().expect("the agent's metrics");
    agent.stop().expect("the agent ends well");
    let dropped = davy_tests::kit::agent::sum(&metrics, "davy_agent_dropped_items_total", &[]);
    assert_eq!((spans.refused, dropped), (0, 0.0));
    let (at_first, at_second) = (first.kept(), second.kept());
    check_once(
        &[at_first.clone(), at_second.clone()].concat(),
        n_spans,
        n_lines,
    );
    assert!(scrapes(&at_first) >= 2, "{} scrapes", scrapes(&at_first));
    assert!(scrapes(&at_second) >= 4, "{} scrapes", scrapes(&at_second));
    let last = super::spans(&at_second);
    let last = last.last().expect("a span at the new backend");
    assert_eq!(text(last.0, "davy.arm"), Some("v2"));
}

#[track_caller]
fn check_once(kept: &[Received], n_spans: u64, n_lines: u64) {
    let mut seen = BTreeSet::new();
    for (_, span) in spans(kept) {
        let number = number(span).expect("a span of the sender");
        assert!(seen.insert(number), "span {number} came twice");
    }
    let missing: Vec<_> = (0..n_spans).filter(|n| !seen.contains(n)).collect();
    assert_eq!(
        missing, [0_u64; 0],
        "spans that never arrived, of {n_spans}"
    );
    let mut seen = BTreeSet::new();
    for (_, record) in records(kept) {
        let body = record
            .body
            .as_ref()
            .and_then(super::as_text)
            .expect("a body");
        assert!(seen.insert(body.to_owned()), "{body} came twice");
    }
    let missing: Vec<_> = (0..n_lines)
        .filter(|n| !seen.contains(&format!("line {n}")))
        .collect();
    assert_eq!(
        missing, [0_u64; 0],
        "lines that never arrived, of {n_lines}"
    );
}
