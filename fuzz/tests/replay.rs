//! The checks without libFuzzer: on every seed, and on mutations of them for ten seconds.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where something is not as it must be"
)]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use davy_fuzz::mutate::{Draw, mutate};
use davy_fuzz::{TARGETS, Target, seeds};

/// How long mutations are tried, all targets together.
const MUTATIONS: Duration = Duration::from_secs(10);
/// The mutations are the same in every run; how many there are is a matter of time.
const SEED: u64 = 1;

/// Runs a check; where it fails the input is kept, and said where.
#[track_caller]
fn check(target: &Target, name: &str, bytes: &[u8]) {
    let Err(failure) = catch_unwind(AssertUnwindSafe(|| (target.check)(bytes))) else {
        return;
    };
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-failed", target.name));
    std::fs::write(&kept, bytes).expect("the input is kept");
    eprintln!("{}, {name}: kept as {}", target.name, kept.display());
    resume_unwind(failure);
}

/// Guarantees: what was found once stays mended, and every seed holds.
#[test]
fn every_seed_holds() {
    for target in TARGETS {
        let seeds = seeds::of(target);
        assert!(seeds.len() > 1, "{} has no seeds", target.name);
        for (name, bytes) in seeds {
            check(target, &name, &bytes);
        }
    }
}

/// Guarantees: what is checked holds of inputs that nobody wrote, too.
#[test]
fn mutated_seeds_hold() {
    for target in TARGETS {
        let (seeds, words) = (seeds::of(target), seeds::words(target));
        let mut draw = Draw::new(SEED);
        let until = Instant::now() + MUTATIONS / TARGETS.len() as u32;
        let mut tried = 0;
        while Instant::now() < until {
            let [first, second] = [(); 2].map(|()| draw.below(seeds.len()));
            let mut input = seeds[first].1.clone();
            mutate(&mut input, &seeds[second].1, &words, &mut draw);
            check(target, &format!("mutation {tried}"), &input);
            tried += 1;
        }
        println!(
            "{}: {tried} mutations of {} seeds",
            target.name,
            seeds.len()
        );
    }
}

/// Guarantees: seeds stay few and small.
#[test]
fn committed_seeds_are_small() {
    let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
    assert!(names.is_sorted());
    let folders = std::fs::read_dir(seeds::folder().join("seeds")).expect("the seeds");
    let mut total = 0;
    for folder in folders.flatten() {
        let name = folder.file_name().into_string().expect("a name");
        assert!(names.contains(&name.as_str()), "{name} is no target");
        for file in std::fs::read_dir(folder.path()).expect("seeds").flatten() {
            total += file.metadata().expect("a file").len();
        }
    }
    assert!(total <= 200 << 10, "{total} bytes of seeds");
}
