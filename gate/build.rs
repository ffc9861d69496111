//! What the program knows of its own making: commit, time and target.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    let commit = std::env::var("DAVY_COMMIT").ok().or_else(git_commit);
    let commit = commit.unwrap_or_else(|| "unknown".to_owned());
    // SOURCE_DATE_EPOCH makes a build reproducible (reproducible-builds.org).
    let epoch = std::env::var("SOURCE_DATE_EPOCH")
        .ok()
        .or_else(now)
        .unwrap_or_default();
    let target = std::env::var("TARGET").unwrap_or_default();
    println!("cargo::rustc-env=DAVY_BUILD_COMMIT={commit}");
    println!("cargo::rustc-env=DAVY_BUILD_TIME={epoch}");
    println!("cargo::rustc-env=DAVY_BUILD_TARGET={target}");
    println!("cargo::rerun-if-env-changed=DAVY_COMMIT");
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    println!("cargo::rerun-if-changed=build.rs");
}

fn git_commit() -> Option<String> {
    let output = Command::new("git")
        .args(["rev-parse", "--short=12", "HEAD"])
        .output()
        .ok()?;
    let commit = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| commit.trim().to_owned())
}

fn now() -> Option<String> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    Some(since.as_secs().to_string())
}
