//! Writes protobuf's wire format, the little of it that rewriting lengths needs.

use bytes::BufMut;

/// Wire type of everything that has a length.
const LENGTH_DELIMITED: u32 = 2;

/// Bytes of `value` as a varint, 1 to 10.
pub(super) const fn varint_length(value: u64) -> usize {
    // 7 bits a byte; 0 takes one byte as well.
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Bytes of a length-delimited field, tag and length included.
pub(crate) const fn field_length(number: u32, length: usize) -> usize {
    varint_length(((number << 3) | LENGTH_DELIMITED) as u64) + varint_length(length as u64) + length
}

/// Writes tag and length; `length` bytes of value must follow.
pub(crate) fn put_header(out: &mut impl BufMut, number: u32, length: usize) {
    put_varint(out, u64::from((number << 3) | LENGTH_DELIMITED));
    put_varint(out, length as u64);
}

/// Writes a varint, 1 to 10 bytes.
pub(crate) fn put_varint(out: &mut impl BufMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8((value as u8) | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::super::walk::varint;
    use super::*;

    #[test]
    fn varints_are_written_as_long_as_announced() {
        let edges = (0..64).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit]);
        for value in edges.chain([u64::MAX]) {
            let mut out = BytesMut::new();
            put_varint(&mut out, value);
            assert_eq!(out.len(), varint_length(value), "{value}");
            assert_eq!(varint(&out), Ok((value, out.len())));
        }
    }
}
