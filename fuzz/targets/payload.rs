//! Coverage-guided inputs for `payload`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| davy_fuzz::payload::check(bytes));
