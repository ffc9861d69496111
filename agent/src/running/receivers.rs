//! The OTLP listeners at work.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use davy_agent_core::payload::Enrichment;
use davy_transport::ServerOptions;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::config::ReceiveConfig;
use crate::pipeline::Intake;
use crate::receive::Receiver;

/// Time for requests under way when a listener ends.
const GRACE: Duration = Duration::from_secs(1);

/// The listeners, by name.
#[derive(Debug, Default)]
pub(super) struct Receivers(BTreeMap<&'static str, Listener>);

#[derive(Debug)]
struct Listener {
    /// As configured; with port 0 another one is bound.
    address: SocketAddr,
    bound: SocketAddr,
    request_bytes_max: usize,
    enrichment: Arc<Enrichment>,
    /// Kept so that a successor listens on the same socket, and no connection is refused meanwhile.
    socket: std::net::TcpListener,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Receivers {
    /// The addresses as bound.
    pub(super) fn addresses(&self) -> BTreeMap<&'static str, SocketAddr> {
        self.0
            .iter()
            .map(|(name, listener)| (*name, listener.bound))
            .collect()
    }

    /// Replaces what differs; returns whether anything did.
    pub(super) async fn replace(
        &mut self,
        config: &ReceiveConfig,
        enrichment: Enrichment,
        intake: &Intake,
    ) -> anyhow::Result<bool> {
        let enrichment = Arc::new(enrichment);
        let mut changed = false;
        for (name, wanted) in [
            ("otlp_grpc", config.otlp_grpc),
            ("otlp_http", config.otlp_http),
        ] {
            let Some(address) = wanted else {
                if let Some(old) = self.0.remove(name) {
                    old.end();
                    changed = true;
                }
                continue;
            };
            let is_same = |old: &Listener| {
                old.address == address
                    && old.request_bytes_max == config.request_bytes_max
                    && old.enrichment == enrichment
            };
            if self.0.get(name).is_some_and(is_same) {
                continue;
            }
            let socket = match self.0.get(name).filter(|old| old.address == address) {
                Some(old) => old.socket.try_clone().context("sharing a socket")?,
                None => bind(name, address).await?,
            };
            let receiver = Receiver {
                source: name,
                enrichment: Arc::clone(&enrichment),
                intake: intake.clone(),
            };
            let listener = Listener::start(receiver, address, socket, config.request_bytes_max)?;
            if let Some(old) = self.0.insert(name, listener) {
                old.end();
            }
            changed = true;
        }
        Ok(changed)
    }

    /// Answers requests under way, and ends.
    pub(super) async fn stop(&mut self) {
        for (_, listener) in std::mem::take(&mut self.0) {
            let _ = listener.stop.send(());
            let _ = listener.task.await;
        }
    }
}

impl Listener {
    fn start(
        receiver: Receiver,
        address: SocketAddr,
        socket: std::net::TcpListener,
        request_bytes_max: usize,
    ) -> anyhow::Result<Self> {
        let bound = socket.local_addr().context("the address of a listener")?;
        let listener = TcpListener::from_std(socket.try_clone().context("sharing a socket")?)
            .context("listening")?;
        let options = ServerOptions {
            body_bytes_max: request_bytes_max,
            shutdown_grace: GRACE,
            ..ServerOptions::default()
        };
        let enrichment = Arc::clone(&receiver.enrichment);
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(receiver.run(listener, options, async {
            // An error means that nobody is left to stop it: stop.
            let _ = stopped.await;
        }));
        Ok(Self {
            address,
            bound,
            request_bytes_max,
            enrichment,
            socket,
            stop,
            task,
        })
    }

    /// Ends by itself, once the requests under way are answered.
    fn end(self) {
        let _ = self.stop.send(());
    }
}

async fn bind(name: &str, address: SocketAddr) -> anyhow::Result<std::net::TcpListener> {
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("binding {name} to {address}"))?;
    listener
        .into_std()
        .with_context(|| format!("binding {name} to {address}"))
}
