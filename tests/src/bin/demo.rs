//! The demo: two real rollouts on this machine, a good one and a bad one.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        eprintln!("demo: signals can't be received here");
        return ExitCode::FAILURE;
    };
    // When a signal comes the run is dropped, and with it every process and folder of it.
    let result = tokio::select! {
        result = davy_tests::demo::run() => result,
        _ = interrupt.recv() => Err(anyhow::anyhow!("interrupted; everything has been stopped")),
        _ = terminate.recv() => Err(anyhow::anyhow!("terminated; everything has been stopped")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\ndemo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}
