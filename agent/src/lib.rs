//! Sidecar that forwards metrics, logs and traces over OTLP.

pub mod cli;
pub mod clock;
pub mod config;
pub mod deliver;
pub mod evidence;
pub mod command;
pub mod pipeline;
pub mod receive;
pub mod scrape;
pub mod tail;
pub mod telemetry;

/// Version of the agent.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Commit the agent was built from, `unknown` outside a build that says it.
pub const COMMIT: &str = match option_env!("DAVY_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};
/// Architecture and operating system the agent was built for.
pub const TARGET: &str = const_str_target();

const fn const_str_target() -> &'static str {
    if cfg!(target_arch = "aarch64") {
        "aarch64-linux"
    } else {
        "x86_64-linux"
    }
}

/// Runs the program and returns its exit code.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(64)
}
