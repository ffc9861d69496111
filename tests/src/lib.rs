//! Test kit of Davy, and the demo that is built from it.

pub mod demo;
pub mod kit;
