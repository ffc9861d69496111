use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(bytes: &[u8], expected: Result<Vec<(u32, u8)>, (usize, Reason)>) {
    let found: Result<Vec<_>, _> = Message::request(bytes)
        .fields()
        .map(|field| field.map(|f| (f.number, f.value.wire_type())))
        .collect();
    let expected = expected.map_err(|(offset, reason)| Malformed { offset, reason });
    assert_eq!(found, expected);
}

#[test]
fn fields_are_read_with_their_wire_types() {
    check(&[], Ok(vec![]));
    check(&[0x08, 0x96, 0x01], Ok(vec![(1, 0)]));
    check(&[0x12, 0x00, 0x0d, 1, 2, 3, 4], Ok(vec![(2, 2), (1, 5)]));
    check(&[0x09, 1, 2, 3, 4, 5, 6, 7, 8], Ok(vec![(1, 1)]));
    // A key that is longer than it need be is legal.
    check(&[0x88, 0x00, 0x01], Ok(vec![(1, 0)]));
    // The largest field number.
    check(
        &[0xf8, 0xff, 0xff, 0xff, 0x0f, 0x00],
        Ok(vec![((1 << 29) - 1, 0)]),
    );
}

#[test]
fn malformed_fields_are_refused_with_their_place() {
    check(&[0x08], Err((1, Reason::Truncated)));
    check(&[0x08, 0x80], Err((1, Reason::Truncated)));
    check(&[0x12, 0x05, 1, 2], Err((2, Reason::Truncated)));
    check(&[0x09, 1, 2], Err((1, Reason::Truncated)));
    check(&[0x0d, 1, 2], Err((1, Reason::Truncated)));
    check(&[0x08, 0x01, 0x0b], Err((2, Reason::BadWireType(3))));
    check(&[0x0c], Err((0, Reason::BadWireType(4))));
    check(&[0x0e], Err((0, Reason::BadWireType(6))));
    check(&[0x00, 0x01], Err((0, Reason::FieldNumber)));
    check(
        &[0x80, 0x80, 0x80, 0x80, 0x10, 0x00],
        Err((0, Reason::FieldNumber)),
    );
    let overlong = [0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2];
    check(&overlong, Err((1, Reason::Overlong)));
    // A length near 2⁶⁴ must not wrap around.
    let huge = [0x12, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1];
    check(&huge, Err((11, Reason::Truncated)));
}

#[test]
fn the_largest_varint_is_read() {
    let most = [255, 255, 255, 255, 255, 255, 255, 255, 255, 1];
    assert_eq!(varint(&most), Ok((u64::MAX, 10)));
    assert_eq!(varint(&[0]), Ok((0, 1)));
    assert_eq!(varint(&[]), Err(Reason::Truncated));
}

proptest! {
    /// Guarantees: any bytes are walked to an end without a panic, and what was read covers them.
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut covered = 0;
        for field in Message::request(&bytes).fields() {
            match field {
                Ok(field) => {
                    prop_assert_eq!(field.offset, covered);
                    covered += field.raw.len();
                }
                Err(malformed) => prop_assert!(malformed.offset <= bytes.len()),
            }
        }
        prop_assert!(covered <= bytes.len());
    }
}
