//! Several requests as one.

use bytes::{Bytes, BytesMut};

/// Concatenates encoded requests of one signal into one request, in order; a single one is not
/// copied.
///
/// The top-level field of every export request is repeated and the only one that counts, and
/// protobuf defines the parse of a concatenation as the merge of its parts.
pub fn merge(parts: &[Bytes]) -> Bytes {
    if let [only] = parts {
        return only.clone();
    }
    let mut whole = BytesMut::with_capacity(parts.iter().map(Bytes::len).sum());
    for part in parts {
        whole.extend_from_slice(part);
    }
    whole.freeze()
}
