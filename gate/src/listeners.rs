//! The gate's two listeners: evidence comes in by one, questions by the other.
//!
//! Both are bounded alike by `davy-transport`: connections, time for heads, idle time, and a
//! counter for each that is cut. TLS is the same for both; its files are looked at every few
//! seconds, since whoever issues certificates replaces them while the gate runs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use davy_transport::{ConnectionOptions, ServerIdentity, ServerOptions, Token};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{error, info};

use crate::api::access::Access;
use crate::api::{self, Api};
use crate::config::Listen;
use crate::engine::Engine;
use crate::receive;
use crate::telemetry::{Counted, OutcomeLabel, Telemetry};

/// Connections with evidence: an agent a pod keeps one. Both bounds together leave room below 1,024
/// descriptors, which is what a process gets by default.
const OTLP_CONNECTIONS_MAX: usize = 640;

/// Connections with questions.
const HTTP_CONNECTIONS_MAX: usize = 256;

/// Time for a TLS handshake, and again for the headers of the first request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Time without a request: longer than the minute that pollers and scrapers keep silent.
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);

/// How long requests under way may take to finish once the gate is told to end.
const GRACE: Duration = Duration::from_secs(2);

/// How often the certificate's files are looked at.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(5);

/// Bound listeners that don't answer yet.
#[derive(Debug)]
pub struct Listeners {
    /// Evidence.
    otlp: TcpListener,
    /// API and page.
    http: TcpListener,
    tls: Option<ServerIdentity>,
    tokens: Vec<Token>,
    url: Option<String>,
}

/// Where the listeners are, as bound.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Addresses {
    /// API and page.
    pub http: SocketAddr,
    /// Evidence.
    pub otlp: SocketAddr,
}

impl Listeners {
    /// Binds both.
    ///
    /// # Errors
    ///
    /// When an address is taken, or a certificate unfit.
    pub async fn bind(listen: Listen) -> anyhow::Result<Self> {
        let tls = listen.tls.as_ref();
        let tls = tls.map(davy_transport::ServerTls::load).transpose();
        Ok(Self {
            tls: tls.context("read the certificate")?,
            otlp: bind(listen.otlp).await?,
            http: bind(listen.http).await?,
            tokens: listen.tokens.iter().map(|text| Token::new(text)).collect(),
            url: listen.url,
        })
    }

    /// Where they are.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    pub fn addresses(&self) -> anyhow::Result<Addresses> {
        Ok(Addresses {
            http: self.http.local_addr().context("address of the API")?,
            otlp: self.otlp.local_addr().context("address of OTLP")?,
        })
    }

    /// What people reach the page by, without the slash at its end.
    pub fn page_url(&self, addresses: Addresses) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let own = || format!("{scheme}://{}", addresses.http);
        self.url.clone().unwrap_or_else(own)
    }

    /// Whether tokens are asked for on an address of other machines, and can be read on the way.
    pub fn shows_tokens(&self, addresses: Addresses) -> bool {
        let is_remote = |address: SocketAddr| !address.ip().is_loopback();
        self.tls.is_none()
            && !self.tokens.is_empty()
            && (is_remote(addresses.http) || is_remote(addresses.otlp))
    }

    /// Answers on both until `stopped` is true; requests under way then have a short grace.
    ///
    /// # Errors
    ///
    /// When there is no chance to be had for the cookies of browsers.
    pub fn serve(
        self,
        engine: &Engine,
        telemetry: &Arc<Telemetry>,
        stopped: &watch::Receiver<bool>,
    ) -> anyhow::Result<JoinSet<()>> {
        let counted = |listener| {
            let telemetry = Arc::clone(telemetry);
            Some(Arc::new(Counted {
                listener,
                telemetry,
            }) as _)
        };
        let ended = |mut stopped: watch::Receiver<bool>| async move {
            // An error means that the sender is gone, which is an end too.
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        let access = Access::new(self.tokens.clone(), self.tls.is_some());
        let api = Api {
            engine: engine.clone(),
            telemetry: Arc::clone(telemetry),
            access: access.context("make the secret of cookies")?,
        };
        let mut serving = JoinSet::new();
        serving.spawn(davy_transport::serve(
            self.otlp,
            ServerOptions {
                connections_max: OTLP_CONNECTIONS_MAX,
                header_timeout: HEADER_TIMEOUT,
                idle_timeout: IDLE_TIMEOUT,
                shutdown_grace: GRACE,
                tokens: self.tokens,
                tls: self.tls.clone(),
                refusals: counted("otlp"),
                ..ServerOptions::default()
            },
            receive::evidence(engine.clone(), Arc::clone(telemetry)),
            ended(stopped.clone()),
        ));
        serving.spawn(davy_transport::serve_http(
            self.http,
            ConnectionOptions {
                connections_max: HTTP_CONNECTIONS_MAX,
                header_timeout: HEADER_TIMEOUT,
                idle_timeout: IDLE_TIMEOUT,
                shutdown_grace: GRACE,
                tls: self.tls.clone(),
                refusals: counted("http"),
            },
            api::responder(api),
            ended(stopped.clone()),
        ));
        if let Some(identity) = self.tls {
            let telemetry = Arc::clone(telemetry);
            tokio::spawn(renew(identity, telemetry));
        }
        Ok(serving)
    }
}

/// Takes a new certificate when there is one, for as long as the program runs.
async fn renew(identity: ServerIdentity, telemetry: Arc<Telemetry>) {
    loop {
        tokio::time::sleep(RENEWAL_INTERVAL).await;
        let result = match identity.renew() {
            Ok(false) => continue,
            Ok(true) => {
                info!("the certificate has changed: new connections get the new one");
                "ok"
            }
            Err(error) => {
                error!(%error, "the new certificate can't be used: the old one holds");
                "failed"
            }
        };
        let outcome = OutcomeLabel { result };
        telemetry.certificate_renewals.get_or_create(&outcome).inc();
    }
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("listen on {address}"))
}
