//! Starts davy-agent for the integration tests.

fn main() -> std::process::ExitCode {
    davy_agent::main()
}
