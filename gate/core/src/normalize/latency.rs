//! Between the window's latency and the judge's sketch.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use davy_proto::window::{Explicit, Exponential, Latency};

use super::hdr;
use crate::sketch::{Sketch, SketchError};

/// Scale of the sketch that an HDR histogram becomes: buckets 1.1 % wide, as three digits are.
const HDR_SCALE: i32 = 6;
/// Longest encoded HDR histogram, in bytes.
const HDR_BYTES_MAX: usize = 1 << 20;

/// Why a latency can't be read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LatencyError {
    /// Not base64, or too long.
    #[error("hdr is not base64 of at most 1 MiB")]
    Base64,
    /// Not an HDR histogram, V2 with deflate.
    #[error("hdr is no HDR histogram V2 with deflate")]
    Hdr,
    /// Counts that make no sketch.
    #[error(transparent)]
    Sketch(#[from] SketchError),
}

/// The sketch of a latency.
///
/// # Errors
///
/// [`LatencyError`] when the numbers make no histogram.
pub fn sketch_of(latency: &Latency) -> Result<Sketch, LatencyError> {
    match latency {
        Latency::Explicit(Explicit {
            bounds_seconds,
            counts,
        }) => Ok(Sketch::explicit(bounds_seconds.clone(), counts.clone())?),
        Latency::Exponential(Exponential {
            scale,
            zero_count,
            offset,
            counts,
        }) => Ok(Sketch::exponential(
            *scale,
            *zero_count,
            *offset,
            counts.clone(),
        )?),
        Latency::Hdr(text) => of_hdr(text),
    }
}

/// The latency of a sketch; none of an empty one.
pub fn latency_of(sketch: &Sketch) -> Option<Latency> {
    match sketch {
        Sketch::Empty => None,
        Sketch::Explicit(explicit) => Some(Latency::Explicit(Explicit {
            bounds_seconds: explicit.bounds().to_vec(),
            counts: explicit.counts().to_vec(),
        })),
        Sketch::Exponential(exponential) => Some(Latency::Exponential(Exponential {
            scale: exponential.scale(),
            zero_count: exponential.zero_count(),
            offset: exponential.offset(),
            counts: exponential.counts().to_vec(),
        })),
    }
}

fn of_hdr(text: &str) -> Result<Sketch, LatencyError> {
    if text.len() > HDR_BYTES_MAX {
        return Err(LatencyError::Base64);
    }
    let bytes = STANDARD.decode(text).map_err(|_| LatencyError::Base64)?;
    let (mut zero_count, mut first, mut counts) = (0_u64, None, Vec::<u64>::new());
    let read = hdr::read(&bytes, |micros, count| {
        if micros == 0 {
            zero_count = zero_count.saturating_add(count);
            return;
        }
        // Bucket i holds (b^i, b^(i+1)].
        let log = libm::log2(micros as f64 / 1e6) * libm::exp2(f64::from(HDR_SCALE));
        let index = libm::ceil(log) as i32 - 1;
        let offset = *first.get_or_insert(index);
        let at = usize::try_from(index - offset).unwrap_or(0);
        if counts.len() <= at {
            counts.resize(at + 1, 0);
        }
        if let Some(bucket) = counts.get_mut(at) {
            *bucket = bucket.saturating_add(count);
        }
    });
    read.ok_or(LatencyError::Hdr)?;
    Ok(Sketch::exponential(
        HDR_SCALE,
        zero_count,
        first.unwrap_or(0),
        counts,
    )?)
}
