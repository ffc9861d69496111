//! Rules of the tree that no compiler checks: which crate may use what, how long a file may be,
//! where clocks are read and processes started.

use std::fs;
use std::path::{Path, PathBuf};

/// What a crate may depend on. A new entry is argued in the commit that adds it.
const ALLOWED_DEPENDENCIES: &[(&str, &[&str])] = &[
    ("proto", &["serde", "serde_json", "thiserror"]),
    ("config", &["davy-proto", "saphyr-parser", "thiserror"]),
    (
        "agent/core",
        &[
            "bytes",
            "davy-proto",
            "davy-relabel",
            "fast-float2",
            "hdrhistogram",
            "memchr",
            "opentelemetry-proto",
            "prost",
            "serde",
            "serde_json",
            "thiserror",
        ],
    ),
    ("agent/relabel", &["md5", "regex-lite", "thiserror"]),
    (
        "gate/core",
        &[
            "base64",
            "davy-config",
            "davy-proto",
            "flate2",
            "libm",
            "opentelemetry-proto",
            "serde",
            "thiserror",
        ],
    ),
    (
        "gate/sim",
        &["davy-gate-core", "libm", "serde", "thiserror"],
    ),
];

/// What the pure crates never say: clocks, chance, I/O, async and logging belong to the shells.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "std::env::",
    "Instant::now",
    "SystemTime",
    "tokio",
    "async fn",
    "tracing::",
    "println!",
    "eprintln!",
    "HashMap",
    "HashSet",
];

/// The pure crates.
const PURE: &[&str] = &[
    "proto/src",
    "config/src",
    "agent/core/src",
    "agent/relabel/src",
    "gate/core/src",
    "gate/sim/src",
];

/// The only places of the shells that read a clock.
const CLOCK_READERS: &[&str] = &["agent/src/clock.rs", "gate/src/clock.rs"];

/// The only places of the product that start another program.
const PROCESS_STARTERS: &[&str] = &["gate/src/actuate"];

/// Longest source file, in lines.
const FILE_LINES_MAX: usize = 500;

/// Longer files, each with its cause.
const LONG_FILES: &[(&str, &str)] = &[];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn rust_files(under: &str) -> Vec<(String, String)> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        let Ok(entries) = fs::read_dir(dir) else {
            return;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() && name != "target" && name != ".git" && name != "node_modules" {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    let top = root().canonicalize().expect("the checkout");
    let mut found = Vec::new();
    walk(&top.join(under), &mut found);
    found.sort();
    let name = |path: &Path| {
        path.strip_prefix(&top)
            .expect("below the top")
            .display()
            .to_string()
    };
    found
        .iter()
        .map(|p| (name(p), fs::read_to_string(p).expect("UTF-8 source")))
        .collect()
}

/// The lines of a file that ship: without its test module and without comments.
fn shipped(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(index, line)| (index + 1, line))
}

fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

fn report(broken: &[String], rule: &str) {
    assert!(broken.is_empty(), "{rule}:\n{}", broken.join("\n"));
}

/// Guarantees: a pure crate depends on nothing that was not argued for.
#[test]
fn dependencies_of_pure_crates_are_on_the_allow_list() {
    let mut broken = Vec::new();
    for (path, allowed) in ALLOWED_DEPENDENCIES {
        let manifest = fs::read_to_string(root().join(path).join("Cargo.toml")).expect("manifest");
        let section = manifest.split("[dependencies]").nth(1).unwrap_or_default();
        let section = section.split("\n[").next().unwrap_or_default();
        for line in section
            .lines()
            .filter(|line| line.contains('=') && !line.starts_with('#'))
        {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            if !allowed.contains(&name) {
                broken.push(format!("{path}: {name}"));
            }
        }
    }
    report(
        &broken,
        "dependencies of a pure crate that are not on its allow-list",
    );
}

/// Guarantees: invariant 1 of ARCHITECTURE.md, beyond what Clippy's bans catch.
#[test]
fn pure_crates_touch_no_world() {
    let mut broken = Vec::new();
    for (path, text) in PURE.iter().flat_map(|dir| rust_files(dir)) {
        if is_test_file(&path) {
            continue;
        }
        for (line, code) in shipped(&text) {
            for word in IMPURE.iter().filter(|word| code.contains(**word)) {
                broken.push(format!("{path}:{line}: {word}"));
            }
        }
    }
    report(&broken, "a pure crate touches the world");
}

/// Guarantees: the shells read clocks in one file each, so time can be an argument elsewhere.
#[test]
fn only_clock_files_read_clocks() {
    let mut broken = Vec::new();
    for dir in ["agent/src", "gate/src"] {
        for (path, text) in rust_files(dir) {
            if is_test_file(&path) || CLOCK_READERS.contains(&path.as_str()) {
                continue;
            }
            for (line, code) in shipped(&text) {
                if code.contains("Instant::now()") || code.contains("SystemTime::now()") {
                    broken.push(format!("{path}:{line}: {}", code.trim()));
                }
            }
        }
    }
    report(&broken, "a clock is read outside clock.rs");
}

/// Guarantees: invariant 7 of ARCHITECTURE.md: only the actuators change the world.
#[test]
fn only_actuators_start_programs() {
    let mut broken = Vec::new();
    for (path, text) in ["agent", "gate", "config", "proto"]
        .iter()
        .flat_map(|dir| rust_files(dir))
    {
        if is_test_file(&path) || PROCESS_STARTERS.iter().any(|start| path.starts_with(start)) {
            continue;
        }
        for (line, code) in shipped(&text) {
            if code.contains("Command::new(") && !code.contains("clap") {
                broken.push(format!("{path}:{line}: {}", code.trim()));
            }
        }
    }
    report(&broken, "a program is started outside the actuators");
}

/// Guarantees: files stay short enough to be read in one go, and modules are `foo.rs` + `foo/`.
#[test]
fn files_are_short_and_modules_are_files() {
    let mut broken = Vec::new();
    for (path, text) in rust_files("") {
        let lines = text.lines().count();
        let excused = LONG_FILES.iter().any(|(name, _)| *name == path);
        if lines > FILE_LINES_MAX && !excused {
            broken.push(format!("{path}: {lines} lines"));
        }
        if path.ends_with("/mod.rs") {
            broken.push(format!("{path}: name it after its folder"));
        }
        if !text.starts_with("//!") && !text.starts_with("#![") && !is_test_file(&path) {
            broken.push(format!("{path}: begins without saying what it is"));
        }
        // Golden output in tests is as long as it is.
        let code = text
            .lines()
            .take_while(|line| !line.starts_with("#[cfg(test)]"));
        let mut code = code.filter(|_| !is_test_file(&path));
        if let Some(line) = code.position(|line| line.chars().count() > 100) {
            broken.push(format!("{path}:{}: longer than 100 characters", line + 1));
        }
    }
    report(&broken, "files that are hard to read");
}

/// Guarantees: every crate takes the workspace's lints, `unsafe_code = "forbid"` among them.
#[test]
fn every_crate_takes_the_workspace_lints() {
    let top = fs::read_to_string(root().join("Cargo.toml")).expect("root manifest");
    assert!(top.contains("unsafe_code = \"forbid\""));
    let members = top
        .split("members = [")
        .nth(1)
        .and_then(|m| m.split(']').next());
    for member in members
        .expect("members")
        .lines()
        .filter_map(|line| line.split('"').nth(1))
    {
        let manifest = fs::read_to_string(root().join(member).join("Cargo.toml"));
        let manifest = manifest.expect("a member's manifest");
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "{member} has lints of its own"
        );
        let versions = manifest
            .lines()
            .filter(|line| line.contains("version = \""));
        assert_eq!(
            versions.count(),
            0,
            "{member} pins a version outside the workspace table"
        );
    }
}
