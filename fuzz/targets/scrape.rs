//! Coverage-guided inputs for `scrape`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| davy_fuzz::scrape::check(bytes));
