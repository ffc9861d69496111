//! What `docs/statistics.md` shows of `check-policy` is what the program says.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Columns of the table of times: objective and line of the program's table.
const COLUMNS: [(&str, &str); 7] = [
    ("latency", "no different"),
    ("errors", "no different"),
    ("cpu", "no different"),
    ("all", "approve"),
    ("latency", "×1.35"),
    ("errors", "×3.75"),
    ("cpu", "×1.16"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn page() -> String {
    std::fs::read_to_string(root().join("docs/statistics.md")).expect("docs/statistics.md")
}

fn check_policy(arguments: &[&str]) -> String {
    let gate = env!("CARGO_BIN_EXE_davy-gate-under-test");
    let mut command = Command::new(gate);
    command.current_dir(root()).env_clear().arg("check-policy");
    let output = command.args(arguments).output().expect("the gate runs");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Scenario: the page shows a run of `check-policy`.
///
/// Guarantees: it is what the program prints, line by line.
#[test]
fn the_run_of_check_policy_is_what_it_prints() {
    let page = page();
    let shown = page
        .split("```")
        .find_map(|block| block.strip_prefix("\n$ davy-gate check-policy "))
        .expect("a run of check-policy");
    let (arguments, shown) = shown.split_once('\n').expect("its output");
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let printed = check_policy(&arguments);
    assert_eq!(shown, printed, "docs/statistics.md is to show:\n{printed}");
}

/// Scenario: the page has a table of times by traffic.
///
/// Guarantees: each is what `check-policy` says of the standard policy at that rate.
#[test]
fn the_table_of_times_is_what_check_policy_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let policy = folder.path().join("standard.yaml");
    std::fs::write(&policy, "version: 1\n").expect("a policy");
    let policy = policy.display().to_string();
    let page = page();
    let rows = page
        .lines()
        .skip_while(|line| !line.starts_with("| requests/s |"));
    let rows = rows.skip(2).take_while(|line| line.starts_with('|'));
    let (mut shown, mut expected) = (Vec::new(), Vec::new());
    for row in rows {
        let rate = row.split('|').nth(1).expect("a rate").replace(',', "");
        let said = check_policy(&[&policy, "--rate", rate.trim(), "--weight", "0.2"]);
        let times = COLUMNS.map(|column| time(&said, column));
        let rate = row.split('|').nth(1).expect("a rate").trim();
        expected.push(format!("| {rate} | {} |", times.join(" | ")));
        shown.push(row.to_owned());
    }
    assert!(shown.len() >= 5, "the table has rows: {shown:?}");
    let right = expected.join("\n");
    assert_eq!(shown, expected, "docs/statistics.md is to show:\n{right}");
}

/// The time with 2 minutes of history, of an objective and a line of its own.
fn time(said: &str, (objective, line): (&str, &str)) -> String {
    let mut of = "";
    for each in said.lines().skip_while(|l| !l.starts_with("expected at")) {
        let fields = each.split("  ").map(str::trim).filter(|f| !f.is_empty());
        let mut fields: Vec<&str> = fields.collect();
        if COLUMNS.iter().any(|(name, _)| fields.first() == Some(name)) {
            of = fields.remove(0);
        }
        let found = fields.first().is_some_and(|f| f.starts_with(line));
        if of == objective
            && found
            && let Some(&[time, _]) = fields.last_chunk()
        {
            return time.to_owned();
        }
    }
    panic!("no {objective}, {line}, in:\n{said}")
}
