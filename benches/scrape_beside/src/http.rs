//! HTTP/1.1 by hand: as little CPU as a server can take beside what is measured.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};

/// Longest line of a head.
const LINE_BYTES_MAX: u64 = 16 * 1024;
/// Of `bufio.NewWriter`, by which `expfmt` writes.
const CHUNK_BYTES: usize = 4096;
/// Largest body.
const BODY_BYTES_MAX: usize = 256 << 20;

/// A request that was read to its end.
#[derive(Debug, Default)]
pub(super) struct Request {
    /// `GET`, `POST`, …
    pub(super) method: String,
    /// The path, without its query.
    pub(super) path: String,
    /// What of the body was done to it on its way.
    pub(super) content_encoding: String,
    /// What the client would unpack.
    pub(super) accept_encoding: String,
    /// Whether the client sends no other request on this connection.
    pub(super) is_last: bool,
    pub(super) body: Vec<u8>,
}

/// What is answered, and what is done then; it is told whether all of it could be sent.
#[derive(Default)]
pub(super) struct Response {
    pub(super) status: u16,
    /// Header lines, each with its end.
    pub(super) head: String,
    pub(super) body: Body,
    pub(super) then: Option<Box<dyn FnOnce(bool)>>,
}

/// What is sent behind a head.
pub(super) enum Body {
    /// As it is, with its length in the head.
    Whole(Vec<u8>),
    /// In chunks that [`chunked`] has made.
    Chunked(Arc<[u8]>),
}

impl Default for Body {
    fn default() -> Self {
        Self::Whole(Vec::new())
    }
}

/// Cuts a body into chunks of the size in which Go's server sends what `expfmt` writes to it.
pub(super) fn chunked(body: &[u8]) -> Arc<[u8]> {
    let mut framed = Vec::with_capacity(body.len() + body.len() / 256 + 64);
    for chunk in body.chunks(CHUNK_BYTES) {
        framed.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        framed.extend_from_slice(chunk);
        framed.extend_from_slice(b"\r\n");
    }
    framed.extend_from_slice(b"0\r\n\r\n");
    framed.into()
}

impl Response {
    /// An answer without a body.
    pub(super) fn empty(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    /// An answer of JSON.
    ///
    /// # Errors
    ///
    /// When it can't be written as such.
    pub(super) fn json(value: &impl serde::Serialize) -> anyhow::Result<Self> {
        Ok(Self {
            status: 200,
            body: Body::Whole(serde_json::to_vec(value)?),
            ..Self::default()
        })
    }
}

/// Serves on a free port of loopback, a thread a connection, for as long as the process lives; the
/// address is written into `file`.
///
/// # Errors
///
/// When no port can be bound, or the file can't be written.
pub(super) fn serve<H>(file: &Path, handle: H) -> anyhow::Result<()>
where
    H: Fn(Request) -> anyhow::Result<Response> + Send + Sync + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").context("bind")?;
    let address = listener.local_addr()?.to_string();
    std::fs::write(file, address).with_context(|| format!("write {}", file.display()))?;
    let handle = Arc::new(handle);
    for stream in listener.incoming() {
        let (stream, handle) = (stream?, Arc::clone(&handle));
        std::thread::spawn(move || {
            if let Err(error) = converse(stream, handle.as_ref()) {
                eprintln!("{error:#}");
            }
        });
    }
    Ok(())
}

fn converse(
    stream: TcpStream,
    handle: &impl Fn(Request) -> anyhow::Result<Response>,
) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::with_capacity(256 * 1024, stream);
    while let Some(request) = read(&mut reader)? {
        let is_last = request.is_last;
        let response = handle(request)?;
        let Response { head, status, .. } = &response;
        let (length, body) = match &response.body {
            // A 204 has no length (RFC 9110, section 8.6).
            Body::Whole(_) if *status == 204 => (String::new(), &[][..]),
            Body::Whole(body) => (format!("content-length: {}\r\n", body.len()), &body[..]),
            Body::Chunked(body) => ("transfer-encoding: chunked\r\n".to_owned(), &body[..]),
        };
        let head = format!("HTTP/1.1 {status} -\r\n{length}{head}\r\n");
        let sent = writer.write_all(head.as_bytes());
        let sent = sent.and_then(|()| writer.write_all(body));
        if let Some(then) = response.then {
            then(sent.is_ok());
        }
        sent.context("send an answer")?;
        if is_last {
            break;
        }
    }
    Ok(())
}

/// Reads the next request; none when the client has closed.
fn read(reader: &mut BufReader<TcpStream>) -> anyhow::Result<Option<Request>> {
    let first = line(reader)?;
    let mut words = first.split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Ok(None);
    };
    let path = target.split('?').next().unwrap_or_default();
    let mut request = Request {
        method: method.to_owned(),
        path: path.to_owned(),
        ..Request::default()
    };
    let (mut length, mut is_chunked) = (0, false);
    loop {
        let header = line(reader)?;
        let Some((name, value)) = header.split_once(':') else {
            break;
        };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse()?,
            "content-encoding" => request.content_encoding = value.to_owned(),
            "connection" => request.is_last = value.eq_ignore_ascii_case("close"),
            "accept-encoding" => request.accept_encoding = value.to_owned(),
            "transfer-encoding" => is_chunked = true,
            _ => {}
        }
    }
    if is_chunked {
        loop {
            let size = usize::from_str_radix(line(reader)?.trim(), 16)?;
            take(reader, size, &mut request.body)?;
            line(reader)?;
            if size == 0 {
                break;
            }
        }
    } else {
        take(reader, length, &mut request.body)?;
    }
    Ok(Some(request))
}

fn line(reader: &mut BufReader<TcpStream>) -> anyhow::Result<String> {
    let mut line = String::new();
    reader.by_ref().take(LINE_BYTES_MAX).read_line(&mut line)?;
    if line.len() as u64 == LINE_BYTES_MAX {
        bail!("a line of {LINE_BYTES_MAX} bytes");
    }
    Ok(line.trim_end().to_owned())
}

fn take(
    reader: &mut BufReader<TcpStream>,
    length: usize,
    body: &mut Vec<u8>,
) -> anyhow::Result<()> {
    ensure!(length + body.len() <= BODY_BYTES_MAX, "a body too large");
    body.reserve_exact(length);
    let got = reader.by_ref().take(length as u64).read_to_end(body)?;
    ensure!(got == length, "a body cut short");
    Ok(())
}
