//! Coverage-guided inputs for `sketch`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| davy_fuzz::sketch::check(bytes));
