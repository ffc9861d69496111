//! What a scrape costs the agent as a whole process, beside the OpenTelemetry Collector, Prometheus
//! as an agent and vmagent: the same pages for all, every value new each time.
//!
//! All subjects run side by side at each size of page; then each alone on a large page at a short
//! interval, to see what a core would do at most. What counts is CPU time, which depends less than
//! wall time on what else the machine does. A run fails unless all that was scraped has arrived,
//! once, with its values.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::{Parser, Subcommand};
use davy_tests::kit::machine::load_average;

use self::measure::{Plan, measure};
use self::record::About;
use self::subject::Kind;

mod count;
mod http;
mod measure;
mod pages;
mod record;
mod sink;
mod subject;
mod wire;

const KINDS: [Kind; 4] = [
    Kind::Agent,
    Kind::Collector,
    Kind::Prometheus,
    Kind::Vmagent,
];

#[derive(Debug, Parser)]
#[command(about)]
struct Args {
    #[command(subcommand)]
    part: Option<Part>,
    /// Series of a page; a run for each.
    #[arg(long, value_delimiter = ',', default_value = "1000,10000,100000")]
    series: Vec<usize>,
    /// Seconds from scrape to scrape in these runs.
    #[arg(long, default_value_t = 5)]
    interval: u64,
    /// How long each of them counts, in seconds.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Series of the page that each scrapes alone; 0 for none.
    #[arg(long, default_value_t = 100_000)]
    limit_series: usize,
    /// Seconds from scrape to scrape of it; more where the machine has no second for one.
    #[arg(long, default_value_t = 1)]
    limit_interval: u64,
    /// Targets of that page.
    #[arg(long, value_delimiter = ',', default_value = "1")]
    limit_targets: Vec<usize>,
    /// How long that counts, in seconds.
    #[arg(long, default_value_t = 60)]
    limit_seconds: u64,
    /// Pages are packed where a subject asks for it, as client_golang does.
    #[arg(long)]
    gzip: bool,
    /// Who scrapes; all four unless named.
    #[arg(long, value_delimiter = ',')]
    subjects: Vec<Kind>,
    /// The agent; that of `make build` unless named.
    #[arg(long)]
    agent: Option<PathBuf>,
    /// What else the machine does meanwhile, for the record.
    #[arg(long, default_value = "")]
    note: String,
    /// Where the figures are kept.
    #[arg(long)]
    record: Option<PathBuf>,
}

/// The servers, which this program starts itself.
#[derive(Debug, Subcommand)]
enum Part {
    #[command(hide = true)]
    Pages {
        #[arg(long)]
        address_file: PathBuf,
        #[arg(long)]
        series: usize,
        #[arg(long)]
        gzip: bool,
    },
    #[command(hide = true)]
    Sink {
        #[arg(long)]
        address_file: PathBuf,
    },
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    match &args.part {
        None => run(&args),
        Some(Part::Pages {
            address_file,
            series,
            gzip,
        }) => pages::run(address_file, *series, *gzip),
        Some(Part::Sink { address_file }) => sink::run(address_file),
    }
}

impl Args {
    /// What says the same, without files and words of this machine.
    fn command(&self) -> String {
        let list = |numbers: &[usize]| {
            let words: Vec<String> = numbers.iter().map(ToString::to_string).collect();
            words.join(",")
        };
        format!(
            "davy-scrape-beside --series {} --interval {} --seconds {} --limit-series {} \
             --limit-targets {} --limit-interval {} --limit-seconds {}{}",
            list(&self.series),
            self.interval,
            self.seconds,
            self.limit_series,
            list(&self.limit_targets),
            self.limit_interval,
            self.limit_seconds,
            if self.gzip { " --gzip" } else { "" }
        )
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let built = format!(
        "target/{}-unknown-linux-musl/release/davy-agent",
        std::env::consts::ARCH
    );
    let agent = args.agent.clone().unwrap_or_else(|| root.join(built));
    ensure!(
        agent.exists(),
        "no agent at {}: run `make build` first",
        agent.display()
    );
    let kinds = match args.subjects.as_slice() {
        [] => &KINDS[..],
        named => named,
    };
    for kind in kinds {
        kind.program(&agent).with_context(|| kind.name())?;
    }
    let plan = Plan {
        series: 0,
        targets: 1,
        interval: args.interval,
        seconds: args.seconds,
        gzip: args.gzip,
    };
    let file = args.record.clone();
    let file = file.unwrap_or_else(|| root.join("tests/record/scrape.json"));
    let (mut runs, mut loads) = (Vec::new(), Vec::new());
    let mut go = |plan: Plan, kinds: &[Kind]| {
        loads.extend(load_average());
        let run = measure(&plan, kinds, &agent)?;
        println!("\n{}", record::table(&run));
        runs.push(run);
        let about = About {
            command: args.command(),
            note: &args.note,
            load_averages: &loads,
        };
        record::write(&file, &agent, &about, &runs)
    };
    for series in &args.series {
        let series = *series;
        go(Plan { series, ..plan }, kinds)?;
    }
    for targets in args.limit_targets.iter().filter(|_| args.limit_series > 0) {
        for kind in kinds {
            let plan = Plan {
                series: args.limit_series,
                targets: *targets,
                interval: args.limit_interval,
                seconds: args.limit_seconds,
                ..plan
            };
            go(plan, &[*kind])?;
        }
    }
    Ok(())
}
