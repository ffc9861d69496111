//! One place that telemetry is sent to.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use davy_config::Reader;
use davy_proto::Signal;
use davy_transport::{
    Bearer, Client, ClientConfig, ClientTls, Compression, ConfigError, Endpoint, Protocol, Token,
};

use super::{DEFAULT_TIMEOUT, ReceiveConfig};
use crate::clock;

/// How a destination is reached, and what it gets.
#[derive(Clone, Debug, PartialEq)]
pub struct DestinationConfig {
    /// Its name in metrics and on `/status`.
    pub name: String,
    /// What it gets; at least one.
    pub signals: Vec<Signal>,
    /// Where it is.
    pub endpoint: Endpoint,
    /// In which words it is spoken to.
    pub protocol: Protocol,
    /// How requests are packed.
    pub compression: Compression,
    /// Headers of every request.
    pub headers: Vec<(String, String)>,
    /// Time for one request.
    pub timeout: Duration,
    /// TLS, for `https`.
    pub tls: TlsConfig,
    /// A token, and never shown.
    pub token: Option<String>,
    /// A file with a token, read anew for each request.
    pub token_file: Option<PathBuf>,
}

/// Files and name for TLS.
pub type TlsConfig = ClientTls;

/// The specification's.
const DEFAULT_PROTOCOL: Protocol = Protocol::HttpProtobuf;
const TIMEOUT_MIN: Duration = Duration::from_millis(100);
const TIMEOUT_MAX: Duration = Duration::from_secs(120);

impl DestinationConfig {
    /// A client for it; nothing is connected yet.
    ///
    /// # Errors
    ///
    /// TLS files that can't be read, and headers that HTTP can't carry.
    pub fn client(&self) -> Result<Client, ConfigError> {
        let token = self
            .token
            .as_deref()
            .map(|token| Bearer::Text(Token::new(token)));
        let config = ClientConfig {
            endpoint: self.endpoint.clone(),
            protocol: self.protocol,
            compression: self.compression,
            headers: self.headers.clone(),
            timeout: self.timeout,
            tls: self.tls.clone(),
            bearer: token.or_else(|| self.token_file.clone().map(Bearer::File)),
        };
        Client::new(config, clock::system_time)
    }
}

/// Reads a destination; none when it has no usable endpoint.
pub(super) fn read(
    mut reader: Reader<'_>,
    default_name: Option<&str>,
    receive: &ReceiveConfig,
) -> Option<DestinationConfig> {
    let protocols = Protocol::ALL.map(|protocol| (protocol.as_str(), protocol));
    let compressions = Compression::ALL.map(|how| (how.as_str(), how));
    let signals = Signal::ALL.map(|signal| (signal.as_str(), signal));
    let protocol = reader.choice_or("protocol", &protocols, DEFAULT_PROTOCOL.as_str());
    let insecure = reader.bool("insecure", false);
    let append_path = reader.bool("append_path", true);
    let endpoint = reader.required("endpoint", |text| {
        let endpoint = match protocol {
            Some(Protocol::Grpc) => Endpoint::grpc(text, insecure),
            _ if append_path || default_name.is_some() => Endpoint::base(text),
            _ => Endpoint::for_signal(text),
        };
        endpoint.map_err(|error| error.to_string())
    });
    if endpoint
        .as_ref()
        .is_some_and(|endpoint| is_own(endpoint, receive))
    {
        let message = "is the agent's own receiver: it would send to itself for ever";
        reader.mistake("endpoint", message);
    }
    let name = reader
        .string("name")
        .or_else(|| default_name.map(str::to_owned));
    let compression = reader.choice_or_first("compression", &compressions);
    let headers = reader.texts("headers", true);
    let timeout = reader.duration("timeout", TIMEOUT_MIN..=TIMEOUT_MAX, DEFAULT_TIMEOUT);
    let mut signals_read = Vec::new();
    if default_name.is_none() {
        let named = reader.list("signals", |text| signal(text, &signals));
        signals_read = named.unwrap_or_else(|| Signal::ALL.to_vec());
        signals_read.dedup();
        if signals_read.is_empty() {
            reader.mistake("signals", "names no signal");
        }
    }
    let token = reader.secret("token");
    let token_file = reader.string("token_file").map(PathBuf::from);
    if token.is_some() && token_file.is_some() {
        reader.mistake(
            "token_file",
            "stands beside `token`; one of the two is enough",
        );
    }
    let tls = tls(reader.nested("tls"));
    if endpoint.is_none() || protocol.is_none() || compression.is_none() {
        // Keys that are unknown are told all the same: one may be what is missing, misspelt.
        reader.finish();
        return None;
    }
    let endpoint_name = endpoint.as_ref().map(|endpoint| {
        let (host, port) = endpoint.host_and_port();
        format!("{host}:{port}")
    });
    let destination = DestinationConfig {
        name: name.or(endpoint_name).unwrap_or_default(),
        signals: signals_read,
        endpoint: endpoint?,
        protocol: protocol?,
        compression: compression?,
        headers,
        timeout,
        tls,
        token,
        token_file,
    };
    // The files of TLS are looked at now: a missing one is a mistake of the configuration.
    if let Err(error) = destination.client() {
        let key = if matches!(error, ConfigError::Tls(_)) {
            "tls"
        } else {
            "headers"
        };
        reader.mistake(key, error.to_string());
    }
    reader.finish();
    Some(destination)
}

fn tls(mut reader: Reader<'_>) -> TlsConfig {
    let tls = TlsConfig {
        ca: reader.string("ca").map(PathBuf::from),
        cert: reader.string("cert").map(PathBuf::from),
        key: reader.string("key").map(PathBuf::from),
        server_name: reader.string("server_name"),
        insecure_skip_verify: false,
    };
    reader.finish();
    tls
}

fn signal(text: &str, table: &[(&str, Signal)]) -> Result<Signal, String> {
    let found = table
        .iter()
        .find(|(name, _)| *name == text)
        .map(|(_, signal)| *signal);
    found.ok_or_else(|| format!("unknown signal {text:?}; expected metrics, logs or traces"))
}

/// Whether the endpoint is one of the agent's own listeners.
fn is_own(endpoint: &Endpoint, receive: &ReceiveConfig) -> bool {
    let (host, port) = endpoint.host_and_port();
    let host = host.trim_matches(['[', ']']);
    let address: Option<IpAddr> = host.parse().ok();
    let is_local =
        host == "localhost" || address.is_some_and(|ip| ip.is_loopback() || ip.is_unspecified());
    let reaches = |own: SocketAddr| {
        let host = match own.ip() {
            ip if ip.is_loopback() || ip.is_unspecified() => is_local,
            ip => address == Some(ip),
        };
        host && own.port() == port
    };
    [receive.otlp_grpc, receive.otlp_http]
        .into_iter()
        .flatten()
        .any(reaches)
}
