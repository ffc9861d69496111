//! Bodies on their way: pieces with trailers out, capped and budgeted reading in.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;

/// A body that is there as a whole: up to two pieces, and trailers.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    head: Option<Bytes>,
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl Pieces {
    /// A body of one piece; an empty one ends with the headers.
    pub(crate) fn whole(data: Bytes) -> Self {
        Self {
            data: Some(data).filter(|data| !data.is_empty()),
            ..Self::default()
        }
    }

    /// A framed gRPC message.
    pub(crate) fn framed(head: Bytes, data: Bytes, trailers: Option<HeaderMap>) -> Self {
        Self {
            head: Some(head),
            trailers,
            ..Self::whole(data)
        }
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.head.take().or_else(|| self.data.take());
        let frame = piece
            .map(Frame::data)
            .or_else(|| self.trailers.take().map(Frame::trailers));
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.head.is_none() && self.data.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let length = |piece: &Option<Bytes>| piece.as_ref().map_or(0, Bytes::remaining);
        let bytes = length(&self.head) + length(&self.data);
        SizeHint::with_exact(u64::try_from(bytes).unwrap_or(u64::MAX))
    }
}

/// Memory all unpacked bodies of a server share, in bytes.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    used: Arc<AtomicUsize>,
    max: usize,
}

impl Budget {
    /// A budget of `max` bytes.
    pub(crate) fn new(max: usize) -> Self {
        let used = Arc::default();
        Self { used, max }
    }

    /// A share of nothing, to be grown.
    pub(crate) fn share(&self) -> Share {
        let budget = self.clone();
        Share { budget, held: 0 }
    }
}

/// What one request holds of the budget, given back on drop.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Budget,
    held: usize,
}

impl Share {
    /// Grows to `bytes`; says whether the budget had room.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.held);
        let used = self.budget.used.fetch_add(more, Ordering::Relaxed);
        self.held += more;
        used.saturating_add(more) <= self.budget.max
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.held, Ordering::Relaxed);
    }
}

/// Why a body could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ReadError<E> {
    /// The peer went away or broke the protocol.
    Disconnected(String),
    /// What the body says is wrong.
    Refused(E),
    /// More than the limit arrived.
    TooLarge,
}

/// Feeds a body, of `limit` bytes at most, to `push` piece by piece; gives its trailers.
pub(crate) async fn read<B, E>(
    mut body: B,
    limit: usize,
    mut push: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<HeaderMap, ReadError<E>>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: std::error::Error,
{
    let mut got = 0_usize;
    let mut trailers = HeaderMap::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| ReadError::Disconnected(chain(&error)))?;
        match frame.into_data() {
            Ok(piece) => {
                got = got.saturating_add(piece.len());
                if got > limit {
                    return Err(ReadError::TooLarge);
                }
                push(&piece).map_err(ReadError::Refused)?;
            }
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
    Ok(trailers)
}

/// The innermost cause: hyper's outer errors say only what was tried.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let Some(mut cause) = error.source() else {
        return error.to_string();
    };
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// An error with its sources on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_given_back() {
        let budget = Budget::new(10);
        let mut first = budget.share();
        assert!(first.grow_to(6));
        assert!(first.grow_to(6), "growing to the same size takes nothing");
        let mut second = budget.share();
        assert!(!second.grow_to(5));
        drop(second);
        let mut third = budget.share();
        assert!(third.grow_to(4));
        drop((first, third));
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
    }
}
