//! Benches; nothing of it ships.
