//! Coverage-guided inputs for `text`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| davy_fuzz::text::check(bytes));
