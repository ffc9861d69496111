//! Coverage-guided inputs for `evidence`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| davy_fuzz::evidence::check(bytes));
