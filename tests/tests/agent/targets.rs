//! What a target may ask for: rules, limits, a socket, and the agent's last look.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use davy_tests::kit::agent::Agent;
use davy_tests::kit::receiver::{Received, Receiver};
use davy_tests::kit::shop::Shop;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint};

use super::{AGENT, PATIENCE, folder, metrics, text};

/// Starts an agent with one target, `keys` beside its URL.
fn agent(folder: &Path, url: &str, keys: &str, endpoint: &str) -> Agent {
    let file = folder.join("davy.yaml");
    let mut config = String::from("version: 1\nscrape:\n");
    writeln!(config, "  - url: {url}").expect("a text");
    for line in keys.lines() {
        writeln!(config, "    {line}").expect("a text");
    }
    writeln!(config, "export: [{{endpoint: '{endpoint}'}}]").expect("a text");
    fs::write(&file, config).expect("the configuration");
    Agent::start_with(AGENT, folder, &[], &["--config".as_ref(), file.as_os_str()])
        .expect("the agent starts")
}

fn named<'m>(kept: &'m [Received], name: &str) -> Vec<&'m Metric> {
    let all = metrics(kept).into_iter().map(|(_, metric)| metric);
    all.filter(|metric| metric.name == name).collect()
}

fn points(metric: &Metric) -> &[NumberDataPoint] {
    match metric.data.as_ref().expect("data") {
        Data::Gauge(gauge) => &gauge.data_points,
        Data::Sum(sum) => &sum.data_points,
        _ => &[],
    }
}

fn value(metric: &Metric) -> f64 {
    match points(metric)[0].value {
        Some(Value::AsDouble(value)) => value,
        _ => f64::NAN,
    }
}

async fn wait_for(receiver: &Receiver, what: impl Fn(&[Received]) -> bool) -> Vec<Received> {
    let end = Instant::now() + PATIENCE;
    let mut kept = Vec::new();
    loop {
        kept.extend(receiver.kept());
        if what(&kept) {
            return kept;
        }
        assert!(Instant::now() < end, "it did not come");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Scenario: the real shop behind rules that drop the runtime's metrics, rename its own and take a
/// label away, with start times synthesized.
/// Guarantees: what arrives is what the rules leave, types included; both counts of samples are told,
/// and every counter has a start.
#[tokio::test(flavor = "multi_thread")]
async fn rules_decide_what_arrives() {
    let folder = folder();
    let shop = Shop::start(folder.path(), &[]).expect("the shop");
    shop.visit(6).expect("it answers");
    let receiver = Receiver::start().await.expect("a receiver");
    receiver.keep();
    let keys = "interval: 1s\nstart_times: synthesized\nrelabel:\n\
                - {source_labels: [__name__], regex: 'go_.*|promhttp_.*', action: drop}\n\
                - {source_labels: [__name__], regex: 'http_(.*)', target_label: __name__, \
                replacement: shop_http_$1}\n\
                - {regex: method, action: labeldrop}";
    let url = format!("http://{}/metrics", shop.authority);
    let endpoint = format!("http://{}", receiver.address());
    let agent = agent(folder.path(), &url, keys, &endpoint);
    let post = "scrape_samples_post_metric_relabeling";
    let kept = wait_for(&receiver, |kept| named(kept, post).len() >= 2).await;
    let names: Vec<&str> = metrics(&kept)
        .iter()
        .map(|(_, m)| m.name.as_str())
        .collect();
    let begins = |prefix: &str| names.iter().any(|name| name.starts_with(prefix));
    assert!(begins("process_") && begins("shop_http_"), "{names:?}");
    assert!(
        !begins("go_") && !begins("promhttp_") && !begins("http_"),
        "{names:?}"
    );
    let is_histogram = |metric: &&Metric| {
        matches!(
            metric.data,
            Some(Data::Histogram(_) | Data::ExponentialHistogram(_))
        )
    };
    let all = metrics(&kept);
    let histogram = all.iter().map(|(_, metric)| *metric).find(is_histogram);
    let histogram = histogram.expect("a histogram that was renamed is one");
    assert!(
        histogram.name.starts_with("shop_http_"),
        "{}",
        histogram.name
    );
    let (left, scraped) = (
        value(named(&kept, post)[0]),
        named(&kept, "scrape_samples_scraped"),
    );
    assert!(left > 10.0 && left < value(scraped[0]), "{left}");
    for (_, metric) in &all {
        for point in points(metric) {
            assert_eq!(text(&point.attributes, "method"), None, "{}", metric.name);
            if let Some(Data::Sum(sum)) = &metric.data
                && sum.is_monotonic
            {
                let (start, time) = (point.start_time_unix_nano, point.time_unix_nano);
                assert!(start > 0 && start <= time, "{} {start} {time}", metric.name);
            }
        }
    }
    agent.stop().expect("the agent ends well");
}

/// Scenario: a target with a limit below what the shop has.
/// Guarantees: the scrape fails as a whole, `up` is 0, the counter and the log say why.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_fails_the_scrape() {
    let folder = folder();
    let shop = Shop::start(folder.path(), &[]).expect("the shop");
    let receiver = Receiver::start().await.expect("a receiver");
    receiver.keep();
    let url = format!("http://{}/metrics", shop.authority);
    let endpoint = format!("http://{}", receiver.address());
    let agent = agent(
        folder.path(),
        &url,
        "interval: 1s\nlimits: {samples: 20}",
        &endpoint,
    );
    let kept = wait_for(&receiver, |kept| named(kept, "up").len() >= 2).await;
    assert!(named(&kept, "up").iter().all(|up| value(up) == 0.0));
    assert!(named(&kept, "go_goroutines").is_empty());
    let failed = [("outcome", "limit")];
    let failed = agent
        .metric("davy_agent_scrapes_total", &failed)
        .expect("metrics");
    assert!(failed >= 2.0, "{failed}");
    let log = agent.process.log();
    assert!(
        log.contains("sample limit exceeded: ") && log.contains(", 20 allowed"),
        "{log}"
    );
    agent.stop().expect("the agent ends well");
}

/// Scenario: the shop serves on a Unix socket.
/// Guarantees: it is scraped there, and the resource names the socket; a socket that is not there
/// fails the scrape with its cause.
#[tokio::test(flavor = "multi_thread")]
async fn a_socket_is_scraped() {
    let folder = folder();
    let socket = folder.path().join("shop.sock");
    let address = format!("unix:{}", socket.display());
    let _shop = Shop::start(folder.path(), &[("SHOP_ADDR", &address)]).expect("the shop");
    let receiver = Receiver::start().await.expect("a receiver");
    receiver.keep();
    let keys = format!("interval: 1s\nsocket: {}", socket.display());
    let endpoint = format!("http://{}", receiver.address());
    let agent = agent(folder.path(), "http://shop/metrics", &keys, &endpoint);
    let kept = wait_for(&receiver, |kept| !named(kept, "go_goroutines").is_empty()).await;
    let all = metrics(&kept);
    let (resource, _) = all
        .iter()
        .find(|(_, m)| m.name == "go_goroutines")
        .expect("it is there");
    assert_eq!(text(resource, "server.address"), socket.to_str());
    assert_eq!(text(resource, "server.port"), None);
    assert_eq!(text(resource, "service.instance.id"), Some("shop:80"));
    fs::remove_file(&socket).expect("the socket");
    let failed = (
        "davy_agent_scrapes_total",
        &[("outcome", "unreachable")][..],
    );
    // The connection that is open still works; the shop closes none.
    drop(_shop);
    agent
        .wait_for_metric(PATIENCE, failed, |n| n >= 1.0)
        .await
        .expect("it fails");
    agent.stop().expect("the agent ends well");
}

/// Scenario: an agent that scrapes once an hour is told to end.
/// Guarantees: it scrapes once more and delivers that before it ends; the last point is younger than
/// the signal.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_scrape_is_delivered() {
    let folder = folder();
    let shop = Shop::start(folder.path(), &[]).expect("the shop");
    shop.visit(5).expect("it answers");
    let receiver = Receiver::start().await.expect("a receiver");
    receiver.keep();
    let url = format!("http://{}/metrics", shop.authority);
    let endpoint = format!("http://{}", receiver.address());
    let agent = agent(folder.path(), &url, "interval: 1h", &endpoint);
    let told = std::time::SystemTime::now();
    agent.stop().expect("the agent ends well");
    let kept = receiver.kept();
    let up = named(&kept, "up");
    let last = up.last().expect("a last scrape");
    assert_eq!(value(last), 1.0);
    let told = told
        .duration_since(std::time::UNIX_EPOCH)
        .expect("a time")
        .as_nanos();
    let time = u128::from(points(last)[0].time_unix_nano);
    assert!(time >= told, "{time} {told}");
    assert!(!named(&kept, "go_goroutines").is_empty());
}

/// Scenario: the app is gone when the agent is told to end, as in a pod that ends.
/// Guarantees: that is no outage: neither `up` 0 nor a marker is sent.
#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_is_gone_at_the_end_is_no_outage() {
    let folder = folder();
    let shop = Shop::start(folder.path(), &[]).expect("the shop");
    let receiver = Receiver::start().await.expect("a receiver");
    receiver.keep();
    let url = format!("http://{}/metrics", shop.authority);
    let endpoint = format!("http://{}", receiver.address());
    let agent = agent(folder.path(), &url, "interval: 1h", &endpoint);
    let admin = agent.listener("admin").expect("an address");
    davy_tests::kit::http::page(admin, "/scrape").expect("a scrape out of turn");
    wait_for(&receiver, |kept| !named(kept, "up").is_empty()).await;
    drop(shop);
    agent.stop().expect("the agent ends well");
    let kept = receiver.kept();
    assert!(named(&kept, "up").iter().all(|up| value(up) == 1.0));
    let all = metrics(&kept);
    let is_marked = all
        .iter()
        .any(|(_, m)| points(m).iter().any(|point| point.flags != 0));
    assert!(!is_marked);
}

/// Scenario: the backend is gone when the agent is told to end.
/// Guarantees: it ends within its deadline, and says how much it lost.
#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_delivered_at_the_end_is_told() {
    let folder = folder();
    let shop = Shop::start(folder.path(), &[]).expect("the shop");
    let url = format!("http://{}/metrics", shop.authority);
    let mut agent = agent(folder.path(), &url, "interval: 1h", "http://127.0.0.1:1");
    let ended = agent.process.terminate(Duration::from_secs(15));
    assert!(ended.expect("it ends").success());
    let log = agent.process.log();
    assert!(log.contains("items lost at the end"), "{log}");
}
