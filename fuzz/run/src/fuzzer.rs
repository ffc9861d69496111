//! One target under libFuzzer: started, watched, stopped.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use davy_fuzz::{Target, seeds};
use rustix::process::{Pid, Signal, kill_process};

use crate::Run;
use crate::record::Outcome;

/// How often progress is said.
const SAY_EVERY: Duration = Duration::from_secs(60);
/// How often the CPU time is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Longest that one input may take, in seconds.
const INPUT_SECONDS_MAX: u32 = 10;
/// Most memory of a target, in MiB; each check has a bound of its own, far below.
const MEMORY_MEBIBYTES_MAX: u32 = 2048;

/// Runs a target until its CPU time or its executions are used up, or something was found.
pub(super) fn fuzz(target: &Target, options: &Run) -> anyhow::Result<Outcome> {
    let started = Instant::now();
    let mut child = start(target, options)?;
    let errors = child.stderr.take().context("no standard error")?;
    let (lines, heard) = mpsc::channel();
    let reader = thread::spawn(move || {
        for line in BufReader::new(errors).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            if lines.send(line).is_err() {
                return;
            }
        }
    });
    let mut outcome = Outcome::new(target, options);
    let (mut said, mut stopped) = (Instant::now(), false);
    loop {
        match heard.recv_timeout(LOOK_EVERY) {
            Ok(line) => hear(&mut outcome, &line),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        // Of a process that has just ended the last reading stands.
        outcome.cpu_seconds = cpu_seconds(&child).unwrap_or(outcome.cpu_seconds);
        if outcome.cpu_seconds >= options.seconds as f64 && !stopped {
            stopped = true;
            kill_process(Pid::from_child(&child), Signal::INT)?;
        }
        if said.elapsed() >= SAY_EVERY {
            said = Instant::now();
            println!("{outcome}");
        }
    }
    // Whether it ended well is seen from what it found.
    child.wait()?;
    let _ = reader.join();
    let findings = std::mem::take(&mut outcome.findings);
    for finding in findings {
        if is_again(target, options, &finding)? {
            outcome.findings.push(finding);
        } else {
            println!("{}: {finding} takes no longer than others", target.name);
        }
    }
    outcome.seconds = started.elapsed().as_secs_f64().round();
    println!("{outcome}, done");
    Ok(outcome)
}

/// Whether a finding is one. libFuzzer measures by the clock: where the machine stood still for
/// some seconds, an input took so long that does not when it runs again, and is forgotten.
fn is_again(target: &Target, options: &Run, finding: &str) -> anyhow::Result<bool> {
    if !finding.starts_with("found-timeout-") {
        return Ok(true);
    }
    let file = found(target).join(finding);
    let mut command = Command::new(program(target, options));
    command.arg(&file);
    command.arg(format!("-timeout={INPUT_SECONDS_MAX}"));
    let holds = command.stderr(Stdio::null()).status()?.success();
    if holds {
        fs::remove_file(&file)?;
    }
    Ok(!holds)
}

/// Where the inputs go of which something does not hold.
fn found(target: &Target) -> PathBuf {
    seeds::folder().join("seeds").join(target.name)
}

fn program(target: &Target, options: &Run) -> PathBuf {
    let programs = &options.places.programs;
    programs.join(format!("fuzz-{}", target.name))
}

fn start(target: &Target, options: &Run) -> anyhow::Result<Child> {
    let begin = options.places.begin(target)?;
    let found = found(target);
    fs::create_dir_all(&found)?;
    let program = program(target, options);
    let mut command = Command::new(&program);
    command
        .arg(options.places.corpus(target))
        .arg(begin)
        .arg(format!("-max_len={}", target.bytes_max))
        .arg(format!("-runs={}", options.executions))
        .arg(format!("-artifact_prefix={}/found-", found.display()))
        .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
        .arg(format!("-rss_limit_mb={MEMORY_MEBIBYTES_MAX}"))
        .args(["-print_final_stats=1", "-use_value_profile=1", "-reload=0"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    if let Some(dictionary) = target.dictionary {
        let file = seeds::folder().join("dictionaries").join(dictionary);
        command.arg(format!("-dict={}", file.display()));
    }
    let started = command.spawn();
    started.with_context(|| format!("start {}", program.display()))
}

/// Takes what libFuzzer says: `#123 NEW cov: 45 ft: 67 corp: 8/90b …`, and what it found.
fn hear(outcome: &mut Outcome, line: &str) {
    if let Some((executions, rest)) = line.strip_prefix('#').and_then(|it| it.split_once('\t')) {
        outcome.executions = number(executions).unwrap_or(outcome.executions);
        let mut words = rest.split_whitespace();
        while let Some(word) = words.next() {
            match word {
                "cov:" => outcome.edges = words.next().and_then(number).unwrap_or(outcome.edges),
                "corp:" => {
                    let inputs = words.next().and_then(|it| number(it.split('/').next()?));
                    outcome.corpus_inputs = inputs.unwrap_or(outcome.corpus_inputs);
                }
                _ => {}
            }
        }
    } else if let Some(executions) = line.strip_prefix("stat::number_of_executed_units:") {
        outcome.executions = number(executions.trim()).unwrap_or(outcome.executions);
    } else if let Some((_, file)) = line.split_once("Test unit written to ") {
        let name = file.trim().rsplit('/').next().unwrap_or_default();
        println!("{}: found {file}", outcome.target);
        outcome.findings.push(name.to_owned());
    } else if line.contains("panicked at") || line.contains("ERROR: libFuzzer") {
        println!("{}: {line}", outcome.target);
    }
}

fn number(word: &str) -> Option<u64> {
    word.parse().ok()
}

/// User and system time of a process, as `/proc/PID/stat` has it.
fn cpu_seconds(child: &Child) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).ok()?;
    // The name, in parentheses, may have spaces; behind it the 12th and 13th are the times.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<_> = rest.split_whitespace().collect();
    let ticks = fields.get(11..13)?.iter().map(|ticks| number(ticks));
    let ticks: u64 = ticks.sum::<Option<u64>>()?;
    // A tick is a hundredth of a second on every Linux (`USER_HZ`).
    Some(ticks as f64 / 100.0)
}
