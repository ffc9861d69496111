//! Beside hdrhistogram's own reader, and what it can't bear.

use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer, V2Serializer};
use proptest::prelude::*;

use super::*;

fn read_all(bytes: &[u8]) -> Option<Vec<(u64, u64)>> {
    let mut found = Vec::new();
    read(bytes, |middle, count| found.push((middle, count)))?;
    Some(found)
}

/// A header and counts.
fn encoded(length: u32, digits: u32, lowest: u64, highest: u64, counts: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [COOKIE, length, 0, digits] {
        bytes.extend(word.to_be_bytes());
    }
    for long in [lowest, highest, 1_f64.to_bits()] {
        bytes.extend(long.to_be_bytes());
    }
    bytes.extend(counts);
    bytes
}

#[track_caller]
fn check(bytes: &[u8], expected: Option<&[(u64, u64)]>) {
    assert_eq!(read_all(bytes).as_deref(), expected);
}

#[test]
fn a_header_is_not_believed() {
    let long = u64::MAX;
    // Two places without counts, three counts in the third.
    check(&encoded(2, 3, 1, 1 << 40, &[3, 6]), Some(&[(2, 3)]));
    check(&encoded(0, 5, 1, long, &[]), Some(&[]));
    // Counts that are not there, 4 GiB of them.
    check(&encoded(u32::MAX, 3, 1, 1 << 40, &[3, 6]), None);
    check(&encoded(3, 3, 1, 1 << 40, &[3, 6]), None);
    for (digits, lowest, highest) in [(6, 1, long), (3, 0, long), (3, 9, 17), (5, 1 << 60, long)] {
        check(&encoded(2, digits, lowest, highest, &[3, 6]), None);
    }
    // Counts beyond the highest value, and places beyond the largest number.
    check(&encoded(2, 3, 1, 4, &[0x13, 6]), None);
    let far = [0xff; 9];
    check(&encoded(10, 3, 1, long, &[&far[..], &[2]].concat()), None);
    check(&encoded(2, 3, 1, 1 << 40, &[0x80, 0x80]), None);
    let mut offset = encoded(2, 3, 1, 1 << 40, &[3, 6]);
    offset[11] = 1;
    check(&offset, None);
}

proptest! {
    /// Guarantees: what hdrhistogram writes is read as it reads it.
    #[test]
    fn what_is_written_is_read(
        digits in 0_u8..=5,
        lowest in prop_oneof![Just(1_u64), 1_u64..5000],
        values in proptest::collection::vec((0_u64..1 << 42, 1_u64..1 << 40), 0..20),
        deflate in any::<bool>(),
    ) {
        let mut written = Histogram::<u64>::new_with_bounds(lowest, 1 << 42, digits).unwrap();
        for (value, count) in values {
            // Small values as well as large ones.
            written.record_n(value >> (count % 40), count).unwrap();
        }
        let mut bytes = Vec::new();
        match deflate {
            true => V2DeflateSerializer::new().serialize(&written, &mut bytes).unwrap(),
            false => V2Serializer::new().serialize(&written, &mut bytes).unwrap(),
        };
        let oracle = Deserializer::new().deserialize(&mut bytes.as_slice());
        let oracle: Histogram<u64> = oracle.unwrap();
        let expected: Vec<_> = oracle
            .iter_recorded()
            .map(|it| {
                let middle = oracle.median_equivalent(it.value_iterated_to());
                (middle, it.count_since_last_iteration())
            })
            .collect();
        prop_assert_eq!(read_all(&bytes), Some(expected));
    }
}
