//! The judge measured on real traffic: ten instances of one release recorded, and split at random.

use std::process::ExitCode;

use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let options = davy_tests::aa::Options::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("aa: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(until_signal(options));
    // Splits that are being judged when a signal comes have nothing to clean up.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\naa failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// When a signal comes the run is dropped, and with it every process and folder of it.
async fn until_signal(options: davy_tests::aa::Options) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = davy_tests::aa::run(options) => result,
        _ = interrupt.recv() => Err(anyhow::anyhow!("interrupted; everything has been stopped")),
        _ = terminate.recv() => Err(anyhow::anyhow!("terminated; everything has been stopped")),
    }
}
