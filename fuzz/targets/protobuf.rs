//! Coverage-guided inputs for `protobuf`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| davy_fuzz::protobuf::check(bytes));
