//! Counts of an encoded HDR histogram, read as they come: nothing is allocated by what a header
//! says. hdrhistogram's own reader takes the memory that the header asks for, which is 4 GiB of 40
//! bytes, before it looks at the rest; it is the oracle in tests.
//!
//! Source: `EncodableHistogram` and `ZigZagEncoding` of HdrHistogram (Java) 2.2, encoding V2, and
//! `AbstractHistogram` for what a place in the array of counts stands for.

use std::io::{BufReader, Read};

use flate2::read::ZlibDecoder;

/// First word of an encoded histogram, and of one that is compressed.
const COOKIE: u32 = 0x1c84_9313;
const COOKIE_COMPRESSED: u32 = 0x1c84_9314;
/// Most digits of precision that there are.
const DIGITS_MAX: u32 = 5;
/// Most bytes that are read of one, decompressed: twice what 5 digits up to 2^63 take, in counts of
/// one byte.
const BYTES_MAX: u64 = 16 << 20;
/// Most bytes of a number.
const NUMBER_BYTES_MAX: u32 = 9;

/// Calls `each` with the middle of every place that has counts, ascending, and their number; none
/// where the bytes are no histogram.
pub(super) fn read(mut bytes: &[u8], mut each: impl FnMut(u64, u64)) -> Option<()> {
    match word(&mut bytes)? {
        COOKIE => counts(bytes, &mut each),
        COOKIE_COMPRESSED => {
            let length = word(&mut bytes)?;
            let compressed = ZlibDecoder::new(bytes.take(u64::from(length)));
            let mut plain = BufReader::new(compressed).take(BYTES_MAX);
            match word(&mut plain)? {
                COOKIE => counts(plain, &mut each),
                _ => None,
            }
        }
        _ => None,
    }
}

/// What a place in the array of counts stands for.
struct Places {
    /// Log2 of the lowest value told from 0.
    unit: u32,
    /// Log2 of the places of each bucket but the first, which has twice as many.
    half: u32,
    highest: u64,
}

impl Places {
    fn new(digits: u32, lowest: u64, highest: u64) -> Option<Self> {
        if digits > DIGITS_MAX || lowest == 0 || highest / 2 < lowest {
            return None;
        }
        let unit = lowest.ilog2();
        let half = (2 * 10_u32.pow(digits) - 1).ilog2();
        (unit + half < 63).then_some(Self {
            unit,
            half,
            highest,
        })
    }

    /// The middle of a place; none beyond the highest value.
    fn middle(&self, place: u64) -> Option<u64> {
        let bucket = (place >> self.half).saturating_sub(1);
        let within = place - (bucket << self.half);
        let shift = u32::try_from(bucket).ok()?.checked_add(self.unit)?;
        // The first bucket has places of `half` + 1 bits.
        if shift.checked_add(self.half)? >= u64::BITS {
            return None;
        }
        let from = within << shift;
        (from <= self.highest).then_some(from + ((1 << shift) >> 1))
    }
}

fn counts(mut from: impl Read, each: &mut impl FnMut(u64, u64)) -> Option<()> {
    let length = word(&mut from)?;
    let normalizing_offset = word(&mut from)?;
    let digits = word(&mut from)?;
    let (lowest, highest) = (long(&mut from)?, long(&mut from)?);
    let ratio = f64::from_bits(long(&mut from)?);
    if normalizing_offset != 0 || ratio != 1.0 {
        return None;
    }
    let places = Places::new(digits, lowest, highest)?;
    let mut payload = from.take(u64::from(length));
    let mut place = 0_u64;
    while let Some(number) = number(&mut payload)? {
        // Zigzag: odd numbers are negative ones, which say how many places have no counts.
        let half = number >> 1;
        if number & 1 == 1 {
            place = place.checked_add(half)?.checked_add(1)?;
            continue;
        }
        if half > 0 {
            each(places.middle(place)?, half);
        }
        place = place.checked_add(1)?;
    }
    // It ended where it says that it does.
    (payload.limit() == 0).then_some(())
}

/// The next number of up to nine bytes, the last of which has eight bits; none at the end.
fn number(from: &mut impl Read) -> Option<Option<u64>> {
    let mut value = 0_u64;
    for at in 0..NUMBER_BYTES_MAX {
        let mut byte = [0];
        match from.read(&mut byte) {
            Ok(1) => {}
            Ok(_) if at == 0 => return Some(None),
            _ => return None,
        }
        let bits = u64::from(byte[0]);
        if at == NUMBER_BYTES_MAX - 1 {
            return Some(Some(value | bits << (7 * at)));
        }
        value |= (bits & 0x7f) << (7 * at);
        if bits < 0x80 {
            return Some(Some(value));
        }
    }
    None
}

fn word(from: &mut impl Read) -> Option<u32> {
    let mut bytes = [0; 4];
    from.read_exact(&mut bytes).ok()?;
    Some(u32::from_be_bytes(bytes))
}

fn long(from: &mut impl Read) -> Option<u64> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes).ok()?;
    Some(u64::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests;
