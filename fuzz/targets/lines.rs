//! Coverage-guided inputs for `lines`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| davy_fuzz::lines::check(bytes));
