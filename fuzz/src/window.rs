//! A line of recorded evidence.
//!
//! * A window that is read is written as a line that is read as the same.
//! * Its latencies become sketches or are refused, and no sketch is larger than is allowed.
//! * An error names a column that is there; memory is bounded by the line's bytes.

use davy_gate_core::normalize::sketch_of;
use davy_proto::window::{Window, WindowError};

use crate::memory::bounded;
use crate::must::{must, same};
use crate::{Target, seeds, sketch};

/// The target.
pub const TARGET: Target = Target {
    name: "window",
    check,
    seeds: seeds::windows,
    dictionary: Some("json.dict"),
    bytes_max: 2048,
    mutations: 1_000_000,
    code: crate::GATE,
};

/// A route of two bytes would be a hundred; a count of two bytes is one of eight.
const TIMES: usize = 128;
const BYTES: usize = 16 << 10;

/// Checks a line.
pub fn check(bytes: &[u8]) {
    let Ok(line) = std::str::from_utf8(bytes) else {
        return;
    };
    let bound = (bytes.len(), TIMES, BYTES);
    match bounded(bound, "read a window", || Some(Window::parse_line(line))) {
        Some(Ok(window)) => is_right(&window),
        Some(Err(WindowError::Json { column, .. })) => {
            let longest = line.split('\n').map(str::len).max().unwrap_or(0);
            assert!(column <= longest + 1, "column {column} of {longest}");
        }
        _ => {}
    }
}

/// Checks a window that was read or made.
pub(crate) fn is_right(window: &Window) {
    let line = window.to_line();
    let again = must(Window::parse_line(&line), &line);
    same(
        &format!("{window:?}"),
        &format!("{again:?}"),
        "written and read",
    );
    for route in &window.routes {
        let Some(latency) = &route.latency else {
            continue;
        };
        let bound = (line.len(), sketch::TIMES, sketch::BYTES);
        let made = bounded(bound, "make a sketch", || Some(sketch_of(latency)));
        if let Some(Ok(sketch)) = made {
            sketch::is_right(&sketch);
        }
    }
}
