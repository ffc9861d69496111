//! Sketches of latency, and the histograms that they are made of.
//!
//! An input is two descriptions: a byte for the kind, then numbers. `HdrHistogram`s are encoded as
//! their format is (V2), so that every field of its header is met.
//!
//! * A sketch has at most so many buckets as are allowed; its total is the sum of what it was made
//!   of; quantiles rise and lie within their buckets; counts above an edge fall.
//! * Written as a latency and read, it is the same.
//! * Merged, two have the total of both, or an error and nothing changed; what was merged and is
//!   taken away leaves the total as it was.
//! * Memory is bounded, whatever a header says.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use davy_gate_core::normalize::{latency_of, sketch_of};
use davy_gate_core::sketch::{MAX_BUCKETS, Sketch};
use davy_proto::window::Latency;

use crate::memory::bounded;
use crate::must::{fail, must};
use crate::pieces::{Numbers, split};
use crate::{Target, seeds};

/// The target.
pub const TARGET: Target = Target {
    name: "sketch",
    check,
    seeds: seeds::sketches,
    dictionary: Some("sketch.dict"),
    bytes_max: 512,
    mutations: 250_000,
    code: crate::GATE,
};

/// Most bytes that making a sketch holds for each byte of its input, and beside them: an HDR
/// histogram may compress its counts a thousandfold, and its range asks for counts of its own.
pub(crate) const TIMES: usize = 64;
pub(crate) const BYTES: usize = 48 << 20;

/// Quantiles that are asked for.
const QUANTILES: [f64; 7] = [0.0, 0.1, 0.5, 0.9, 0.99, 0.9999, 1.0];
/// Edges that are asked for.
const EDGES: [i32; 8] = [i32::MIN, -1000, -10, -1, 0, 10, 1000, i32::MAX];

/// Checks one description or two.
pub fn check(bytes: &[u8]) {
    let mut sketches = split(bytes).into_iter().take(2).filter_map(sketch);
    let Some(first) = sketches.next() else {
        return;
    };
    is_right(&first);
    let Some(second) = sketches.next() else {
        return;
    };
    is_right(&second);
    is_merged(&first, &second);
    is_merged(&second, &first);
}

fn sketch(description: &[u8]) -> Option<Sketch> {
    let mut numbers = Numbers(description);
    let bound = (description.len(), TIMES, BYTES);
    match numbers.byte() % 3 {
        0 => {
            let (scale, zero) = (numbers.byte() as i8, u64::from(numbers.byte()));
            let offset = numbers.short() as i16;
            // Offsets far out, where they may not fit.
            let offset = match numbers.byte() {
                0xff => i32::from(offset) << 16,
                _ => i32::from(offset),
            };
            let counts = counts(&mut numbers);
            let sum = counts.iter().fold(zero, |sum, n| sum.saturating_add(*n));
            let made = bounded(bound, "an exponential sketch", || {
                Some(Sketch::exponential(i32::from(scale), zero, offset, counts))
            });
            let made = made?.ok()?;
            assert_eq!(made.total(), sum, "total of {made:?}");
            Some(made)
        }
        1 => {
            let mut bounds: Vec<f64> = (0..numbers.byte() % 16)
                .map(|_| f64::from(numbers.short() as u16) / 1000.0)
                .collect();
            if numbers.byte() < 128 {
                bounds.sort_by(f64::total_cmp);
                bounds.dedup();
            }
            let counts = counts(&mut numbers);
            let sum = counts.iter().fold(0u64, |sum, n| sum.saturating_add(*n));
            let made = bounded(bound, "an explicit sketch", || {
                Some(Sketch::explicit(bounds, counts))
            });
            let made = made?.ok()?;
            assert_eq!(made.total(), sum, "total of {made:?}");
            Some(made)
        }
        _ => {
            let latency = Latency::Hdr(STANDARD.encode(numbers.0));
            bounded(bound, "an HDR histogram", || Some(sketch_of(&latency)))?.ok()
        }
    }
}

/// Counts of one byte each; 0xfe has a long one behind it, 0xff a run of zeros.
fn counts(numbers: &mut Numbers<'_>) -> Vec<u64> {
    let mut counts = Vec::new();
    while !numbers.is_empty() {
        match numbers.byte() {
            0xfe => counts.push(numbers.long()),
            0xff => counts.extend(std::iter::repeat_n(0, 16 * usize::from(numbers.byte()))),
            count => counts.push(u64::from(count)),
        }
    }
    counts
}

/// Checks a sketch against what is said of every one.
pub(crate) fn is_right(sketch: &Sketch) {
    let buckets = match sketch {
        Sketch::Empty => 0,
        Sketch::Explicit(explicit) => explicit.counts().len(),
        Sketch::Exponential(exponential) => exponential.counts().len(),
    };
    assert!(buckets <= MAX_BUCKETS, "{buckets} buckets");
    let mut before = 0.0;
    for q in QUANTILES {
        let Some(found) = sketch.quantile(q) else {
            assert_eq!(sketch.total(), 0, "no quantile of {sketch:?}");
            break;
        };
        let within = found.low <= found.value && found.value <= found.high;
        assert!(within, "{q}: {found:?} of {sketch:?}");
        assert!(
            found.value >= before,
            "{q}: {found:?} after {before}, of {sketch:?}"
        );
        before = found.value;
    }
    let mut above = u64::MAX;
    for edge in EDGES {
        let found = sketch.count_above(edge);
        assert!(
            found <= above && found <= sketch.total(),
            "above {edge}: {found}"
        );
        above = found;
    }
    if let Some(latency) = latency_of(sketch) {
        let again = must(sketch_of(&latency), "a latency that was written");
        assert_eq!(again.total(), sketch.total());
        // Empty buckets at the ends are left out, so what is read may be smaller, once.
        let latency = latency_of(&again);
        let thrice = latency.as_ref().map(sketch_of);
        assert_eq!(
            thrice,
            latency.is_some().then_some(Ok(again)),
            "of {latency:?}"
        );
    }
}

fn is_merged(first: &Sketch, second: &Sketch) {
    let mut merged = first.clone();
    let before = first.total();
    let Some(total) = before.checked_add(second.total()) else {
        // Saturated: only that it ends is of interest.
        let _ = merged.merge(second);
        return;
    };
    match merged.merge(second) {
        Ok(()) => {
            assert_eq!(merged.total(), total, "{first:?} and {second:?}");
            is_right(&merged);
            merged.subtract(second);
            assert_eq!(merged.total(), before, "{second:?} taken away again");
            is_right(&merged);
        }
        Err(_) if merged == *first => {}
        Err(error) => fail(&format!("{error}, and {first:?} is {merged:?}")),
    }
}
