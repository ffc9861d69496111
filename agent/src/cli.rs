//! The command line of `davy-agent`; no logic.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use davy_transport::{Secret, header_flag};

/// Sidecar for Go services: scrapes metrics, tails logs, receives traces, and forwards all three
/// over OTLP.
///
/// A first try, beside a service with a metrics page:
///
///   DAVY_SCRAPE_URL=http://127.0.0.1:8080/metrics \
///   OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318 davy-agent
#[derive(Debug, Parser)]
#[command(
    name = "davy-agent",
    version,
    verbatim_doc_comment,
    args_conflicts_with_subcommands = true,
    after_help = "Exit codes: 0 done, 1 failed, 64 bad usage or configuration."
)]
pub struct Cli {
    /// What to do; `run` when left out.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Options of `run`.
    #[command(flatten)]
    pub run: Run,
}

/// The verbs of `davy-agent`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Forward until told to stop (the default command).
    Run(Run),
    /// Scrape a page once and print what would be sent.
    Scrape(Scrape),
    /// Turn an exposition page (text or OpenMetrics) into one OTLP metrics request.
    Convert(Convert),
    /// Print what would be sent of the lines of log files.
    Logs(Logs),
    /// Check the configuration, print what holds and where each value comes from.
    CheckConfig(CheckConfig),
    /// Ask a running agent whether it is alive: exit 0 when it is (for images without a shell).
    Health(Health),
    /// Print version, commit, build time and target.
    Version,
}

/// Options of `run`.
#[derive(Clone, Debug, Args)]
pub struct Run {
    /// Configuration file (YAML, `version: 1`). Not needed: environment variables do the same.
    #[arg(long, value_name = "FILE", env = "DAVY_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,
    /// What to do when the configuration has mistakes at the start. Later, a version with mistakes
    /// changes nothing.
    #[arg(
        long,
        value_name = "WHAT",
        default_value = "exit",
        env = "DAVY_ON_CONFIG_ERROR",
        hide_env_values = true
    )]
    pub on_config_error: OnConfigError,
    /// Write the addresses as bound, a JSON object, into FILE (for port 0).
    #[arg(
        long,
        value_name = "FILE",
        env = "DAVY_ADDRESSES_FILE",
        hide_env_values = true
    )]
    pub addresses_file: Option<PathBuf>,
}

/// What to do about a configuration with mistakes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum OnConfigError {
    /// Print all mistakes and exit 64.
    Exit,
    /// Keep what is valid, go on receiving and relaying, and say so on `/status`.
    Degrade,
}

/// Options of `scrape`.
#[derive(Debug, Args)]
pub struct Scrape {
    /// Metrics page, http://host:port/metrics or https://host/metrics.
    #[arg(value_name = "URL")]
    pub url: String,
    /// Connect to this Unix socket, whatever host the URL names.
    #[arg(long, value_name = "FILE")]
    pub socket: Option<PathBuf>,
    /// Trust the authorities in this PEM file, instead of those built in.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Send this header, such as 'Authorization: Bearer …'; repeat for more.
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header_flag)]
    pub headers: Vec<(String, Secret)>,
    /// Form of what is printed.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub output: Output,
    /// Print what is taken as latency, route, status and CPU, and which objectives can be judged
    /// and which not, and why.
    #[arg(long)]
    pub evidence: bool,
}

/// Options of `convert`.
#[derive(Debug, Args)]
pub struct Convert {
    /// Exposition page; `-` or nothing for standard input.
    #[arg(value_name = "FILE", default_value = "-")]
    pub file: PathBuf,
    /// Content type of the page, as a server would say it; found out from the page when left out.
    #[arg(long, value_name = "T")]
    pub content_type: Option<String>,
    /// Refuse what the format's specification refuses: exit 1, `line N: reason` on stderr.
    #[arg(long)]
    pub strict: bool,
    /// Form of the request.
    #[arg(long, value_name = "FORM", default_value = "otlp-json")]
    pub output: Output,
}

/// Options of `logs`.
#[derive(Debug, Args)]
pub struct Logs {
    /// Log files.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Format of the lines: auto, json, cri, docker, logfmt, klog or text.
    #[arg(long, value_name = "F", default_value = "auto")]
    pub format: String,
    /// Form of what is printed.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub output: Output,
}

/// Forms of telemetry on standard output.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Output {
    /// A line for each point or record, for people.
    Text,
    /// One OTLP/JSON request.
    OtlpJson,
    /// One OTLP protobuf request.
    OtlpProto,
}

/// Options of `check-config`.
#[derive(Debug, Args)]
pub struct CheckConfig {
    /// Configuration file; environment variables are read as `run` reads them.
    #[arg(long, value_name = "FILE", env = "DAVY_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,
}

/// Options of `health`.
#[derive(Debug, Args)]
pub struct Health {
    /// Configuration file of the running agent, for its admin address.
    #[arg(long, value_name = "FILE", env = "DAVY_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,
}
