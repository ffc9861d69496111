//! `davy-gate check` as a deploy script runs it, between real instances of the shop under load.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use davy_tests::kit::load::{Load, Plan, Schedule, Target};
use davy_tests::kit::process::free_port;
use davy_tests::kit::shop::Shop;

use super::{GATE, folder};

/// Requests a second over three instances: what debug builds keep up with on a busy machine.
const RATE: f64 = 240.0;

/// Errors must be proved safe; latency and CPU, which other work on the machine disturbs, must only
/// not be proved worse. The first error rate that matters is above 5 %, so that a minute is enough.
const POLICY: &str = "\
version: 1
service: shop
objectives:
  - {name: latency, indicator: latency, rollback_above: 1.3, approve_below: 3.0, gate: veto}
  - {name: errors, indicator: errors, rollback_above: 1.25, approve_below: 3.0, negligible: 0.05}
  - {name: cpu, indicator: cpu_per_request, rollback_above: 2.0, approve_below: 10, gate: veto}
risk: {false_rollback: 0.01, false_approval: 0.1, assume: alike}
timing: {warm_up: 0s, min_duration: 20s, max_duration: 100s}
";

/// A policy with a mistake on each of these lines: 2, 4, 5, 6.
const MISTAKEN: &str = "\
version: 1
servise: shop
objectives:
  - {name: latency, indicator: latencey}
  - {name: errors, indicator: errors, rollback_above: 3, approve_below: 2}
timing: {warm_up: 5, min_duration: 20s}
";

fn shop(folder: &Path, name: &str, p99: &str, error_rate: &str) -> Shop {
    let folder = folder.join(name);
    fs::create_dir(&folder).expect("a folder");
    let behavior = [("SHOP_LATENCY_P99", p99), ("SHOP_ERROR_RATE", error_rate)];
    Shop::start(&folder, &behavior).expect("the shop starts")
}

fn policy(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("policy.yaml");
    fs::write(&path, text).expect("a policy");
    path
}

/// Runs a check to its end, which the policy's deadline or the flag's bounds.
fn run(policy: &Path, baseline: &str, canary: &str, flags: &[&str]) -> Output {
    let mut command = Command::new(GATE);
    command.env_clear().arg("check").arg("--policy").arg(policy);
    for (flag, authority) in [("--baseline", baseline), ("--canary", canary)] {
        command.arg(flag).arg(format!("http://{authority}/metrics"));
    }
    command.args(flags).output().expect("the check runs")
}

/// Exit code, standard output and standard error.
fn parts(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[track_caller]
fn check(output: &Output, code: i32, result: &[&str], progress: &[&str]) {
    let (status, stdout, stderr) = parts(output);
    assert_eq!(status, Some(code), "{stdout}\n{stderr}");
    for word in result {
        assert!(
            stdout.contains(word),
            "{word:?} in the result:\n{stdout}\n{stderr}"
        );
    }
    for word in progress {
        assert!(stderr.contains(word), "{word:?} in the progress:\n{stderr}");
    }
    assert!(
        !stderr.contains('\u{1b}'),
        "no colors in a file: {stderr:?}"
    );
}

/// Scenario: one baseline, a canary like it that makes no errors at all, and one twice as slow with
/// a fifth of its answers errors, all under load; each canary is checked, and the good one also by
/// a script that is in a hurry.
/// Guarantees: exit 0, 1 and 2; the result is on standard output, progress on standard error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_canary_is_approved_and_a_bad_one_rolled_back() {
    let folder = folder();
    let root = folder.path();
    let shops = [
        shop(root, "baseline", "100ms", "0"),
        shop(root, "good", "100ms", "0"),
        shop(root, "bad", "200ms", "0.2"),
    ];
    let [baseline, good, bad] = shops.each_ref().map(|shop| shop.authority.clone());
    let target = |authority: &String| Target {
        authority: authority.clone(),
        group: 0,
        weight: 1.0,
    };
    let targets = [&baseline, &good, &bad].map(target).to_vec();
    let plan = Plan {
        rate: RATE,
        targets,
    };
    let load = Load::start_on(Schedule::Poisson, plan, 1, 5);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let policy = policy(root, POLICY);
    let start = |canary: String, flags: &'static [&'static str]| {
        let (policy, baseline) = (policy.clone(), baseline.clone());
        tokio::task::spawn_blocking(move || run(&policy, &baseline, &canary, flags))
    };
    let hurried = start(
        good.clone(),
        &["--max-duration", "10s", "--summary", "json"],
    );
    let (good, bad) = (start(good, &[]), start(bad, &[]));
    let hurried = hurried.await.expect("the hurried check");
    let (good, bad) = (good.await.expect("the good"), bad.await.expect("the bad"));
    let lag = load.lag_p99_ms();
    let progress = [
        "scraping 1 baseline and 1 canary instance",
        "requests",
        "undecided",
    ];
    check(
        &hurried,
        2,
        &["\"verdict\":\"undecided\"", "gave up after 10s"],
        &["at least 20s"],
    );
    check(&bad, 1, &["rollback: errors", "worse"], &progress);
    check(
        &good,
        0,
        &["approve: ", "errors     0 %         0 %", "safe"],
        &progress,
    );
    assert!(
        load.overrun() == 0,
        "the load generator keeps up: lag {lag} ms"
    );
}

/// Scenario: nothing listens where the instances should be.
/// Guarantees: exit 69, who did not answer on standard error, nothing on standard output.
#[test]
fn instances_that_do_not_answer_are_no_verdict() {
    let folder = folder();
    let policy = policy(folder.path(), POLICY);
    let [baseline, canary] = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
    let output = run(&policy, &baseline, &canary, &["--max-duration", "6s"]);
    check(
        &output,
        69,
        &[],
        &["nothing can be judged", &baseline, &canary],
    );
    assert_eq!(parts(&output).1, "");
}

/// Scenario: the policy has four mistakes, the command line has two more; then it is no file.
/// Guarantees: exit 64 at once, every mistake named with its line, nothing scraped.
#[test]
fn every_mistake_of_a_policy_is_named_with_its_line() {
    let folder = folder();
    let policy = policy(folder.path(), MISTAKEN);
    let output = run(
        &policy,
        "127.0.0.1:1",
        "127.0.0.1:1",
        &["--max-duration", "0s"],
    );
    let lines = [2, 4, 5, 6].map(|line| format!("policy.yaml:{line}: "));
    let mut words: Vec<&str> = lines.iter().map(String::as_str).collect();
    words.extend([
        "did you mean service?",
        "latencey",
        "timing.warm_up",
        "--max-duration",
    ]);
    check(&output, 64, &[], &words);
    assert_eq!(parts(&output).1, "");
    let output = run(
        Path::new("/nowhere/policy.yaml"),
        "127.0.0.1:1",
        "127.0.0.1:2",
        &[],
    );
    check(&output, 64, &[], &["/nowhere/policy.yaml"]);
    let output = Command::new(GATE).arg("check").output().expect("it runs");
    check(&output, 64, &[], &["--baseline", "--canary"]);
}
