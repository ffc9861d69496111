//! What the agent's core says of scraped pages is what the gate's core reads: the two halves of the
//! contract in `docs/evidence.md`, without the wire between them.

use davy_agent_core::evidence::{Evidence, EvidenceSettings, Origin};
use davy_agent_core::exposition::{Options, parse};
use davy_agent_core::translate::{Identity, ScrapeStats, Translator};
use davy_gate_core::normalize::{Normalizer, Settings};
use davy_proto::UnixNanos;
use davy_proto::window::{Latency, Window};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};

/// A multiple of 5 s.
const T0: u64 = 1_795_500_000;

fn at(seconds: u64) -> UnixNanos {
    UnixNanos::from_seconds(T0 + seconds)
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue {
        value: Some(Value::StringValue(value.to_owned())),
    });
    KeyValue {
        key: key.to_owned(),
        value,
        ..KeyValue::default()
    }
}

/// An agent and a gate, with a page's way between them.
struct Path {
    translator: Translator,
    evidence: Evidence,
    gate: Normalizer,
}

impl Path {
    fn new() -> Self {
        let resource = [
            ("service.name", "shop"),
            ("davy.arm", "v1"),
            ("k8s.pod.name", "shop-1"),
        ];
        let resource = resource.map(|(key, value)| text(key, value)).to_vec();
        let mut settings = EvidenceSettings::with_resource(resource.clone());
        settings.cpu_limit_cores = Some(0.1);
        let identity = Identity {
            defaults: resource,
            ..Identity::default()
        };
        Self {
            translator: Translator::new(identity),
            evidence: Evidence::new(settings),
            gate: Normalizer::new(Settings::standard()),
        }
    }

    fn scrape(&mut self, second: u64, page: &str) -> Vec<Window> {
        let stats = ScrapeStats {
            duration_seconds: 0.01,
        };
        let page = parse(page.as_bytes(), None, &Options::LENIENT).expect("a page");
        let translated = self.translator.translate(&page, at(second).nanos(), &stats);
        let origin = Origin::Scrape { target: 0 };
        let metrics = &translated.request.resource_metrics;
        self.evidence.observe_metrics(metrics, origin, at(second));
        let closed = self.evidence.close(at(second));
        let request = closed.request.expect("a request");
        let (windows, report) = self.gate.take(&request, at(second));
        assert_eq!(report, Default::default(), "the gate refuses nothing");
        windows
    }
}

fn page(started: u64, cpu: f64, lines: &[&str]) -> String {
    format!(
        "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds {}\n\
         # TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total {cpu}\n\
         # TYPE http_requests_total counter\n\
         # TYPE http_request_duration_seconds histogram\n{}\n",
        T0 - 1000 + started,
        lines.join("\n"),
    )
}

/// The lines of one series: 10 ms and 300 ms requests under a bound of 0.25 s.
fn series(labels: &str, fast: u64, slow: u64) -> String {
    let name = "http_request_duration_seconds";
    let all = fast + slow;
    format!(
        "{name}_bucket{{{labels},le=\"0.25\"}} {fast}\n\
         {name}_bucket{{{labels},le=\"+Inf\"}} {all}\n\
         {name}_sum{{{labels}}} {all}\n{name}_count{{{labels}}} {all}"
    )
}

#[track_caller]
fn check(windows: &[Window], requests: u64, errors: u64, latency: Option<[u64; 2]>) {
    let [window] = windows else {
        panic!("one window, not {windows:?}")
    };
    let [route] = &window.routes[..] else {
        panic!("one route, not {:?}", window.routes)
    };
    assert_eq!(
        (window.service.as_str(), window.arm.as_str()),
        ("shop", "v1")
    );
    assert_eq!(
        (window.pod.as_str(), route.route.as_str()),
        ("shop-1", "GET /buy")
    );
    assert_eq!((route.requests, route.errors), (requests, errors));
    match (&route.latency, latency) {
        (Some(Latency::Explicit(explicit)), Some(counts)) => {
            assert_eq!(explicit.counts, counts);
        }
        (None, None) => {}
        other => panic!("{other:?}"),
    }
}

/// Guarantees: increments, the first error of all, restarts and CPU arrive as they were.
#[test]
fn a_histogram_with_status_arrives_as_it_was() {
    let mut path = Path::new();
    let ok = r#"route="/buy",method="GET",code="200""#;
    let bad = r#"route="/buy",method="GET",code="503""#;
    let idle = path.scrape(5, &page(0, 10.0, &[&series(ok, 1000, 50)]));
    assert!(
        idle.iter()
            .all(|window| window.routes.iter().all(|route| route.requests == 0))
    );
    let windows = path.scrape(
        10,
        &page(0, 10.25, &[&series(ok, 1010, 55), &series(bad, 1, 0)]),
    );
    check(&windows, 16, 1, Some([10, 5]));
    let window = windows.first().expect("a window");
    assert_eq!((window.start, window.end), (at(5), at(10)));
    assert_eq!(window.started, Some(UnixNanos::from_seconds(T0 - 1000)));
    let cpu = window.cpu.as_ref().expect("CPU");
    assert_eq!((cpu.seconds, cpu.limit_cores), (0.25, Some(0.1)));
    let windows = path.scrape(15, &page(1012, 0.5, &[&series(ok, 2, 1)]));
    check(&windows, 3, 0, Some([2, 1]));
    assert_eq!(
        windows.first().and_then(|window| window.started),
        Some(at(12))
    );
}

/// Guarantees: where the histogram has no status, errors come from the counter beside it.
#[test]
fn a_histogram_without_status_is_joined_by_its_counter() {
    let mut path = Path::new();
    let plain = r#"route="/buy",method="GET""#;
    let counter = |code: u64, count: u64| {
        format!(r#"http_requests_total{{route="/buy",method="GET",code="{code}"}} {count}"#)
    };
    path.scrape(
        5,
        &page(0, 1.0, &[&counter(200, 100), &series(plain, 100, 0)]),
    );
    let lines = [counter(200, 118), counter(500, 2), series(plain, 115, 5)];
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    let windows = path.scrape(10, &page(0, 1.1, &lines));
    check(&windows, 20, 2, Some([15, 5]));
}

/// Guarantees: after a missed scrape nothing is lost: one window spans two.
#[test]
fn a_missed_scrape_is_one_longer_window() {
    let mut path = Path::new();
    let ok = r#"route="/buy",method="GET",code="200""#;
    path.scrape(5, &page(0, 1.0, &[&series(ok, 100, 0)]));
    path.evidence.close(at(10));
    let windows = path.scrape(15, &page(0, 1.5, &[&series(ok, 130, 0)]));
    check(&windows, 30, 0, Some([30, 0]));
    assert_eq!(
        windows.first().map(|window| (window.start, window.end)),
        Some((at(5), at(15)))
    );
}
