//! Ways for a check to fail.

use std::fmt::Debug;

/// The value; a check that has none fails.
#[track_caller]
pub(crate) fn must<T, E: Debug>(result: Result<T, E>, what: &str) -> T {
    match result {
        Ok(value) => value,
        Err(error) => fail(&format!("{what}: {error:?}")),
    }
}

/// Fails a check.
#[track_caller]
#[expect(clippy::panic, reason = "a check fails by panicking")]
pub(crate) fn fail(what: &str) -> ! {
    panic!("{what}")
}

/// Fails where the two differ, and shows where they begin to.
#[track_caller]
pub(crate) fn same(left: &str, right: &str, what: &str) {
    if left == right {
        return;
    }
    let common = left.bytes().zip(right.bytes()).take_while(|(a, b)| a == b);
    let from = common.count().saturating_sub(80);
    let shown = |text: &str| {
        let bytes = text.as_bytes().iter().skip(from).take(240).copied();
        String::from_utf8_lossy(&bytes.collect::<Vec<_>>()).into_owned()
    };
    fail(&format!("{what}:\n  …{}\n  …{}", shown(left), shown(right)));
}
