//! HTTP/1.1 by hand, a connection a request: what a test sends is exactly what is on the wire.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, ensure};

/// How long a peer may keep silent.
const TIMEOUT: Duration = Duration::from_secs(20);

/// What a server answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Status line and headers, as sent.
    pub head: String,
    /// The body, without its chunks' frames.
    pub body: Vec<u8>,
}

impl Response {
    /// The body as text, what is no UTF-8 replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Asks `authority` (`host:port`) for a path.
///
/// # Errors
///
/// When it does not answer.
pub fn get(authority: &str, path: &str) -> anyhow::Result<Response> {
    send(authority, "GET", path, &[], &[])
}

/// Asks for a path and returns the body of a 200.
///
/// # Errors
///
/// When it does not answer, or otherwise.
pub fn page(authority: &str, path: &str) -> anyhow::Result<String> {
    let response = get(authority, path)?;
    let text = response.text();
    ensure!(
        response.status == 200,
        "{authority}{path}: {}: {text}",
        response.status
    );
    Ok(text)
}

/// Sends a request with these headers, content length and host beside, and reads the answer.
///
/// # Errors
///
/// When there is no answer.
pub fn send(
    authority: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> anyhow::Result<Response> {
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\
         content-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    exchange(authority, &[head.as_bytes(), body].concat())
}

/// Sends bytes and reads what comes back until the peer closes.
///
/// # Errors
///
/// When there is no answer that is HTTP.
pub fn exchange(authority: &str, bytes: &[u8]) -> anyhow::Result<Response> {
    let mut stream =
        TcpStream::connect(authority).with_context(|| format!("connect to {authority}"))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    // A server may answer and close before it has read a body that it does not want.
    let written = stream.write_all(bytes);
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    parse(&answer).with_context(|| format!("{authority}: wrote {written:?}, read {read:?}"))
}

fn parse(answer: &[u8]) -> anyhow::Result<Response> {
    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .context("the head of an answer")?;
    let (head, body) = answer.split_at(end);
    let body = body.get(4..).unwrap_or_default();
    let head = String::from_utf8_lossy(head).into_owned();
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let is_chunked = head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked");
    Ok(Response {
        status: status.context("a status")?,
        body: if is_chunked {
            unchunk(body)?
        } else {
            body.to_vec()
        },
        head,
    })
}

fn unchunk(mut rest: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest
            .windows(2)
            .position(|window| window == b"\r\n")
            .context("the size of a chunk")?;
        let (size, after) = rest.split_at(end);
        let size = usize::from_str_radix(std::str::from_utf8(size)?.trim(), 16)?;
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(after.get(2..2 + size).context("a whole chunk")?);
        rest = after.get(4 + size..).context("the next chunk")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_put_together() {
        let answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
                       3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        let response = parse(answer).expect("an answer");
        assert_eq!((response.status, response.text().as_str()), (200, "abcde"));
        assert!(parse(&answer[..answer.len() - 8]).is_err());
    }
}
