//! `make fuzz`: the targets under libFuzzer, two at a time, and the record of it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::{fs, thread};

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use davy_fuzz::{TARGETS, Target, seeds, target};

mod code;
mod fuzzer;
mod keep;
mod record;

/// Fuzzing: looks for inputs of which something does not hold.
#[derive(Debug, Parser)]
#[command(name = "davy-fuzz-run")]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check one input, as a test does.
    Check {
        /// Name of the target.
        target: String,
        /// File with the input.
        file: PathBuf,
    },
    /// Replace the committed seeds of targets by the smallest inputs that reach most.
    Keep(Keep),
    /// Run targets under libFuzzer, and record what came of it.
    Run(Run),
}

/// Where programs and inputs are.
#[derive(Debug, Args)]
struct Places {
    /// Folder with the programs `fuzz-TARGET`.
    #[arg(long)]
    programs: PathBuf,
    /// Folder of the inputs that were found, one below it for each target.
    #[arg(long)]
    corpora: PathBuf,
    /// Names of the targets, all where none is named.
    #[arg(long, value_delimiter = ',')]
    targets: Vec<String>,
}

#[derive(Debug, Args)]
struct Keep {
    #[command(flatten)]
    places: Places,
    /// Most bytes of one target's seeds.
    #[arg(long, default_value_t = seeds::BYTES_MAX)]
    bytes: u64,
    /// Most files of them.
    #[arg(long, default_value_t = seeds::FILES_MAX)]
    files: usize,
}

#[derive(Debug, Args)]
struct Run {
    #[command(flatten)]
    places: Places,
    /// Seconds of CPU for each target.
    #[arg(long, default_value_t = 3600)]
    seconds: u64,
    /// Most executions of each target.
    #[arg(long, default_value_t = 100_000_000)]
    executions: u64,
    /// Targets at the same time.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// File that the outcome is recorded in.
    #[arg(long)]
    record: PathBuf,
    /// What was run, for the record.
    #[arg(long, default_value = "davy-fuzz-run run")]
    command: String,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("davy-fuzz-run: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> anyhow::Result<ExitCode> {
    match &options.command {
        Command::Check { target, file } => {
            let target = named(target)?;
            let bytes = fs::read(file).with_context(|| format!("read {}", file.display()))?;
            (target.check)(&bytes);
            println!("{}: holds", target.name);
            Ok(ExitCode::SUCCESS)
        }
        Command::Keep(options) => {
            for target in options.places.targets()? {
                keep::keep(target, options)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Run(options) => fuzz(options),
    }
}

fn named(name: &str) -> anyhow::Result<&'static Target> {
    let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
    target(name).with_context(|| format!("{name} is no target; there are {}", names.join(", ")))
}

impl Places {
    fn targets(&self) -> anyhow::Result<Vec<&'static Target>> {
        if self.targets.is_empty() {
            return Ok(TARGETS.iter().collect());
        }
        self.targets.iter().map(|name| named(name)).collect()
    }

    /// The folder of a target's inputs.
    fn corpus(&self, target: &Target) -> PathBuf {
        self.corpora.join(target.name)
    }

    /// A folder with the inputs that a target begins from, written anew.
    fn begin(&self, target: &Target) -> anyhow::Result<PathBuf> {
        let folder = self.corpora.join(format!("{}-seeds", target.name));
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        for (number, (_, bytes)) in seeds::of(target).into_iter().enumerate() {
            fs::write(folder.join(number.to_string()), bytes)?;
        }
        fs::create_dir_all(self.corpus(target))?;
        Ok(folder)
    }
}

fn fuzz(options: &Run) -> anyhow::Result<ExitCode> {
    let mut waiting = options.places.targets()?;
    waiting.reverse();
    let waiting = Mutex::new(waiting);
    let next = || waiting.lock().ok().and_then(|mut waiting| waiting.pop());
    let worker = || -> anyhow::Result<bool> {
        let mut found = false;
        while let Some(target) = next() {
            let outcome = fuzzer::fuzz(target, options)?;
            found |= !outcome.findings.is_empty();
            record::add(&options.record, outcome)?;
        }
        Ok(found)
    };
    let mut found = false;
    thread::scope(|scope| -> anyhow::Result<()> {
        let workers: Vec<_> = (0..options.jobs.max(1))
            .map(|_| scope.spawn(worker))
            .collect();
        for worker in workers {
            let ended = worker
                .join()
                .map_err(|_| anyhow::anyhow!("a worker panicked"))?;
            found |= ended?;
        }
        Ok(())
    })?;
    println!("recorded in {}", options.record.display());
    Ok(match found {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}
