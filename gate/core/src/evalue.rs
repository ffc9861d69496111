//! E-processes: non-negative, start at 1, expectation at most 1 at every stopping time under their
//! null hypothesis. One that ever reaches 1/α does so with probability at most α (Ville 1939).
//!
//! Each is in a file of its own with its source, its assumption and its reference table. All work
//! in natural logarithms.

pub mod bernoulli;
pub mod betting;
pub mod counts;
pub mod exposure;
mod lanes;
pub mod likelihood;
pub mod permutation;
pub mod table;
pub mod thinning;

/// The smallest e-value of one cell that is told apart from zero.
const SMALLEST: f64 = 1e-300;
/// Its logarithm.
const LOG_SMALLEST: f64 = -690.775_527_898_213_7;
