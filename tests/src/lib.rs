//! Test kit of Davy, and what is built from it: the demo, and the judge measured on real traffic.

pub mod aa;
pub mod demo;
pub mod kit;
