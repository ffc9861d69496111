//! OpenMetrics text 1.0; what is checked is what [`text`] says.

use crate::{Target, page, seeds, text};

/// The target.
pub const TARGET: Target = Target {
    name: "openmetrics",
    check,
    seeds: || seeds::pages(&["goapp"], "om"),
    dictionary: Some("text.dict"),
    bytes_max: 4096,
    mutations: 100_000,
    code: crate::AGENT,
};

/// Checks a page.
pub fn check(bytes: &[u8]) {
    text::check_as(bytes, page::OPEN);
}
