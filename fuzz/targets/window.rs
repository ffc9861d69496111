//! Coverage-guided inputs for `window`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| davy_fuzz::window::check(bytes));
