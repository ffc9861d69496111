//! Connections of both clients, to backends and to pages: TCP, and TLS over it by the same rules.

use std::time::Duration;

use hyper_rustls::builderstates::WantsProtocols1;
use hyper_rustls::{FixedServerNameResolver, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls_pki_types::ServerName;

use crate::{ClientTls, TlsError};

/// TCP without Nagle's wait.
pub(crate) fn tcp(connect_timeout: Duration) -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(connect_timeout));
    tcp
}

/// TLS where the URL is `https`; the files are read now.
pub(crate) fn secured(tls: &ClientTls) -> Result<HttpsConnectorBuilder<WantsProtocols1>, TlsError> {
    let builder = HttpsConnectorBuilder::new()
        .with_tls_config(tls.load()?)
        .https_or_http();
    let Some(name) = &tls.server_name else {
        return Ok(builder);
    };
    let fixed = ServerName::try_from(name.clone());
    let fixed = fixed.map_err(|_| TlsError::ServerName { name: name.clone() })?;
    Ok(builder.with_server_name_resolver(FixedServerNameResolver::new(fixed)))
}
