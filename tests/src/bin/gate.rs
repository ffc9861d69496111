//! Starts davy-gate for the integration tests.

fn main() -> std::process::ExitCode {
    davy_gate::main()
}
