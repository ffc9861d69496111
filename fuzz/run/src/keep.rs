//! Which of the inputs that were found are committed as seeds.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use davy_fuzz::{Target, seeds};

use crate::Keep;

/// An input, and what it reaches.
#[derive(Debug)]
struct Input {
    file: PathBuf,
    bytes: u64,
    /// Edges with how often they were taken, as libFuzzer numbers them.
    features: BTreeSet<u64>,
}

/// Replaces a target's seeds: of all inputs those few and small ones that together reach most.
/// Findings stay.
pub(super) fn keep(target: &Target, options: &Keep) -> anyhow::Result<()> {
    let found = inputs(target, options)?;
    let total: BTreeSet<u64> = found.iter().flat_map(|it| it.features.clone()).collect();
    let folder = seeds::folder().join("seeds").join(target.name);
    fs::create_dir_all(&folder)?;
    let mut findings = 0;
    for file in fs::read_dir(&folder)? {
        let file = file?;
        match seeds::is_finding(&file.file_name()) {
            true => findings += 1,
            false => fs::remove_file(file.path())?,
        }
    }
    let (of, chosen) = (found.len(), choose(found, options.files, options.bytes));
    let (mut bytes, mut reached) = (0, BTreeSet::<u64>::new());
    for input in &chosen {
        let name = input.file.file_name().context("a file has a name")?;
        fs::copy(&input.file, folder.join(name))?;
        bytes += input.bytes;
        reached.extend(input.features.iter().copied());
    }
    println!(
        "{}: kept {} of {of} inputs, {bytes} bytes, which reach {} of {} features; {findings} \
         findings stay",
        target.name,
        chosen.len(),
        reached.len(),
        total.len()
    );
    Ok(())
}

/// Picks inputs until none that fits reaches more: first what gives most for the room it takes,
/// where a file takes its bytes and a file's share of all bytes.
fn choose(mut inputs: Vec<Input>, files_max: usize, bytes_max: u64) -> Vec<Input> {
    let share = bytes_max / files_max.max(1) as u64;
    let (mut chosen, mut left): (Vec<Input>, u64) = (Vec::new(), bytes_max);
    while chosen.len() < files_max {
        inputs.retain(|input| input.bytes <= left && !input.features.is_empty());
        let worth = |input: &Input| input.features.len() as f64 / (input.bytes + share) as f64;
        let best = (0..inputs.len()).max_by(|a, b| {
            let worth = |at: usize| inputs.get(at).map_or(0.0, worth);
            // The first of equals, so that the same inputs give the same seeds.
            worth(*a).total_cmp(&worth(*b)).then(b.cmp(a))
        });
        let Some(best) = best.map(|at| inputs.remove(at)) else {
            break;
        };
        for input in &mut inputs {
            input.features.retain(|it| !best.features.contains(it));
        }
        left -= best.bytes;
        chosen.push(best);
    }
    chosen
}

/// Runs all inputs of a target and returns what each reaches, in the order of their names.
fn inputs(target: &Target, options: &Keep) -> anyhow::Result<Vec<Input>> {
    let places = &options.places;
    let begin = places.begin(target)?;
    let merged = places.corpora.join(format!("{}-merged", target.name));
    let control = places.corpora.join(format!("{}-merge", target.name));
    if merged.exists() {
        fs::remove_dir_all(&merged)?;
    }
    if control.exists() {
        fs::remove_file(&control)?;
    }
    fs::create_dir_all(&merged)?;
    let program = places.programs.join(format!("fuzz-{}", target.name));
    // A merge by set cover notes all that each input reaches, not only what is new.
    let status = Command::new(&program)
        .arg("-set_cover_merge=1")
        .arg(format!("-merge_control_file={}", control.display()))
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
    let notes = fs::read_to_string(&control).with_context(|| control.display().to_string())?;
    let mut inputs = read(&notes).context("libFuzzer's notes of a merge")?;
    // What tests make themselves needs no file.
    inputs.retain(|input| input.file.starts_with(places.corpus(target)));
    inputs.sort_by(|a, b| a.file.cmp(&b.file));
    Ok(inputs)
}

/// Reads libFuzzer's notes (`FuzzerMerge.h`): the number of files, the number of those in the first
/// folder, the files, then of each `STARTED number bytes` and `FT number features…`.
fn read(notes: &str) -> Option<Vec<Input>> {
    let mut lines = notes.lines();
    let files: usize = lines.next()?.trim().parse().ok()?;
    lines.next()?;
    let input = |line: &str| Input {
        file: PathBuf::from(line),
        bytes: 0,
        features: BTreeSet::new(),
    };
    let mut inputs: Vec<Input> = lines.by_ref().take(files).map(input).collect();
    for line in lines {
        let mut words = line.split_whitespace();
        let (word, number) = (words.next()?, words.next()?.parse::<usize>().ok()?);
        let input = inputs.get_mut(number)?;
        let mut numbers = words.map(str::parse::<u64>);
        match word {
            "STARTED" => input.bytes = numbers.next_back()?.ok()?,
            "FT" => input.features = numbers.collect::<Result<_, _>>().ok()?,
            _ => {}
        }
    }
    Some(inputs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(name: &str, bytes: u64, features: &[u64]) -> Input {
        Input {
            file: PathBuf::from(name),
            bytes,
            features: features.iter().copied().collect(),
        }
    }

    fn names(chosen: &[Input]) -> Vec<&str> {
        chosen
            .iter()
            .filter_map(|input| input.file.to_str())
            .collect()
    }

    /// Guarantees: few and small ones that reach much; never more files or bytes than asked for.
    #[test]
    fn what_reaches_most_for_its_room_is_kept() {
        let all = || {
            vec![
                input("large", 900, &[1, 2, 3, 4, 5, 6]),
                input("small", 10, &[1, 2, 3]),
                input("other", 20, &[4, 5]),
                input("more of the same", 20, &[4, 5]),
                input("rare", 30, &[7]),
                input("too large", 2000, &[8, 9]),
            ]
        };
        assert_eq!(
            names(&choose(all(), 9, 1000)),
            ["small", "other", "rare", "large"]
        );
        assert_eq!(names(&choose(all(), 2, 100)), ["small", "other"]);
        assert_eq!(names(&choose(all(), 9, 35)), ["small", "other"]);
    }

    #[test]
    fn notes_of_a_merge_are_read() {
        let notes = "2\n0\n/a/b\n/c\nSTARTED 0 12\nFT 0 3 5\nCOV 0 7\nSTARTED 1 4\nFT 1 9\n";
        let read = read(notes).expect("notes");
        assert_eq!(names(&read), ["/a/b", "/c"]);
        assert_eq!((read[0].bytes, read[0].features.len()), (12, 2));
        assert_eq!((read[1].bytes, read[1].features.len()), (4, 1));
        assert!(super::read("").is_none());
    }
}
