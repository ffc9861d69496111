//! What splicing writes is understood alike by prost, by Python's protobuf and by Go's pdata.
//!
//! Each peer decodes the spliced bytes and encodes what it understood; what comes back must be the
//! same message. A decoder written by hand, as pdata's is, shows here what it makes of an encoding
//! that protobuf's own rules would have forgiven.

use std::io::Write as _;
use std::process::{Command, Stdio};

use davy_agent_core::payload::{Enrichment, Payload};
use davy_proto::Signal;
use davy_tests::kit::peers;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use requests::{Draw, text};

mod requests;

/// Drawn requests of each signal.
const REQUESTS: u64 = 200;

/// Scenario: the agent relays requests of SDKs, with its own attributes spliced in.
/// Guarantees: Go's pdata, the wire types of the Collector, reads them as prost does, to the last
/// attribute, and counts as many items as the agent.
#[test]
fn pdata_understands_spliced_requests() {
    let source = peers::sources().join("decode");
    let decode = peers::go_program("decode", &source).expect("the Go decoder");
    check(&mut Command::new(decode));
}

/// Scenario: as above.
/// Guarantees: so does Python's protobuf.
#[test]
fn python_understands_spliced_requests() {
    let interpreter = peers::python_otlp().expect("Python with OTLP's messages");
    check(Command::new(interpreter).arg(peers::sources().join("decode.py")));
}

#[track_caller]
fn check(decoder: &mut Command) {
    let payloads = spliced();
    let answers = decoded(decoder, &payloads);
    assert_eq!(answers.len(), payloads.len(), "every request is answered");
    let mut items = 0;
    for (number, (payload, (counted, again))) in payloads.iter().zip(&answers).enumerate() {
        let context = format!("request {number}, {}", payload.signal);
        assert_eq!(u64::from(*counted), payload.items, "{context}: items");
        let (found, expected) = (
            printed(payload.signal, again),
            printed(payload.signal, &payload.bytes),
        );
        assert_eq!(found, expected, "{context}");
        items += payload.items;
    }
    assert!(items > 1000, "only {items} items were compared");
}

/// Requests as the agent would forward them; some with two resources in an entry, or none.
fn spliced() -> Vec<Payload> {
    let enrichment = Enrichment::new([
        text("service.name", "shop"),
        text("service.version", "v1.1.0"),
        text("davy.arm", "6c5d8b9f7"),
        text("k8s.pod.name", "shop-6c5d8b9f7-x2x4z"),
    ]);
    let received = |signal, bytes: Vec<u8>| {
        Payload::received(signal, &bytes, &enrichment).expect("a valid request")
    };
    let mut payloads = Vec::new();
    for seed in 0..REQUESTS {
        let mut draw = Draw(seed);
        payloads.push(received(Signal::Metrics, draw.metrics().encode_to_vec()));
        payloads.push(received(Signal::Logs, draw.logs().encode_to_vec()));
        payloads.push(received(Signal::Traces, draw.traces().encode_to_vec()));
        payloads.push(received(Signal::Traces, with_two_resources(&mut draw)));
    }
    payloads
}

/// An entry whose resource comes in two parts, which protobuf says is one.
fn with_two_resources(draw: &mut Draw) -> Vec<u8> {
    let mut entry = Vec::new();
    for request in [draw.traces(), draw.traces()] {
        for mut part in request.resource_spans {
            part.schema_url.clear();
            entry.extend(part.encode_to_vec());
        }
    }
    let mut request = vec![0x0a];
    prost::encoding::encode_varint(entry.len() as u64, &mut request);
    request.extend(entry);
    request
}

/// What the decoder makes of each: items and bytes.
fn decoded(decoder: &mut Command, payloads: &[Payload]) -> Vec<(u32, Vec<u8>)> {
    let mut input = Vec::new();
    for payload in payloads {
        input.push(letter(payload.signal));
        input.extend((payload.bytes.len() as u32).to_be_bytes());
        input.extend(&payload.bytes);
    }
    let mut child = decoder
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the decoder starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    // A thread, for both pipes may be full.
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("the decoder ends");
    // The decoder's own complaint, on stderr, says more than a broken pipe.
    assert!(
        output.status.success(),
        "the decoder refused a request: {}",
        output.status
    );
    writer
        .join()
        .expect("no panic")
        .expect("all requests are taken");
    frames(&output.stdout)
}

fn frames(mut rest: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let mut frames = Vec::new();
    while let Some((head, after)) = rest.split_at_checked(9) {
        let number = |at: usize| u32::from_be_bytes(head[at..at + 4].try_into().expect("four"));
        let (bytes, after) = after.split_at(number(5) as usize);
        frames.push((number(1), bytes.to_vec()));
        rest = after;
    }
    frames
}

fn letter(signal: Signal) -> u8 {
    match signal {
        Signal::Metrics => b'm',
        Signal::Logs => b'l',
        Signal::Traces => b't',
    }
}

/// The request by prost, printed.
fn printed(signal: Signal, bytes: &[u8]) -> String {
    match signal {
        Signal::Metrics => format!("{:#?}", ExportMetricsServiceRequest::decode(bytes)),
        Signal::Logs => format!("{:#?}", ExportLogsServiceRequest::decode(bytes)),
        Signal::Traces => format!("{:#?}", ExportTraceServiceRequest::decode(bytes)),
    }
}
