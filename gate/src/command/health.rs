//! `davy-gate health`: is the gate at that address alive?

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use davy_transport::{Access, ClientTls, PageClient, PageOptions, PageUrl};

use super::Usage;
use crate::cli::Health;

/// How long the gate may take to answer.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Largest answer, in bytes: it is a word.
const ANSWER_BYTES_MAX: usize = 4 << 10;

pub(super) async fn run(options: Health) -> anyhow::Result<ExitCode> {
    let address = options.address.trim_end_matches('/');
    let url = if address.contains("://") {
        format!("{address}/livez")
    } else {
        format!("http://{address}/livez")
    };
    let url = PageUrl::parse(&url).map_err(|error| Usage(format!("--address: {error}")))?;
    let client = PageClient::new(PageOptions {
        accept: "text/plain",
        user_agent: concat!("davy-gate/", env!("CARGO_PKG_VERSION")),
        body_bytes_max: ANSWER_BYTES_MAX,
        connect_timeout: TIMEOUT,
        socket: None,
        access: Access {
            // As the kubelet's probes: nothing is told, and the answer only says that it is alive.
            tls: ClientTls {
                insecure_skip_verify: true,
                ..ClientTls::default()
            },
            ..Access::default()
        },
    });
    let client = client.context("make a client")?;
    match client.fetch(&url, TIMEOUT).await {
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            eprintln!("davy-gate: {address}: {error}");
            Ok(ExitCode::FAILURE)
        }
    }
}
