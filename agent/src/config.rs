//! What the agent does, in one type: a slice for each component.
//!
//! A version of the configuration is read once, from flags, environment, file and defaults (in this
//! order), with all its mistakes at once. Each component is built from its slice alone, so two
//! versions can be compared slice by slice and only what differs is replaced.

mod destination;
mod environment;
mod evidence;
mod read;
mod relabel;
mod resource;
mod scrape;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use davy_agent_core::evidence::EvidenceSettings;
use davy_agent_core::queue::WhenFull;
use davy_config::{Collector, Environment, Mistakes, Node, Origin, Setting, parse};

pub use destination::{DestinationConfig, TlsConfig};
pub use environment::{OTLP_VARIABLES, VARIABLES};
pub use resource::{Resource, Texts};

use crate::scrape::Target;
use crate::tail::TailSettings;

/// Version of the configuration's language.
pub const VERSION: u64 = 1;
/// Default address for OTLP over gRPC.
pub const DEFAULT_OTLP_GRPC: &str = "127.0.0.1:4317";
/// Default address for OTLP over HTTP.
pub const DEFAULT_OTLP_HTTP: &str = "127.0.0.1:4318";
/// Default address for `/livez`, `/status`, `/metrics` and the like.
pub const DEFAULT_ADMIN: &str = "127.0.0.1:9465";
/// Default address for `/shutdown` and `/config`.
pub const DEFAULT_CONTROL: &str = "127.0.0.1:9466";
/// Default time between scrapes: the window of the evidence.
pub const DEFAULT_SCRAPE_INTERVAL: Duration = Duration::from_secs(5);
/// Default for the longest wait between a scrape and its export, as a share of the interval.
pub const DEFAULT_EXPORT_JITTER: f64 = 0.1;
/// Default time for one export request, the specification's.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// Default bound of all queues together, in bytes: half of a small sidecar's memory limit of
/// 64 MiB; a minute of 500 spans a second without a backend takes a third of it.
pub const DEFAULT_SPOOL_BYTES: u64 = 32 << 20;
/// Default for the longest log line, in bytes.
pub const DEFAULT_LINE_BYTES: u64 = 256 << 10;
/// Default for the largest request that is received, packed and unpacked, in bytes.
pub const DEFAULT_REQUEST_BYTES: u64 = 16 << 20;

/// One version of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Who the app is.
    pub resource: Resource,
    /// Pages to scrape.
    pub scrape: Vec<Target>,
    /// Log files to follow.
    pub logs: Vec<TailSettings>,
    /// Where the app's SDK may send.
    pub receive: ReceiveConfig,
    /// Where everything is sent.
    pub export: Vec<DestinationConfig>,
    /// The queues.
    pub spool: SpoolConfig,
    /// The gate and what it is sent; none without a gate.
    pub gate: Option<GateConfig>,
    /// Address of the admin server; none when it is off.
    pub admin: Option<SocketAddr>,
    /// Address of the control server; none when it is off.
    pub control: Option<SocketAddr>,
    /// The agent's own log.
    pub log: LogConfig,
}

/// Listeners for OTLP; both take gRPC and HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiveConfig {
    /// The customary address for gRPC; none when it is off.
    pub otlp_grpc: Option<SocketAddr>,
    /// The customary address for HTTP; none when it is off.
    pub otlp_http: Option<SocketAddr>,
    /// Largest request, packed and unpacked, in bytes.
    pub request_bytes_max: usize,
}

/// Bounds of the queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpoolConfig {
    /// Most bytes in all queues together.
    pub bytes_max: u64,
    /// What happens when they are full.
    pub when_full: WhenFull,
}

/// The gate and the evidence for it.
#[derive(Clone, Debug, PartialEq)]
pub struct GateConfig {
    /// How the gate is reached.
    pub destination: DestinationConfig,
    /// What evidence is made from.
    pub evidence: EvidenceSettings,
}

/// The agent's own log, on standard error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// What is logged: a level, or levels by module, `info,hyper=debug`.
    pub filter: String,
    /// Whether lines are JSON objects.
    pub is_json: bool,
}

/// A configuration as it was read.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What holds.
    pub config: Config,
    /// Every value with its origin, secrets masked.
    pub settings: Vec<Setting>,
    /// Worth saying, but no mistake.
    pub warnings: Vec<String>,
    /// What was left out for its mistakes; only when degraded.
    pub mistakes: Option<Mistakes>,
}

impl Loaded {
    /// A name for what holds: equal settings have equal names.
    pub fn version(&self) -> String {
        // FNV-1a; it tells versions apart and protects nothing.
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for setting in &self.settings {
            for byte in setting
                .path
                .bytes()
                .chain([0])
                .chain(setting.value.bytes())
                .chain([1])
            {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
        format!("{hash:016x}")
    }
}

/// Where a configuration file stands, and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path, as it was named.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

/// Reads the configuration from a file, if there is one, and the environment.
///
/// # Errors
///
/// All [`Mistakes`], each with its place and key.
pub fn load(file: Option<&File>, environment: &Environment<'_>) -> Result<Loaded, Mistakes> {
    let (root, mut warnings) = tree(file, environment)?;
    let collector = Collector::default();
    let (config, more) = read::config(&root, &collector);
    warnings.extend(more);
    let (config, settings) = collector.finish(config)?;
    Ok(Loaded {
        config,
        settings,
        warnings,
        mistakes: None,
    })
}

/// Reads what is valid and leaves out the rest: a component with a mistake is not there, a file
/// that is no YAML is taken as empty.
pub fn load_degraded(file: Option<&File>, environment: &Environment<'_>) -> Loaded {
    let mut broken = None;
    let (root, mut warnings) = tree(file, environment).unwrap_or_else(|mistakes| {
        broken = Some(mistakes);
        tree(None, environment).unwrap_or_else(|_| (Node::map(Origin::Default), Vec::new()))
    });
    let collector = Collector::default();
    let (config, more) = read::config(&root, &collector);
    warnings.extend(more);
    let config = read::valid_part(config, &collector);
    let (config, settings, mistakes) = collector.finish_degraded(config);
    Loaded {
        config,
        settings,
        warnings,
        mistakes: broken.or(mistakes),
    }
}

fn tree(
    file: Option<&File>,
    environment: &Environment<'_>,
) -> Result<(Node, Vec<String>), Mistakes> {
    let (mut root, mut warnings) = match file {
        None => {
            let mut root = Node::map(Origin::Default);
            root.put(
                &["version"],
                Node::scalar(VERSION.to_string(), Origin::Default),
            );
            (root, Vec::new())
        }
        Some(file) => {
            let document = parse(&file.path.display().to_string(), &file.text, environment)?;
            (
                document.root,
                document.warnings.iter().map(ToString::to_string).collect(),
            )
        }
    };
    let (mistakes, more) = environment::overlay(&mut root, environment);
    warnings.extend(more);
    match Mistakes::of(mistakes) {
        Some(mistakes) => Err(mistakes),
        None => Ok((root, warnings)),
    }
}

#[cfg(test)]
mod tests;
