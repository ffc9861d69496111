//! Which state of its code a target is run at.

use std::process::Command;

use davy_fuzz::seeds;

/// The newest commit that changed any of `paths`. None where they were changed since then, or
/// outside a repository: nobody knows what such code is.
pub(super) fn commit(paths: &[&str]) -> Option<String> {
    let changed = git(&["status", "--porcelain", "--"], paths)?;
    let commit = git(&["log", "-1", "--format=%h", "--abbrev=12", "--"], paths)?;
    (changed.is_empty() && !commit.is_empty()).then_some(commit)
}

/// What `git` says of paths, without white space around it; none where it fails.
fn git(arguments: &[&str], paths: &[&str]) -> Option<String> {
    let root = seeds::folder().parent()?;
    let mut command = Command::new("git");
    command.current_dir(root).args(arguments).args(paths);
    let output = command.output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
