//! The gate's listeners under peers that mean ill, or are only slow.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use davy_tests::kit::gate::Gate;
use davy_tests::kit::http;
use davy_tests::kit::process::wait_until;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{QUESTION, folder, start};

/// How long an honest caller may wait while others crowd the door.
const HONEST: Duration = Duration::from_secs(2);

/// More connections than a listener serves, for each listener.
const HTTP: usize = 300;
const OTLP: usize = 700;

/// Connections of a flood.
const FLOOD: usize = 3_000;

/// Half of a request's head.
const HALF: &[u8] = b"POST /v1/metrics HTTP/1.1\r\nhost: gate\r\ncontent-le";

/// Lets this process have as many descriptors as it may: many systems start with 1,024.
fn many_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let current = limit.maximum;
    let raised = setrlimit(Resource::Nofile, Rlimit { current, ..limit });
    raised.expect("the hard limit is allowed");
}

fn half_open(authority: &str) -> TcpStream {
    let mut stream = TcpStream::connect(authority).expect("a connection");
    stream.write_all(HALF).expect("half a head");
    stream
}

/// Whether the peer has closed within `limit`.
fn is_closed(stream: &mut TcpStream, limit: Duration) -> bool {
    let limit = limit.max(Duration::from_millis(1));
    stream.set_read_timeout(Some(limit)).expect("a timeout");
    // A reset is an end too; a timeout is none.
    match stream.read(&mut [0; 64]) {
        Ok(n) => n == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

fn cut(gate: &Gate, listener: &str, reason: &str) -> usize {
    let labels = [("listener", listener), ("reason", reason)];
    let count = gate.metric("davy_gate_cut_connections_total", &labels);
    count.expect("metrics") as usize
}

#[track_caller]
fn honest(authority: &str, method: &str, path: &str, body: &[u8]) {
    let asked = Instant::now();
    let json = [("content-type", "application/json")];
    let response = http::send(authority, method, path, &json, body).expect("an answer");
    assert_eq!(response.status, 200, "{}", response.text());
    let waited = asked.elapsed();
    assert!(waited < HONEST, "{method} {path} took {waited:?}");
}

/// Scenario: more peers than there are places each send half a head and fall silent.
/// Guarantees: honest callers of both listeners are answered at once, meanwhile and after; every
/// silent peer is cut within the time for a head, and counted.
#[test]
fn half_requests_stop_nobody_and_are_cut() {
    many_descriptors();
    let folder = folder();
    let gate = start(folder.path(), "");
    for (listener, authority, crowd) in [("http", &gate.http, HTTP), ("otlp", &gate.otlp, OTLP)] {
        let mut silent: Vec<_> = (0..crowd).map(|_| half_open(authority)).collect();
        if listener == "http" {
            honest(authority, "GET", "/livez", b"");
            honest(authority, "POST", "/v1/evaluate", QUESTION.as_bytes());
        } else {
            honest(authority, "POST", "/v1/metrics", b"{}");
        }
        // Peers are taken in their order: who was answered came behind all of the crowd.
        let end = Instant::now() + Duration::from_secs(10) + Duration::from_secs(5);
        for (n, stream) in silent.iter_mut().enumerate() {
            let left = end.saturating_duration_since(Instant::now());
            assert!(is_closed(stream, left), "{listener}: peer {n} is kept");
        }
        let counted = || {
            let all = cut(&gate, listener, "silent") + cut(&gate, listener, "displaced");
            (all == crowd).then_some(all)
        };
        wait_until("every cut to be counted", HONEST, counted).expect("all of them, once");
        assert!(cut(&gate, listener, "displaced") > 0, "{listener}");
    }
}

/// Scenario: a peer opens connections as fast as it can, sends half a head on each, and lets none go.
/// Guarantees: `/livez` and evaluations are answered in time all the while.
#[test]
fn a_flood_does_not_stop_the_probes() {
    many_descriptors();
    let folder = folder();
    let gate = start(folder.path(), "");
    let opened = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut held = VecDeque::new();
            while opened.load(Ordering::Relaxed) < FLOOD {
                if let Ok(mut stream) = TcpStream::connect(&gate.http) {
                    let _ = stream.write_all(HALF);
                    held.push_back(stream);
                }
                opened.fetch_add(1, Ordering::Relaxed);
                // The gate let the oldest go long before.
                if held.len() > 2 * HTTP {
                    held.pop_front();
                }
            }
        });
        let mut asked = 0;
        while asked < 20 || opened.load(Ordering::Relaxed) < FLOOD {
            honest(&gate.http, "GET", "/livez", b"");
            honest(&gate.http, "POST", "/v1/evaluate", QUESTION.as_bytes());
            asked += 1;
        }
    });
    assert!(cut(&gate, "http", "displaced") > FLOOD / 2);
}

/// Scenario: requests with a body that never ends, or is larger than any question.
/// Guarantees: each is refused as a problem, in time, and counted.
#[test]
fn bodies_are_bounded_in_time_and_size() {
    let folder = folder();
    let gate = start(folder.path(), "");
    let stalled = b"POST /v1/evaluate HTTP/1.1\r\nhost: gate\r\ncontent-length: 10\r\n\r\n{";
    let began = Instant::now();
    let response = http::exchange(&gate.http, stalled).expect("an answer");
    assert_eq!(response.status, 408, "{}", response.text());
    assert!(began.elapsed() < Duration::from_secs(18));
    let endless = b"POST /v1/evaluate HTTP/1.1\r\nhost: gate\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let endless = [&endless[..], chunk.as_bytes(), chunk.as_bytes()].concat();
    let response = http::exchange(&gate.http, &endless).expect("an answer");
    assert_eq!(response.status, 413, "{}", response.text());
    for reason in ["timeout", "too_large"] {
        let refused = gate.metric("davy_gate_problems_total", &[("reason", reason)]);
        assert_eq!(refused.expect("metrics"), 1.0, "{reason}");
    }
}

/// Scenario: the gate is told to end while connections are open and one request is half sent.
/// Guarantees: nobody who says nothing holds it up.
#[test]
fn quiet_connections_do_not_hold_up_the_end() {
    let folder = folder();
    let mut gate = start(folder.path(), "");
    let quiet: Vec<_> = [&gate.http, &gate.otlp, &gate.http]
        .into_iter()
        .map(|authority| TcpStream::connect(authority).expect("a connection"))
        .collect();
    honest(&gate.http, "GET", "/livez", b"");
    let began = Instant::now();
    let status = gate.process.terminate(Duration::from_secs(5));
    assert!(status.expect("it ends").success(), "{}", gate.process.log());
    assert!(began.elapsed() < Duration::from_millis(1_500));
    for stream in quiet {
        let _ = stream.shutdown(Shutdown::Both);
    }
}
