//! Bounds of memory: what reading an input may take at most, at any moment.

use allocation_counter::measure;

/// Runs and returns what `run` gives; fails where it held more than `times` the input's length and
/// `constant` bytes at once. A vector that grows holds its old and its new memory for a moment, as
/// the allocator sees it.
#[track_caller]
pub(crate) fn bounded<T: Default>(
    (input, times, constant): (usize, usize, usize),
    what: &str,
    run: impl FnOnce() -> T,
) -> T {
    let mut out = T::default();
    let peak = measure(|| out = run()).bytes_max;
    let bound = (input * times + constant) as u64;
    assert!(
        peak <= bound,
        "{what}: {peak} bytes held for an input of {input}, more than {bound}"
    );
    out
}
