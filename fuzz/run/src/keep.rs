//! Which of the inputs that were found are committed as seeds.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use davy_fuzz::{Target, seeds};

use crate::Places;

/// Replaces a target's seeds: of inputs that together reach all that was reached the smallest, as
/// far as `bytes_max` go. Findings stay.
pub(super) fn keep(target: &Target, places: &Places, bytes_max: u64) -> anyhow::Result<()> {
    let begin = places.begin(target)?;
    let merged = places.corpora.join(format!("{}-merged", target.name));
    if merged.exists() {
        fs::remove_dir_all(&merged)?;
    }
    fs::create_dir_all(&merged)?;
    let program = places.programs.join(format!("fuzz-{}", target.name));
    let status = Command::new(&program)
        .arg("-merge=1")
        .args([&merged, &begin, &places.corpus(target)])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .with_context(|| format!("start {}", program.display()))?;
    anyhow::ensure!(
        status.success(),
        "{}: merging failed: {status}",
        target.name
    );
    let folder = seeds::folder().join("seeds").join(target.name);
    fs::create_dir_all(&folder)?;
    for (file, _) in sizes(&folder)? {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with("found-") {
            fs::remove_file(&file)?;
        }
    }
    let (mut kept, mut total) = (0, 0);
    for (file, size) in sizes(&merged)? {
        if total + size > bytes_max {
            break;
        }
        let name = file.file_name().context("a file has a name")?;
        fs::copy(&file, folder.join(name))?;
        (kept, total) = (kept + 1, total + size);
    }
    println!("{}: {kept} seeds of {total} bytes", target.name);
    Ok(())
}

/// The files of a folder, the smallest first.
fn sizes(folder: &Path) -> anyhow::Result<Vec<(PathBuf, u64)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        files.push((entry.path(), entry.metadata()?.len()));
    }
    files.sort_by(|(a, one), (b, other)| one.cmp(other).then_with(|| a.cmp(b)));
    Ok(files)
}
