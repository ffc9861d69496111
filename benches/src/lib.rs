//! What benches run on; nothing of it ships.

pub mod ring;
pub mod rollout;
pub mod rules;
