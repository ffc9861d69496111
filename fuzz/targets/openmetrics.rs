//! Coverage-guided inputs for `openmetrics`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| davy_fuzz::openmetrics::check(bytes));
