//! Simulated rollouts, to measure the judge by: how often it is wrong, and how long it takes.
//!
//! In the order of the data: a [`scenario`] is a [`traffic`] and what is right there; a [`rollout`]
//! runs the very [`davy_gate_core::judge::Judge`] that the gate serves with, and each
//! [`comparator`], over the same cells; a [`tally`] counts verdicts, [`wald`] says what no test can
//! beat, [`report`], [`picture`] and [`page`] show both. All of it is pure: the seed is an argument
//! ([`chance`]), so a run is the same bits on every machine and for any number of threads.

pub mod chance;
pub mod comparator;
pub mod page;
pub mod picture;
pub mod report;
pub mod rollout;
pub mod scenario;
pub mod tally;
pub mod traffic;
pub mod wald;
