//! An open-loop load generator.
//!
//! Requests leave on a fixed schedule, whether earlier ones have been answered or not, and latency
//! counts from the scheduled instant: a server that stalls is charged for every request that would
//! have come meanwhile (no coordinated omission). How far the generator itself lags behind its
//! schedule is measured beside, since then the machine and not the server is slow.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hdrhistogram::Histogram;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::watch;
use tokio::time::Instant;

/// Longest latency recorded, in microseconds; longer ones count as this.
const LATENCY_MICROS_MAX: u64 = 60_000_000;
/// A request without an answer after this long counts as an error.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Requests under way at once; beyond it the generator itself is the bottleneck and says so.
const IN_FLIGHT_MAX: usize = 4096;
/// Connections to one target that are kept open between requests.
const IDLE_MAX: usize = 256;
/// Slowest and fastest rates, in requests a second: what a plan says beyond is taken as these.
const RATE_MIN: f64 = 0.01;
const RATE_MAX: f64 = 1e6;

/// One server to send to.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// `host:port`.
    pub authority: String,
    /// Group that its figures are counted in, an index below the number of groups.
    pub group: usize,
    /// Share of the requests, relative to the other targets' weights.
    pub weight: f64,
}

/// What a group of targets answered since the load began or since the last [`Load::take`].
#[derive(Clone, Debug)]
pub struct Tally {
    /// Latency of successful requests in microseconds, from their scheduled instant.
    pub latency_micros: Histogram<u64>,
    /// Requests answered, successful or not, and those that were never answered.
    pub requests: u64,
    /// Answers of status 500 and above, timeouts and broken connections.
    pub errors: u64,
}

/// How much goes where.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Requests a second over all targets.
    pub rate: f64,
    /// Who gets them.
    pub targets: Vec<Target>,
}

/// How requests are spread over time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Schedule {
    /// At random, as from many independent callers: a Poisson process.
    Poisson,
    /// At equal distances.
    Steady,
}

/// A running load; it stops when dropped.
pub struct Load {
    plan: watch::Sender<Arc<Plan>>,
    shared: Arc<Mutex<Shared>>,
    task: tokio::task::JoinHandle<()>,
}

struct Shared {
    tallies: Vec<Tally>,
    lag_micros: Histogram<u64>,
    overrun: u64,
}

impl Tally {
    fn new() -> Self {
        Self {
            latency_micros: histogram(),
            requests: 0,
            errors: 0,
        }
    }

    /// Latency at a quantile in [0, 1], in milliseconds.
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        self.latency_micros.value_at_quantile(quantile) as f64 / 1000.0
    }
}

#[expect(
    clippy::expect_used,
    reason = "the bounds are constants that the crate accepts"
)]
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_MICROS_MAX, 3).expect("constant bounds")
}

impl Load {
    /// Starts to send at equal distances as `plan` says, counted in `groups` groups; the order of
    /// routes, targets and ids follows from `seed`.
    pub fn start(plan: Plan, groups: usize, seed: u64) -> Self {
        Self::start_on(Schedule::Steady, plan, groups, seed)
    }

    /// The same on another schedule.
    pub fn start_on(schedule: Schedule, plan: Plan, groups: usize, seed: u64) -> Self {
        let (sender, receiver) = watch::channel(Arc::new(plan));
        let shared = Shared {
            tallies: (0..groups).map(|_| Tally::new()).collect(),
            lag_micros: histogram(),
            overrun: 0,
        };
        let shared = Arc::new(Mutex::new(shared));
        let task = tokio::spawn(send_all(
            schedule,
            receiver,
            Arc::clone(&shared),
            Draws(seed),
        ));
        Self {
            plan: sender,
            shared,
            task,
        }
    }

    /// Sends by another plan from now on.
    pub fn change(&self, plan: Plan) {
        self.plan.send_replace(Arc::new(plan));
    }

    /// What each group answered since the last call, or the start.
    pub fn take(&self) -> Vec<Tally> {
        let mut shared = lock(&self.shared);
        shared
            .tallies
            .iter_mut()
            .map(|tally| std::mem::replace(tally, Tally::new()))
            .collect()
    }

    /// How far the generator lagged behind its schedule: P99 in milliseconds, over all so far.
    pub fn lag_p99_ms(&self) -> f64 {
        lock(&self.shared).lag_micros.value_at_quantile(0.99) as f64 / 1000.0
    }

    /// Requests that were never sent, since too many were under way.
    pub fn overrun(&self) -> u64 {
        lock(&self.shared).overrun
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(shared: &Mutex<Shared>) -> std::sync::MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn send_all(
    schedule: Schedule,
    plan: watch::Receiver<Arc<Plan>>,
    shared: Arc<Mutex<Shared>>,
    mut draws: Draws,
) {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(IDLE_MAX)
        .build(connector);
    let in_flight = Arc::new(tokio::sync::Semaphore::new(IN_FLIGHT_MAX));
    let mut due = Instant::now();
    loop {
        let current = Arc::clone(&plan.borrow());
        due += schedule.distance(current.rate, &mut draws);
        tokio::time::sleep_until(due).await;
        lock(&shared)
            .lag_micros
            .saturating_record(micros(due.elapsed()));
        let Some(target) = pick(&current.targets, &mut draws) else {
            continue;
        };
        let Ok(permit) = Arc::clone(&in_flight).try_acquire_owned() else {
            lock(&shared).overrun += 1;
            continue;
        };
        let (authority, group) = (target.authority.clone(), target.group);
        let (client, shared, draw) = (client.clone(), Arc::clone(&shared), draws.next());
        tokio::spawn(async move {
            let ok = send(&client, &authority, draw).await;
            record(&shared, group, due.elapsed(), ok);
            drop(permit);
        });
    }
}

impl Schedule {
    /// Time to the next request.
    fn distance(self, rate: f64, draws: &mut Draws) -> Duration {
        let mean = 1.0 / rate.clamp(RATE_MIN, RATE_MAX);
        Duration::from_secs_f64(match self {
            Self::Steady => mean,
            // Of 1 − u in (0, 1], so that the logarithm is finite.
            Self::Poisson => -mean * (1.0 - draws.unit()).ln(),
        })
    }
}

fn record(shared: &Mutex<Shared>, group: usize, latency: Duration, ok: bool) {
    let mut shared = lock(shared);
    let Some(tally) = shared.tallies.get_mut(group) else {
        return;
    };
    tally.requests += 1;
    if ok {
        tally.latency_micros.saturating_record(micros(latency));
    } else {
        tally.errors += 1;
    }
}

async fn send(client: &Client<HttpConnector, Full<Bytes>>, authority: &str, draw: u64) -> bool {
    let (method, path) = route(draw);
    let body = if method == Method::POST {
        r#"{"product":3,"count":2}"#
    } else {
        ""
    };
    let request = Request::builder()
        .method(method)
        .uri(format!("http://{authority}{path}"))
        .body(Full::new(Bytes::from_static(body.as_bytes())));
    let Ok(request) = request else { return false };
    let answer = async {
        let response = client.request(request).await.ok()?;
        let ok = response.status().as_u16() < 500;
        response.into_body().collect().await.ok()?;
        Some(ok)
    };
    tokio::time::timeout(REQUEST_TIMEOUT, answer)
        .await
        .ok()
        .flatten()
        .unwrap_or(false)
}

/// The mix of routes over which the shop's P99 is defined (`tests/apps/README.md`).
fn route(draw: u64) -> (Method, String) {
    let id = (draw >> 16) % 100 + 1;
    match draw % 100 {
        0..30 => (Method::GET, "/products".to_owned()),
        30..70 => (Method::GET, format!("/products/{id}")),
        70..85 => (Method::GET, "/search?q=red,lamp".to_owned()),
        85..95 => (Method::GET, format!("/orders/{id}")),
        _ => (Method::POST, "/orders".to_owned()),
    }
}

fn pick<'a>(targets: &'a [Target], draws: &mut Draws) -> Option<&'a Target> {
    let total: f64 = targets.iter().map(|target| target.weight).sum();
    let mut left = draws.unit() * total;
    for target in targets {
        left -= target.weight;
        if left < 0.0 {
            return Some(target);
        }
    }
    targets.last()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros())
        .unwrap_or(u64::MAX)
        .max(1)
}

/// `SplitMix64` (Steele, Lea, Flood 2014): small, seeded, good enough to mix routes.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_drawn_by_weight() {
        let target = |name: &str, weight| Target {
            authority: name.into(),
            group: 0,
            weight,
        };
        let targets = [target("a", 0.8), target("b", 0.2), target("c", 0.0)];
        let mut draws = Draws(1);
        let mut counts = [0_u32; 3];
        for _ in 0..10_000 {
            let name = pick(&targets, &mut draws)
                .expect("a target")
                .authority
                .clone();
            counts[name.as_bytes()[0] as usize - b'a' as usize] += 1;
        }
        assert!((7_800..8_200).contains(&counts[0]), "{counts:?}");
        assert_eq!(counts[2], 0);
    }

    #[test]
    fn schedules_keep_the_rate() {
        for schedule in [Schedule::Poisson, Schedule::Steady] {
            let mut draws = Draws(3);
            let all: Duration = (0..20_000)
                .map(|_| schedule.distance(500.0, &mut draws))
                .sum();
            let seconds = all.as_secs_f64();
            assert!((39.0..41.0).contains(&seconds), "{schedule:?}: {seconds} s");
        }
    }

    #[tokio::test]
    async fn a_stall_is_charged_to_every_request_that_was_due() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("bind");
        let authority = listener.local_addr().expect("address").to_string();
        let began = Instant::now();
        let stall = Duration::from_millis(400);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer_after(stream, began + stall));
            }
        });
        let target = Target {
            authority,
            group: 0,
            weight: 1.0,
        };
        let plan = Plan {
            rate: 100.0,
            targets: vec![target],
        };
        let load = Load::start(plan, 1, 7);
        tokio::time::sleep(Duration::from_millis(700)).await;
        let tally = load.take().remove(0);
        assert!(tally.requests >= 50, "{} requests", tally.requests);
        // Of 65 requests due in 650 ms, 40 were due within the stall: the median waited.
        assert!(
            tally.quantile_ms(0.5) > 50.0,
            "median {} ms",
            tally.quantile_ms(0.5)
        );
    }

    async fn answer_after(mut stream: tokio::net::TcpStream, at: Instant) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut buffer = [0; 4096];
        while stream.read(&mut buffer).await.is_ok_and(|n| n > 0) {
            tokio::time::sleep_until(at).await;
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            if stream.write_all(answer).await.is_err() {
                return;
            }
        }
    }
}
