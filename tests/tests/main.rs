//! Integration tests: the real programs, as processes.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends where something is not as it must be"
)]

mod agent;
mod evidence;
mod exposition;
mod gate;
mod relabel;
mod roundtrip;
mod splice;
mod statistics;
mod switch;
mod tidy;
