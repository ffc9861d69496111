//! The judge's numbers beside a second computation of them, in Python; and the tables of
//! `docs/statistics.md` beside what the program says.

mod chance;
mod page;
mod rollouts;
mod said;

use std::hash::{BuildHasher, RandomState};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use davy_tests::kit::peers;

/// What the second computation is written with.
const PACKAGES: &[&str] = &["numpy==2.4.6", "scipy==1.17.1"];
/// Kinds of numbers that must have been compared: of the committed tables, of drawn inputs, and
/// what the theorem says.
const KINDS: &[&str] = &[
    "committed label",
    "committed ratio",
    "committed thinning",
    "committed component",
    "committed kappa",
    "committed scale",
    "committed indicator",
    "committed rollout",
    "label",
    "ratio",
    "thinning",
    "canary alone",
    "kappa",
    "rollout",
    "limit of a rollout",
    "bound",
    "time",
    "time of a limit",
    "E of labels is 1",
    "E of a ratio is at most 1",
    "E of the canary alone is at most 1",
    "E of a limit is at most 1",
    "E of a wandering rate is at most 1",
    "E of a wandering mean is at most 1",
    "E of unequal exposure",
];

/// The seed of what is drawn: `DAVY_SEED`, else another one each time.
fn seed() -> u64 {
    let given = std::env::var("DAVY_SEED").ok();
    given.map_or_else(
        || RandomState::new().hash_one(0),
        |seed| seed.parse().expect("a whole number in DAVY_SEED"),
    )
}

/// Scenario: a Python script computes e-values by going through every choice of pods, expectations
/// by going through every outcome, ratios by scipy's distributions, κ from the rows themselves, and
/// whole rollouts with these.
///
/// Guarantees: the committed reference tables, and what the judge makes of inputs drawn anew each
/// time, agree with it to 1e-9; e-values are 1 on average, or less, under what they test. Left out
/// where there is no Python.
#[test]
fn a_second_computation_agrees() {
    if Command::new("python3").arg("--version").output().is_err() {
        return;
    }
    let python = peers::python(PACKAGES).expect("numpy and scipy");
    let seed = seed();
    let said = said::by_the_judge(seed).to_string();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gate/core/tests/check");
    let mut check = Command::new(python)
        .arg("-B")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Python starts");
    // All of it is read before anything is printed. A script that failed closed its input.
    let _ = check
        .stdin
        .take()
        .expect("piped")
        .write_all(said.as_bytes());
    let output = check.wait_with_output().expect("Python ends");
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "DAVY_SEED={seed}\n{out}{err}");
    for kind in KINDS {
        let compared = out.lines().any(|line| line.trim_start().ends_with(kind));
        assert!(compared, "no {kind} was compared:\n{out}");
    }
}
