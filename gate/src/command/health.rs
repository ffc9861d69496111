//! `davy-gate health`: is the gate at that address alive?

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use crate::cli::Health;

/// How long the gate may take to answer.
const TIMEOUT: Duration = Duration::from_secs(3);

pub(super) async fn run(options: Health) -> anyhow::Result<ExitCode> {
    match tokio::time::timeout(TIMEOUT, alive(&options.address)).await {
        Ok(Ok(())) => Ok(ExitCode::SUCCESS),
        Ok(Err(error)) => {
            eprintln!("davy-gate: {error:#}");
            Ok(ExitCode::FAILURE)
        }
        Err(_) => {
            eprintln!(
                "davy-gate: no answer from {} within {TIMEOUT:?}",
                options.address
            );
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn alive(address: &str) -> anyhow::Result<()> {
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let uri = format!("http://{address}/livez")
        .parse()
        .context("read the address")?;
    let response = client
        .get(uri)
        .await
        .with_context(|| format!("ask {address}"))?;
    anyhow::ensure!(
        response.status().is_success(),
        "{address} answers {}",
        response.status()
    );
    Ok(())
}
