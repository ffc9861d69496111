//! The frame of a unary gRPC message: a flag, a length of four bytes, the message
//! (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::encoding::{Encoding, Inflate, InflateError};

/// Bytes before a message.
pub(crate) const HEADER: usize = 5;

/// The header of a message of `length` bytes.
pub(crate) fn header(compressed: bool, length: u32) -> Bytes {
    let mut header = BytesMut::with_capacity(HEADER);
    header.put_u8(u8::from(compressed));
    header.put_u32(length);
    header.freeze()
}

/// Why the body of a unary call is not one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("compressed flag is {flag}, expected 0 or 1")]
    BadFlag { flag: u8 },
    #[error("message is flagged as compressed, and grpc-encoding names no compression")]
    NoEncoding,
    #[error("unary call without a message")]
    NoMessage,
    #[error("unary call with more than one message")]
    SeveralMessages,
    #[error("message is cut short: {got} of {want} bytes")]
    Truncated { got: usize, want: usize },
    #[error(transparent)]
    Inflate(#[from] InflateError),
    #[error("no memory for the decompressor")]
    NoMemory,
}

/// Takes the body of a unary call as it arrives.
pub(crate) struct Unary {
    encoding: Encoding,
    limit: usize,
    header: Vec<u8>,
    message: Option<Inflate>,
    want: usize,
    got: usize,
}

impl Unary {
    /// Starts a call whose message may have `limit` bytes, packed and unpacked.
    pub(crate) fn new(encoding: Encoding, limit: usize) -> Self {
        Self {
            encoding,
            limit,
            header: Vec::with_capacity(HEADER),
            message: None,
            want: HEADER,
            got: 0,
        }
    }

    /// Takes the next piece.
    pub(crate) fn push(&mut self, mut piece: &[u8]) -> Result<(), FrameError> {
        if self.message.is_none() {
            let (head, rest) = piece.split_at(piece.len().min(HEADER - self.header.len()));
            self.header.extend_from_slice(head);
            piece = rest;
            self.open()?;
        }
        let Some(message) = &mut self.message else {
            return Ok(());
        };
        if piece.len() > self.want - self.got {
            return Err(FrameError::SeveralMessages);
        }
        self.got += piece.len();
        Ok(message.push(piece)?)
    }

    /// Bytes unpacked so far.
    pub(crate) fn len(&self) -> usize {
        self.message.as_ref().map_or(0, Inflate::len)
    }

    /// Ends the call and gives its message.
    pub(crate) fn finish(self) -> Result<Bytes, FrameError> {
        let want = self.want;
        match self.message {
            Some(message) if self.got == want => Ok(message.finish()?),
            Some(_) => Err(FrameError::Truncated {
                got: self.got,
                want,
            }),
            None if self.header.is_empty() => Err(FrameError::NoMessage),
            None => Err(FrameError::Truncated {
                got: self.header.len(),
                want,
            }),
        }
    }

    /// Reads the header once it is whole.
    fn open(&mut self) -> Result<(), FrameError> {
        let [flag, a, b, c, d] = self.header[..] else {
            return Ok(());
        };
        let encoding = match (flag, self.encoding) {
            (0, _) => Encoding::Identity,
            (1, Encoding::Identity) => return Err(FrameError::NoEncoding),
            (1, encoding) => encoding,
            (flag, _) => return Err(FrameError::BadFlag { flag }),
        };
        let limit = self.limit;
        self.want = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if self.want > limit {
            return Err(InflateError::TooLarge { limit }.into());
        }
        let message = Inflate::new(encoding, limit).map_err(|_| FrameError::NoMemory)?;
        self.message = Some(message);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 100;

    #[track_caller]
    fn check(encoding: Encoding, body: &[u8], expected: Result<&[u8], FrameError>) {
        for piece in [1, 3, 1000] {
            let mut unary = Unary::new(encoding, LIMIT);
            let pushed = body.chunks(piece).try_for_each(|piece| unary.push(piece));
            let message = pushed.and_then(|()| unary.finish());
            assert_eq!(
                message.as_deref(),
                expected.as_deref(),
                "in pieces of {piece}"
            );
        }
    }

    #[test]
    fn bodies_of_unary_calls() {
        use Encoding::{Gzip, Identity};
        check(Identity, b"\0\0\0\0\x02ab", Ok(b"ab"));
        check(Identity, b"\0\0\0\0\0", Ok(b""));
        check(Gzip, b"\0\0\0\0\x02ab", Ok(b"ab"));
        check(Gzip, b"\x01\0\0\0\0", Ok(b""));
        check(Identity, b"", Err(FrameError::NoMessage));
        check(
            Identity,
            b"\0\0",
            Err(FrameError::Truncated { got: 2, want: 5 }),
        );
        check(
            Identity,
            b"\0\0\0\0\x02a",
            Err(FrameError::Truncated { got: 1, want: 2 }),
        );
        check(
            Identity,
            b"\0\0\0\0\x01ab",
            Err(FrameError::SeveralMessages),
        );
        check(
            Identity,
            b"\0\0\0\0\x01a\0\0\0\0\x01b",
            Err(FrameError::SeveralMessages),
        );
        check(Identity, b"\x01\0\0\0\x02ab", Err(FrameError::NoEncoding));
        check(
            Gzip,
            b"\x02\0\0\0\x02ab",
            Err(FrameError::BadFlag { flag: 2 }),
        );
        check(Gzip, b"\x01\0\0\0\x02ab", Err(InflateError::Corrupt.into()));
        let too_large = InflateError::TooLarge { limit: LIMIT };
        check(Identity, b"\0\xff\xff\xff\xffab", Err(too_large.into()));
    }
}
