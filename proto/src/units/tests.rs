use proptest::prelude::*;

use super::*;

#[track_caller]
fn check_duration(text: &str, expected: Result<u64, UnitError>) {
    assert_eq!(
        parse_duration(text),
        expected.map(Duration::from_millis),
        "{text}"
    );
}

#[track_caller]
fn check_size(text: &str, expected: Result<u64, UnitError>) {
    assert_eq!(parse_size(text), expected.map(ByteSize), "{text}");
}

#[test]
fn durations() {
    check_duration("5s", Ok(5_000));
    check_duration("1m30s", Ok(90_000));
    check_duration("250ms", Ok(250));
    check_duration("2h", Ok(7_200_000));
    check_duration("3000us", Ok(3));
    check_duration("3000µs", Ok(3));
    check_duration("0", Ok(0));
    check_duration("0s", Ok(0));
    check_duration("", Err(UnitError::Number));
    check_duration("s", Err(UnitError::Number));
    check_duration("-5s", Err(UnitError::Number));
    check_duration("5", Err(UnitError::Unit(DURATION_NAMES)));
    check_duration("5 s", Err(UnitError::Unit(DURATION_NAMES)));
    check_duration("1.5s", Err(UnitError::Unit(DURATION_NAMES)));
    check_duration("5d", Err(UnitError::Unit(DURATION_NAMES)));
    check_duration("30s1m", Err(UnitError::Order));
    check_duration("1s1s", Err(UnitError::Order));
    check_duration("99999999h", Err(UnitError::Range));
    check_duration("99999999999999999999s", Err(UnitError::Range));
}

#[test]
fn sizes() {
    check_size("256KiB", Ok(262_144));
    check_size("4MiB", Ok(4_194_304));
    check_size("1GiB", Ok(1_073_741_824));
    check_size("1MB", Ok(1_000_000));
    check_size("17", Ok(17));
    check_size("17B", Ok(17));
    check_size("MiB", Err(UnitError::Number));
    check_size("1.5MiB", Err(UnitError::Unit(SIZE_NAMES)));
    check_size("1TiB", Err(UnitError::Unit(SIZE_NAMES)));
    check_size("99999999999GiB", Err(UnitError::Range));
}

proptest! {
    #[test]
    fn durations_print_and_parse_back(nanos in any::<u64>()) {
        let duration = Duration::from_nanos(nanos);
        prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
    }

    #[test]
    fn sizes_print_and_parse_back(bytes in any::<u64>()) {
        prop_assert_eq!(parse_size(&ByteSize(bytes).to_string()), Ok(ByteSize(bytes)));
    }

    #[test]
    fn never_panics(text in "\\PC{0,20}") {
        let _ = (parse_duration(&text), parse_size(&text));
    }
}
