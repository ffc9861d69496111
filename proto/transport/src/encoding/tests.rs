use std::io::Write as _;

use super::*;

const LIMIT: usize = 64 * 1024;

fn pack(bytes: &[u8], encoding: Encoding) -> Vec<u8> {
    let level = flate2::Compression::new(6);
    match encoding {
        Encoding::Deflate => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(bytes).expect("memory");
            encoder.finish().expect("memory")
        }
        Encoding::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), level);
            encoder.write_all(bytes).expect("memory");
            encoder.finish().expect("memory")
        }
        Encoding::Identity => bytes.to_vec(),
        Encoding::Zstd => zstd::bulk::compress(bytes, 3).expect("memory"),
    }
}

fn unpack(packed: &[u8], encoding: Encoding, piece: usize) -> Result<Bytes, InflateError> {
    let mut inflate = Inflate::new(encoding, LIMIT).expect("memory");
    for piece in packed.chunks(piece) {
        inflate.push(piece)?;
    }
    inflate.finish()
}

const PACKED: [Encoding; 3] = [Encoding::Deflate, Encoding::Gzip, Encoding::Zstd];

#[test]
fn bodies_survive_whatever_the_pieces() {
    let text: Vec<u8> = (0..LIMIT).map(|i| (i * i % 251) as u8).collect();
    for encoding in PACKED.into_iter().chain([Encoding::Identity]) {
        let packed = pack(&text, encoding);
        for piece in [1, 7, 4096, packed.len()] {
            let unpacked = unpack(&packed, encoding, piece);
            assert_eq!(
                unpacked.as_deref(),
                Ok(text.as_slice()),
                "{encoding:?} {piece}"
            );
        }
        assert_eq!(unpack(&[], encoding, 1), Ok(Bytes::new()), "{encoding:?}");
    }
}

#[test]
fn several_members_or_frames_are_one_body() {
    for encoding in [Encoding::Gzip, Encoding::Zstd] {
        let packed = [pack(b"one", encoding), pack(b"two", encoding)].concat();
        assert_eq!(
            unpack(&packed, encoding, 5).as_deref(),
            Ok(b"onetwo".as_slice())
        );
    }
}

#[test]
fn bombs_stop_at_the_limit() {
    let zeros = vec![0; LIMIT + 1];
    for encoding in PACKED.into_iter().chain([Encoding::Identity]) {
        let packed = pack(&zeros, encoding);
        let unpacked = unpack(&packed, encoding, 1024);
        assert_eq!(
            unpacked,
            Err(InflateError::TooLarge { limit: LIMIT }),
            "{encoding:?}"
        );
        let packed = pack(&zeros[1..], encoding);
        assert_eq!(
            unpack(&packed, encoding, 1024).map(|it| it.len()),
            Ok(LIMIT)
        );
    }
}

#[test]
fn cut_and_corrupt_bodies_are_refused() {
    let text: Vec<u8> = (0..2_000_u32).flat_map(u32::to_le_bytes).collect();
    for encoding in PACKED {
        let packed = pack(&text, encoding);
        for end in [1, packed.len() / 2, packed.len() - 1] {
            let cut = unpack(&packed[..end], encoding, 100);
            assert_eq!(cut, Err(InflateError::Corrupt), "{encoding:?} {end}");
        }
        assert_eq!(
            unpack(b"not packed at all", encoding, 100),
            Err(InflateError::Corrupt)
        );
    }
}

#[test]
fn a_zstd_window_beyond_the_bound_is_refused() {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).expect("memory");
    encoder
        .set_parameter(zstd::stream::raw::CParameter::WindowLog(
            ZSTD_WINDOW_LOG_MAX + 1,
        ))
        .expect("parameter");
    encoder.write_all(&[7; 1000]).expect("memory");
    let packed = encoder.finish().expect("memory");
    assert_eq!(
        unpack(&packed, Encoding::Zstd, 100),
        Err(InflateError::Corrupt)
    );
}

#[test]
fn what_is_sent_can_be_read() {
    let text = Bytes::from_static(b"the same text, the same text, the same text");
    for (compression, encoding) in [
        (Compression::Gzip, Encoding::Gzip),
        (Compression::None, Encoding::Identity),
        (Compression::Zstd, Encoding::Zstd),
    ] {
        let packed = compress(text.clone(), compression).expect("memory");
        assert_eq!(unpack(&packed, encoding, 9), Ok(text.clone()));
        // One packer packs all bodies alike, whatever was between.
        let packer = Packer::new(compression);
        for length in [text.len(), 7, 0, text.len()] {
            let body = text.slice(..length);
            let expected = compress(body.clone(), compression).expect("memory");
            assert_eq!(packer.pack(body).expect("memory"), expected);
        }
    }
}

/// Each member costs a decoder, and an empty one costs a peer twenty bytes.
#[test]
fn members_by_the_thousand_are_refused() {
    let member = pack(b"x", Encoding::Gzip);
    let most = member.repeat(GZIP_MEMBERS_MAX);
    let unpacked = unpack(&most, Encoding::Gzip, 1000);
    assert_eq!(unpacked.map(|it| it.len()), Ok(GZIP_MEMBERS_MAX));
    let more = [most, member].concat();
    let unpacked = unpack(&more, Encoding::Gzip, 1000);
    assert_eq!(unpacked, Err(InflateError::Corrupt));
}

/// Guarantees: whatever is done to a body, no more than the limit comes out of it, and the same
/// however it is cut into pieces.
#[test]
fn damaged_bodies_stay_within_the_limit_however_they_arrive() {
    let text: Vec<u8> = (0..LIMIT).map(|i| (i / 64 * 7 % 251) as u8).collect();
    let mut state = 1_u64;
    // Knuth's linear congruential generator; its high bits are the better ones.
    let mut below = |end: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % end.max(1)
    };
    for encoding in PACKED {
        let seeds = [
            pack(&text, encoding),
            pack(b"one", encoding),
            [pack(b"one", encoding), pack(&text, encoding)].concat(),
        ];
        for _ in 0..1000 {
            let mut packed = seeds[below(seeds.len())].clone();
            for _ in 0..=below(3) {
                let at = below(packed.len());
                match below(4) {
                    0 => packed[at] ^= 1 << below(8),
                    1 => packed.truncate(at + 1),
                    2 => drop(packed.drain(at..(at + 1 + below(8)).min(packed.len()))),
                    _ => packed.insert(at, below(256) as u8),
                }
                if packed.is_empty() {
                    packed.push(0);
                }
            }
            let whole = unpack(&packed, encoding, packed.len());
            assert!(whole.as_ref().is_ok_and(|it| it.len() <= LIMIT) || whole.is_err());
            for piece in [1, 13] {
                let pieces = unpack(&packed, encoding, piece);
                assert_eq!(
                    whole.as_ref().ok(),
                    pieces.as_ref().ok(),
                    "{encoding:?} {packed:?}"
                );
            }
        }
    }
}
