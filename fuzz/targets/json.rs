//! Coverage-guided inputs for `json`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| davy_fuzz::json::check(bytes));
