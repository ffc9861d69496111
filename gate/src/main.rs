//! Starts davy-gate.

fn main() -> std::process::ExitCode {
    davy_gate::main()
}
