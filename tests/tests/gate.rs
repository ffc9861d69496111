//! The gate as a real process: asked as Argo and scripts do, fed as agents and collectors do.

mod access;
mod api;
mod bake;
mod check;
mod evidence;
mod listeners;
mod otlp;
mod rollout;
mod tls;

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use davy_tests::kit::gate::Gate;

/// The program under test.
const GATE: &str = env!("CARGO_BIN_EXE_davy-gate-under-test");
/// The agent beside the shop.
const AGENT: &str = env!("CARGO_BIN_EXE_davy-agent-under-test");
/// Who is asked about.
const QUESTION: &str = r#"{"service":"shop","baseline":"v1","canary":"v2"}"#;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Starts `serve` with this configuration after its version.
#[track_caller]
fn start(folder: &Path, config: &str) -> Gate {
    let config = format!("version: 1\n{config}");
    Gate::start(GATE, folder, &config, &[]).expect("the gate starts")
}

/// End of the last whole cell of 5 s, in seconds since the epoch.
fn last_cell_end() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("after 1970").as_secs() / 5 * 5
}
