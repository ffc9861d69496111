//! TLS by rustls and ring: built-in roots or a custom authority, client certificates both ways.

mod identity;
mod unverified;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

pub use identity::ServerIdentity;
use unverified::Unverified;

/// TLS of a client, as named in configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTls {
    /// PEM file of the authorities to trust; without one, those built in (Mozilla's).
    pub ca: Option<PathBuf>,
    /// PEM file of the certificate to present, together with `key`.
    pub cert: Option<PathBuf>,
    /// PEM file of the key of `cert`.
    pub key: Option<PathBuf>,
    /// The name the server must prove, when it is not the endpoint's host.
    pub server_name: Option<String>,
    /// Take any certificate: whoever is between can read and change everything.
    pub insecure_skip_verify: bool,
}

/// TLS of a server, as named in configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    /// PEM file of the certificate and its chain.
    pub cert: PathBuf,
    /// PEM file of the key.
    pub key: PathBuf,
    /// PEM file of the authorities clients must be certified by; without one, all are let in.
    pub client_ca: Option<PathBuf>,
}

/// Why TLS can't be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// A certificate without its key, or the reverse.
    #[error("a client certificate needs both cert and key")]
    HalfIdentity,
    /// A PEM file that can't be read or holds nothing of the kind.
    #[error("{}: no {what}: {problem}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// Certificate and key don't belong together, or rustls refuses them.
    #[error("{}: {problem}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A name no certificate could carry.
    #[error("server_name {name:?} is not a host name or address")]
    ServerName {
        /// The name.
        name: String,
    },
}

impl TlsError {
    /// The file that is unfit, where it is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Pem { path, .. } | Self::Refused { path, .. } => Some(path),
            Self::HalfIdentity | Self::ServerName { .. } => None,
        }
    }
}

impl ClientTls {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// A file that is missing or unfit is named.
    pub(crate) fn load(&self) -> Result<ClientConfig, TlsError> {
        let roots = match &self.ca {
            Some(path) => authorities(path)?,
            None => RootCertStore {
                roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
            },
        };
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| refused(Path::new("TLS"), &error))?;
        let builder = if self.insecure_skip_verify {
            let any = Arc::new(Unverified(provider()));
            builder.dangerous().with_custom_certificate_verifier(any)
        } else {
            builder.with_root_certificates(roots)
        };
        match (&self.cert, &self.key) {
            (None, None) => Ok(builder.with_no_client_auth()),
            (Some(cert), Some(key)) => builder
                .with_client_auth_cert(certificates(cert)?, private_key(key)?)
                .map_err(|error| refused(cert, &error)),
            _ => Err(TlsError::HalfIdentity),
        }
    }
}

impl ServerTls {
    fn config(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| refused(Path::new("TLS"), &error))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let roots = Arc::new(authorities(path)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider())
                    .build()
                    .map_err(|error| refused(path, &error))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder
            .with_single_cert(certificates(&self.cert)?, private_key(&self.key)?)
            .map_err(|error| refused(&self.cert, &error))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// The one provider of both programs; naming it spares a global default.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|error| refused(path, &error))?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unreadable = |problem: String| TlsError::Pem {
        path: path.to_owned(),
        what: "certificate",
        problem,
    };
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable(error.to_string()))?;
    if found.is_empty() {
        return Err(unreadable("the file has none".to_owned()));
    }
    Ok(found)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| TlsError::Pem {
        path: path.to_owned(),
        what: "private key",
        problem: error.to_string(),
    })
}

fn refused(path: &Path, error: &dyn std::error::Error) -> TlsError {
    TlsError::Refused {
        path: path.to_owned(),
        problem: crate::body::chain(error),
    }
}
