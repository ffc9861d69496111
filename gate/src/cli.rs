//! The command line of `davy-gate`; no logic.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use davy_transport::{Secret, header_flag};

/// Compares a canary with its baseline (P99 latency, error rate, CPU) and approves the full rollout
/// or orders a rollback.
///
/// A first try, between two running instances of your service:
///
///   davy-gate check --baseline http://127.0.0.1:8080 --canary http://127.0.0.1:8081
#[derive(Debug, Parser)]
#[command(name = "davy-gate", version, verbatim_doc_comment)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs of `davy-gate`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Receive evidence, judge rollouts, answer Argo and show the page.
    Serve(Serve),
    /// Scrape both arms and judge: exit 0 approve, 1 rollback, 2 undecided.
    Check(Check),
    /// Judge recorded evidence again: a line for each change of verdict, then the final one.
    Replay(Replay),
    /// Simulate rollouts: how often the judge is wrong and how long it takes, beside other methods.
    Simulate(Simulate),
    /// Read a policy, report all its mistakes; with a rate, the expected time to each decision.
    CheckPolicy(CheckPolicy),
    /// Ask a running gate whether it is alive: exit 0 when it is (for images without a shell).
    Health(Health),
    /// Print version, commit, build time and target.
    Version,
}

/// Options of `serve`.
#[derive(Debug, clap::Args)]
pub struct Serve {
    /// Configuration file (YAML, `version: 1`). Without one every default holds.
    #[arg(long, value_name = "FILE", env = "DAVY_GATE_CONFIG")]
    pub config: Option<PathBuf>,
    /// Write the evidence as it is judged, a JSON line a window, one file a service, into DIR;
    /// `replay` reads it.
    #[arg(long, value_name = "DIR")]
    pub record: Option<PathBuf>,
    /// Write the addresses as bound, a JSON object, into FILE (for port 0).
    #[arg(long, value_name = "FILE")]
    pub addresses_file: Option<PathBuf>,
}

/// Options of `check`.
#[derive(Debug, clap::Args)]
#[command(after_help = CHECK_HELP)]
pub struct Check {
    /// Metrics page of a baseline instance; repeat for more.
    #[arg(long, value_name = "URL", required = true)]
    pub baseline: Vec<String>,
    /// Metrics page of a canary instance; repeat for more.
    #[arg(long, value_name = "URL", required = true)]
    pub canary: Vec<String>,
    /// Trust the authorities in this PEM file for pages over https, instead of those built in.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Send this header to every instance, such as 'Authorization: Bearer …'; repeat for more.
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header_flag)]
    pub headers: Vec<(String, Secret)>,
    /// Policy to judge by; without one the defaults hold.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Give up after this long, as `undecided`; the policy's max_duration when left out.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub max_duration: Option<Duration>,
    /// Write the evidence as judged, a JSON line a window, into FILE; `replay` reads it.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Form of the result on standard output; progress goes to standard error.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub summary: Summary,
}

const CHECK_HELP: &str = "\
In a deploy script:
  davy-gate check --baseline http://10.0.0.4:8080/metrics --canary http://10.0.0.9:8080/metrics \\
    --policy shop.yaml --max-duration 10m
  case $? in
    0) promote ;;      # approved
    1) roll_back ;;    # proved worse
    *) keep_looking ;; # undecided (2), or nothing could be judged (64, 69, 70)
  esac

Exit codes:
  0 approve, 1 rollback, 2 undecided, 64 usage, 69 nothing could be scraped, 70 internal.";

/// Forms of a result.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Summary {
    /// A few lines for people.
    Text,
    /// The verdict as one JSON object.
    Json,
    /// A table for a pull request or a chat.
    Markdown,
}

/// Options of `replay`.
#[derive(Debug, clap::Args)]
pub struct Replay {
    /// Policy to judge by.
    #[arg(long, value_name = "FILE")]
    pub policy: PathBuf,
    /// Arm of the baseline, as it stands in the evidence.
    #[arg(long, value_name = "ARM")]
    pub baseline: String,
    /// Arm of the canary, as it stands in the evidence.
    #[arg(long, value_name = "ARM")]
    pub canary: String,
    /// Evidence, a JSON line a window, or `-` for standard input.
    #[arg(value_name = "EVIDENCE.jsonl")]
    pub evidence: PathBuf,
}

/// Options of `check-policy`.
#[derive(Debug, clap::Args)]
pub struct CheckPolicy {
    /// Policy file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Requests a second of both arms together: prints the expected time to each decision.
    #[arg(long, value_name = "R", allow_negative_numbers = true)]
    pub rate: Option<f64>,
    /// Share of the requests that the canary gets, in (0, 1).
    #[arg(
        long,
        value_name = "W",
        default_value_t = 0.2,
        allow_negative_numbers = true
    )]
    pub weight: f64,
    /// Error rate of the baseline, in [0, 1).
    #[arg(
        long,
        value_name = "E",
        default_value_t = 0.0012,
        allow_negative_numbers = true
    )]
    pub errors: f64,
}

/// Options of `simulate`.
#[derive(Debug, clap::Args)]
#[command(after_help = SIMULATE_HELP)]
pub struct Simulate {
    /// Scenario to run; repeat or separate by commas for more. All when left out; `list` prints
    /// each with what it models.
    #[arg(long, value_name = "S", value_delimiter = ',')]
    pub scenario: Vec<String>,
    /// Rollouts of each scenario.
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub runs: u64,
    /// Seed: the same one gives the same result, on every machine.
    #[arg(long, value_name = "K", default_value_t = 1)]
    pub seed: u64,
    /// Show what `make simulate` recorded in FILE instead of simulating.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["scenario", "runs", "seed"])]
    pub from: Option<PathBuf>,
    /// Form of the result on standard output; progress goes to standard error.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub output: SimulateOutput,
}

const SIMULATE_HELP: &str = "\
Each scenario is a rollout of half an hour, judged every 5 s by the judge that `serve` uses, under
the standard policy, and by what others decide by. A first look:
  davy-gate simulate --runs 50 --scenario drift,noisy-node,slower";

/// Forms of a simulation's result.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum SimulateOutput {
    /// A table for each scenario.
    Text,
    /// All figures as one JSON object.
    Json,
    /// The page docs/simulations.md, of a record.
    Markdown,
    /// False rollbacks against time to a verdict, a picture.
    Svg,
    /// Wrong and undecided verdicts of every method, of a record, as README.md has them.
    Table,
}

/// Options of `health`.
#[derive(Debug, clap::Args)]
pub struct Health {
    /// HTTP address of the gate, or `https://HOST:PORT` where it speaks TLS; its certificate is not
    /// verified.
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:9467",
        env = "DAVY_GATE_HTTP"
    )]
    pub address: String,
}

fn duration(text: &str) -> Result<Duration, String> {
    davy_proto::units::parse_duration(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guarantees: a number below zero reaches the command, which says what is wrong with it; the
    /// parser would call it an unexpected argument.
    #[test]
    fn numbers_below_zero_are_values() {
        for flag in ["--rate", "--weight", "--errors"] {
            let cli = Cli::try_parse_from(["davy-gate", "check-policy", "p.yaml", flag, "-1.5"]);
            let Ok(Command::CheckPolicy(options)) = cli.map(|cli| cli.command) else {
                panic!("{flag}");
            };
            let given = [
                options.rate.unwrap_or_default(),
                options.weight,
                options.errors,
            ];
            assert!(given.contains(&-1.5), "{given:?}");
        }
    }
}
