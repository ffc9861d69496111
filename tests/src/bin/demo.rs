//! The demo: a real rollout on this machine, good and bad.

fn main() {}
