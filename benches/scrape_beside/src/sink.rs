//! The process that takes what subjects send: it answers first, then unpacks and counts.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use super::count::{Count, Protocol};
use super::http::{Request, Response, serve};

/// What a subject has sent.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(super) struct Taken {
    pub(super) requests: u64,
    /// Bytes of the bodies, packed and unpacked.
    pub(super) bytes: u64,
    pub(super) unpacked: u64,
    /// What of the pages was in them.
    pub(super) count: Count,
    /// How the last one was packed.
    pub(super) encoding: String,
    /// Why one could not be read.
    pub(super) error: Option<String>,
}

type Counts = Mutex<BTreeMap<String, Taken>>;

/// Takes requests and counts them by subject.
///
/// # Errors
///
/// When it can't.
pub(super) fn run(file: &Path) -> anyhow::Result<()> {
    let counts = Arc::<Counts>::default();
    serve(file, move |request| answer(&counts, request))
}

fn answer(counts: &Arc<Counts>, request: Request) -> anyhow::Result<Response> {
    let (subject, protocol, status) = match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/counts") => return Response::json(&*lock(counts)),
        ("POST", path) => match path.split('/').collect::<Vec<_>>()[..] {
            ["", subject, "v1", "metrics"] => (subject.to_owned(), Protocol::Otlp, 200),
            ["", subject, "api", "v1", "write"] => (subject.to_owned(), Protocol::RemoteWrite, 204),
            _ => return Ok(Response::empty(404)),
        },
        _ => return Ok(Response::empty(404)),
    };
    let counts = Arc::clone(counts);
    // An empty body is an `ExportMetricsServiceResponse` without complaints.
    let head = "content-type: application/x-protobuf\r\n".to_owned();
    let then = move |_| {
        let unpacked = unpack(&request.content_encoding, &request.body);
        let counted = unpacked.and_then(|body| Ok((body.len(), protocol.count(&body)?)));
        let mut counts = lock(&counts);
        let taken = counts.entry(subject).or_default();
        taken.requests += 1;
        taken.bytes += request.body.len() as u64;
        taken.encoding = request.content_encoding;
        match counted {
            Ok((length, count)) => {
                taken.unpacked += length as u64;
                taken.count.add(count);
            }
            Err(error) => taken.error = Some(format!("{error:#}")),
        }
    };
    Ok(Response {
        status,
        head,
        then: Some(Box::new(then)),
        ..Response::default()
    })
}

fn unpack(encoding: &str, body: &[u8]) -> anyhow::Result<Vec<u8>> {
    Ok(match encoding {
        "" => body.to_vec(),
        "gzip" => {
            let mut unpacked = Vec::new();
            let mut decoder = flate2::read::MultiGzDecoder::new(body);
            decoder.read_to_end(&mut unpacked).context("gzip")?;
            unpacked
        }
        "snappy" => snap::raw::Decoder::new().decompress_vec(body)?,
        "zstd" => zstd::decode_all(body).context("zstd")?,
        other => bail!("packed as {other}"),
    })
}

fn lock(counts: &Counts) -> MutexGuard<'_, BTreeMap<String, Taken>> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}
