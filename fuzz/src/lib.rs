//! What must hold of any input, as plain functions.
//!
//! A check panics where something does not hold. `cargo test -p davy-fuzz` runs the checks over
//! every seed and, some ten seconds a target, over mutations of them; `make fuzz` runs them under
//! libFuzzer, which looks for inputs that reach code not reached before. docs/fuzzing.md says how
//! to run it and what to do with a finding.
//!
//! | target | what is checked |
//! |---|---|
//! | [`text`], [`openmetrics`], [`protobuf`] | reading a page, leniently and strictly |
//! | [`scrape`] | the fast path of a scrape beside the slow one, page after page |
//! | [`payload`] | counting, splicing and splitting a request beside prost's decoder |
//! | [`json`] | OTLP/JSON to protobuf and back |
//! | [`lines`] | a log file, however it is cut into reads |
//! | [`policy`], [`window`], [`sketch`], [`evidence`] | what the gate reads |

pub mod evidence;
pub mod json;
pub mod lines;
mod memory;
mod must;
pub mod mutate;
pub mod openmetrics;
mod otlp;
mod page;
pub mod payload;
mod pieces;
pub mod policy;
pub mod protobuf;
pub mod scrape;
pub mod seeds;
pub mod sketch;
pub mod text;
pub mod window;

/// One thing to be fuzzed.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: that of its module, of its folder under `seeds`, and after `fuzz-` of its program.
    pub name: &'static str,
    /// Panics where something does not hold of the input.
    pub check: fn(&[u8]),
    /// Inputs made of files that are in the tree for other reasons, or of code.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// File of words under `dictionaries`.
    pub dictionary: Option<&'static str>,
    /// Longest input that libFuzzer makes, in bytes.
    pub bytes_max: usize,
    /// Mutations of its seeds that `cargo test` tries: some ten seconds at 2.8 GHz. A number and
    /// not a time, so that a test that passes on one machine passes on a faster one.
    pub mutations: usize,
    /// Where in the tree what it runs stands: executions of the same code add up.
    pub code: &'static [&'static str],
}

/// What targets of the agent run.
const AGENT: &[&str] = &[
    "Cargo.lock",
    "agent/core",
    "agent/relabel",
    "fuzz/src",
    "proto",
];
/// What targets of the gate run.
const GATE: &[&str] = &["Cargo.lock", "config", "fuzz/src", "gate/core", "proto"];

/// All of them, by name.
pub const TARGETS: &[Target] = &[
    evidence::TARGET,
    json::TARGET,
    lines::TARGET,
    openmetrics::TARGET,
    payload::TARGET,
    policy::TARGET,
    protobuf::TARGET,
    scrape::TARGET,
    sketch::TARGET,
    text::TARGET,
    window::TARGET,
];

/// The target of that name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
