//! Coverage-guided inputs for `policy`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| davy_fuzz::policy::check(bytes));
