//! Starts davy-agent.

fn main() -> std::process::ExitCode {
    davy_agent::main()
}
