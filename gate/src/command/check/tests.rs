//! Checks of small HTTP servers whose counters grow with each scrape.

use std::fmt::Write as _;
use std::future::pending;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::command::replay::replay;

/// What a server's page says.
#[derive(Clone, Copy)]
struct App {
    /// Factor of its latency and CPU.
    slower: f64,
    /// Share of its requests that fail.
    error_rate: f64,
    /// Scrapes that it answers with 503.
    broken: (u64, u64),
    /// Whether its requests are counted in a histogram, or in nothing.
    has_requests: bool,
}

const GOOD: App = App {
    slower: 1.0,
    error_rate: 0.001,
    broken: (0, 0),
    has_requests: true,
};
const BOUNDS: [f64; 6] = [0.025, 0.05, 0.1, 0.2, 0.4, 0.8];
const REQUESTS: u64 = 1_000;

/// Counters so far.
#[derive(Default)]
struct Counters {
    buckets: [u64; 7],
    sum: f64,
    errors: u64,
    cpu: f64,
    draws: u64,
}

impl Counters {
    /// The same on every run. Source: Steele, Lea, Flood 2014, splitmix64.
    fn uniform(&mut self) -> f64 {
        self.draws = self.draws.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.draws ^ (self.draws >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn grow(&mut self, app: &App) {
        for _ in 0..REQUESTS {
            if self.uniform() < app.error_rate {
                self.errors += 1;
                continue;
            }
            let u = self.uniform();
            let latency = app.slower * 0.06 * (u / (1.0 - u)).powf(0.35);
            self.sum += latency;
            self.buckets[BOUNDS.iter().take_while(|bound| latency > **bound).count()] += 1;
        }
        self.cpu += app.slower * 0.5 * (0.98 + 0.04 * self.uniform());
    }

    fn page(&self, app: &App) -> String {
        let mut page = String::from("process_start_time_seconds 1.7e9\n");
        let _ = writeln!(page, "# TYPE process_cpu_seconds_total counter");
        let _ = writeln!(page, "process_cpu_seconds_total {}", self.cpu);
        if !app.has_requests {
            return page;
        }
        let name = "http_request_duration_seconds";
        let _ = writeln!(page, "# TYPE {name} histogram");
        for (code, buckets, sum) in [
            ("200", self.buckets, self.sum),
            ("500", [self.errors, 0, 0, 0, 0, 0, 0], 0.0),
        ] {
            let labels = format!("route=\"/buy\",method=\"GET\",code=\"{code}\"");
            let mut total = 0;
            let bounds = BOUNDS
                .iter()
                .map(ToString::to_string)
                .chain(["+Inf".to_owned()]);
            for (bound, count) in bounds.zip(buckets) {
                total += count;
                let _ = writeln!(page, "{name}_bucket{{{labels},le=\"{bound}\"}} {total}");
            }
            let _ = writeln!(page, "{name}_sum{{{labels}}} {sum}");
            let _ = writeln!(page, "{name}_count{{{labels}}} {total}");
        }
        page
    }
}

/// Serves the app's page on loopback and returns its URL.
async fn serve(app: App, seed: u64) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!(
        "http://{}/metrics",
        listener.local_addr().expect("an address")
    );
    tokio::spawn(async move {
        let mut counters = Counters {
            draws: seed,
            ..Counters::default()
        };
        for scrape in 0_u64.. {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await.expect("a request");
            counters.grow(&app);
            let is_broken = (app.broken.0..app.broken.1).contains(&scrape);
            let status = if is_broken {
                "503 Service Unavailable"
            } else {
                "200 OK"
            };
            let body = counters.page(&app);
            let response = format!(
                "HTTP/1.1 {status}\r\ncontent-type: text/plain; version=0.0.4\r\n\
                 content-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            stream
                .write_all(response.as_bytes())
                .await
                .expect("an answer");
        }
    });
    url
}

const POLICY: &str = "version: 1\nservice: shop\nrisk: {assume: alike}\n\
                      timing: {warm_up: 0s, min_duration: 30s, max_duration: 15m}\n";

/// How a check of these two ended, and what it said meanwhile.
struct Result {
    ended: Ended,
    said: String,
    seen: Seen,
}

impl Result {
    fn evaluation(&self) -> &Evaluation {
        match &self.ended {
            Ended::Judged(evaluation) => evaluation,
            Ended::Unavailable(reasons) => panic!("{reasons:?}\n{}", self.said),
        }
    }
}

struct Options<'a> {
    policy: &'a str,
    give_up: Option<u64>,
    record: Option<&'a std::path::Path>,
}

const OPTIONS: Options<'_> = Options {
    policy: POLICY,
    give_up: None,
    record: None,
};

/// A command line with these URLs and nothing else.
fn flags(baseline: &str, canary: &str) -> Check {
    Check {
        baseline: vec![baseline.to_owned()],
        canary: vec![canary.to_owned()],
        ca_file: None,
        headers: Vec::new(),
        policy: None,
        max_duration: None,
        record: None,
        summary: crate::cli::Summary::Text,
    }
}

async fn check(urls: (&str, &str), options: Options<'_>, stop: impl Future<Output = ()>) -> Result {
    let policy = Policy::read("policy", options.policy).expect("a policy");
    let plan = Plan {
        targets: targets(&[urls.0.to_owned()], &[urls.1.to_owned()]).expect("URLs"),
        client: client(&flags("http://h", "http://h")).expect("a client"),
        identity: policies::identity(&policy),
        policy,
        give_up: options.give_up.map(Duration::from_secs),
    };
    let recorder = options
        .record
        .map(|path| Recorder::file(path).expect("a file"));
    let mut said = Vec::new();
    let mut checking = Checking::new(plan, recorder, Progress::new(&mut said, false));
    let pace = Pace::Every {
        interval: Duration::from_millis(1),
        at: UnixNanos::from_seconds(1_764_000_002),
    };
    let ended = checking.until_the_end(pace, stop).await;
    let seen = checking.seen;
    drop(checking);
    Result {
        ended,
        said: String::from_utf8(said).expect("text"),
        seen,
    }
}

async fn check_apps(baseline: App, canary: App) -> Result {
    let (baseline, canary) = (serve(baseline, 1).await, serve(canary, 2).await);
    check((&baseline, &canary), OPTIONS, pending()).await
}

#[tokio::test]
async fn a_good_canary_is_approved() {
    let result = check_apps(GOOD, GOOD).await;
    let evaluation = result.evaluation();
    assert_eq!(
        (evaluation.verdict, evaluation.is_final),
        (Verdict::Approve, true),
        "{}",
        result.said
    );
    assert!(
        result
            .said
            .contains("latency: http_request_duration_seconds"),
        "{}",
        result.said
    );
    assert_eq!(result.seen.baseline, result.seen.canary);
    assert_eq!(result.seen.baseline % REQUESTS, 0);
    assert_eq!(exit_code(evaluation.verdict), 0);
}

#[tokio::test]
async fn a_service_without_errors_is_approved() {
    let perfect = App {
        error_rate: 0.0,
        ..GOOD
    };
    let result = check_apps(perfect, perfect).await;
    assert_eq!(
        result.evaluation().verdict,
        Verdict::Approve,
        "{}",
        result.said
    );
}

#[tokio::test]
async fn a_worse_canary_is_rolled_back() {
    for canary in [
        App {
            slower: 1.8,
            ..GOOD
        },
        App {
            error_rate: 0.02,
            ..GOOD
        },
    ] {
        let result = check_apps(GOOD, canary).await;
        let evaluation = result.evaluation();
        assert_eq!(evaluation.verdict, Verdict::Rollback, "{}", result.said);
        assert_eq!(exit_code(evaluation.verdict), 1);
    }
}

#[tokio::test]
async fn a_check_gives_up_undecided() {
    let (baseline, canary) = (serve(GOOD, 1).await, serve(GOOD, 2).await);
    let options = Options {
        give_up: Some(18),
        ..OPTIONS
    };
    let result = check((&baseline, &canary), options, pending()).await;
    let evaluation = result.evaluation();
    assert_eq!(evaluation.verdict, Verdict::Undecided);
    assert!(
        evaluation.reason.starts_with("gave up after 18s: "),
        "{}",
        evaluation.reason
    );
    assert!(
        result
            .said
            .contains("within 18s only a rollback can be decided"),
        "{}",
        result.said
    );
    assert_eq!(exit_code(evaluation.verdict), 2);
}

/// Guarantees: the time given on the command line ends as undecided, whatever the policy says of
/// its own deadline.
#[tokio::test]
async fn giving_up_is_not_the_deadline_of_the_policy() {
    let (baseline, canary) = (serve(GOOD, 1).await, serve(GOOD, 2).await);
    let policy = "version: 1\ntiming: {max_duration: 10m}\non_deadline: rollback\n";
    let options = Options {
        policy,
        give_up: Some(20),
        ..OPTIONS
    };
    let result = check((&baseline, &canary), options, pending()).await;
    let evaluation = result.evaluation();
    assert_eq!(evaluation.verdict, Verdict::Undecided, "{}", result.said);
    assert!(
        evaluation.reason.starts_with("gave up after 20s: "),
        "{}",
        evaluation.reason
    );
}

#[tokio::test]
async fn the_deadline_of_the_policy_holds() {
    let (baseline, canary) = (serve(GOOD, 1).await, serve(GOOD, 2).await);
    let short = "version: 1\ntiming: {min_duration: 30s, max_duration: 30s}\n";
    for (on_deadline, expected) in [
        ("pause", Verdict::Undecided),
        ("rollback", Verdict::Rollback),
    ] {
        let policy = &format!("{short}on_deadline: {on_deadline}\n");
        let options = Options { policy, ..OPTIONS };
        let result = check((&baseline, &canary), options, pending()).await;
        assert_eq!(result.evaluation().verdict, expected, "{}", result.said);
        assert_eq!(result.evaluation().elapsed_seconds, 30, "{}", result.said);
    }
}

#[tokio::test]
async fn an_interrupted_check_is_undecided() {
    let (baseline, canary) = (serve(GOOD, 1).await, serve(GOOD, 2).await);
    let stop = tokio::time::sleep(Duration::from_millis(30));
    let slow = "version: 1\ntiming: {min_duration: 24h, max_duration: 24h}\n";
    let options = Options {
        policy: slow,
        ..OPTIONS
    };
    let result = check((&baseline, &canary), options, stop).await;
    let evaluation = result.evaluation();
    assert_eq!(evaluation.verdict, Verdict::Undecided);
    assert!(
        evaluation.reason.starts_with("interrupted: "),
        "{}",
        evaluation.reason
    );
}

#[tokio::test]
async fn an_arm_that_never_answers_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let nobody = format!(
        "http://{}/metrics",
        listener.local_addr().expect("an address")
    );
    drop(listener);
    let result = check((&serve(GOOD, 1).await, &nobody), OPTIONS, pending()).await;
    let Ended::Unavailable(reasons) = result.ended else {
        panic!("{}", result.said)
    };
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    assert!(
        reasons[0].contains(&format!("canary {nobody} never answered: ")),
        "{reasons:?}"
    );
    assert!(reasons[0].contains("refused"), "{reasons:?}");
}

#[tokio::test]
async fn pages_without_requests_are_unavailable() {
    let mute = App {
        has_requests: false,
        ..GOOD
    };
    let urls = (serve(mute, 1).await, serve(GOOD, 2).await);
    for give_up in [None, Some(10)] {
        let options = Options { give_up, ..OPTIONS };
        let result = check((&urls.0, &urls.1), options, pending()).await;
        let Ended::Unavailable(reasons) = result.ended else {
            panic!("{}", result.said)
        };
        assert_eq!(reasons.len(), 1, "{reasons:?}");
        for said in [
            "counts no requests:",
            "latency: no duration histogram",
            "errors: no requests",
        ] {
            assert!(reasons[0].contains(said), "{reasons:?}");
        }
    }
}

#[tokio::test]
async fn a_target_that_fails_for_a_while_costs_coverage() {
    let result = check_apps(
        GOOD,
        App {
            broken: (4, 8),
            ..GOOD
        },
    )
    .await;
    let evaluation = result.evaluation();
    assert_eq!(evaluation.verdict, Verdict::Approve, "{}", result.said);
    for said in [
        "can't be scraped, its coverage is lost: answered 503",
        "is scraped again",
    ] {
        assert_eq!(result.said.matches(said).count(), 1, "{}", result.said);
    }
}

/// Guarantees: what a check records replays to the verdict that it gave.
#[tokio::test]
async fn a_recording_replays_to_the_same_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    for slower in [1.0, 1.8] {
        let path = folder.path().join("evidence.jsonl");
        let (baseline, canary) = (serve(GOOD, 1).await, serve(App { slower, ..GOOD }, 2).await);
        let options = Options {
            record: Some(&path),
            ..OPTIONS
        };
        let result = check((&baseline, &canary), options, pending()).await;
        let recorded = std::fs::read_to_string(&path).expect("a recording");
        let policy = Policy::read("policy", POLICY).expect("a policy");
        let arms = (Side::Baseline.arm(), Side::Canary.arm());
        let replayed = replay(recorded.as_bytes(), &policy, &arms).expect("replayed");
        assert_eq!(&replayed.last, result.evaluation());
        assert_eq!(replayed.notes, Vec::<String>::new());
    }
}

#[test]
fn all_mistakes_of_the_command_line_are_said_together() {
    let options = Check {
        ca_file: Some("/does/not/exist.pem".into()),
        policy: Some("/does/not/exist.yaml".into()),
        max_duration: Some(Duration::ZERO),
        ..flags("nonsense", "ftp://h/metrics")
    };
    let error = Plan::of(&options).err().expect("mistakes");
    assert!(error.downcast_ref::<Usage>().is_some());
    let said = error.to_string();
    for part in [
        "--baseline nonsense: ",
        "--canary ftp://h/metrics: ",
        "exist.pem",
        "--max-duration: ",
        "exist.yaml",
    ] {
        assert!(said.contains(part), "{said}");
    }
}
