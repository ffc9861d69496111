//! Delimited protobuf, `io.prometheus.client.MetricFamily`.
//!
//! * What is read strictly is read leniently, and the same.
//! * An error names a message that is there.
//! * Memory is bounded by the page's bytes, whatever a number on the wire says, and that of the
//!   translation, whose buckets may have gaps, by the bound of a page's buckets.
//! * The translation into OTLP has the points that it says it has.

use crate::memory::bounded;
use crate::{Target, page, seeds};

/// The target.
pub const TARGET: Target = Target {
    name: "protobuf",
    check,
    seeds: || {
        seeds::pages(
            &[
                "etcd",
                "goapp",
                "node_exporter",
                "prometheus",
                "pushgateway",
            ],
            "pb",
        )
    },
    dictionary: None,
    bytes_max: 4096,
    mutations: 500_000,
    code: crate::AGENT,
};

/// Most bytes that a translation holds for each byte of the page, and beside them: a native
/// histogram of 60 bytes may ask for 4,096 buckets of eight bytes.
const TRANSLATE_TIMES: usize = 2048;
const TRANSLATE_BYTES: usize = 256 << 10;

/// Checks a page.
pub fn check(bytes: &[u8]) {
    let (lenient, _) = page::read(bytes, page::WIRE);
    if let Some(lenient) = lenient {
        let bound = (bytes.len(), TRANSLATE_TIMES, TRANSLATE_BYTES);
        bounded(bound, "translate", || page::translate(&lenient));
    }
}
