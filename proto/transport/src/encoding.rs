//! Compression of bodies, capped: a bomb stops at the limit, not at the memory's end.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use flate2::write::{GzDecoder, GzEncoder, ZlibDecoder};
use zstd::stream::raw::DParameter;
use zstd::stream::zio;

/// gzip level: 1 costs a fifth of level 6, and bodies 20 to 50 % larger; a sidecar pays in CPU.
const GZIP_LEVEL: u32 = 1;

/// zstd level: 1 beats gzip's 6 in size at seven times its speed.
const ZSTD_LEVEL: i32 = 1;

/// Largest zstd window, log2 of bytes: 8 MiB, what RFC 9659 lets HTTP peers demand.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Most members of a gzip body. Each costs a new decoder, some 10 µs, and an empty one costs a peer
/// 20 bytes: a body of 16 MiB would keep a core busy for ten seconds. Block gzip cuts every 64 KiB,
/// which is 256 of them in 16 MiB.
const GZIP_MEMBERS_MAX: usize = 4096;

/// How a client packs what it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// gzip, understood by every OTLP server.
    Gzip,
    /// No compression.
    None,
    /// zstd: smaller and faster than gzip, where the server has it.
    Zstd,
}

impl Compression {
    /// All of them, in the order messages list them.
    pub const ALL: [Self; 3] = [Self::None, Self::Gzip, Self::Zstd];

    /// The name in configuration and in `OTEL_EXPORTER_OTLP_COMPRESSION`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::None => "none",
            Self::Zstd => "zstd",
        }
    }

    /// The compression of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == name)
    }

    /// The value of `Content-Encoding` or `grpc-encoding`, `None` where the header is left out.
    pub(crate) const fn header(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Gzip | Self::Zstd => Some(self.as_str()),
        }
    }
}

/// Packs `bytes`; for [`Compression::None`] the same shared bytes.
///
/// # Errors
///
/// Only when the compressor can't have its memory.
pub fn compress(bytes: Bytes, compression: Compression) -> io::Result<Bytes> {
    match compression {
        Compression::None => Ok(bytes),
        Compression::Gzip => {
            let packed = Vec::with_capacity(bytes.len() / 4);
            let mut encoder = GzEncoder::new(packed, flate2::Compression::new(GZIP_LEVEL));
            encoder.write_all(&bytes)?;
            encoder.finish().map(exact)
        }
        Compression::Zstd => zstd::bulk::compress(&bytes, ZSTD_LEVEL).map(exact),
    }
}

/// Packs one body after the other, with zstd's tables kept in between: 0.1 to 1 MB, which would
/// otherwise be got from the system and given back each time.
pub(crate) struct Packer {
    compression: Compression,
    zstd: Mutex<Option<zstd::bulk::Compressor<'static>>>,
}

impl Packer {
    /// Packs by `compression`; nothing is allocated yet.
    pub(crate) const fn new(compression: Compression) -> Self {
        let zstd = Mutex::new(None);
        Self { compression, zstd }
    }

    /// As [`compress`].
    pub(crate) fn pack(&self, bytes: Bytes) -> io::Result<Bytes> {
        if self.compression != Compression::Zstd {
            return compress(bytes, self.compression);
        }
        let mut kept = self.zstd.lock().unwrap_or_else(PoisonError::into_inner);
        let compressor = match kept.as_mut() {
            Some(compressor) => compressor,
            None => kept.insert(zstd::bulk::Compressor::new(ZSTD_LEVEL)?),
        };
        compressor.compress(&bytes).map(exact)
    }
}

impl fmt::Debug for Packer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Packer").field(&self.compression).finish()
    }
}

/// How a peer packed a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Deflate,
    Gzip,
    Identity,
    Zstd,
}

impl Encoding {
    /// What OTLP/HTTP peers may use.
    pub(crate) const HTTP: &'static str = "gzip, zstd, deflate";

    /// What gRPC peers may use.
    pub(crate) const GRPC: &'static str = "identity,gzip,zstd";

    /// The encoding a `Content-Encoding` names.
    pub(crate) fn from_http(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "" | "identity" | "none" => Some(Self::Identity),
            "deflate" => Some(Self::Deflate),
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// The encoding a `grpc-encoding` names.
    pub(crate) fn from_grpc(name: &str) -> Option<Self> {
        match name {
            "" | "identity" => Some(Self::Identity),
            "gzip" => Some(Self::Gzip),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// Why a body could not be unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InflateError {
    #[error("compressed body is corrupt or cut short")]
    Corrupt,
    #[error("body is larger than {limit} bytes")]
    TooLarge { limit: usize },
}

/// Unpacks a body as it arrives; what came out is bounded by the limit.
pub(crate) struct Inflate {
    decoder: Decoder,
    limit: usize,
    started: bool,
}

enum Decoder {
    Deflate(Box<ZlibDecoder<Capped>>),
    Gzip(Box<Members>),
    Identity(Capped),
    Zstd(Box<zio::Writer<Capped, zstd::stream::raw::Decoder<'static>>>),
}

impl Inflate {
    /// Starts a body that may have `limit` bytes when unpacked.
    pub(crate) fn new(encoding: Encoding, limit: usize) -> io::Result<Self> {
        Self::into(BytesMut::new(), encoding, limit)
    }

    /// The same, into an empty buffer that may have its memory already.
    pub(crate) fn into(bytes: BytesMut, encoding: Encoding, limit: usize) -> io::Result<Self> {
        let sink = Capped {
            bytes,
            limit,
            overflowed: false,
        };
        let decoder = match encoding {
            Encoding::Deflate => Decoder::Deflate(Box::new(ZlibDecoder::new(sink))),
            Encoding::Gzip => Decoder::Gzip(Box::new(Members::new(sink))),
            Encoding::Identity => Decoder::Identity(sink),
            Encoding::Zstd => {
                let mut zstd = zstd::stream::raw::Decoder::new()?;
                zstd.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))?;
                Decoder::Zstd(Box::new(zio::Writer::new(sink, zstd)))
            }
        };
        Ok(Self {
            decoder,
            limit,
            started: false,
        })
    }

    /// Takes the next piece.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<(), InflateError> {
        self.started |= !piece.is_empty();
        let written = match &mut self.decoder {
            Decoder::Deflate(decoder) => decoder.write_all(piece).and_then(|()| decoder.flush()),
            Decoder::Gzip(members) => members.push(piece),
            Decoder::Identity(sink) => sink.write_all(piece),
            Decoder::Zstd(decoder) => decoder.write_all(piece),
        };
        written.map_err(|_| self.error())
    }

    /// Bytes unpacked so far.
    pub(crate) fn len(&self) -> usize {
        self.sink().bytes.len()
    }

    /// Ends the body, in as much memory as it takes.
    pub(crate) fn finish(self) -> Result<Bytes, InflateError> {
        self.finish_buffer().map(|bytes| exact(bytes.into()))
    }

    /// Ends the body; an empty one is empty, however it is said to be packed.
    pub(crate) fn finish_buffer(self) -> Result<BytesMut, InflateError> {
        if !self.started {
            return Ok(BytesMut::new());
        }
        let limit = self.limit;
        let overflowed = self.sink().overflowed;
        let finished = match self.decoder {
            Decoder::Deflate(decoder) => decoder.finish(),
            Decoder::Gzip(members) => members.decoder.finish(),
            Decoder::Identity(sink) => Ok(sink),
            Decoder::Zstd(mut decoder) => match decoder.finish() {
                Ok(()) => Ok(decoder.into_inner().0),
                Err(error) => Err(error),
            },
        };
        match finished {
            Ok(sink) => Ok(sink.bytes),
            Err(error) if overflowed || error.kind() == io::ErrorKind::FileTooLarge => {
                Err(InflateError::TooLarge { limit })
            }
            Err(_) => Err(InflateError::Corrupt),
        }
    }

    fn sink(&self) -> &Capped {
        match &self.decoder {
            Decoder::Deflate(decoder) => decoder.get_ref(),
            Decoder::Gzip(members) => members.decoder.get_ref(),
            Decoder::Identity(sink) => sink,
            Decoder::Zstd(decoder) => decoder.writer(),
        }
    }

    fn error(&self) -> InflateError {
        if self.sink().overflowed {
            let limit = self.limit;
            return InflateError::TooLarge { limit };
        }
        InflateError::Corrupt
    }
}

/// A gzip body: one member or several, up to a bound.
struct Members {
    decoder: GzDecoder<Capped>,
    ended: usize,
}

impl Members {
    fn new(sink: Capped) -> Self {
        Self {
            decoder: GzDecoder::new(sink),
            ended: 0,
        }
    }

    fn push(&mut self, mut piece: &[u8]) -> io::Result<()> {
        while !piece.is_empty() {
            let taken = self.decoder.write(piece)?;
            if taken == 0 {
                self.next_member()?;
            }
            piece = piece.get(taken..).unwrap_or_default();
        }
        self.decoder.flush()
    }

    /// Begins another member behind one that has ended.
    fn next_member(&mut self) -> io::Result<()> {
        self.ended += 1;
        if self.ended >= GZIP_MEMBERS_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.decoder.try_finish()?;
        let sink = std::mem::take(self.decoder.get_mut());
        self.decoder = GzDecoder::new(sink);
        Ok(())
    }
}

/// A buffer that refuses to grow past its limit.
#[derive(Default)]
struct Capped {
    bytes: BytesMut,
    limit: usize,
    overflowed: bool,
}

impl Write for Capped {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if piece.len() > self.limit - self.bytes.len() {
            self.overflowed = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes without the slack of a grown vector: queues count length, so capacity must match it.
fn exact(bytes: Vec<u8>) -> Bytes {
    bytes.into_boxed_slice().into()
}

#[cfg(test)]
mod tests;
